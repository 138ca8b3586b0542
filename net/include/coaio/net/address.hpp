// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace coaio::net {

/// Where a socket is: an IPv4 or IPv6 address with a port, or the path of a Unix socket. A value.
///
///     net::Address::ip("127.0.0.1", 8080).text()   // "127.0.0.1:8080"
class Address {
public:
    enum class Family : std::uint8_t { none, ipv4, ipv6, local };

    /// No address: what a memory stream and an unnamed Unix socket have.
    Address() = default;
    /// From a numeric address, as `::1` or `fe80::1%eth0`. Throws `ValueError` when it is none.
    [[nodiscard]] static Address ip(std::string_view numeric, std::uint16_t port);
    /// A Unix socket; a leading zero byte means the abstract namespace. Throws `ValueError` beyond 107 bytes.
    [[nodiscard]] static Address local(std::string_view path);
    /// From the kernel's form.
    [[nodiscard]] static Address from_bytes(std::span<const std::byte> bytes) noexcept;

    [[nodiscard]] Family family() const noexcept { return family_; }
    /// The numeric address, or the path.
    [[nodiscard]] std::string host() const;
    /// 0 where there is none.
    [[nodiscard]] std::uint16_t port() const noexcept;
    /// `127.0.0.1:80`, `[::1]:80`, `unix:/run/x`, or nothing.
    [[nodiscard]] std::string text() const;
    /// The kernel's form.
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {bytes_.data(), size_}; }

    friend bool operator==(const Address& a, const Address& b) noexcept;

private:
    alignas(8) std::array<std::byte, 112> bytes_{};
    std::uint8_t size_ = 0;
    Family family_ = Family::none;
};

}  // namespace coaio::net
