// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/port.hpp>
#include <coaio/core/error.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <system_error>
#include <tuple>
#include <utility>

/// Input and output by completion: "read into this buffer, wake me with the count". What `coaio::net` is built from, and
/// what a library with a descriptor of its own needs.
namespace coaio::io {

/// Bytes to write; they stay the caller's and must live until the operation ends.
using Buffer = detail::ConstBuffer;

/// How an operation ended. Failures that belong to the life of a connection are values, not exceptions.
struct [[nodiscard]] Transfer {
    std::size_t count = 0;
    /// An errno value; 0 when it went well.
    int error = 0;

    [[nodiscard]] bool ok() const noexcept { return error == 0; }
    [[nodiscard]] std::error_code code() const noexcept { return {error, std::system_category()}; }
};

namespace detail {

using namespace coaio::detail;

class TransferWait : public IoWait {
public:
    using IoWait::IoWait;
    [[nodiscard]] Transfer await_resume() const {
        const long result = outcome();
        if (result < 0) return {.count = 0, .error = static_cast<int>(-result)};
        return {.count = static_cast<std::size_t>(result), .error = 0};
    }

protected:
    ~TransferWait() = default;
};

class ReadWait final : public TransferWait {
public:
    ReadWait(Port& port, std::span<std::byte> buffer) noexcept : TransferWait(port.in), buffer_(buffer) {}

private:
    [[nodiscard]] long attempt() noexcept override { return port().read(buffer_); }
    [[nodiscard]] const char* verb() const noexcept override { return "read from"; }
    std::span<std::byte> buffer_;
};

class WriteWait final : public TransferWait {
public:
    WriteWait(Port& port, std::span<const Buffer> buffers) noexcept : TransferWait(port.out), buffers_(buffers) {}

private:
    [[nodiscard]] long attempt() noexcept override { return port().write(buffers_); }
    [[nodiscard]] const char* verb() const noexcept override { return "write to"; }
    std::span<const Buffer> buffers_;
};

class ConnectWait final : public TransferWait {
public:
    explicit ConnectWait(Port& port) noexcept : TransferWait(port.out) {}

private:
    [[nodiscard]] long attempt() noexcept override { return port().finish_connect(); }
    [[nodiscard]] const char* verb() const noexcept override { return "connect of"; }
};

class AcceptWait;
class ReadinessWait;

template <class Wait, class... Args>
class [[nodiscard("co_await it")]] Operation;

}  // namespace detail

/// A socket or pipe that the loop watches for the descriptor's whole life: registered once, tried first and waited for
/// second. Closed by its destructor.
///
/// Each operation makes one transfer: what the kernel takes or gives at once, after waiting for it if need be. One task
/// may wait in each direction; a second one gets `BusyError`.
///
/// Errors: the outcome's `error`. `ClosedError` when it is closed, also while a task waits; `RuntimeError` when its loop
/// is closed.
/// Cancellation: an operation that is cancelled has transferred nothing; one that had transferred something is not
/// cancelled any more.
/// Lifetime: belongs to the loop that ran when it was made. Must not be moved or closed by a task that waits itself.
class Descriptor {
public:
    Descriptor() noexcept = default;
    /// Takes over `fd`, which must be non-blocking. Throws `IoError` when the kernel cannot watch it; it is closed then.
    explicit Descriptor(int fd);
    /// For back ends.
    explicit Descriptor(std::unique_ptr<detail::Port> port) noexcept : port_(std::move(port)) {}

    [[nodiscard]] bool is_open() const noexcept { return port_ != nullptr; }
    [[nodiscard]] explicit operator bool() const noexcept { return is_open(); }
    /// The kernel's number; -1 when closed or not the kernel's.
    [[nodiscard]] int number() const noexcept { return port_ != nullptr ? port_->descriptor() : -1; }

    /// Reads some bytes into `buffer`; none: the other side has ended.
    [[nodiscard]] auto read(std::span<std::byte> buffer) const;
    /// Writes some of the bytes, in order; the array of buffers too must live until it ends.
    [[nodiscard]] auto write(std::span<const Buffer> buffers) const;
    /// Waits until a connection attempt has ended.
    [[nodiscard]] auto connected() const;
    /// Waits for a connection; `descriptor` is empty when `error` is set.
    [[nodiscard]] auto accept() const;
    /// Waits for one side until `attempt(port)` gives something other than -EAGAIN: bytes or -errno.
    template <class F>
    [[nodiscard]] auto operate(detail::PortSide detail::Port::* side, F attempt) const;

    /// Ends the writing half: the other side reads the end.
    [[nodiscard]] std::error_code shutdown_write() const;
    /// Closes it; who still waits gets `ClosedError`. Again: no effect.
    void close() noexcept { port_.reset(); }
    /// Gives up the number without closing it.
    [[nodiscard]] int release() noexcept;

