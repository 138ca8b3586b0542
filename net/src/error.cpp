// SPDX-License-Identifier: MIT
#include <coaio/net/error.hpp>

#include <utility>

namespace coaio::net {

namespace {

std::string incomplete(std::size_t came, std::optional<std::size_t> expected, const std::string& subject) {
    std::string text = subject + " ended after " + std::to_string(came);
    text += expected ? " of " + std::to_string(*expected) + " bytes" : " bytes, before the separator";
    return text;
}

}  // namespace

IncompleteReadError::IncompleteReadError(std::string partial, std::optional<std::size_t> expected,
                                         const std::string& subject)
    : Error(incomplete(partial.size(), expected, subject)), partial_(std::move(partial)), expected_(expected) {}
IncompleteReadError::~IncompleteReadError() = default;

LimitOverrunError::LimitOverrunError(std::size_t limit, const std::string& subject)
    : Error(subject + " sent more than the limit of " + std::to_string(limit) + " bytes"), limit_(limit) {}
LimitOverrunError::~LimitOverrunError() = default;

BrokenStreamError::~BrokenStreamError() = default;

TlsError::TlsError(Reason reason, const std::string& what, std::string certificate)
    : Error(what), reason_(reason), certificate_(std::move(certificate)) {}
TlsError::~TlsError() = default;

}  // namespace coaio::net
