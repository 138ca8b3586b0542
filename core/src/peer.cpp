// SPDX-License-Identifier: MIT
#include "peer.hpp"

#include <coaio/core/activity.hpp>
#include <coaio/core/detail/port.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <utility>

namespace coaio::detail {

namespace {

std::string host_and_port(int family, const void* address, in_port_t port) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (::inet_ntop(family, address, text.data(), text.size()) == nullptr) return {};
    const std::string host = family == AF_INET6 ? "[" + std::string(text.data()) + "]" : std::string(text.data());
    return host + ":" + std::to_string(ntohs(port));
}

// Of a Unix socket without a name: nothing.
std::string address_text(const sockaddr_storage& storage, std::size_t size) {
    switch (storage.ss_family) {
    case AF_INET: {
        sockaddr_in address{};
        std::memcpy(&address, &storage, sizeof address);
        return host_and_port(AF_INET, &address.sin_addr, address.sin_port);
    }
    case AF_INET6: {
        sockaddr_in6 address{};
        std::memcpy(&address, &storage, sizeof address);
        return host_and_port(AF_INET6, &address.sin6_addr, address.sin6_port);
    }
    case AF_UNIX: {
        constexpr std::size_t start = offsetof(sockaddr_un, sun_path);
        if (size <= start) return {};
        sockaddr_un address{};
        std::memcpy(&address, &storage, sizeof address);
        std::string path(address.sun_path, std::min(size - start, sizeof address.sun_path));
        const bool abstract = path.front() == '\0';
        if (abstract) path.front() = '@';
        path.resize(std::min(path.size(), path.find('\0')));
        return path.empty() ? path : "unix:" + path;
    }
    default: return {};
    }
}

struct Ends {
    std::string peer;
    std::string local;
};

// `ask(end, storage)` gives the size of the address, or what is below zero.
template <class Ask>
Ends ends_by(const Ask& ask) {
    const auto text_of = [&ask](Port::End end) {
        sockaddr_storage storage{};
        const long size = ask(end, storage);
        return size < 0 ? std::string() : address_text(storage, static_cast<std::size_t>(size));
    };
    Ends ends;
    ends.peer = text_of(Port::End::peer);
    if (ends.peer.empty()) ends.local = text_of(Port::End::own);
    return ends;
}

void add(WaitInfo& info, int fd, Ends ends) {
    const std::string& address = ends.peer.empty() ? ends.local : ends.peer;
    if (!address.empty()) info.what += " (" + address + ")";
    if (fd >= 0) info.fact("descriptor", static_cast<std::size_t>(fd));
    if (!ends.peer.empty()) info.fact("peer", std::move(ends.peer));
    if (!ends.local.empty()) info.fact("local", std::move(ends.local));
}

}  // namespace

void add_peer(WaitInfo& info, const Port& port) {
    const auto ask = [&port](Port::End end, sockaddr_storage& storage) {
        return port.name_of(end, std::as_writable_bytes(std::span(&storage, 1)));
    };
    add(info, port.descriptor(), ends_by(ask));
}

void add_peer(WaitInfo& info, int fd) {
    const auto ask = [fd](Port::End end, sockaddr_storage& storage) -> long {
        socklen_t size = sizeof storage;
        auto* const address = reinterpret_cast<sockaddr*>(&storage);
        const int result =
            end == Port::End::own ? ::getsockname(fd, address, &size) : ::getpeername(fd, address, &size);
        return result == 0 ? static_cast<long>(size) : -1;
    };
    info.what += " " + std::to_string(fd);
    add(info, fd, ends_by(ask));
}

}  // namespace coaio::detail
