// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

namespace coaio::testing {

/// The system calls that the library makes through its one seam.
enum class Syscall : std::uint8_t {
    read,
    write,
    accept,
    connect,
    socket,
    bind,
    listen,
    shutdown,
    getsockopt,
    setsockopt,
    epoll_create,
    epoll_ctl,
    epoll_wait,
    eventfd,
};

/// Which calls of one kind are meant, counted from the moment at which the fault is made.
struct Calls {
    /// The first call is 1.
    std::uint64_t first = 1;
    std::uint64_t count = 1;
};
inline constexpr std::uint64_t every_call = std::numeric_limits<std::uint64_t>::max();

/// For tests: while it lives, some of the library's system calls made in this thread fail, or transfer less.
///
/// Several may live at once; the newest that applies decides. Costs one load a call when there is none.
///
///     const auto fault = coaio::testing::fail_syscall(coaio::testing::Syscall::accept, EMFILE, {.first = 2});
class SyscallFault {
public:
    SyscallFault(const SyscallFault&) = delete;
    SyscallFault& operator=(const SyscallFault&) = delete;
    ~SyscallFault();

    /// How many calls of its kind were made since it lives, and how many of them it struck.
    [[nodiscard]] std::uint64_t calls() const noexcept { return calls_; }
    [[nodiscard]] std::uint64_t hits() const noexcept { return hits_; }

private:
    friend struct SyscallSeam;
    friend SyscallFault fail_syscall(Syscall call, int error, Calls calls);
    friend SyscallFault shorten_syscall(Syscall call, std::size_t bytes, Calls calls);
    SyscallFault(Syscall call, int error, std::size_t limit, Calls calls) noexcept;

    Syscall call_;
    int error_;
    std::size_t limit_;
    Calls range_;
    std::uint64_t calls_ = 0;
    std::uint64_t hits_ = 0;
    SyscallFault* older_;
};

/// The calls fail with `error`, an errno value, without reaching the kernel.
[[nodiscard]] SyscallFault fail_syscall(Syscall call, int error, Calls calls = {});

/// A `read` or `write` asks the kernel for `bytes` at most; `bytes` is at least 1.
[[nodiscard]] SyscallFault shorten_syscall(Syscall call, std::size_t bytes, Calls calls = {});

}  // namespace coaio::testing
