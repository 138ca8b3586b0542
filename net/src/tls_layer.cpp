// SPDX-License-Identifier: MIT
#include "tls_layer.hpp"

#include "stream_impl.hpp"

#include <coaio/core/activity.hpp>
#include <coaio/net/error.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <climits>
#include <utility>

namespace coaio::net {

namespace {

constexpr std::size_t record = 16 * 1024;
// Records are gathered into writes of about this size.
constexpr std::size_t flush_at = 4 * record;

std::string common_name(X509* certificate) {
    std::array<char, 256> text{};
    X509_NAME_oneline(X509_get_subject_name(certificate), text.data(), static_cast<int>(text.size()));
    return text.data();
}

bool is_numeric(const std::string& name) {
    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    return ::inet_pton(AF_INET, name.c_str(), bytes.data()) == 1 ||
           ::inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1;
}

}  // namespace

TlsLayer::TlsLayer(Stream below, std::shared_ptr<const TlsSettings> settings, Side side, const std::string& name)
    : below_(std::move(below)), settings_(std::move(settings)), ssl_(SSL_new(settings_->main.get())) {
    if (ssl_ == nullptr) throw TlsError(TlsError::Reason::configuration, "OpenSSL: " + take_ssl_errors());
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(in_, -1);
    BIO_set_mem_eof_return(out_, -1);
    SSL_set_bio(ssl_.get(), in_, out_);
    SSL_set_app_data(ssl_.get(), reinterpret_cast<char*>(this));
    if (side == Side::server) {
        SSL_set_accept_state(ssl_.get());
    } else {
        SSL_set_connect_state(ssl_.get());
        SSL_set_verify(ssl_.get(), settings_->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, &on_verify);
        require_name(name);
    }
}

TlsLayer::~TlsLayer() = default;

void TlsLayer::require_name(const std::string& name) {
    if (name.empty()) return;
    const std::string bare = name.back() == '.' ? name.substr(0, name.size() - 1) : name;
    bool accepted = true;
    if (is_numeric(bare)) {
        accepted = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), bare.c_str()) == 1;
    } else {
        SSL_set_hostflags(ssl_.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        accepted =
            SSL_set1_host(ssl_.get(), bare.c_str()) == 1 && SSL_set_tlsext_host_name(ssl_.get(), bare.c_str()) == 1;
    }
    if (!accepted)
        throw TlsError(TlsError::Reason::configuration, "'" + name + "' is no host name: " + take_ssl_errors());
}

int TlsLayer::on_verify(int ok, X509_STORE_CTX* store) {
    if (ok == 1) return ok;
    auto* const ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto* const self = reinterpret_cast<TlsLayer*>(SSL_get_app_data(ssl));
    X509* const certificate = X509_STORE_CTX_get_current_cert(store);
    if (self != nullptr && certificate != nullptr) self->subject_ = common_name(certificate);
    return ok;
}

bool TlsLayer::must_flush() const noexcept { return sent_ != outgoing_.size() || BIO_ctrl_pending(out_) != 0; }

Coro<> TlsLayer::flush() {
    const auto guard = co_await flushing_.scoped();
    while (must_flush()) {
        refill();
        const auto below = below_.impl();
        if (!below) throw ClosedError("this stream is closed");
        const Buffer rest{outgoing_.data() + sent_, outgoing_.size() - sent_};
        sent_ += co_await Stream::Impl::send_some(below, rest);
    }
}

// Waits for bytes of the peer and hands them to OpenSSL.
Coro<> TlsLayer::feed(const char* doing) {
    const auto below = below_.impl();
    if (!below) throw ClosedError("this stream is closed");
    if (incoming_.empty()) incoming_.resize(record + 1024);
    const std::size_t count = co_await Stream::Impl::read_some(below, incoming_);
    if (closed_) throw ClosedError("this stream was closed");
    if (count == 0) {
        failed_ = true;
        throw TlsError(TlsError::Reason::truncated, below->subject() + " ended the connection " + doing +
                                                        " without saying so in TLS: what came may be incomplete");
    }
    BIO_write(in_, incoming_.data(), static_cast<int>(count));
}

// For whoever must not wait: a reader's answers to the protocol, an alert. A flush that is under way takes them along;
// waiting for one here would let two peers that both write wait for each other's reading.
void TlsLayer::try_flush() noexcept {
    const auto below = below_.impl();
    while (below && !flushing_.locked() && must_flush()) {
        refill();
        const long count = below->try_send({outgoing_.data() + sent_, outgoing_.size() - sent_});
        if (count < 0) return;
        sent_ += static_cast<std::size_t>(count);
    }
}

void TlsLayer::refill() {
    if (sent_ != outgoing_.size()) return;
    outgoing_.resize(BIO_ctrl_pending(out_));
    sent_ = 0;
    BIO_read(out_, outgoing_.data(), static_cast<int>(outgoing_.size()));
}

