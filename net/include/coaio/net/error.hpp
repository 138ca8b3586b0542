// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/error.hpp>

#include <cstddef>
#include <optional>
#include <string>

/// The errors of net beyond the core's. A system call that failed is an `IoError` with the operation and the address;
/// a stream that you closed is a `ClosedError`, one that two tasks read at the same time a `BusyError`.
namespace coaio::net {

/// The peer ended before all that was asked for had come.
class IncompleteReadError : public Error {
public:
    /// `expected`: how many bytes were asked for; none when a separator was.
    IncompleteReadError(std::string partial, std::optional<std::size_t> expected, const std::string& subject);
    ~IncompleteReadError() override;

    /// What did come.
    [[nodiscard]] const std::string& partial() const noexcept { return partial_; }
    [[nodiscard]] std::optional<std::size_t> expected() const noexcept { return expected_; }

private:
    std::string partial_;
    std::optional<std::size_t> expected_;
};

/// No separator within the limit. The bytes stay in the stream.
class LimitOverrunError : public Error {
public:
    LimitOverrunError(std::size_t limit, const std::string& subject);
    ~LimitOverrunError() override;
    [[nodiscard]] std::size_t limit() const noexcept { return limit_; }

private:
    std::size_t limit_;
};

/// An earlier write was cut in the middle, by a cancellation or an error: what the peer has got is a torso, and nothing
/// sensible can follow it. Close the stream.
class BrokenStreamError : public Error {
public:
    using Error::Error;
    ~BrokenStreamError() override;
};

/// TLS failed: the peer is not who it should be, breaks the protocol, or ended without saying so.
class TlsError : public Error {
public:
    enum class Reason {
        /// The certificate is not trusted, expired, or for another name; `certificate()` says whose it is.
        certificate,
        /// No common version, cipher or application protocol; an alert of the peer; a broken record.
        protocol,
        /// The connection ended without the peer's goodbye: what came may be incomplete.
        truncated,
        /// A certificate, key or setting of ours cannot be used.
        configuration,
    };

    TlsError(Reason reason, const std::string& what, std::string certificate = {});
    ~TlsError() override;

    [[nodiscard]] Reason reason() const noexcept { return reason_; }
    /// The subject of the peer's certificate; may be empty.
    [[nodiscard]] const std::string& certificate() const noexcept { return certificate_; }

private:
    Reason reason_;
    std::string certificate_;
};

}  // namespace coaio::net
