// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/awaitable.hpp>
#include <coaio/core/detail/ready_queue.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace coaio::detail {

class IoWait;
class Port;

/// One direction of a port: whether it is worth trying, and who waits for it, at most one task.
///
/// A back end says `signal()` when the direction may go on. Then the waiter's operation is tried from the ready queue,
/// and only if it transfers something is the task resumed, at once: between transfer and resume nothing can come, so a
/// cancelled operation has transferred nothing.
class PortSide final : public Runnable {
public:
    explicit PortSide(Port& port) noexcept : port_(&port) {}

    /// It may go on now.
    void signal() noexcept {
        ready_ = true;
        if (waiter_ != nullptr && !queued_) enqueue();
    }
    /// It cannot go on until the next signal.
    void exhausted() noexcept { ready_ = false; }
    [[nodiscard]] bool ready() const noexcept { return ready_; }
    [[nodiscard]] IoWait* waiter() const noexcept { return waiter_; }

    void run() noexcept override;
    [[nodiscard]] TaskBase* stepped() const noexcept override;

private:
    friend class IoWait;
    friend class Port;

    void enqueue() noexcept;
    void link(IoWait& wait) noexcept;
    void unlink() noexcept;
    /// The waiter is told that the port was closed.
    void close() noexcept;

    Port* port_;
    IoWait* waiter_ = nullptr;
    ReadyQueue::Position position_ = 0;
    bool queued_ = false;
    bool ready_ = true;  // try first, wait second
};

/// Bytes to write.
struct ConstBuffer {
    const void* data = nullptr;
    std::size_t size = 0;
};

/// One end that can be read and written: a descriptor of the kernel, or a simulation of one. Operations never wait: each
/// gives the bytes transferred, or -errno, -EAGAIN meaning that `signal()` will be called on that side.
class Port {
public:
    /// `waits` counts the waits that only the outside world can end; null when nothing outside is involved.
    Port(LoopCore& core, std::size_t* waits) noexcept : in(*this), out(*this), core_(&core), waits_(waits) {}
    Port(const Port&) = delete;
    Port& operator=(const Port&) = delete;
    /// Who still waits gets a ClosedError.
    virtual ~Port();

    [[nodiscard]] virtual long read(std::span<std::byte> buffer) noexcept;
    [[nodiscard]] virtual long write(std::span<const ConstBuffer> buffers) noexcept;
    [[nodiscard]] virtual long accept(std::unique_ptr<Port>& accepted) noexcept;
    /// 0 when connected; called when the out side was signalled.
    [[nodiscard]] virtual long finish_connect() noexcept;
    [[nodiscard]] virtual long shutdown_write() noexcept;
    /// One datagram; `to` empty: to the peer it is connected with.
    [[nodiscard]] virtual long send_to(std::span<const ConstBuffer> buffers, std::span<const std::byte> to) noexcept;
    /// The size of the datagram, which may be more than fitted into `buffer`; `from` is the whole room for its sender's
    /// address, and is cut to it.
    [[nodiscard]] virtual long receive_from(std::span<std::byte> buffer, std::span<std::byte>& from) noexcept;

    /// What follows sets a socket up. Addresses are in the kernel's form; each gives 0 or -errno.
    [[nodiscard]] virtual long bind(std::span<const std::byte> address) noexcept;
    [[nodiscard]] virtual long listen(int backlog) noexcept;
    /// -EINPROGRESS: `finish_connect` will tell.
    [[nodiscard]] virtual long connect(std::span<const std::byte> address) noexcept;
    [[nodiscard]] virtual long set_option(int level, int name, std::span<const std::byte> value) noexcept;
    /// Its own address or its peer's is written to `into`; gives the size.
    enum class End : std::uint8_t { own, peer };
    [[nodiscard]] virtual long name_of(End end, std::span<std::byte> into) const noexcept;
    /// From now on the back end tells when a side may go on.
    [[nodiscard]] virtual long watch() noexcept { return 0; }
    /// When it is closed, the other side gets an error in place of an orderly end.
    virtual void spoil() noexcept {}
    /// The kernel's number, or -1.
    [[nodiscard]] virtual int descriptor() const noexcept { return -1; }
    /// For dumps: `socket 7`.
    [[nodiscard]] virtual std::string describe() const = 0;
    /// Gives up the kernel's number without closing it; -1 when there is none.
    virtual int release() noexcept { return -1; }

    [[nodiscard]] LoopCore& core() const noexcept { return *core_; }

    PortSide in;
    PortSide out;

protected:
    /// For destructors of back ends, while they are whole.
    void close_sides() noexcept {
        in.close();
        out.close();
    }

private:
    friend class PortSide;
    friend class IoWait;
    LoopCore* core_;
    std::size_t* waits_;
};

/// Waits for one direction of a port until an operation on it gets somewhere.
class IoWait : public Leaf {
public:
    explicit IoWait(PortSide& side) noexcept : side_(&side) {}

    /// Tries at once. Throws `BusyError` when another task waits for this direction.
    [[nodiscard]] bool await_ready() {
        if (side_->waiter_ != nullptr) [[unlikely]]
            throw_busy();
        LoopCore& core = side_->port_->core();
        if (!side_->ready_ || core.io_budget == 0) return false;
        --core.io_budget;
        return try_once();
    }
    template <class P>
    void await_suspend(std::coroutine_handle<P> self, Here location = std::source_location::current()) {
        side_->link(*this);
        hang(self, location);
    }

    bool cancel(CancelMessage message) noexcept final;
    [[nodiscard]] WaitInfo describe() const final;

protected:
    ~IoWait() {
        if (side_ != nullptr && side_->waiter_ == this) side_->unlink();
    }
    /// The operation: bytes, or -errno.
    [[nodiscard]] virtual long attempt() noexcept = 0;

    /// After the resume: the outcome. Throws `CancelledError`, or `ClosedError` when the port was closed meanwhile.
    [[nodiscard]] long outcome() const {
        if (outcome_ == -EAGAIN) [[unlikely]]
            throw_interrupted();
        return outcome_;
    }
    /// For dumps: `read from`. Nothing: what the direction says.
    [[nodiscard]] virtual const char* verb() const noexcept;
    [[nodiscard]] Port& port() const noexcept { return *side_->port_; }

private:
    friend class PortSide;
    [[nodiscard]] bool try_once() noexcept {
        outcome_ = attempt();
        if (outcome_ != -EAGAIN) return true;
        side_->exhausted();
        return false;
    }
    [[noreturn]] void throw_busy() const;
    [[noreturn]] void throw_interrupted() const;

    PortSide* side_;  // null: the port was closed
    long outcome_ = -EAGAIN;
};

/// An operation given by a function that gives bytes or -errno.
template <class F>
class PortOperation final : public IoWait {
public:
    PortOperation(PortSide& side, F function) noexcept : IoWait(side), function_(function) {}
    [[nodiscard]] long await_resume() const { return outcome(); }

private:
    [[nodiscard]] long attempt() noexcept override { return function_(port()); }
    F function_;
};

}  // namespace coaio::detail