    /// For the library. Throws `ClosedError` when closed.
    [[nodiscard]] detail::Port& port() const {
        if (port_ == nullptr) [[unlikely]]
            throw_closed();
        return *port_;
    }

private:
    [[noreturn]] static void throw_closed();
    std::unique_ptr<detail::Port> port_;
};

/// What `Descriptor::accept` gives.
struct [[nodiscard]] Accepted {
    Descriptor descriptor;
    int error = 0;
};

/// In which ways a descriptor is ready, or is to be waited for.
struct Readiness {
    bool readable = false;
    bool writable = false;
};

/// Waits until a descriptor that belongs to somebody else is ready in one of the wanted ways, and says in which. An end
/// or an error of the other side counts as both wanted ways.
///
/// For libraries that own their socket. The descriptor is registered for this wait only, by level: what is ready already
/// counts, and nothing of the wait is left behind, so the owner may close it, and the number be used anew, between waits.
///
/// Errors: `IoError` when the kernel cannot watch it, as for a plain file. `BusyError` when a task waits for it already,
/// or it belongs to a `Descriptor`.
/// Cancellation: the registration is taken back at once.
[[nodiscard]] auto wait_ready(int fd, Readiness wanted);
[[nodiscard]] auto wait_readable(int fd);
[[nodiscard]] auto wait_writable(int fd);

// ---------------------------------------------------------------------------------------------------------------

namespace detail {

class AcceptWait final : public IoWait {
public:
    explicit AcceptWait(Port& port) noexcept : IoWait(port.in) {}
    [[nodiscard]] Accepted await_resume() {
        const long result = outcome();
        if (result < 0) return {Descriptor(), static_cast<int>(-result)};
        return {Descriptor(std::move(accepted_)), 0};
    }

private:
    [[nodiscard]] long attempt() noexcept override { return port().accept(accepted_); }
    [[nodiscard]] const char* verb() const noexcept override { return "accept on"; }
    std::unique_ptr<Port> accepted_;
};

/// A wait for a foreign descriptor; the poller knows it while it is registered.
class ReadinessWait final : public Leaf {
public:
    ReadinessWait(int fd, Readiness wanted) noexcept : fd_(fd), wanted_(wanted) {}
    ~ReadinessWait() {
        if (registered_) withdraw();
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> self, Here location = std::source_location::current()) {
        enter();
        hang(self, location);
    }
    Readiness await_resume() const {
        throw_if_cancelled();
        return found_;
    }

    bool cancel(CancelMessage message) noexcept override;
    [[nodiscard]] WaitInfo describe() const override;

    /// For the poller: it is ready, and not registered any more.
    void complete(Readiness found) noexcept;
    [[nodiscard]] int fd() const noexcept { return fd_; }
    [[nodiscard]] Readiness wanted() const noexcept { return wanted_; }

private:
    void enter();
    void withdraw() noexcept;

    int fd_;
    Readiness wanted_;
    Readiness found_;
    bool registered_ = false;
};

/// What an operation returns before it is awaited.
template <class Wait, class First, class... Rest>
class [[nodiscard("co_await it")]] Operation<Wait, First, Rest...> {
public:
    using coaio_awaitable = void;
    explicit Operation(First first, Rest... rest) noexcept : first_(first), rest_(rest...) {}
    [[nodiscard]] Wait operator co_await() const {
        return std::apply([this](const Rest&... rest) { return Wait(first_, rest...); }, rest_);
    }

private:
    First first_;
    std::tuple<Rest...> rest_;
};

}  // namespace detail

inline auto Descriptor::read(std::span<std::byte> buffer) const {
    return detail::Operation<detail::ReadWait, detail::Port&, std::span<std::byte>>(port(), buffer);
}
inline auto Descriptor::write(std::span<const Buffer> buffers) const {
    return detail::Operation<detail::WriteWait, detail::Port&, std::span<const Buffer>>(port(), buffers);
}
inline auto Descriptor::connected() const { return detail::Operation<detail::ConnectWait, detail::Port&>(port()); }
inline auto Descriptor::accept() const { return detail::Operation<detail::AcceptWait, detail::Port&>(port()); }
template <class F>
auto Descriptor::operate(detail::PortSide detail::Port::* side, F attempt) const {
    return detail::Operation<detail::PortOperation<F>, detail::PortSide&, F>(port().*side, attempt);
}

inline auto wait_ready(int fd, Readiness wanted) {
    return detail::Operation<detail::ReadinessWait, int, Readiness>(fd, wanted);
}
inline auto wait_readable(int fd) { return wait_ready(fd, {.readable = true, .writable = false}); }
inline auto wait_writable(int fd) { return wait_ready(fd, {.readable = false, .writable = true}); }

}  // namespace coaio::io
