// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/resolve.hpp>
#include <coaio/net/address.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace coaio::net {

/// The addresses of a host in the resolver's order, at least one, from the running loop's `getaddrinfo`.
/// Errors: `IoError` in the category `resolver_category()`.
/// Cancellation: at once.
[[nodiscard]] Coro<std::vector<Address>> resolve(std::string host, std::uint16_t port, ResolveOptions options = {});

}  // namespace coaio::net
