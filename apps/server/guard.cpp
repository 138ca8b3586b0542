// SPDX-License-Identifier: MIT
#include "server/guard.hpp"

#include <utility>

#include <coaio/core/coro.hpp>
#include <coaio/http/request.hpp>
#include <coaio/http/response.hpp>
#include <coaio/http/status.hpp>
#include <coaio/http/url.hpp>

#include "crawler/ascii.hpp"

namespace server {
namespace {

using coaio::http::Next;
using coaio::http::Request;
using coaio::http::Response;
using coaio::http::Status;
using crawl::equal_ignoring_case;

// "[::1]:8080" and "localhost:8080" without their ports and brackets.
std::string_view host_of(std::string_view authority) {
    if (authority.starts_with('[')) return authority.substr(1, authority.find(']') - 1);
    return authority.substr(0, authority.find(':'));
}

// What follows the scheme. "null", of a page that has no site of its own, is nobody's.
std::string_view authority_of(std::string_view origin) {
    const auto scheme = origin.find("://");
    return scheme == std::string_view::npos ? std::string_view() : origin.substr(scheme + 3);
}

// What is wrong with who asks; empty: nothing.
std::string_view objection_to(const Request& request, std::string_view public_host) {
    const auto is_public = [public_host](std::string_view authority) {
        return !public_host.empty() && equal_ignoring_case(host_of(authority), public_host);
    };
    const auto asked = request.host();
    if (!asked.empty() && !is_this_machine(host_of(asked)) && !is_public(asked)) {
        return "this server is asked for as this machine only; behind a proxy, start it with --public-host";
    }
    const auto origin = request.header("Origin");
    if (!origin) return {};
    const auto from = authority_of(*origin);
    if (!from.empty() && (equal_ignoring_case(from, asked) || is_public(from))) return {};
    return "a page of another site asks";
}

}  // namespace

bool is_this_machine(std::string_view host) {
    const bool numeric = !host.empty() && host.find_first_not_of("0123456789.") == std::string_view::npos;
    return equal_ignoring_case(host, "localhost") || host == "::1" || host.starts_with("::ffff:127.") ||
           (numeric && host.starts_with("127."));
}

coaio::http::Middleware guard_api(std::string public_host) {
    return [public_host = std::move(public_host)](Request& request, Next next) -> coaio::Coro<Response> {
        // Routes are matched decoded: /%61pi is /api.
        const auto path = coaio::http::percent_decode(request.path()).value_or("");
        std::string_view objection;
        if (path.starts_with("/api")) objection = objection_to(request, public_host);
        if (!objection.empty()) co_return Response::problem(Status::forbidden, std::string(objection));
        co_return co_await next(request);
    };
}

}  // namespace server
