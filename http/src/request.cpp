// SPDX-License-Identifier: MIT
#include <coaio/http/request.hpp>

#include "body_source.hpp"
#include "request_access.hpp"
#include "text.hpp"

#include <coaio/http/cookie.hpp>
#include <coaio/http/error.hpp>

#include <algorithm>

namespace coaio::http {

using namespace detail;

namespace {
const Headers no_headers;
}

Request::Request() : headers_(&no_headers) {}
Request::~Request() = default;

std::string_view Request::host() const noexcept {
    return authority_.empty() ? headers_->get_or("Host", {}) : authority_;
}

std::optional<std::string> Request::query_text(std::string_view name) const {
    for (auto& [key, value] : parse_query(query_)) {
        if (key == name) return std::move(value);
    }
    return std::nullopt;
}

std::vector<std::pair<std::string_view, std::string_view>> Request::cookies() const {
    std::vector<std::pair<std::string_view, std::string_view>> all;
    for (const auto& header : *headers_) {
        if (!iequals(header.name, "cookie")) continue;
        auto some = parse_cookies(header.value);
        all.insert(all.end(), some.begin(), some.end());
    }
    return all;
}

std::optional<std::string_view> Request::cookie(std::string_view name) const {
    for (const auto& [key, value] : cookies()) {
        if (key == name) return value;
    }
    return std::nullopt;
}

std::string_view Request::param_text(std::string_view name) const {
    for (const auto& [key, value] : params_.items) {
        if (key == name) return value;
    }
    throw ValueError("the route " + std::string(route_) + " has no parameter {" + std::string(name) + "}");
}

Coro<std::string_view> Request::read_some() { return source().read_some(); }

Coro<std::string> Request::body() { return read_whole(&source()); }

std::optional<std::uint64_t> Request::content_length() const noexcept { return source().length(); }

void Request::set_body_limit(std::uint64_t bytes) noexcept { source().set_limit(bytes); }

const Headers& Request::trailers() const noexcept { return source().trailers(); }

BodySource& Request::source() const noexcept { return source_ != nullptr ? *source_ : NoBody::instance(); }

namespace detail {

void RequestAccess::assign(Request& request, const MessageHead& head) {
    request.method_ = head.method;
    request.target_ = head.target;
    request.headers_ = &head.headers;
    request.minor_ = head.minor;
    request.route_ = {};
    request.authority_ = {};
    request.params_.items.clear();
    request.id_.clear();

    auto rest = head.target;
    if (head.form == TargetForm::authority) {
        request.authority_ = rest;
        rest = {};
    } else if (head.form == TargetForm::absolute) {
        rest.remove_prefix(rest.find("//") + 2);
        auto end = std::min(rest.find_first_of("/?"), rest.size());
        request.authority_ = rest.substr(0, end);
        rest.remove_prefix(end);
    }
    auto mark = rest.find('?');
    request.path_ = rest.substr(0, mark);
    request.query_ = mark == rest.npos ? std::string_view{} : rest.substr(mark + 1);
    if (request.path_.empty() && head.form == TargetForm::absolute) request.path_ = "/";
}

namespace {

[[noreturn]] void refuse(std::string_view what, std::string_view text, const char* why) {
    throw BadRequest("the parameter " + std::string(what) + " is " + why + ": " + shown(text));
}

}  // namespace

std::int64_t signed_param(std::string_view what, std::string_view text, std::int64_t low, std::int64_t high) {
    bool negative = !text.empty() && text[0] == '-';
    auto magnitude = parse_uint(text.substr(negative ? 1 : 0), std::uint64_t{INT64_MAX} + (negative ? 1 : 0));
    if (!magnitude) refuse(what, text, "not an integer that fits");
    auto value = static_cast<std::int64_t>(negative ? 0 - *magnitude : *magnitude);
    if (value < low || value > high) refuse(what, text, "not an integer that fits");
    return value;
}

std::uint64_t unsigned_param(std::string_view what, std::string_view text, std::uint64_t high) {
    auto value = parse_uint(text, high);
    if (!value) refuse(what, text, "not a whole number that fits");
    return *value;
}

}  // namespace detail

}  // namespace coaio::http
