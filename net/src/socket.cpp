// SPDX-License-Identifier: MIT
#include "socket.hpp"

#include <coaio/core/detail/sys.hpp>
#include <coaio/core/error.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace coaio::net {

namespace sys = coaio::detail::sys;

void throw_socket_error(long result, std::string_view operation, const Address& address) {
    throw IoError(std::error_code(static_cast<int>(-result), std::system_category()), operation, address.text());
}

void set_no_delay(int fd) noexcept {
    const int on = 1;
    static_cast<void>(!sys::set_option(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
}

Socket::Socket(const Address& address) {
    int family = AF_UNIX;
    switch (address.family()) {
    case Address::Family::ipv4: family = AF_INET; break;
    case Address::Family::ipv6: family = AF_INET6; break;
    case Address::Family::local: break;
    case Address::Family::none: throw ValueError("this address is empty: there is nothing to connect or bind to");
    }
    const long result = sys::socket(family, SOCK_STREAM, 0);
    if (result < 0) throw_socket_error(result, "socket", address);
    fd_ = static_cast<int>(result);
}

Socket::~Socket() {
    if (fd_ >= 0) sys::close(fd_);
}

io::Descriptor Socket::give() { return io::Descriptor(std::exchange(fd_, -1)); }

}  // namespace coaio::net
