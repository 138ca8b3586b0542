// SPDX-License-Identifier: MIT
#include "streams.hpp"

#include <coaio/core/gather.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/net/testing.hpp>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <unistd.h>

#include <chrono>
#include <memory>
#include <stdexcept>

namespace tests {

namespace {

using coaio::Coro;
using coaio::net::Stream;

template <class T, void (*Free)(T*)>
struct Freed {
    void operator()(T* object) const noexcept { Free(object); }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY, EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509, X509_free>>;
using Bio = std::unique_ptr<BIO, Freed<BIO, BIO_free_all>>;

std::string text_of(BIO* bio) {
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(bio, &bytes);
    return {bytes, static_cast<std::size_t>(size)};
}
std::string pem(X509* certificate) {
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(bio.get(), certificate);
    return text_of(bio.get());
}
std::string pem(EVP_PKEY* key) {
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
    return text_of(bio.get());
}
Bio over(const std::string& text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

void extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
    if (extension == nullptr) throw std::runtime_error("no such extension: " + value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

Certificate make_certificate(EVP_PKEY* key, const std::string& name, X509* issuer, EVP_PKEY* issuer_key, bool expired) {
    static long serial = 1;
    Certificate certificate(X509_new());
    X509_set_version(certificate.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -7200);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), expired ? -3600 : 86'400);
    X509_set_pubkey(certificate.get(), key);
    X509_NAME* const subject = X509_get_subject_name(certificate.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()), -1,
                               -1, 0);
    X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer != nullptr ? issuer : certificate.get()));
    if (issuer == nullptr) extend(certificate.get(), certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
    static_cast<void>(issuer_key);
    return certificate;
}

}  // namespace

Authority::Authority() {
    const Key key(EVP_EC_gen("P-256"));
    const Certificate own = make_certificate(key.get(), "test authority", nullptr, nullptr, false);
    X509_sign(own.get(), key.get(), EVP_sha256());
    root = pem(own.get());
    key_ = pem(key.get());
}

coaio::net::TlsIdentity Authority::issue(const std::string& names, bool expired) const {
    const Bio root_text = over(root);
    const Bio key_text = over(key_);
    const Certificate issuer(PEM_read_bio_X509(root_text.get(), nullptr, nullptr, nullptr));
    const Key issuer_key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
    const Key key(EVP_EC_gen("P-256"));
    const Certificate certificate = make_certificate(key.get(), names, issuer.get(), issuer_key.get(), expired);
    extend(certificate.get(), issuer.get(), NID_subject_alt_name, names);
    X509_sign(certificate.get(), issuer_key.get(), EVP_sha256());
    return {pem(certificate.get()), pem(key.get())};
}

const Authority& authority() {
    static const Authority instance;
    return instance;
}

coaio::net::TlsContext server_context() {
    static const auto context =
        coaio::net::TlsContext::server(coaio::net::TlsServerOptions(authority().issue("DNS:localhost,IP:127.0.0.1")));
    return context;
}

coaio::net::TlsContext client_context() {
    static const auto context = coaio::net::TlsContext::client(coaio::net::TlsClientOptions().roots(authority().root));
    return context;
}

const char* name_of(Kind kind) {
    switch (kind) {
    case Kind::memory: return "memory";
    case Kind::tcp: return "TCP";
    case Kind::local: return "a Unix socket";
    case Kind::tls_over_tcp: return "TLS over TCP";
    case Kind::tls_over_memory: return "TLS over memory";
    case Kind::simulated: return "a simulated network";
    case Kind::rough: return "a rough simulated network";
    case Kind::tls_over_rough: return "TLS over a rough simulated network";
    }
    return "?";
}

namespace {

Coro<Ends> join(coaio::net::Listener& listener) {
    auto [a, b] = co_await coaio::gather(coaio::net::connect(listener.address()), listener.accept());
    co_return Ends(std::move(a), std::move(b));
}

Coro<Ends> encrypt(Ends plain) {
    auto [a, b] = co_await coaio::gather(coaio::net::start_tls(std::move(plain.a), client_context(), "localhost"),
                                         coaio::net::accept_tls(std::move(plain.b), server_context()));
    co_return Ends(std::move(a), std::move(b));
}

Ends memory_ends() {
    auto [a, b] = coaio::net::memory_pipe(8 * 1024);
    return {std::move(a), std::move(b)};
}

}  // namespace

Coro<Ends> make_ends(Kind kind) {
    if (kind == Kind::memory) co_return memory_ends();
    if (kind == Kind::tls_over_memory) {
        auto ends = co_await encrypt(memory_ends());
        co_return ends;
    }
    if (is_simulated(kind)) {
        const coaio::net::testing::NetworkOptions rough{
            .seed = network_seed, .jitter = std::chrono::milliseconds(20), .chunk = true, .loss_rate = 0.01};
        const coaio::net::testing::NetworkOptions smooth{.seed = network_seed, .latency = coaio::Duration::zero()};
        const coaio::net::testing::Network network(kind == Kind::simulated ? smooth : rough);
    }
    std::string path(1, '\0');
    path += "coaio-test-" + std::to_string(::getpid());
    const auto address =
        kind == Kind::local ? coaio::net::Address::local(path) : coaio::net::Address::ip("127.0.0.1", 0);
    auto listener = coaio::net::listen(address);
    auto ends = co_await join(listener);
    if (kind != Kind::tls_over_tcp && kind != Kind::tls_over_rough) co_return ends;
    auto encrypted = co_await encrypt(std::move(ends));
    co_return encrypted;
}

Coro<> turns(int count) {
    for (int i = 0; i < count; ++i) co_await coaio::sleep(coaio::Duration::zero());
}

}  // namespace tests
