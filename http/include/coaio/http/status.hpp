// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace coaio::http {

/// A status code (RFC 9110 section 15): an `int` with names and questions. Any code from 100 to 999 may be carried.
///
///     if (response.status() == 404) …
///     return Response(Status::created);
class Status {
public:
    constexpr Status(int code) noexcept : code_(code) {}
    constexpr operator int() const noexcept { return code_; }
    [[nodiscard]] constexpr int code() const noexcept { return code_; }

    /// The registered phrase, such as "Not Found"; empty for a code that has none.
    [[nodiscard]] std::string_view reason() const noexcept;

    [[nodiscard]] constexpr bool is_informational() const noexcept { return code_ >= 100 && code_ < 200; }
    [[nodiscard]] constexpr bool is_success() const noexcept { return code_ >= 200 && code_ < 300; }
    /// One of the codes that carry a Location to follow: 301, 302, 303, 307, 308.
    [[nodiscard]] constexpr bool is_redirect() const noexcept {
        return (code_ >= 301 && code_ <= 303) || code_ == 307 || code_ == 308;
    }
    [[nodiscard]] constexpr bool is_client_error() const noexcept { return code_ >= 400 && code_ < 500; }
    [[nodiscard]] constexpr bool is_server_error() const noexcept { return code_ >= 500 && code_ < 600; }
    /// A response with this code never has a body: 1xx, 204, 304 (RFC 9112 section 6.3).
    [[nodiscard]] constexpr bool forbids_body() const noexcept {
        return is_informational() || code_ == 204 || code_ == 304;
    }

    enum Code : int {
        continue_ = 100,
        switching_protocols = 101,
        early_hints = 103,
        ok = 200,
        created = 201,
        accepted = 202,
        no_content = 204,
        partial_content = 206,
        moved_permanently = 301,
        found = 302,
        see_other = 303,
        not_modified = 304,
        temporary_redirect = 307,
        permanent_redirect = 308,
        bad_request = 400,
        unauthorized = 401,
        forbidden = 403,
        not_found = 404,
        method_not_allowed = 405,
        not_acceptable = 406,
        request_timeout = 408,
        conflict = 409,
        gone = 410,
        length_required = 411,
        precondition_failed = 412,
        content_too_large = 413,
        uri_too_long = 414,
        unsupported_media_type = 415,
        range_not_satisfiable = 416,
        expectation_failed = 417,
        unprocessable_content = 422,
        upgrade_required = 426,
        too_many_requests = 429,
        request_header_fields_too_large = 431,
        internal_server_error = 500,
        not_implemented = 501,
        bad_gateway = 502,
        service_unavailable = 503,
        gateway_timeout = 504,
        http_version_not_supported = 505,
    };

private:
    int code_;
};

}  // namespace coaio::http
