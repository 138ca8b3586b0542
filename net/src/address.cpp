// SPDX-License-Identifier: MIT
#include <coaio/net/address.hpp>

#include <coaio/core/error.hpp>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

namespace coaio::net {

namespace {

template <class T>
T read_as(std::span<const std::byte> bytes) noexcept {
    T value{};
    std::memcpy(&value, bytes.data(), std::min(sizeof value, bytes.size()));
    return value;
}

std::uint32_t scope_of(const std::string& name) {
    const unsigned index = ::if_nametoindex(name.c_str());
    if (index != 0) return index;
    if (!name.empty() && name.size() < 10 && name.find_first_not_of("0123456789") == std::string::npos) {
        return static_cast<std::uint32_t>(std::stoul(name));
    }
    throw ValueError("no network interface '" + name + "'");
}

constexpr std::size_t path_offset = offsetof(sockaddr_un, sun_path);

}  // namespace

Address Address::ip(std::string_view numeric, std::uint16_t port) {
    const std::string text(numeric);
    sockaddr_in four{};
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    if (::inet_pton(AF_INET, text.c_str(), &four.sin_addr) == 1) return from_bytes(std::as_bytes(std::span(&four, 1)));
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    const auto percent = text.find('%');
    if (::inet_pton(AF_INET6, text.substr(0, percent).c_str(), &six.sin6_addr) == 1) {
        if (percent != std::string::npos) six.sin6_scope_id = scope_of(text.substr(percent + 1));
        return from_bytes(std::as_bytes(std::span(&six, 1)));
    }
    throw ValueError("'" + text + "' is not a numeric IP address");
}

Address Address::local(std::string_view path) {
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof un.sun_path) {
        throw ValueError("the path of a Unix socket has 1 to " + std::to_string(sizeof un.sun_path - 1) +
                         " bytes, this one has " + std::to_string(path.size()) + ": " + std::string(path));
    }
    if (path.find('\0', 1) != std::string_view::npos) throw ValueError("a path cannot hold a zero byte");
    path.copy(un.sun_path, path.size());
    const std::size_t ending = path.front() == '\0' ? 0 : 1;
    return from_bytes(std::as_bytes(std::span(&un, 1)).first(path_offset + path.size() + ending));
}

Address Address::from_bytes(std::span<const std::byte> bytes) noexcept {
    Address address;
    if (bytes.size() < sizeof(sa_family_t) || bytes.size() > address.bytes_.size()) return address;
    std::memcpy(address.bytes_.data(), bytes.data(), bytes.size());
    address.size_ = static_cast<std::uint8_t>(bytes.size());
    switch (read_as<sa_family_t>(bytes)) {
    case AF_INET: address.family_ = Family::ipv4; break;
    case AF_INET6: address.family_ = Family::ipv6; break;
    case AF_UNIX:
        if (bytes.size() > path_offset) {
            address.family_ = Family::local;
            break;
        }
        [[fallthrough]];  // a Unix socket without a name
    default: return Address();
    }
    return address;
}

std::string Address::host() const {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (family_ == Family::ipv4) {
        const auto four = read_as<sockaddr_in>(bytes());
        return ::inet_ntop(AF_INET, &four.sin_addr, text.data(), text.size());
    }
    if (family_ == Family::ipv6) {
        const auto six = read_as<sockaddr_in6>(bytes());
        std::string host = ::inet_ntop(AF_INET6, &six.sin6_addr, text.data(), text.size());
        std::array<char, IF_NAMESIZE> name{};
        if (six.sin6_scope_id != 0) {
            const bool known = ::if_indextoname(six.sin6_scope_id, name.data()) != nullptr;
            host += "%" + (known ? std::string(name.data()) : std::to_string(six.sin6_scope_id));
        }
        return host;
    }
    if (family_ != Family::local) return {};
    std::string path(reinterpret_cast<const char*>(bytes_.data()) + path_offset, size_ - path_offset);
    if (path.front() != '\0') path.resize(std::min(path.find('\0'), path.size()));
    return path;
}

std::uint16_t Address::port() const noexcept {
    if (family_ == Family::ipv4) return ntohs(read_as<sockaddr_in>(bytes()).sin_port);
    if (family_ == Family::ipv6) return ntohs(read_as<sockaddr_in6>(bytes()).sin6_port);
    return 0;
}

std::string Address::text() const {
    switch (family_) {
    case Family::ipv4: return host() + ":" + std::to_string(port());
    case Family::ipv6: return "[" + host() + "]:" + std::to_string(port());
    case Family::local: {
        std::string path = host();
        if (path.front() == '\0') path.front() = '@';
        return "unix:" + path;
    }
    case Family::none: break;
    }
    return {};
}

bool operator==(const Address& a, const Address& b) noexcept { return std::ranges::equal(a.bytes(), b.bytes()); }

}  // namespace coaio::net
