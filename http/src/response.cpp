// SPDX-License-Identifier: MIT
#include <coaio/http/response.hpp>

#include "header_store.hpp"
#include "recycle.hpp"
#include "text.hpp"

namespace coaio::http {

using namespace detail;

namespace {

using Texts = Recycler<std::string, 64>;
constexpr std::size_t kept_text = 64 * 1024;

std::string copied(std::string_view text) {
    std::string copy = Texts::take();
    copy.assign(text);
    return copy;
}

}  // namespace

Response::Response(Status status, std::string body, std::string_view content_type)
    : status_(status), body_(std::move(body)) {
    headers_.add("Content-Type", content_type);
}

Response Response::made(Status status, std::string&& body, std::string_view content_type) {
    Response response(status);
    HeaderViews::add(response.headers_, "Content-Type", content_type);
    response.body_ = std::move(body);
    return response;
}

Response::~Response() { recycle(); }

void Response::recycle() noexcept {
    static const std::size_t inline_text = std::string().capacity();
    if (body_.capacity() <= inline_text || body_.capacity() > kept_text) return;
    body_.clear();
    if (!Texts::give(std::move(body_))) body_ = {};
}

Response Response::text(std::string_view text, Status status) { return Response::text(copied(text), status); }
Response Response::text(const char* text, Status status) { return Response::text(std::string_view(text), status); }
Response Response::text(std::string&& text, Status status) {
    return made(status, std::move(text), "text/plain; charset=utf-8");
}

Response Response::html(std::string_view html, Status status) { return Response::html(copied(html), status); }
Response Response::html(const char* html, Status status) { return Response::html(std::string_view(html), status); }
Response Response::html(std::string&& html, Status status) {
    return made(status, std::move(html), "text/html; charset=utf-8");
}

Response Response::json_text(std::string&& json, Status status) {
    return made(status, std::move(json), "application/json");
}
Response Response::json_text(std::string_view json, Status status) { return json_text(copied(json), status); }

Response Response::json_text(const char* json, Status status) { return json_text(std::string_view(json), status); }

Response Response::no_content() { return Response(Status::no_content); }

Response Response::not_found(std::string_view text) { return Response::text(text, Status::not_found); }

Response Response::redirect(std::string_view location, Status status) {
    Response response(status);
    response.header("Location", location);
    return response;
}

Response Response::problem(Status status, std::string_view detail, std::string_view title, std::string_view type) {
    std::string body = Texts::take();
    body = "{\"type\":";
    append_json(body, type.empty() ? "about:blank" : type);
    body += ",\"title\":";
    append_json(body, title.empty() ? status.reason() : title);
    body += ",\"status\":";
    body += std::to_string(status.code());
    if (!detail.empty()) {
        body += ",\"detail\":";
        append_json(body, detail);
    }
    body += "}";
    return made(status, std::move(body), "application/problem+json");
}

Response Response::make_stream(std::string_view content_type, StreamBody body, std::optional<std::uint64_t> length) {
    Response response;
    if (!content_type.empty()) response.headers_.add("Content-Type", content_type);
    response.stream_ = std::move(body);
    response.stream_length_ = length;
    return response;
}

std::optional<std::uint64_t> Response::length() const noexcept {
    if (is_stream()) return stream_length_;
    return body_.size();
}

Response& Response::status(Status status) & noexcept {
    status_ = status;
    return *this;
}

Response& Response::header(std::string_view name, std::string_view value) & {
    headers_.set(name, value);
    return *this;
}

Response& Response::cookie(const SetCookie& cookie) & {
    headers_.add("Set-Cookie", cookie.to_string());
    return *this;
}

Response& Response::body(std::string body) & noexcept {
    recycle();
    body_ = std::move(body);
    stream_ = {};
    return *this;
}

}  // namespace coaio::http