void TlsLayer::fail(const char* doing) {
    failed_ = true;
    const long verdict = SSL_get_verify_result(ssl_.get());
    const auto below = below_.impl();
    const std::string peer = below ? below->subject() : std::string("a closed stream");
    if (!ready_ && verdict != X509_V_OK && settings_->verify) {
        std::string text = "the certificate of " + peer + " is not accepted: " + X509_verify_cert_error_string(verdict);
        if (!subject_.empty()) text += " (" + subject_ + ")";
        throw TlsError(TlsError::Reason::certificate, text, subject_);
    }
    throw TlsError(TlsError::Reason::protocol, "TLS with " + peer + " failed " + doing + ": " +
                                                   (reason_.empty() ? std::string("the peer broke off") : reason_));
}

Coro<> TlsLayer::handshake() {
    const Doing doing([this] { return describe_handshake(); });
    for (;;) {
        ERR_clear_error();
        const int result = SSL_do_handshake(ssl_.get());
        const int error = SSL_get_error(ssl_.get(), result);
        if (result == 1) break;
        if (error != SSL_ERROR_WANT_READ) {
            reason_ = take_ssl_errors();
            try_flush();
            fail("in the handshake");
        }
        co_await flush();
        co_await feed("in the handshake");
    }
    if (must_flush()) co_await flush();
    ready_ = true;
    collect_info();
}

WaitInfo TlsLayer::describe_handshake() const {
    const auto below = below_.impl();
    const std::string peer = below ? below->subject() : std::string("a closed stream");
    WaitInfo info{.what = "TLS handshake with " + peer};
    const char* const asked = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
    if (asked != nullptr) info.what += std::string(" for ") + asked;
    info.fact("peer", peer);
    if (asked != nullptr) info.fact("server_name", std::string(asked));
    return info;
}

void TlsLayer::collect_info() {
    info_.version = SSL_get_version(ssl_.get());
    info_.cipher = SSL_get_cipher_name(ssl_.get());
    const unsigned char* protocol = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &protocol, &size);
    if (size != 0) info_.protocol.assign(reinterpret_cast<const char*>(protocol), size);
    const char* const asked = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
    if (asked != nullptr) info_.server_name = asked;
    const Owned<X509, X509_free> certificate(SSL_get1_peer_certificate(ssl_.get()));
    if (certificate != nullptr) info_.peer = common_name(certificate.get());
}

Coro<std::size_t> TlsLayer::read(std::span<std::byte> into) {
    const int size = static_cast<int>(std::min<std::size_t>(into.size(), INT_MAX));
    for (;;) {
        if (closed_) throw ClosedError("this stream is closed");
        if (failed_) throw TlsError(TlsError::Reason::protocol, "this TLS stream has failed before");
        ERR_clear_error();
        const int count = SSL_read(ssl_.get(), into.data(), size);
        if (count > 0) co_return static_cast<std::size_t>(count);
        const int error = SSL_get_error(ssl_.get(), count);
        if (error == SSL_ERROR_ZERO_RETURN) co_return std::size_t{0};
        if (error != SSL_ERROR_WANT_READ) {
            reason_ = take_ssl_errors();
            try_flush();
            fail("while reading");
        }
        try_flush();  // an answer that the protocol wants, such as to a key update
        co_await feed("while it was read");
    }
}

Coro<std::size_t> TlsLayer::write(Buffer bytes) {
    if (failed_) throw TlsError(TlsError::Reason::protocol, "this TLS stream has failed before");
    if (closed_) throw ClosedError("this stream is closed");
    ERR_clear_error();
    const int count = SSL_write(ssl_.get(), bytes.data, static_cast<int>(std::min(bytes.size, record)));
    if (count <= 0) {
        reason_ = take_ssl_errors();
        fail("while writing");
    }
    if (outgoing_.size() - sent_ + BIO_ctrl_pending(out_) >= flush_at) co_await flush();
    co_return static_cast<std::size_t>(count);
}

Coro<> TlsLayer::goodbye() {
    if (!said_goodbye_ && ready_ && !failed_) {
        said_goodbye_ = true;
        ERR_clear_error();
        SSL_shutdown(ssl_.get());
    }
    co_await flush();
}

void TlsLayer::close(bool polite) noexcept {
    closed_ = true;
    const auto below = below_.impl();
    if (below && polite && ready_ && !failed_ && !said_goodbye_ && !must_flush()) {
        said_goodbye_ = true;
        ERR_clear_error();
        SSL_shutdown(ssl_.get());
        try_flush();
    }
    if (below && !polite) below->broken = true;
    below_.close();
}

}  // namespace coaio::net
