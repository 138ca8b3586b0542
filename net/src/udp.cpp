// SPDX-License-Identifier: MIT
#include <coaio/net/udp.hpp>

#include "socket.hpp"

#include <coaio/core/error.hpp>
#include <coaio/core/io.hpp>
#include <coaio/net/error.hpp>
#include <coaio/net/resolve.hpp>

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>

namespace coaio::net {

using coaio::detail::Port;

/// Counted: operations keep it while they run, so closing the socket cannot pull it away.
struct UdpSocket::Impl {
    using Ref = coaio::detail::Ref<Impl>;

    Impl(io::Descriptor below, Address own_address, Address peer_address) noexcept
        : descriptor(std::move(below)), own(own_address), peer(peer_address) {}

    void add_ref() noexcept { ++refs; }
    void release() noexcept {
        if (--refs == 0) delete this;
    }

    static Coro<Datagram> receive(Ref impl, std::span<std::byte> into);
    static Coro<std::string> receive_whole(Ref impl, std::size_t limit);
    static Coro<> send(Ref impl, Buffer bytes, Address to);
    static Coro<> send_text(Ref impl, std::string bytes, Address to);

    io::Descriptor descriptor;
    Address own;
    Address peer;
    std::uint32_t refs = 0;
};

namespace {

Socket make_socket(const Address& address, const UdpOptions& options) {
    if (address.family() == Address::Family::local) throw ValueError("UDP has no Unix sockets: " + address.text());
    Socket socket(address, Socket::Type::datagram);
    if (options.reuse_address) socket.set_option(SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR", address);
    if (options.reuse_port) socket.set_option(SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT", address);
    if (options.broadcast) socket.set_option(SOL_SOCKET, SO_BROADCAST, 1, "SO_BROADCAST", address);
    if (options.receive_buffer > 0) {
        socket.set_option(SOL_SOCKET, SO_RCVBUF, options.receive_buffer, "SO_RCVBUF", address);
    }
    if (options.send_buffer > 0) socket.set_option(SOL_SOCKET, SO_SNDBUF, options.send_buffer, "SO_SNDBUF", address);
    if (address.family() == Address::Family::ipv6) {
        socket.set_option(IPPROTO_IPV6, IPV6_V6ONLY, options.dual_stack ? 0 : 1, "IPV6_V6ONLY", address);
    }
    return socket;
}

/// The first of the addresses with which `make` succeeds; the first failure when it does with none.
template <class F>
UdpSocket first_of(const std::vector<Address>& addresses, F make) {
    std::exception_ptr failure;
    for (const Address& address : addresses) {
        try {
            return make(address);
        } catch (const IoError&) {
            if (failure == nullptr) failure = std::current_exception();
        }
    }
    std::rethrow_exception(failure);
}

unsigned index_of(std::string_view interface) {
    if (interface.empty()) return 0;
    const std::string name(interface);
    const unsigned index = ::if_nametoindex(name.c_str());
    if (index == 0) throw ValueError("no network interface '" + name + "'");
    return index;
}

}  // namespace

UdpSocket::UdpSocket() noexcept = default;
UdpSocket::UdpSocket(UdpSocket&&) noexcept = default;
UdpSocket& UdpSocket::operator=(UdpSocket&& other) noexcept {
    if (this != &other) {
        close();
        impl_ = std::move(other.impl_);
    }
    return *this;
}
UdpSocket::~UdpSocket() { close(); }
UdpSocket::UdpSocket(coaio::detail::Ref<Impl> impl) noexcept : impl_(std::move(impl)) {}

UdpSocket UdpSocket::bind(const Address& address, UdpOptions options) {
    Socket socket = make_socket(address, options);
    const long result = socket.bind(address);
    if (result < 0) throw_socket_error(result, "bind", address);
    const Address bound = socket.bound_address(address);
    return UdpSocket(Impl::Ref(new Impl(socket.give(), bound, {})));
}

UdpSocket UdpSocket::connect(const Address& peer, UdpOptions options) {
    Socket socket = make_socket(peer, options);
    const long result = socket.connect(peer);
    if (result < 0) throw_socket_error(result, "connect", peer);
    const Address bound = socket.bound_address({});
    return UdpSocket(Impl::Ref(new Impl(socket.give(), bound, peer)));
}

Coro<UdpSocket> UdpSocket::bind(std::string host, std::uint16_t port, UdpOptions options) {
    std::vector<Address> addresses;
    if (host.empty() && options.dual_stack) {
        // One socket takes both families, where the machine has IPv6.
        addresses.push_back(Address::ip("::", port));
        addresses.push_back(Address::ip("0.0.0.0", port));
    } else {
        addresses = co_await resolve(std::move(host), port, {.passive = true});
    }
    co_return first_of(addresses, [&](const Address& each) { return bind(each, options); });
}

Coro<UdpSocket> UdpSocket::connect(std::string host, std::uint16_t port, UdpOptions options) {
    const auto addresses = co_await resolve(std::move(host), port);
    co_return first_of(addresses, [&](const Address& each) { return connect(each, options); });
}

const coaio::detail::Ref<UdpSocket::Impl>& UdpSocket::open() const {
    if (!impl_) throw ClosedError("this socket is closed");
    return impl_;
}

void UdpSocket::close() noexcept {
    if (!impl_) return;
    const coaio::detail::Ref<Impl> last = std::move(impl_);
    last->descriptor.close();
}

// --- receiving and sending ----------------------------------------------------------

Coro<Datagram> UdpSocket::receive_from(std::span<std::byte> into) { return Impl::receive(open(), into); }
Coro<std::string> UdpSocket::receive(std::size_t limit) { return Impl::receive_whole(open(), limit); }
Coro<> UdpSocket::send_bytes(Buffer bytes, const Address& to) { return Impl::send(open(), bytes, to); }
Coro<> UdpSocket::send_text(std::string bytes, const Address& to) {
    return Impl::send_text(open(), std::move(bytes), to);
}

Coro<Datagram> UdpSocket::Impl::receive(Ref impl, std::span<std::byte> into) {
    alignas(sockaddr_storage) std::array<std::byte, sizeof(sockaddr_storage)> room{};
    std::span<std::byte> from(room);
    const auto attempt = [into, &room, &from](Port& port) {
        from = room;
        return port.receive_from(into, from);
    };
    const long result = co_await impl->descriptor.operate(&Port::in, attempt);
    const bool connected = impl->peer.family() != Address::Family::none;
    if (result < 0) throw_socket_error(result, "receive", connected ? impl->peer : impl->own);
    Datagram datagram;
    datagram.size = std::min(static_cast<std::size_t>(result), into.size());
    datagram.truncated = static_cast<std::size_t>(result) > into.size();
    datagram.from = from.empty() ? impl->peer : Address::from_bytes(from);
    co_return datagram;
}

Coro<std::string> UdpSocket::Impl::receive_whole(Ref impl, std::size_t limit) {
    limit = std::min(limit, largest);
    std::string text(limit, '\0');
    const Datagram datagram = co_await receive(std::move(impl), std::as_writable_bytes(std::span(text)));
    if (datagram.truncated) throw LimitOverrunError(limit, datagram.from.text());
    text.resize(datagram.size);
    co_return text;
}

Coro<> UdpSocket::Impl::send(Ref impl, Buffer bytes, Address to) {
    const bool connected = impl->peer.family() != Address::Family::none;
    const bool named = to.family() != Address::Family::none;
    if (!connected && !named) {
        throw ValueError("this socket is not connected with a peer: use send_to with an address");
    }
    const auto attempt = [bytes, &to](Port& port) { return port.send_to(std::span(&bytes, 1), to.bytes()); };
    const long result = co_await impl->descriptor.operate(&Port::out, attempt);
    if (result < 0) throw_socket_error(result, "send", named ? to : impl->peer);
}

Coro<> UdpSocket::Impl::send_text(Ref impl, std::string bytes, Address to) {
    co_await send(std::move(impl), buffer(bytes), to);
}

// --- the rest -----------------------------------------------------------------------

Address UdpSocket::local_address() const { return impl_ ? impl_->own : Address(); }
Address UdpSocket::peer_address() const { return impl_ ? impl_->peer : Address(); }
int UdpSocket::descriptor() const noexcept { return impl_ ? impl_->descriptor.number() : -1; }

void UdpSocket::join(const Address& group, std::string_view interface) { change_group(group, interface, true); }
void UdpSocket::leave(const Address& group, std::string_view interface) { change_group(group, interface, false); }

void UdpSocket::change_group(const Address& group, std::string_view interface, bool join) {
    Port& port = open()->descriptor.port();
    const unsigned index = index_of(interface);
    long result = 0;
    if (group.family() == Address::Family::ipv6) {
        sockaddr_in6 address{};
        std::memcpy(&address, group.bytes().data(), std::min(sizeof address, group.bytes().size()));
        const ipv6_mreq request{.ipv6mr_multiaddr = address.sin6_addr, .ipv6mr_interface = index};
        result = port.set_option(IPPROTO_IPV6, join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP,
                                 std::as_bytes(std::span(&request, 1)));
    } else if (group.family() == Address::Family::ipv4) {
        sockaddr_in address{};
        std::memcpy(&address, group.bytes().data(), std::min(sizeof address, group.bytes().size()));
        const ip_mreqn request{
            .imr_multiaddr = address.sin_addr, .imr_address = {}, .imr_ifindex = static_cast<int>(index)};
        result = port.set_option(IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP,
                                 std::as_bytes(std::span(&request, 1)));
    } else {
        throw ValueError("a multicast group is an IPv4 or IPv6 address");
    }
    if (result < 0) throw_socket_error(result, join ? "join" : "leave", group);
}

}  // namespace coaio::net
