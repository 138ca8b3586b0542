// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/net/tls.hpp>

#include <openssl/ssl.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace coaio::net {

template <class T, void (*Free)(T*)>
struct Freed {
    void operator()(T* object) const noexcept { Free(object); }
};
template <class T, void (*Free)(T*)>
using Owned = std::unique_ptr<T, Freed<T, Free>>;

using SslContext = Owned<SSL_CTX, SSL_CTX_free>;

/// What a reload replaces as a whole; connections keep theirs, since OpenSSL calls back into it.
struct TlsSettings {
    SslContext main;
    std::vector<std::pair<std::string, SslContext>> hosts;
    std::string protocols;  // in ALPN's form: each name behind its length
    bool verify = true;
};

struct TlsContext::State {
    explicit State(bool for_server, std::shared_ptr<const TlsSettings> settings)
        : server(for_server), settings_(std::move(settings)) {}

    [[nodiscard]] std::shared_ptr<const TlsSettings> settings() const {
        const std::lock_guard lock(mutex_);
        return settings_;
    }
    void replace(std::shared_ptr<const TlsSettings> settings) {
        const std::lock_guard lock(mutex_);
        settings_.swap(settings);
    }

    const bool server;

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const TlsSettings> settings_;
};

/// What OpenSSL's queue of errors says, emptied: `certificate verify failed; …`.
[[nodiscard]] std::string take_ssl_errors();

}  // namespace coaio::net
