// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/http/body.hpp>
#include <coaio/http/detail/json_default.hpp>
#include <coaio/http/error.hpp>
#include <coaio/http/headers.hpp>
#include <coaio/http/url.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace coaio::net {
class Address;
}

namespace coaio::http {

namespace detail {
struct RequestAccess;

/// What the pattern of a route took out of a path: views into the path, or into `decoded`.
struct PathParams {
    std::vector<std::pair<std::string_view, std::string_view>> items;
    std::vector<std::string_view> segments;
    std::string decoded;
};

template <class T>
inline constexpr bool is_param_type = std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view> ||
                                      (std::is_integral_v<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, char>);

[[nodiscard]] std::int64_t signed_param(std::string_view what, std::string_view text, std::int64_t low,
                                        std::int64_t high);
[[nodiscard]] std::uint64_t unsigned_param(std::string_view what, std::string_view text, std::uint64_t high);

template <class T>
[[nodiscard]] T convert_param(std::string_view what, std::string_view text) {
    static_assert(is_param_type<T>, "a parameter can be read as an integer, std::string or std::string_view");
    if constexpr (!std::is_integral_v<T>) {
        return T(text);
    } else if constexpr (std::is_signed_v<T>) {
        using limits = std::numeric_limits<T>;
        return static_cast<T>(signed_param(what, text, limits::min(), limits::max()));
    } else {
        return static_cast<T>(unsigned_param(what, text, std::numeric_limits<T>::max()));
    }
}
}  // namespace detail

/// What a client asks of a handler: the head of its message, and what the route made of the path.
///
/// Lifetime: belongs to its connection and is good as long as the handler runs, with all views that it hands out; copy
/// what has to live longer. It is a scope: a handler that takes it first may be a lambda with captures.
/// Errors: what the client got wrong is thrown as `BadRequest`, and becomes the answer.
class Request {
public:
    Request();
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;
    ~Request();

    /// In the client's letters: "GET".
    [[nodiscard]] std::string_view method() const noexcept { return method_; }
    /// As it was sent: raw and undecoded.
    [[nodiscard]] std::string_view target() const noexcept { return target_; }
    /// The path of the target, still percent-encoded; "*" for OPTIONS of the server itself.
    [[nodiscard]] std::string_view path() const noexcept { return path_; }
    [[nodiscard]] std::string_view query_string() const noexcept { return query_; }
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    [[nodiscard]] int minor_version() const noexcept { return minor_; }
    [[nodiscard]] const Headers& headers() const noexcept { return *headers_; }
    [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const noexcept {
        return headers_->get(name);
    }
    /// The authority asked for: of the target where it has one, else the Host header.
    [[nodiscard]] std::string_view host() const noexcept;

    /// All names and values of the query, decoded.
    [[nodiscard]] QueryItems query_items() const { return parse_query(query_); }
    /// The first value of this name in the query; throws `BadRequest` where it is not a `T`.
    template <class T = std::string>
    [[nodiscard]] std::optional<T> query(std::string_view name) const {
        static_assert(!std::is_same_v<T, std::string_view>, "a value of the query is decoded: read it as std::string");
        auto value = query_text(name);
        if (!value) return std::nullopt;
        return detail::convert_param<T>(name, *value);
    }

    /// The value of a cookie.
    [[nodiscard]] std::optional<std::string_view> cookie(std::string_view name) const;
    [[nodiscard]] std::vector<std::pair<std::string_view, std::string_view>> cookies() const;

    /// What stands in the path for `{name}`, percent-decoded. Throws `BadRequest` where it is not a `T`, and
    /// `ValueError` where the route has no such parameter.
    template <class T = std::string_view>
    [[nodiscard]] T param(std::string_view name) const {
        return detail::convert_param<T>(name, param_text(name));
    }
    /// The pattern of the route, such as "/users/{id}"; empty if there is none.
    [[nodiscard]] std::string_view route() const noexcept { return route_; }

    /// The next piece of the body as it comes, good until the next read; empty at the end. A client that waits for
    /// `100 Continue` gets it at the first read.
    /// Errors: `LimitError` past the limit (413), or when the body takes too long (408); `ProtocolError` when it is
    /// broken (400) or the client ended early. Let them pass: they become the answer.
    [[nodiscard]] Coro<std::string_view> read_some();
    /// All that is left of the body.
    [[nodiscard]] Coro<std::string> body();
    /// The same, for what is text; the charset is not converted.
    [[nodiscard]] Coro<std::string> text() { return body(); }
    /// The body as JSON; `BadRequest` where it is none. Needs <nlohmann/json.hpp>.
    template <class Json COAIO_HTTP_JSON>
    [[nodiscard]] Coro<Json> json() {
        return json_of<Json>(body());
    }
    /// The length of the body where the client announced it; 0 where there is none.
    [[nodiscard]] std::optional<std::uint64_t> content_length() const noexcept;
    /// In place of the server's limit, before the body is read.
    void set_body_limit(std::uint64_t bytes) noexcept;
    /// What came behind the last chunk of the body, once that has been read to its end.
    [[nodiscard]] const Headers& trailers() const noexcept;

    /// Who asks; null where it has no address, as over memory. Needs <coaio/net/address.hpp>.
    [[nodiscard]] const net::Address* peer() const noexcept { return peer_; }
    /// Of a connection with TLS.
    [[nodiscard]] bool is_secure() const noexcept { return secure_; }
    /// What `access_log` calls this request; empty without it.
    [[nodiscard]] const std::string& id() const noexcept { return id_; }

private:
    friend struct detail::RequestAccess;

    template <class Json>
    static Coro<Json> json_of(Coro<std::string> reading) {
        const std::string text = co_await std::move(reading);
        Json value = Json::parse(text, nullptr, false);
        if (value.is_discarded()) throw BadRequest("the body is not valid JSON");
        co_return value;
    }

    [[nodiscard]] detail::BodySource& source() const noexcept;
    [[nodiscard]] std::optional<std::string> query_text(std::string_view name) const;
    [[nodiscard]] std::string_view param_text(std::string_view name) const;

    std::string_view method_, target_, path_, query_, authority_, route_;
    const Headers* headers_;
    detail::BodySource* source_ = nullptr;
    const net::Address* peer_ = nullptr;
    std::string id_;
    detail::PathParams params_;
    std::size_t route_index_ = 0;
    int minor_ = 1;
    bool secure_ = false;
    std::uint8_t route_outcome_ = 0;
};

}  // namespace coaio::http

template <>
inline constexpr bool coaio::enable_scope<coaio::http::Request> = true;
