// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/syscall_fault.hpp>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include <cstddef>

/// The one seam to the kernel: every system call of the library that a test may want to fail. Each gives its result, or
/// -errno; an interrupted call is made again, except waits and `connect`. For sources only.
namespace coaio::detail::sys {

[[nodiscard]] long read(int fd, void* buffer, std::size_t size) noexcept;
/// Never raises SIGPIPE.
[[nodiscard]] long send(int fd, const iovec* parts, std::size_t count, const sockaddr* to = nullptr,
                        socklen_t to_size = 0) noexcept;
/// `writev` for what is no socket; never raises SIGPIPE.
[[nodiscard]] long write_pipe(int fd, const iovec* parts, std::size_t count) noexcept;
/// The size of the datagram, also when it was more than `size`.
[[nodiscard]] long receive_from(int fd, void* buffer, std::size_t size, sockaddr* from, socklen_t* from_size) noexcept;
/// A connection, non-blocking and closed on exec.
[[nodiscard]] long accept(int fd) noexcept;
[[nodiscard]] long connect(int fd, const sockaddr* address, socklen_t size) noexcept;
/// Non-blocking and closed on exec.
[[nodiscard]] long socket(int family, int type, int protocol) noexcept;
[[nodiscard]] long bind(int fd, const sockaddr* address, socklen_t size) noexcept;
[[nodiscard]] long listen(int fd, int backlog) noexcept;
[[nodiscard]] long shutdown(int fd, int how) noexcept;
[[nodiscard]] long get_option(int fd, int level, int name, void* value, socklen_t* size) noexcept;
[[nodiscard]] long set_option(int fd, int level, int name, const void* value, socklen_t size) noexcept;
[[nodiscard]] long epoll_create() noexcept;
[[nodiscard]] long epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept;
/// `limit` null: for ever.
[[nodiscard]] long epoll_wait(int epoll, epoll_event* events, int count, const timespec* limit) noexcept;
[[nodiscard]] long eventfd() noexcept;
void close(int fd) noexcept;

/// For simulations of the kernel: the error that a test wants of this call, or 0; counts as a call. Cuts `size`.
[[nodiscard]] int fault(testing::Syscall call, std::size_t* size = nullptr) noexcept;

/// How much of `size` a read or write may ask for; a test may have cut it. Whoever draws conclusions from a transfer
/// that came out short compares it with this.
[[nodiscard]] std::size_t allowed(testing::Syscall call, std::size_t size) noexcept;

}  // namespace coaio::detail::sys
