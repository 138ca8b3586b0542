// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/resolve.hpp>
#include <coaio/core/time.hpp>
#include <coaio/net/address.hpp>
#include <coaio/net/stream.hpp>
#include <coaio/net/tls.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace coaio::net {

/// How to connect. What it points to is copied before the call returns.
struct ConnectOptions {
    /// Speak TLS with these settings; null: do not.
    const TlsContext* tls = nullptr;
    /// Whom the certificate must name; empty: the host.
    std::string_view server_name = {};
    AddressFamily family = AddressFamily::any;
    /// Addresses are tried one after another, the next one when this has passed or the last one failed (RFC 8305, 5).
    Duration attempt_delay = std::chrono::milliseconds(250);
    /// Small writes are not held back (TCP_NODELAY).
    bool no_delay = true;
    /// For all of it: look-up, attempts, handshake. Zero: no limit. `TimeoutError` when it passes.
    Duration timeout = Duration::zero();
};

/// Connects to a host by name or numeric address. Its addresses are tried alternating between the families, staggered in
/// time; the first to answer wins and the others are closed (RFC 8305, "happy eyeballs").
///
/// Errors: `IoError` of the look-up, or of the first attempt when all fail, with the host and port; `TlsError`;
/// `TimeoutError`.
/// Cancellation: every attempt is closed.
[[nodiscard]] Coro<Stream> connect(std::string host, std::uint16_t port, ConnectOptions options = {});

/// Connects to one address, which may be a Unix socket. With TLS, name the `server_name`.
[[nodiscard]] Coro<Stream> connect(Address address, ConnectOptions options = {});

}  // namespace coaio::net
