// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/error.hpp>

#include <string>

/// Every error of coaio::http, on one page, cut by whose fault it was.
///
/// | whose fault | type |
/// | --- | --- |
/// | the peer broke the rules of HTTP | `ProtocolError` |
/// | the peer went past a limit of ours | `LimitError`, a `ProtocolError` |
/// | the request asks for something that the handler cannot give | `BadRequest` |
/// | you built a message that must not be sent | `HeaderError` |
/// | a text is not a URL | `UrlError` |
/// | redirects without end | `TooManyRedirects` |
/// | a compressed body is broken, cut off, or too large | `ContentCodingError` |
namespace coaio::http {

/// Root of the errors of this module.
class HttpError : public Error {
public:
    using Error::Error;
    ~HttpError() override;
};

/// The peer broke the rules of HTTP. Carries the status that a server answers with; the connection closes after it.
class ProtocolError : public HttpError {
public:
    ProtocolError(int status, const std::string& what);
    ~ProtocolError() override;

    /// 400, 417, 431, 501, 505 …; what a client makes of it is a broken response.
    [[nodiscard]] int status() const noexcept { return status_; }

private:
    int status_;
};

/// The peer went past a limit of ours: a head, a target, a body, a time.
class LimitError : public ProtocolError {
public:
    using ProtocolError::ProtocolError;
    ~LimitError() override;
};

/// Thrown inside a handler: the request is well-formed HTTP, yet not what this handler takes. The server answers with
/// the status and, since the text speaks to the client, with the text.
class BadRequest : public HttpError {
public:
    explicit BadRequest(const std::string& what, int status = 400);
    ~BadRequest() override;

    [[nodiscard]] int status() const noexcept { return status_; }

private:
    int status_;
};

/// A header, cookie or target of ours that would have let text through into the protocol, or is no valid one.
class HeaderError : public HttpError {
public:
    using HttpError::HttpError;
    ~HeaderError() override;
};

/// A text that is not a URL, or not one that can be fetched.
class UrlError : public HttpError {
public:
    using HttpError::HttpError;
    ~UrlError() override;
};

/// A compressed body that is broken, ends too early, or grows past its limit.
class ContentCodingError : public HttpError {
public:
    using HttpError::HttpError;
    ~ContentCodingError() override;
};

/// A chain of redirects that did not end within the limit.
class TooManyRedirects : public HttpError {
public:
    using HttpError::HttpError;
    ~TooManyRedirects() override;
};

}  // namespace coaio::http
