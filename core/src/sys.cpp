// SPDX-License-Identifier: MIT
#include <coaio/core/detail/sys.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace coaio::testing {

// What the seam asks before each call: is there a fault that strikes this one?
struct SyscallSeam {
    static constinit thread_local SyscallFault* newest;

    [[gnu::noinline]] static SyscallFault* find(Syscall call) noexcept {
        SyscallFault* striking = nullptr;
        for (SyscallFault* fault = newest; fault != nullptr; fault = fault->older_) {
            if (fault->call_ != call) continue;
            const std::uint64_t number = ++fault->calls_;
            if (striking == nullptr && number >= fault->range_.first &&
                number - fault->range_.first < fault->range_.count) {
                ++fault->hits_;
                striking = fault;
            }
        }
        return striking;
    }
    /// The error to fail with, or 0. Cuts `size`, if given.
    static int strike(Syscall call, std::size_t* size = nullptr) noexcept {
        if (newest == nullptr) [[likely]]
            return 0;
        const SyscallFault* const fault = find(call);
        if (fault == nullptr) return 0;
        if (size != nullptr && fault->error_ == 0) *size = std::min(*size, fault->limit_);
        return fault->error_;
    }
    static std::size_t limit(Syscall call) noexcept {
        for (const SyscallFault* fault = newest; fault != nullptr; fault = fault->older_) {
            if (fault->call_ == call && fault->error_ == 0) return fault->limit_;
        }
        return std::numeric_limits<std::size_t>::max();
    }
    static void enter(SyscallFault& fault) noexcept {
        fault.older_ = newest;
        newest = &fault;
    }
    static void leave(const SyscallFault& fault) noexcept {
        SyscallFault** at = &newest;
        while (*at != nullptr && *at != &fault) at = &(*at)->older_;
        if (*at != nullptr) *at = fault.older_;
    }
};

constinit thread_local SyscallFault* SyscallSeam::newest = nullptr;

SyscallFault::SyscallFault(Syscall call, int error, std::size_t limit, Calls calls) noexcept
    : call_(call), error_(error), limit_(std::max<std::size_t>(limit, 1)), range_(calls), older_(nullptr) {
    SyscallSeam::enter(*this);
}

SyscallFault::~SyscallFault() { SyscallSeam::leave(*this); }

SyscallFault fail_syscall(Syscall call, int error, Calls calls) { return {call, error, 1, calls}; }

SyscallFault shorten_syscall(Syscall call, std::size_t bytes, Calls calls) { return {call, 0, bytes, calls}; }

}  // namespace coaio::testing

namespace coaio::detail::sys {

namespace {

using testing::Syscall;
using testing::SyscallSeam;

template <class F>
long call(Syscall which, F make) noexcept {
    if (const int error = SyscallSeam::strike(which)) return -error;
    for (;;) {
        const auto result = make();
        if (result >= 0) return static_cast<long>(result);
        if (errno != EINTR) return -errno;
    }
}

template <class F>
long call_once(Syscall which, F make) noexcept {
    if (const int error = SyscallSeam::strike(which)) return -error;
    const auto result = make();
    return result >= 0 ? static_cast<long>(result) : -errno;
}

// The parts to write, cut to what a test allows. The first part alone when the cut falls into it.
struct Parts {
    const iovec* begin;
    std::size_t count;
    iovec only{};

