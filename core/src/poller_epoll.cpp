// SPDX-License-Identifier: MIT
#include "poller_epoll.hpp"

#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/detail/sys.hpp>
#include <coaio/core/error.hpp>

#include <sys/epoll.h>
#include <unistd.h>

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <vector>

namespace coaio::detail {

namespace {

class EpollPoller;

enum class Nature : std::uint8_t { other, stream, datagram };

Nature nature_of(int type) noexcept { return type == SOCK_STREAM ? Nature::stream : Nature::datagram; }

std::error_code code_of(long result) { return {static_cast<int>(-result), std::system_category()}; }

// A descriptor registered once, edge-triggered, for both directions. The kernel tells of changes only, so each side
// remembers that it is ready until an operation finds otherwise. After an end or an error there may be no further edge:
// then only -EAGAIN may clear a side, not a transfer that came out short.
class KernelPort final : public Port, public Pooled {
public:
    KernelPort(LoopCore& loop, EpollPoller& poller, int fd, std::size_t* waits, Nature nature) noexcept
        : Port(loop, waits), poller_(&poller), fd_(fd), nature_(nature) {}
    ~KernelPort() override {
        close_sides();
        leave();
        if (fd_ >= 0) sys::close(fd_);
    }

    [[nodiscard]] long watch() noexcept override;
    void leave() noexcept;
    /// The loop goes away before the port.
    void orphan() noexcept { poller_ = nullptr; }

    void happened(std::uint32_t events) noexcept {
        if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) ended_ = true;
        // `out` first: its waiter is queued first, and the reading side is the one that may find the end.
        if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) out.signal();
        if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) in.signal();
    }

    [[nodiscard]] long read(std::span<std::byte> buffer) noexcept override {
        const std::size_t size = sys::allowed(testing::Syscall::read, buffer.size());
        const long count = sys::read(fd_, buffer.data(), buffer.size());
        if (nature_ == Nature::stream && !ended_ && count > 0 && static_cast<std::size_t>(count) < size) in.exhausted();
        return count == -EWOULDBLOCK ? -EAGAIN : count;
    }
    [[nodiscard]] long write(std::span<const ConstBuffer> buffers) noexcept override {
        std::array<iovec, 16> parts;
        const std::size_t count = to_parts(buffers, parts);
        return nature_ != Nature::other ? sys::send(fd_, parts.data(), count)
                                        : sys::write_pipe(fd_, parts.data(), count);
    }
    [[nodiscard]] long accept(std::unique_ptr<Port>& accepted) noexcept override;
    [[nodiscard]] long finish_connect() noexcept override {
        // An edge from before the attempt may still be told now: ask whether it has really ended.
        pollfd state{.fd = fd_, .events = POLLOUT, .revents = 0};
        if (::poll(&state, 1, 0) == 0) return -EAGAIN;
        int error = 0;
        socklen_t size = sizeof error;
        const long result = sys::get_option(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
        return result < 0 ? result : -error;
    }
    [[nodiscard]] long shutdown_write() noexcept override { return sys::shutdown(fd_, SHUT_WR); }
    void spoil() noexcept override {
        const linger reset{.l_onoff = 1, .l_linger = 0};
        if (nature_ != Nature::other)
            static_cast<void>(!sys::set_option(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset));
    }
    [[nodiscard]] long send_to(std::span<const ConstBuffer> buffers, std::span<const std::byte> to) noexcept override {
        std::array<iovec, 16> parts;
        if (buffers.size() > parts.size()) return -EMSGSIZE;
        const std::size_t count = to_parts(buffers, parts);
        return sys::send(fd_, parts.data(), count, to.empty() ? nullptr : as_sockaddr(to), size_of(to));
    }
    [[nodiscard]] long receive_from(std::span<std::byte> buffer, std::span<std::byte>& from) noexcept override {
        socklen_t size = size_of(from);
        const long count =
            sys::receive_from(fd_, buffer.data(), buffer.size(), reinterpret_cast<sockaddr*>(from.data()), &size);
        from = from.first(count < 0 ? 0 : std::min<std::size_t>(size, from.size()));
        return count;
    }
    [[nodiscard]] long bind(std::span<const std::byte> address) noexcept override {
        return sys::bind(fd_, as_sockaddr(address), size_of(address));
    }
    [[nodiscard]] long listen(int backlog) noexcept override { return sys::listen(fd_, backlog); }
    [[nodiscard]] long connect(std::span<const std::byte> address) noexcept override {
        return sys::connect(fd_, as_sockaddr(address), size_of(address));
    }
    [[nodiscard]] long set_option(int level, int name, std::span<const std::byte> value) noexcept override {
        return sys::set_option(fd_, level, name, value.data(), size_of(value));
    }
    [[nodiscard]] long name_of(End end, std::span<std::byte> into) const noexcept override {
        socklen_t size = size_of(into);
        auto* const address = reinterpret_cast<sockaddr*>(into.data());
        const int result = end == End::own ? ::getsockname(fd_, address, &size) : ::getpeername(fd_, address, &size);
        return result == 0 ? static_cast<long>(std::min<std::size_t>(size, into.size())) : -errno;
    }
    [[nodiscard]] int descriptor() const noexcept override { return fd_; }
    [[nodiscard]] std::string describe() const override {
        return (nature_ != Nature::other ? "socket " : "descriptor ") + std::to_string(fd_);
    }
    int release() noexcept override {
        leave();
        return std::exchange(fd_, -1);
    }

private:
    static std::size_t to_parts(std::span<const ConstBuffer> buffers, std::span<iovec> parts) noexcept {
        const std::size_t count = std::min(parts.size(), buffers.size());
        for (std::size_t i = 0; i < count; ++i) {
            parts[i] = {.iov_base = const_cast<void*>(buffers[i].data), .iov_len = buffers[i].size};
        }
        return count;
    }
    static const sockaddr* as_sockaddr(std::span<const std::byte> address) noexcept {
        return reinterpret_cast<const sockaddr*>(address.data());
    }
    static socklen_t size_of(std::span<const std::byte> bytes) noexcept { return static_cast<socklen_t>(bytes.size()); }

    EpollPoller* poller_;
    int fd_;
    Nature nature_;
    bool watched_ = false;
    bool ended_ = false;
};

