// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <system_error>

namespace coaio {

enum class AddressFamily : std::uint8_t { any, ipv4, ipv6 };

/// What is asked of the resolver.
struct ResolveOptions {
    AddressFamily family = AddressFamily::any;
    /// For binding: an empty host is every address, not the loopback.
    bool passive = false;
    /// Refuse names; only numeric addresses.
    bool numeric_only = false;
};

/// One answer of the resolver, in its order of preference.
struct ResolvedAddress {
    ResolvedAddress() = default;

    AddressFamily family = AddressFamily::ipv4;
    /// Numeric, as in `127.0.0.1` or `fe80::1%eth0`.
    std::string address;
    std::uint16_t port = 0;

    friend bool operator==(const ResolvedAddress&, const ResolvedAddress&) = default;
};

/// The codes of failed look-ups: "Name or service not known" and its kin.
[[nodiscard]] const std::error_category& resolver_category() noexcept;

}  // namespace coaio
