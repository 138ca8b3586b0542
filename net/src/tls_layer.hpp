// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/lock.hpp>
#include <coaio/net/stream.hpp>

#include "tls_context.hpp"

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace coaio::net {

/// TLS over any stream. OpenSSL works on memory: what it writes waits in `out_` until it is flushed, so that a flush that
/// is cut goes on later where it stopped; what comes is fed to it. It never sees a descriptor.
class TlsLayer {
public:
    enum class Side { client, server };

    TlsLayer(Stream below, std::shared_ptr<const TlsSettings> settings, Side side, const std::string& name);
    TlsLayer(const TlsLayer&) = delete;
    TlsLayer& operator=(const TlsLayer&) = delete;
    ~TlsLayer();

    [[nodiscard]] Coro<> handshake();
    /// 0: the peer said goodbye. Throws `TlsError` when it ended without.
    [[nodiscard]] Coro<std::size_t> read(std::span<std::byte> into);
    /// Encrypts some bytes, and flushes once enough has come together; the count is of clear bytes.
    [[nodiscard]] Coro<std::size_t> write(Buffer bytes);
    [[nodiscard]] bool must_flush() const noexcept;
    [[nodiscard]] Coro<> flush();
    /// Says goodbye: the peer reads the end.
    [[nodiscard]] Coro<> goodbye();
    /// `polite`: with a goodbye, if the kernel takes it at once.
    void close(bool polite) noexcept;

    [[nodiscard]] const TlsInfo& info() const noexcept { return info_; }
    [[nodiscard]] const Stream& below() const noexcept { return below_; }
    [[nodiscard]] std::size_t buffered() const noexcept { return static_cast<std::size_t>(SSL_pending(ssl_.get())); }

private:
    using Ssl = Owned<SSL, SSL_free>;

    static int on_verify(int ok, X509_STORE_CTX* store);
    [[nodiscard]] Coro<> feed(const char* doing);
    void try_flush() noexcept;
    void refill();
    [[noreturn]] void fail(const char* doing);
    void collect_info();
    [[nodiscard]] WaitInfo describe_handshake() const;
    void require_name(const std::string& name);

    Stream below_;
    std::shared_ptr<const TlsSettings> settings_;
    Ssl ssl_;
    BIO* in_ = nullptr;   // ssl_'s
    BIO* out_ = nullptr;  // ssl_'s
    Lock flushing_;
    std::vector<std::byte> outgoing_;  // taken out of out_, sent up to sent_
    std::size_t sent_ = 0;
    std::vector<std::byte> incoming_;
    TlsInfo info_;
    std::string reason_;   // of a failure, kept while the peer is told
    std::string subject_;  // of the certificate that could not be verified
    bool ready_ = false;
    bool failed_ = false;
    bool said_goodbye_ = false;
    bool closed_ = false;
};

}  // namespace coaio::net