// Events name the descriptor and a generation, not an address: one that is told after its owner has gone, because
// somebody closed or duplicated the descriptor behind our back, finds another generation and means nothing.
class EpollPoller final : public Poller {
public:
    explicit EpollPoller(LoopCore& core) : core_(&core) {
        const long epoll = sys::epoll_create();
        const long wakeup = epoll < 0 ? epoll : sys::eventfd();
        epoll_ = static_cast<int>(epoll);
        wakeup_ = static_cast<int>(wakeup);
        // Edge-triggered: each write is news, and nobody need read the counter down.
        epoll_event event{};
        event.events = EPOLLIN | EPOLLET;
        event.data.u64 = wakeup_key;
        const long added = wakeup < 0 ? wakeup : sys::epoll_ctl(epoll_, EPOLL_CTL_ADD, wakeup_, &event);
        if (added < 0) {
            close_both();
            throw IoError(code_of(added), "epoll_create1", "of a new event loop");
        }
    }
    ~EpollPoller() override {
        for (Slot& slot : slots_) {
            if (slot.port != nullptr) slot.port->orphan();
            if (slot.kept != nullptr) slot.kept->orphan();
        }
        close_both();
    }

    void poll(std::int64_t timeout) override {
        std::array<epoll_event, 256> events;
        timespec limit{};
        limit.tv_sec = timeout / 1'000'000'000;
        limit.tv_nsec = timeout % 1'000'000'000;
        const long count =
            sys::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout < 0 ? nullptr : &limit);
        for (long i = 0; i < count; ++i) tell(events[static_cast<std::size_t>(i)]);
    }

    void wake() noexcept override {
        const std::uint64_t one = 1;
        static_cast<void>(!::write(wakeup_, &one, sizeof one));
    }
    [[nodiscard]] int wake_descriptor() const noexcept override { return wakeup_; }
    [[nodiscard]] std::size_t outstanding() const noexcept override { return waits_; }

    [[nodiscard]] long open(int family, int type, std::unique_ptr<Port>& socket) override {
        const long fd = sys::socket(family, type, 0);
        if (fd < 0) return fd;
        socket = make_port(static_cast<int>(fd), nature_of(type));
        return 0;
    }
    [[nodiscard]] std::unique_ptr<Port> adopt(int fd) override {
        int type = 0;
        socklen_t size = sizeof type;
        const bool is_socket = sys::get_option(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
        auto port = make_port(fd, is_socket ? nature_of(type) : Nature::other);
        const long result = port->watch();
        if (result < 0) throw IoError(code_of(result), "epoll_ctl", "descriptor " + std::to_string(fd));
        return port;
    }
    /// Takes the descriptor over in any case.
    [[nodiscard]] std::unique_ptr<Port> make_port(int fd, Nature nature) {
        try {
            return std::make_unique<KernelPort>(*core_, *this, fd, &waits_, nature);
        } catch (const std::bad_alloc&) {
            sys::close(fd);
            throw;
        }
    }
    [[nodiscard]] long enter(int fd, KernelPort& port) {
        Slot& slot = slot_of(fd);
        const long result = add(fd, slot, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
        if (result == 0) slot.port = &port;
        return result;
    }
    void forget(int fd, const KernelPort& port) noexcept {
        Slot& slot = slots_[static_cast<std::size_t>(fd)];
        if (slot.port != &port) return;
        slot.port = nullptr;
        remove(fd, slot);
    }

    void watch(io::detail::ReadinessWait& wait) override {
        if (wait.fd() < 0) throw IoError(code_of(-EBADF), "epoll_ctl", "descriptor " + std::to_string(wait.fd()));
        Slot& slot = slot_of(wait.fd());
        std::uint32_t events = 0;
        if (wait.wanted().readable) events |= to_read;
        if (wait.wanted().writable) events |= EPOLLOUT;
        if (slot.kept == nullptr) {
            require(add(wait.fd(), slot, events | EPOLLONESHOT), wait.fd());
        } else {
            require(slot.wait == nullptr ? turn_to(wait.fd(), slot, events) : -EEXIST, wait.fd());
        }
        slot.wait = &wait;
        ++waits_;
    }
    void unwatch(io::detail::ReadinessWait& wait) noexcept override {
        Slot& slot = slots_[static_cast<std::size_t>(wait.fd())];
        --waits_;
        if (slot.wait != &wait) return;
        slot.wait = nullptr;
        if (slot.kept == nullptr) remove(wait.fd(), slot);
    }

    void keep(KeptWatch& kept) override {
        if (kept.fd() < 0) throw IoError(code_of(-EBADF), "epoll_ctl", "descriptor " + std::to_string(kept.fd()));
        Slot& slot = slot_of(kept.fd());
        require(add(kept.fd(), slot, to_read), kept.fd());
        slot.kept = &kept;
        slot.events = to_read;
    }
    void let_go(KeptWatch& kept) noexcept override {
        Slot& slot = slots_[static_cast<std::size_t>(kept.fd())];
        slot.kept = nullptr;
        const bool registered = std::exchange(slot.events, 0) != 0;
        if (kept.fd_closed()) {
            ++slot.generation;
        } else if (registered) {
            remove(kept.fd(), slot);
        }
        if (slot.wait == nullptr) return;
        io::detail::ReadinessWait& wait = *std::exchange(slot.wait, nullptr);
        --waits_;
        wait.complete(wait.wanted());  // nothing would be told of it any more
    }

private:
    struct Slot {
        KernelPort* port = nullptr;
        io::detail::ReadinessWait* wait = nullptr;
        KeptWatch* kept = nullptr;
        std::uint32_t events = 0;  // of what is kept; none while it is not registered
        std::uint32_t generation = 0;
    };
    static constexpr std::uint32_t to_read = EPOLLIN | EPOLLRDHUP;
    static constexpr std::uint64_t wakeup_key = ~std::uint64_t{0};

    [[nodiscard]] Slot& slot_of(int fd) {
        const auto index = static_cast<std::size_t>(fd);
        if (index >= slots_.size()) slots_.resize(std::max(index + 1, slots_.size() * 2));
        return slots_[index];
    }
    [[nodiscard]] long control(int operation, int fd, std::uint32_t generation, std::uint32_t wanted) noexcept {
        epoll_event event{};
        event.events = wanted;
        event.data.u64 = (std::uint64_t{generation} << 32) | static_cast<std::uint32_t>(fd);
        return sys::epoll_ctl(epoll_, operation, fd, &event);
    }
    static void require(long result, int fd) {
        if (result >= 0) return;
        const std::string subject = "descriptor " + std::to_string(fd);
        if (result == -EEXIST) throw BusyError(subject + " is already waited for, or belongs to another object");
        throw IoError(code_of(result), "epoll_ctl", subject);
    }
    [[nodiscard]] long add(int fd, Slot& slot, std::uint32_t wanted) noexcept {
        const long result = control(EPOLL_CTL_ADD, fd, slot.generation + 1, wanted);
        // Whoever was registered under this number has lost it: the kernel drops what is closed by itself.
        if (result == 0) {
            ++slot.generation;
            slot.port = nullptr;
            slot.wait = nullptr;
            if (slot.kept != nullptr) std::exchange(slot.kept, nullptr)->orphan();
            slot.events = 0;
        }
        return result;
    }
    /// What is kept is registered for these from now on.
    [[nodiscard]] long turn_to(int fd, Slot& slot, std::uint32_t wanted) noexcept {
        if (slot.events == wanted) return 0;
        const int operation = slot.events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
        const long result = control(operation, fd, slot.generation, wanted);
        if (result >= 0) slot.events = wanted;
        return result;
    }
    void remove(int fd, Slot& slot) noexcept {
        ++slot.generation;
        epoll_event unused{};
        static_cast<void>(sys::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, &unused));
    }
    void tell(const epoll_event& event) noexcept {
        if (event.data.u64 == wakeup_key) return;
        const auto fd = static_cast<std::uint32_t>(event.data.u64);
        Slot& slot = slots_[fd];
        if (slot.generation != static_cast<std::uint32_t>(event.data.u64 >> 32)) return;
        if (slot.port != nullptr) {
            slot.port->happened(event.events);
        } else if (slot.wait != nullptr) {
            io::detail::ReadinessWait& wait = *slot.wait;
            unwatch(wait);
            const bool both = (event.events & (EPOLLHUP | EPOLLERR)) != 0;
            io::Readiness found;
            found.readable = wait.wanted().readable && (both || (event.events & (EPOLLIN | EPOLLRDHUP)) != 0);
            found.writable = wait.wanted().writable && (both || (event.events & EPOLLOUT) != 0);
            wait.complete(found);
        } else if (slot.kept != nullptr) {
            slot.events = 0;
            remove(static_cast<int>(fd), slot);
        }
    }
    void close_both() noexcept {
        if (wakeup_ >= 0) sys::close(wakeup_);
        if (epoll_ >= 0) sys::close(epoll_);
    }

    LoopCore* core_;
    int epoll_ = -1;
    int wakeup_ = -1;
    std::size_t waits_ = 0;
    std::vector<Slot> slots_;
};

long KernelPort::watch() noexcept {
    try {
        const long result = poller_->enter(fd_, *this);
        watched_ = result == 0;
        return result;
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    }
}

void KernelPort::leave() noexcept {
    if (watched_ && poller_ != nullptr) std::exchange(poller_, nullptr)->forget(fd_, *this);
}

long KernelPort::accept(std::unique_ptr<Port>& accepted) noexcept {
    if (poller_ == nullptr) return -EBADF;
    const long fd = sys::accept(fd_);
    if (fd < 0) return fd;
    try {
        auto port = poller_->make_port(static_cast<int>(fd), nature_);
        const long result = port->watch();
        if (result < 0) return result;
        accepted = std::move(port);
        return 1;
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    }
}

}  // namespace

std::unique_ptr<Poller> make_epoll_poller(LoopCore& core) { return std::make_unique<EpollPoller>(core); }

}  // namespace coaio::detail
