// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/closure.hpp>
#include <coaio/http/body.hpp>
#include <coaio/http/cookie.hpp>
#include <coaio/http/detail/json_default.hpp>
#include <coaio/http/headers.hpp>
#include <coaio/http/status.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace coaio::http {

namespace detail {
struct ResponseAccess;
}

/// What a handler answers: status, headers, body.
/// The length, the framing, `Date` and `Connection` are the server's to write. A body that fits into memory used before
/// in this thread costs no allocation.
///
/// Errors: a header or cookie that may not be sent throws `HeaderError` when it is set.
///
///     co_return Response::text("hello").header("X-Id", "7");
///     co_return Response::json({{"id", user->id}});              // needs <nlohmann/json.hpp>
///     co_return Response::problem(409, "that name is taken");
class Response {
public:
    /// Without a body.
    explicit Response(Status status = Status::ok) noexcept : status_(status) {}
    Response(Status status, std::string body, std::string_view content_type);
    Response(Response&&) noexcept = default;
    Response& operator=(Response&&) noexcept = default;
    Response(const Response&) = delete;
    Response& operator=(const Response&) = delete;
    ~Response();

    /// text/plain and text/html in UTF-8.
    [[nodiscard]] static Response text(std::string_view text, Status status = Status::ok);
    [[nodiscard]] static Response text(std::string&& text, Status status = Status::ok);
    [[nodiscard]] static Response text(const char* text, Status status = Status::ok);
    [[nodiscard]] static Response html(std::string_view html, Status status = Status::ok);
    [[nodiscard]] static Response html(std::string&& html, Status status = Status::ok);
    [[nodiscard]] static Response html(const char* html, Status status = Status::ok);
    /// Any value with a `dump()`; braces make a `nlohmann::json`.
    template <class Json COAIO_HTTP_JSON>
    [[nodiscard]] static Response json(const Json& value, Status status = Status::ok) {
        return json_text(value.dump(), status);
    }
    /// JSON that has been written already.
    [[nodiscard]] static Response json_text(std::string&& json, Status status = Status::ok);
    [[nodiscard]] static Response json_text(std::string_view json, Status status = Status::ok);
    [[nodiscard]] static Response json_text(const char* json, Status status = Status::ok);
    [[nodiscard]] static Response no_content();
    [[nodiscard]] static Response not_found(std::string_view text = "not found\n");
    /// 302 asks the client to come again with GET; 307 and 308 keep the method.
    [[nodiscard]] static Response redirect(std::string_view location, Status status = Status::found);
    /// A problem report as application/problem+json (RFC 9457).
    [[nodiscard]] static Response problem(Status status, std::string_view detail = {}, std::string_view title = {},
                                          std::string_view type = {});

    /// A body that `write(BodyWriter&)` produces as the client takes it, after the handler has returned and while its
    /// request still lives. Chunked unless its length is given. Not run for HEAD.
    template <class F>
        requires std::is_invocable_r_v<Coro<>, std::decay_t<F>&, BodyWriter&>
    [[nodiscard]] static Response stream(std::string_view content_type, F&& write,
                                         std::optional<std::uint64_t> length = std::nullopt) {
        COAIO_CHECK_BODY(F);
        return make_stream(content_type, detail::StreamBody(std::forward<F>(write)), length);
    }

    [[nodiscard]] Status status() const noexcept { return status_; }
    [[nodiscard]] Headers& headers() noexcept { return headers_; }
    [[nodiscard]] const Headers& headers() const noexcept { return headers_; }
    [[nodiscard]] const std::string& body() const noexcept { return body_; }
    [[nodiscard]] bool is_stream() const noexcept { return static_cast<bool>(stream_); }
    /// The length of the body; none where it is not known.
    [[nodiscard]] std::optional<std::uint64_t> length() const noexcept;

    Response& status(Status status) & noexcept;
    Response&& status(Status status) && noexcept { return std::move(this->status(status)); }
    /// Replaces all of this name.
    Response& header(std::string_view name, std::string_view value) &;
    Response&& header(std::string_view name, std::string_view value) && { return std::move(header(name, value)); }
    Response& cookie(const SetCookie& cookie) &;
    Response&& cookie(const SetCookie& cookie) && { return std::move(this->cookie(cookie)); }
    Response& body(std::string body) & noexcept;
    Response&& body(std::string text) && noexcept { return std::move(this->body(std::move(text))); }

private:
    friend struct detail::ResponseAccess;

    /// Of a literal, which is neither checked nor copied.
    [[nodiscard]] static Response made(Status status, std::string&& body, std::string_view content_type);
    [[nodiscard]] static Response make_stream(std::string_view content_type, detail::StreamBody body,
                                              std::optional<std::uint64_t> length);
    void recycle() noexcept;

    Status status_;
    Headers headers_;
    std::string body_;
    detail::StreamBody stream_;
    std::optional<std::uint64_t> stream_length_;
};

}  // namespace coaio::http
