// SPDX-License-Identifier: MIT
#include "socket.hpp"

#include <coaio/core/detail/sockets.hpp>
#include <coaio/core/error.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

namespace coaio::net {

namespace {

using coaio::detail::Port;

Address ask(const Port& port, Port::End end) noexcept {
    alignas(sockaddr_storage) std::array<std::byte, sizeof(sockaddr_storage)> room{};
    const long size = port.name_of(end, room);
    return size <= 0 ? Address() : Address::from_bytes(std::span(room).first(static_cast<std::size_t>(size)));
}

}  // namespace

void throw_socket_error(long result, std::string_view operation, const Address& address) {
    throw IoError(std::error_code(static_cast<int>(-result), std::system_category()), operation, address.text());
}

void set_no_delay(const io::Descriptor& descriptor) noexcept {
    const int on = 1;
    static_cast<void>(!descriptor.port().set_option(IPPROTO_TCP, TCP_NODELAY, std::as_bytes(std::span(&on, 1))));
}

Address name_of(const io::Descriptor& descriptor, Port::End end) noexcept {
    return descriptor.is_open() ? ask(descriptor.port(), end) : Address();
}

Socket::Socket(const Address& address, Type type) {
    int family = AF_UNIX;
    switch (address.family()) {
    case Address::Family::ipv4: family = AF_INET; break;
    case Address::Family::ipv6: family = AF_INET6; break;
    case Address::Family::local: break;
    case Address::Family::none: throw ValueError("this address is empty: there is nothing to connect or bind to");
    }
    const long result = coaio::detail::open_socket(family, type == Type::stream ? SOCK_STREAM : SOCK_DGRAM, port_);
    if (result < 0) throw_socket_error(result, "socket", address);
}

Address Socket::bound_address(const Address& asked) const noexcept {
    const Address bound = ask(*port_, Port::End::own);
    return bound.family() == Address::Family::none ? asked : bound;
}

io::Descriptor Socket::give() {
    const long result = port_->watch();
    if (result < 0) {
        throw IoError({static_cast<int>(-result), std::system_category()}, "epoll_ctl", port_->describe());
    }
    return io::Descriptor(std::move(port_));
}

}  // namespace coaio::net
