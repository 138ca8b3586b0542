// SPDX-License-Identifier: MIT
#pragma once

#include "decode.hpp"
#include "request_access.hpp"

#include <coaio/http/request.hpp>

#include <string>

namespace tests {

/// A request as a connection would hand it to a handler, without the connection.
struct FakeRequest {
    explicit FakeRequest(std::string head) : text(std::move(head)), decoder(coaio::http::detail::Side::request, {}) {
        auto step = decoder.next(text);
        if (step.event != coaio::http::detail::Decoder::Event::head) decoder.throw_failure();
        coaio::http::detail::RequestAccess::assign(request, decoder.head());
    }
    /// "GET /path"
    static FakeRequest of(const std::string& line, const std::string& headers = {}) {
        return FakeRequest(line + " HTTP/1.1\r\nHost: example.org\r\n" + headers + "\r\n");
    }

    std::string text;
    coaio::http::detail::Decoder decoder;
    coaio::http::Request request;
};

}  // namespace tests