    Parts(const iovec* parts, std::size_t number, std::size_t size) noexcept
        : begin(parts), count(std::min<std::size_t>(number, IOV_MAX)) {
        if (size == std::numeric_limits<std::size_t>::max() || count == 0) return;
        only = parts[0];
        only.iov_len = std::min(only.iov_len, size);
        begin = &only;
        count = 1;
    }
};

}  // namespace

int fault(Syscall which, std::size_t* size) noexcept { return SyscallSeam::strike(which, size); }

std::size_t allowed(Syscall which, std::size_t size) noexcept { return std::min(size, SyscallSeam::limit(which)); }

long read(int fd, void* buffer, std::size_t size) noexcept {
    if (const int error = SyscallSeam::strike(Syscall::read, &size)) return -error;
    for (;;) {
        const ssize_t count = ::read(fd, buffer, size);
        if (count >= 0) return count;
        if (errno != EINTR) return -errno;
    }
}

long receive_from(int fd, void* buffer, std::size_t size, sockaddr* from, socklen_t* from_size) noexcept {
    return call(Syscall::read, [&] { return ::recvfrom(fd, buffer, size, MSG_TRUNC, from, from_size); });
}

long send(int fd, const iovec* parts, std::size_t count, const sockaddr* to, socklen_t to_size) noexcept {
    std::size_t size = std::numeric_limits<std::size_t>::max();
    if (const int error = SyscallSeam::strike(Syscall::write, &size)) return -error;
    const Parts cut(parts, count, size);
    const bool plain = cut.count == 1 && to == nullptr;  // which the kernel does with less
    msghdr message{};
    message.msg_name = const_cast<sockaddr*>(to);
    message.msg_namelen = to_size;
    message.msg_iov = const_cast<iovec*>(cut.begin);
    message.msg_iovlen = cut.count;
    for (;;) {
        const ssize_t written = plain ? ::send(fd, cut.begin->iov_base, cut.begin->iov_len, MSG_NOSIGNAL)
                                      : ::sendmsg(fd, &message, MSG_NOSIGNAL);
        if (written >= 0) return written;
        if (errno != EINTR) return -errno;
    }
}

long write_pipe(int fd, const iovec* parts, std::size_t count) noexcept {
    std::size_t size = std::numeric_limits<std::size_t>::max();
    if (const int error = SyscallSeam::strike(Syscall::write, &size)) return -error;
    const Parts cut(parts, count, size);
    // A pipe has no MSG_NOSIGNAL: the signal is held back, and taken away if this call was what raised it.
    sigset_t pipe_signal;
    sigset_t before;
    sigset_t waiting;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    sigpending(&waiting);
    const bool was_waiting = sigismember(&waiting, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    ssize_t written = -1;
    do {
        written = ::writev(fd, cut.begin, static_cast<int>(cut.count));
    } while (written < 0 && errno == EINTR);
    const int error = errno;
    if (written < 0 && error == EPIPE && !was_waiting) {
        const timespec now{};
        while (sigtimedwait(&pipe_signal, nullptr, &now) < 0 && errno == EINTR) {}
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return written >= 0 ? written : -error;
}

long accept(int fd) noexcept {
    return call(Syscall::accept, [&] { return ::accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); });
}

long connect(int fd, const sockaddr* address, socklen_t size) noexcept {
    return call_once(Syscall::connect, [&] { return ::connect(fd, address, size); });
}

long socket(int family, int type, int protocol) noexcept {
    return call(Syscall::socket, [&] { return ::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol); });
}

long bind(int fd, const sockaddr* address, socklen_t size) noexcept {
    return call(Syscall::bind, [&] { return ::bind(fd, address, size); });
}

long listen(int fd, int backlog) noexcept {
    return call(Syscall::listen, [&] { return ::listen(fd, backlog); });
}

long shutdown(int fd, int how) noexcept {
    return call(Syscall::shutdown, [&] { return ::shutdown(fd, how); });
}

long get_option(int fd, int level, int name, void* value, socklen_t* size) noexcept {
    return call(Syscall::getsockopt, [&] { return ::getsockopt(fd, level, name, value, size); });
}

long set_option(int fd, int level, int name, const void* value, socklen_t size) noexcept {
    return call(Syscall::setsockopt, [&] { return ::setsockopt(fd, level, name, value, size); });
}

long epoll_create() noexcept {
    return call(Syscall::epoll_create, [&] { return ::epoll_create1(EPOLL_CLOEXEC); });
}

long epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept {
    return call(Syscall::epoll_ctl, [&] { return ::epoll_ctl(epoll, operation, fd, event); });
}

long epoll_wait(int epoll, epoll_event* events, int count, const timespec* limit) noexcept {
    return call_once(Syscall::epoll_wait, [&] {
        static constinit thread_local bool old_kernel = false;
        if (!old_kernel) {
            const int found = ::epoll_pwait2(epoll, events, count, limit, nullptr);
            if (found >= 0 || errno != ENOSYS) return found;
            old_kernel = true;  // before Linux 5.11, or a container that forbids it: milliseconds must do
        }
        if (limit == nullptr) return ::epoll_wait(epoll, events, count, -1);
        const long long milliseconds = limit->tv_sec * 1000LL + (limit->tv_nsec + 999'999) / 1'000'000;
        return ::epoll_wait(epoll, events, count, static_cast<int>(std::min<long long>(milliseconds, INT_MAX)));
    });
}

long eventfd() noexcept {
    return call(Syscall::eventfd, [&] { return ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); });
}

// Linux gives the number up even when close says EINTR: it is never asked twice.
void close(int fd) noexcept { ::close(fd); }

}  // namespace coaio::detail::sys
