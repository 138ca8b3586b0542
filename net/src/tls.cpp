// SPDX-License-Identifier: MIT
#include <coaio/net/tls.hpp>

#include "stream_impl.hpp"
#include "tls_context.hpp"
#include "tls_layer.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <string_view>

namespace coaio::net {

namespace {

using Bio = Owned<BIO, BIO_free_all>;
using Certificate = Owned<X509, X509_free>;
using Key = Owned<EVP_PKEY, EVP_PKEY_free>;

[[noreturn]] void refuse(const std::string& what) {
    const std::string reason = take_ssl_errors();
    throw TlsError(TlsError::Reason::configuration, reason.empty() ? what : what + ": " + reason);
}

Bio over(const std::string& pem) { return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))); }

// A key with a pass phrase is refused: there is nobody to ask.
int no_pass_phrase(char*, int, int, void*) { return -1; }

SslContext make_context(const SSL_METHOD* method) {
    SslContext context(SSL_CTX_new(method));
    if (context == nullptr) refuse("OpenSSL gives no context");
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return context;
}

void use_identity(SSL_CTX* context, const TlsIdentity& identity) {
    const Bio chain = over(identity.chain());
    const Certificate leaf(PEM_read_bio_X509(chain.get(), nullptr, no_pass_phrase, nullptr));
    if (leaf == nullptr) refuse("the certificate is not PEM text");
    if (SSL_CTX_use_certificate(context, leaf.get()) != 1) refuse("the certificate cannot be used");
    for (;;) {
        Certificate next(PEM_read_bio_X509(chain.get(), nullptr, no_pass_phrase, nullptr));
        if (next == nullptr) break;
        if (SSL_CTX_add1_chain_cert(context, next.get()) != 1) refuse("the certificate's chain cannot be used");
    }
    ERR_clear_error();  // the end of the text counts as an error there
    const Bio text = over(identity.key());
    const Key key(PEM_read_bio_PrivateKey(text.get(), nullptr, no_pass_phrase, nullptr));
    if (key == nullptr) refuse("the private key is not PEM text, or has a pass phrase");
    if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
        refuse("the private key does not belong to the certificate");
    }
}

void use_roots(SSL_CTX* context, const std::string& pem, bool ask_for_them) {
    const Bio text = over(pem);
    int count = 0;
    for (;; ++count) {
        const Certificate root(PEM_read_bio_X509(text.get(), nullptr, no_pass_phrase, nullptr));
        if (root == nullptr) break;
        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), root.get()) != 1) refuse("a root cannot be used");
        if (ask_for_them) SSL_CTX_add_client_CA(context, root.get());
    }
    ERR_clear_error();
    if (count == 0) refuse("there is no certificate among the roots");
}

std::string wire_protocols(const std::vector<std::string>& names) {
    std::string wire;
    for (const std::string& name : names) {
        if (name.empty() || name.size() > 255) refuse("an application protocol's name has 1 to 255 bytes");
        wire.push_back(static_cast<char>(name.size()));
        wire += name;
    }
    return wire;
}

int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                    unsigned offered_size, void* closure) {
    const auto& ours = static_cast<const TlsSettings*>(closure)->protocols;
    unsigned char* found = nullptr;
    const int result = SSL_select_next_proto(&found, size, reinterpret_cast<const unsigned char*>(ours.data()),
                                             static_cast<unsigned>(ours.size()), offered, offered_size);
    *chosen = found;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

bool same_name(std::string_view a, std::string_view b) noexcept {
    return std::ranges::equal(a, b, [](char x, char y) {
        return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
    });
}

bool matches(std::string_view pattern, std::string_view name) noexcept {
    if (!pattern.starts_with("*.")) return same_name(pattern, name);
    const auto dot = name.find('.');
    return dot != std::string_view::npos && dot != 0 && same_name(pattern.substr(1), name.substr(dot));
}

int choose_host(SSL* ssl, int*, void* closure) {
    const char* const asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (asked == nullptr) return SSL_TLSEXT_ERR_OK;
    for (const auto& [name, context] : static_cast<const TlsSettings*>(closure)->hosts) {
        if (matches(name, asked)) {
            SSL_set_SSL_CTX(ssl, context.get());
            break;
        }
    }
    return SSL_TLSEXT_ERR_OK;
}

}  // namespace

std::string take_ssl_errors() {
    std::string text;
    for (unsigned long code = ERR_get_error(); code != 0; code = ERR_get_error()) {
        const char* const reason = ERR_reason_error_string(code);
        if (!text.empty()) text += "; ";
        text += reason != nullptr ? std::string(reason) : "error " + std::to_string(code);
    }
    return text;
}

