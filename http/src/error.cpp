// SPDX-License-Identifier: MIT
#include <coaio/http/error.hpp>

namespace coaio::http {

HttpError::~HttpError() = default;
ProtocolError::~ProtocolError() = default;
LimitError::~LimitError() = default;
BadRequest::~BadRequest() = default;
HeaderError::~HeaderError() = default;
UrlError::~UrlError() = default;
ContentCodingError::~ContentCodingError() = default;
TooManyRedirects::~TooManyRedirects() = default;

ProtocolError::ProtocolError(int status, const std::string& what) : HttpError(what), status_(status) {}

BadRequest::BadRequest(const std::string& what, int status) : HttpError(what), status_(status) {}

}  // namespace coaio::http
