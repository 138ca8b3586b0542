// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/net/error.hpp>
#include <coaio/net/stream.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace coaio::net {

/// A certificate with its chain, and its key, both as PEM text.
class TlsIdentity {
public:
    TlsIdentity() = default;
    TlsIdentity(std::string chain, std::string key) : chain_(std::move(chain)), key_(std::move(key)) {}
    /// Reads two files; they may be the same. Throws `IoError`.
    [[nodiscard]] static TlsIdentity from_files(const std::string& chain, const std::string& key);

    [[nodiscard]] const std::string& chain() const noexcept { return chain_; }
    [[nodiscard]] const std::string& key() const noexcept { return key_; }
    [[nodiscard]] bool empty() const noexcept { return chain_.empty(); }

private:
    std::string chain_;
    std::string key_;
};

/// How a client speaks TLS. By default the peer is verified against the system's roots and the host name.
class TlsClientOptions {
public:
    TlsClientOptions() = default;

    /// False: anybody is believed. For tests.
    TlsClientOptions& verify(bool on) { return verify_ = on, *this; }
    /// Trusts these roots, PEM text, in place of the system's.
    TlsClientOptions& roots(std::string pem) { return roots_ = std::move(pem), *this; }
    /// Application protocols, the preferred first: `{"h2", "http/1.1"}`.
    TlsClientOptions& protocols(std::vector<std::string> names) { return protocols_ = std::move(names), *this; }
    /// Who we are, for servers that ask.
    TlsClientOptions& identity(TlsIdentity identity) { return identity_ = std::move(identity), *this; }

private:
    friend class TlsContext;
    bool verify_ = true;
    std::string roots_;
    std::vector<std::string> protocols_;
    TlsIdentity identity_;
};

/// How a server speaks TLS.
class TlsServerOptions {
public:
    TlsServerOptions() = default;
    explicit TlsServerOptions(TlsIdentity identity) : identity_(std::move(identity)) {}

    /// For clients that ask for this name (SNI), `*.example.com` for any one below it; others get the first identity.
    TlsServerOptions& host(std::string name, TlsIdentity identity) {
        hosts_.emplace_back(std::move(name), std::move(identity));
        return *this;
    }
    /// Application protocols, the preferred first. A client that offers others only is refused.
    TlsServerOptions& protocols(std::vector<std::string> names) { return protocols_ = std::move(names), *this; }
    /// Demands a certificate of the client that leads to one of these roots, PEM text.
    TlsServerOptions& client_roots(std::string pem) { return client_roots_ = std::move(pem), *this; }

private:
    friend class TlsContext;
    TlsIdentity identity_;
    std::vector<std::pair<std::string, TlsIdentity>> hosts_;
    std::vector<std::string> protocols_;
    std::string client_roots_;
};

/// The settings of one side of TLS: version 1.2 at least, no renegotiation. A handle; may be shared between loops and
/// threads.
///
/// Errors: `TlsError` with reason `configuration`.
class TlsContext {
public:
    [[nodiscard]] static TlsContext client(const TlsClientOptions& options = TlsClientOptions());
    [[nodiscard]] static TlsContext server(const TlsServerOptions& options);

    /// Connections that begin from now on use these, as when a certificate was renewed; what is there goes on. When they
    /// cannot be used it throws, and the old ones stay.
    void reload(const TlsServerOptions& options) const;
    [[nodiscard]] bool is_server() const noexcept;

    /// For the library.
    struct State;
    [[nodiscard]] const std::shared_ptr<State>& state() const noexcept { return state_; }

private:
    explicit TlsContext(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
    std::shared_ptr<State> state_;
};

/// Begins TLS as the client on any stream and gives the encrypted one. The peer must be `server_name`, a host name or a
/// numeric address, unless the context verifies nothing; names go to the server too (SNI).
/// Errors: `TlsError`. Cancellation, or an error: the stream is closed.
[[nodiscard]] Coro<Stream> start_tls(Stream stream, TlsContext context, std::string server_name);

/// Begins TLS as the server.
[[nodiscard]] Coro<Stream> accept_tls(Stream stream, TlsContext context);

}  // namespace coaio::net
