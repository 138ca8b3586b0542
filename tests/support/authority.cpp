// SPDX-License-Identifier: MIT
#include "support/authority.hpp"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>
#include <stdexcept>

namespace tests {

namespace {

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

Certificate make_certificate(EVP_PKEY* key, const std::string& name, X509* issuer, bool expired) {
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
    return certificate;
}

}  // namespace

Authority::Authority() {
    static int made = 0;
    const Key key(EVP_EC_gen("P-256"));
    const Certificate own = make_certificate(key.get(), "test authority " + std::to_string(++made), nullptr, false);
    X509_sign(own.get(), key.get(), EVP_sha256());
    root = pem(own.get());
    key_ = pem(key.get());
}

Identity Authority::issue(const std::string& names, bool expired) const {
    const std::size_t colon = names.find(':');
    return issue(names.substr(colon == std::string::npos ? 0 : colon + 1, 60), names, expired);
}

Identity Authority::issue_to(const std::string& name) const { return issue(name, {}, false); }

Identity Authority::issue(const std::string& subject, const std::string& names, bool expired) const {
    const Bio root_text = over(root);
    const Bio key_text = over(key_);
    const Certificate issuer(PEM_read_bio_X509(root_text.get(), nullptr, nullptr, nullptr));
    const Key issuer_key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
    const Key key(EVP_EC_gen("P-256"));
    const Certificate certificate = make_certificate(key.get(), subject, issuer.get(), expired);
    if (!names.empty()) extend(certificate.get(), issuer.get(), NID_subject_alt_name, names);
    X509_sign(certificate.get(), issuer_key.get(), EVP_sha256());
    return {pem(certificate.get()), pem(key.get())};
}

}  // namespace tests
