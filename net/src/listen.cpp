// SPDX-License-Identifier: MIT
#include <coaio/net/listen.hpp>

#include "socket.hpp"

#include <coaio/net/resolve.hpp>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <utility>

namespace coaio::net {

namespace {

bool has_file(const Address& address) {
    return address.family() == Address::Family::local && address.host().front() != '\0';
}

// A socket file that outlived its server: whoever connects to it is refused.
bool is_abandoned(const Address& address) {
    Socket probe(address);
    return probe.connect(address) == -ECONNREFUSED;
}

// These say something of one peer that has gone, or of its packets, and nothing of the listener (accept(2)).
bool concerns_one_peer(int error) noexcept {
    switch (error) {
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENETUNREACH:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case EOPNOTSUPP:
    case ECONNRESET:
    case ETIMEDOUT: return true;
    default: return false;
    }
}

}  // namespace

Listener::Listener(io::Descriptor descriptor, Address address, bool no_delay) noexcept
    : descriptor_(std::move(descriptor)), address_(address), no_delay_(no_delay) {}
Listener::Listener(Listener&&) noexcept = default;
Listener& Listener::operator=(Listener&& other) noexcept {
    if (this != &other) {
        close();
        descriptor_ = std::move(other.descriptor_);
        address_ = other.address_;
        no_delay_ = other.no_delay_;
    }
    return *this;
}
Listener::~Listener() { close(); }

void Listener::close() noexcept {
    if (!descriptor_.is_open()) return;
    if (has_file(address_)) ::unlink(address_.host().c_str());
    descriptor_.close();
}

Coro<Stream> Listener::accept() {
    const bool no_delay = no_delay_ && address_.family() != Address::Family::local;
    const Address at = address_;
    for (;;) {
        io::Accepted accepted = co_await descriptor_.accept();
        if (accepted.error == 0) {
            if (no_delay) set_no_delay(accepted.descriptor);
            co_return Stream(std::move(accepted.descriptor));
        }
        if (!concerns_one_peer(accepted.error)) throw_socket_error(-accepted.error, "accept", at);
    }
}

Listener listen(const Address& address, ListenOptions options) {
    Socket socket(address);
    const bool local = address.family() == Address::Family::local;
    if (!local) socket.set_option(SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR", address);
    if (options.reuse_port) socket.set_option(SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT", address);
    if (address.family() == Address::Family::ipv6) {
        socket.set_option(IPPROTO_IPV6, IPV6_V6ONLY, options.dual_stack ? 0 : 1, "IPV6_V6ONLY", address);
    }
    long result = socket.bind(address);
    if (result == -EADDRINUSE && has_file(address) && is_abandoned(address)) {
        ::unlink(address.host().c_str());
        result = socket.bind(address);
    }
    if (result < 0) throw_socket_error(result, "bind", address);
    const Address bound = socket.bound_address(address);
    if (options.mode != 0 && has_file(address)) ::chmod(address.host().c_str(), options.mode);
    result = socket.listen(options.backlog);
    if (result < 0) {
        if (has_file(address)) ::unlink(address.host().c_str());
        throw_socket_error(result, "listen", address);
    }
    return Listener(socket.give(), bound, options.no_delay);
}

Coro<Listener> listen(std::string host, std::uint16_t port, ListenOptions options) {
    std::vector<Address> addresses;
    if (host.empty() && options.dual_stack) {
        // One socket takes both families, where the machine has IPv6.
        addresses = {Address::ip("::", port), Address::ip("0.0.0.0", port)};
    } else {
        addresses = co_await resolve(std::move(host), port, {.passive = true});
    }
    std::exception_ptr failure;
    for (const Address& address : addresses) {
        try {
            co_return listen(address, options);
        } catch (const IoError&) {
            if (failure == nullptr) failure = std::current_exception();
        }
    }
    std::rethrow_exception(failure);
}

}  // namespace coaio::net