TlsIdentity TlsIdentity::from_files(const std::string& chain, const std::string& key) {
    const auto read = [](const std::string& path) {
        errno = 0;
        std::ifstream file(path, std::ios::binary);
        std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
        if (!file || text.empty()) {
            const int error = errno != 0 ? errno : EINVAL;
            throw IoError(std::error_code(error, std::system_category()), "read", path);
        }
        return text;
    };
    return {read(chain), read(key)};
}

TlsContext TlsContext::client(const TlsClientOptions& options) {
    auto settings = std::make_shared<TlsSettings>();
    settings->main = make_context(TLS_client_method());
    SSL_CTX* const context = settings->main.get();
    settings->verify = options.verify_;
    if (!options.roots_.empty()) {
        use_roots(context, options.roots_, false);
    } else if (options.verify_ && SSL_CTX_set_default_verify_paths(context) != 1) {
        refuse("the system's roots cannot be read");
    }
    settings->protocols = wire_protocols(options.protocols_);
    if (!settings->protocols.empty() &&
        SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(settings->protocols.data()),
                                static_cast<unsigned>(settings->protocols.size())) != 0) {
        refuse("the application protocols cannot be used");
    }
    if (!options.identity_.empty()) use_identity(context, options.identity_);
    return TlsContext(std::make_shared<State>(false, std::move(settings)));
}

namespace {

SslContext server_context(const TlsIdentity& identity, const std::string& client_roots, TlsSettings& settings) {
    SslContext context = make_context(TLS_server_method());
    use_identity(context.get(), identity);
    // Names of sessions are not shared between servers; without this, resumption with client certificates fails.
    constexpr std::string_view session_context = "coaio";
    SSL_CTX_set_session_id_context(context.get(), reinterpret_cast<const unsigned char*>(session_context.data()),
                                   static_cast<unsigned>(session_context.size()));
    if (!client_roots.empty()) {
        use_roots(context.get(), client_roots, true);
        SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
    if (!settings.protocols.empty()) SSL_CTX_set_alpn_select_cb(context.get(), choose_protocol, &settings);
    SSL_CTX_set_tlsext_servername_callback(context.get(), choose_host);
    SSL_CTX_set_tlsext_servername_arg(context.get(), &settings);
    return context;
}

std::shared_ptr<const TlsSettings> server_settings(const TlsIdentity& identity,
                                                   const std::vector<std::pair<std::string, TlsIdentity>>& hosts,
                                                   const std::vector<std::string>& protocols,
                                                   const std::string& client_roots) {
    auto settings = std::make_shared<TlsSettings>();
    settings->protocols = wire_protocols(protocols);
    settings->verify = !client_roots.empty();
    settings->main = server_context(identity, client_roots, *settings);
    for (const auto& [name, each] : hosts) {
        settings->hosts.emplace_back(name, server_context(each, client_roots, *settings));
    }
    return settings;
}

}  // namespace

TlsContext TlsContext::server(const TlsServerOptions& options) {
    return TlsContext(std::make_shared<State>(
        true, server_settings(options.identity_, options.hosts_, options.protocols_, options.client_roots_)));
}

void TlsContext::reload(const TlsServerOptions& options) const {
    if (!state_->server) refuse("only a server's settings are reloaded");
    state_->replace(server_settings(options.identity_, options.hosts_, options.protocols_, options.client_roots_));
}

bool TlsContext::is_server() const noexcept { return state_->server; }

namespace {

Coro<Stream> begin_tls(Stream stream, TlsContext context, std::string name) {
    auto layer =
        std::make_unique<TlsLayer>(std::move(stream), context.state()->settings(),
                                   context.is_server() ? TlsLayer::Side::server : TlsLayer::Side::client, name);
    TlsLayer& tls = *layer;
    Stream encrypted{coaio::detail::Ref<Stream::Impl>(new Stream::Impl(std::move(layer)))};
    co_await tls.handshake();
    co_return encrypted;
}

}  // namespace

Coro<Stream> start_tls(Stream stream, TlsContext context, std::string server_name) {
    if (context.is_server()) refuse("start_tls is for clients, this context is a server's");
    if (context.state()->settings()->verify && server_name.empty()) {
        refuse("the peer's name is needed, or its certificate cannot be verified");
    }
    return begin_tls(std::move(stream), std::move(context), std::move(server_name));
}

Coro<Stream> accept_tls(Stream stream, TlsContext context) {
    if (!context.is_server()) refuse("accept_tls is for servers, this context is a client's");
    return begin_tls(std::move(stream), std::move(context), std::string());
}

}  // namespace coaio::net
