// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/time.hpp>
#include <coaio/http/body.hpp>
#include <coaio/http/cookie.hpp>
#include <coaio/http/detail/callable.hpp>
#include <coaio/http/detail/json_default.hpp>
#include <coaio/http/error.hpp>
#include <coaio/http/headers.hpp>
#include <coaio/http/status.hpp>
#include <coaio/http/url.hpp>
#include <coaio/net/stream.hpp>
#include <coaio/net/tls.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace coaio::http {

namespace detail {
struct ClientState;
class Exchange;
}  // namespace detail

/// Opens the connection for a URL's scheme, host and port, TLS included: what a test replaces.
using Connector = std::function<Coro<net::Stream>(const Url& origin)>;

/// How a `Client` behaves; each request may say otherwise where it has an option of the same name.
class ClientOptions {
public:
    ClientOptions() = default;

    /// Connections to one origin at a time; further requests wait for their turn, in order.
    ClientOptions& max_per_host(std::size_t count) { return max_per_host_ = count, *this; }
    /// Idle connections that are kept, of all origins together; the one idle for longest goes first.
    ClientOptions& max_idle(std::size_t count) { return max_idle_ = count, *this; }
    /// How long a connection is kept idle.
    ClientOptions& idle_timeout(Duration time) { return idle_timeout_ = time, *this; }
    /// To have a connection, TLS included. Zero: no limit.
    ClientOptions& connect_timeout(Duration time) { return connect_timeout_ = time, *this; }
    /// For a whole exchange, from the wait for a connection to the last byte of the body, redirects included. Zero: no
    /// limit. The time between two reads of a streamed body counts, too.
    ClientOptions& timeout(Duration time) { return timeout_ = time, *this; }
    ClientOptions& max_redirects(std::size_t count) { return max_redirects_ = count, *this; }
    /// Of a body, after decoding.
    ClientOptions& max_body(std::uint64_t bytes) { return max_body_ = bytes, *this; }
    ClientOptions& max_head(std::size_t bytes) { return max_head_ = bytes, *this; }
    /// Whether cookies are kept and sent back.
    ClientOptions& cookies(bool on) { return cookies_ = on, *this; }
    /// Whether gzip, deflate and br are asked for and undone.
    ClientOptions& decode(bool on) { return decode_ = on, *this; }
    ClientOptions& user_agent(std::string text) { return user_agent_ = std::move(text), *this; }
    /// Sent with every request that has none of this name.
    ClientOptions& header(std::string_view name, std::string_view value) { return headers_.set(name, value), *this; }
    /// Whom to believe; by default the system's roots.
    ClientOptions& tls(net::TlsContext context) { return tls_ = std::move(context), *this; }
    /// In place of the network.
    ClientOptions& connector(Connector connect) { return connector_ = std::move(connect), *this; }

private:
    friend struct detail::ClientState;
    friend class Client;

    std::size_t max_per_host_ = 16;
    std::size_t max_idle_ = 128;
    std::size_t max_redirects_ = 10;
    std::size_t max_head_ = 256 * 1024;
    std::uint64_t max_body_ = 64 * 1024 * 1024;
    Duration idle_timeout_ = std::chrono::seconds(30);
    Duration connect_timeout_ = std::chrono::seconds(15);
    Duration timeout_ = std::chrono::minutes(5);
    bool cookies_ = true;
    bool decode_ = true;
    std::string user_agent_ = "coaio";
    Headers headers_;
    std::optional<net::TlsContext> tls_;
    Connector connector_;
};

/// What one request does differently from its client's options.
struct RequestOptions {
    std::optional<Duration> timeout = std::nullopt;
    /// 0: a redirect is given back as it is.
    std::optional<std::size_t> max_redirects = std::nullopt;
    std::optional<std::uint64_t> max_body = std::nullopt;
};

/// A request to be sent. A value that owns what it holds.
///
///     auto response = co_await client.request(ClientRequest("PUT", url).header("X-Id", "7").body("text", "text/plain"));
class ClientRequest {
public:
    /// Throws `UrlError` where the URL cannot be fetched over HTTP.
    ClientRequest(std::string_view method, std::string_view url);
    ClientRequest(std::string_view method, Url url);

    /// Replaces all of this name.
    ClientRequest& header(std::string_view name, std::string_view value) & { return headers_.set(name, value), *this; }
    ClientRequest&& header(std::string_view name, std::string_view value) && { return std::move(header(name, value)); }
    ClientRequest& body(std::string text, std::string_view content_type = "application/octet-stream") &;
    ClientRequest&& body(std::string text, std::string_view content_type = "application/octet-stream") && {
        return std::move(body(std::move(text), content_type));
    }
    /// Any value with a `dump()`; braces make a `nlohmann::json`.
    template <class Json COAIO_HTTP_JSON>
    ClientRequest& json(const Json& value) & {
        return body(value.dump(), "application/json");
    }
    template <class Json COAIO_HTTP_JSON>
    ClientRequest&& json(const Json& value) && {
        return std::move(body(value.dump(), "application/json"));
    }
    /// A body that `write(BodyWriter&)` produces as it is sent, chunked unless its length is given. Such a request is
    /// never repeated.
    template <class F>
        requires std::is_invocable_r_v<Coro<>, std::decay_t<F>&, BodyWriter&>
    ClientRequest&& stream(std::string_view content_type, F&& write, std::optional<std::uint64_t> length = {}) && {
        COAIO_CHECK_BODY(F);
        return std::move(add_stream(content_type, detail::StreamBody(std::forward<F>(write)), length));
    }
    template <class F>
        requires std::is_invocable_r_v<Coro<>, std::decay_t<F>&, BodyWriter&>
    ClientRequest& stream(std::string_view content_type, F&& write, std::optional<std::uint64_t> length = {}) & {
        return add_stream(content_type, detail::StreamBody(std::forward<F>(write)), length);
    }
    ClientRequest& timeout(Duration time) & { return options_.timeout = time, *this; }
    ClientRequest&& timeout(Duration time) && { return std::move(timeout(time)); }
    ClientRequest& max_redirects(std::size_t count) & { return options_.max_redirects = count, *this; }
    ClientRequest&& max_redirects(std::size_t count) && { return std::move(max_redirects(count)); }
    ClientRequest& max_body(std::uint64_t bytes) & { return options_.max_body = bytes, *this; }
    ClientRequest&& max_body(std::uint64_t bytes) && { return std::move(max_body(bytes)); }

    [[nodiscard]] const std::string& method() const noexcept { return method_; }
    [[nodiscard]] const Url& url() const noexcept { return url_; }
    [[nodiscard]] Headers& headers() noexcept { return headers_; }
    [[nodiscard]] const Headers& headers() const noexcept { return headers_; }

private:
    friend class Client;
    friend class detail::Exchange;
    ClientRequest& add_stream(std::string_view content_type, detail::StreamBody body,
                              std::optional<std::uint64_t> length);

    std::string method_;
    Url url_;
    Headers headers_;
    std::string body_;
    detail::StreamBody stream_;
    std::optional<std::uint64_t> stream_length_;
    RequestOptions options_;
    bool has_body_ = false;
};

/// What a server answered: the head at once, the body as it is read.
///
/// The connection goes back to the client when the body has been read to its end; a response that goes before that
/// closes it.
///
/// Errors: of reading: `ProtocolError`, `LimitError`, `ContentCodingError`, `IoError`, `TimeoutError` of the request's
/// deadline, `net::IncompleteReadError` where the server ended in mid-body.
/// Cancellation: of a read closes the connection.
class ClientResponse {
public:
    ClientResponse(ClientResponse&&) noexcept;
    ClientResponse& operator=(ClientResponse&&) noexcept;
    ~ClientResponse();

    [[nodiscard]] Status status() const noexcept;
    /// 2xx.
    [[nodiscard]] bool ok() const noexcept { return status().code() >= 200 && status().code() < 300; }
    /// As the server wrote it; may be empty.
    [[nodiscard]] const std::string& reason() const noexcept;
    [[nodiscard]] const Headers& headers() const noexcept;
    [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const noexcept {
        return headers().get(name);
    }
    /// Of the last request: where the redirects led to.
    [[nodiscard]] const Url& url() const noexcept;
    /// The URLs that were redirected, in order; without `url()`.
    [[nodiscard]] const std::vector<Url>& history() const noexcept;
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    [[nodiscard]] int minor_version() const noexcept;

    /// The next piece of the body, decoded; good until the next read. Empty at the end.
    [[nodiscard]] Coro<std::string_view> read_some();
    /// All that is left of the body, decoded. Throws `LimitError` past `max_body`.
    [[nodiscard]] Coro<std::string> body();
    /// The same; the charset is not converted.
    [[nodiscard]] Coro<std::string> text() { return body(); }
    /// The body as JSON; throws `ProtocolError` where it is none.
    template <class Json COAIO_HTTP_JSON>
    [[nodiscard]] Coro<Json> json() {
        return json_of<Json>(body());
    }
    /// What came behind the last chunk; whole when the body has been read to its end.
    [[nodiscard]] const Headers& trailers() const noexcept;

    /// For the library.
    explicit ClientResponse(std::unique_ptr<detail::Exchange> exchange) noexcept;

private:
    template <class Json>
    static Coro<Json> json_of(Coro<std::string> reading) {
        const std::string text = co_await std::move(reading);
        Json value = Json::parse(text, nullptr, false);
        if (value.is_discarded()) throw ProtocolError(502, "the body of the response is not valid JSON");
        co_return value;
    }

    std::unique_ptr<detail::Exchange> exchange_;
};

/// An HTTP/1.1 client with a pool of connections, of one loop. A handle: copies share the pool and the cookies.
///
/// Connections are kept alive and used again. One that died while it was idle is no error: the request is repeated on a
/// fresh one where nothing of an answer had come and the request may be repeated (RFC 9110, 9.2.2).
/// Redirects are followed: 303, and 301 and 302 after POST, with GET; others with the same method and body, unless that
/// was streamed. `Authorization`, `Cookie` and `Proxy-Authorization` that you set do not follow to another origin.
///
/// Errors: `UrlError`; `IoError` and `net::TlsError` of the connection; `ProtocolError`, `LimitError` for a broken or
/// too large response; `TimeoutError`; `TooManyRedirects`. A response with any status is not an error.
/// Cancellation: closes the connection of the exchange; the pool is as before.
/// Lifetime: the last handle closes idle connections; an exchange under way goes on.
///
///     http::Client client;
///     auto response = co_await client.get("https://example.com/", {.timeout = 5s});
///     auto page = co_await response.text();
class Client {
public:
    Client();
    explicit Client(ClientOptions options);

    [[nodiscard]] Coro<ClientResponse> get(std::string_view url, RequestOptions options = {}) const;
    [[nodiscard]] Coro<ClientResponse> head(std::string_view url, RequestOptions options = {}) const;
    [[nodiscard]] Coro<ClientResponse> post(std::string_view url, std::string body, std::string_view content_type,
                                            RequestOptions options = {}) const;
    [[nodiscard]] Coro<ClientResponse> request(ClientRequest request) const;

    [[nodiscard]] CookieJar& cookies() const noexcept;
    /// Closes all idle connections.
    void close_idle() const noexcept;

    struct Statistics {
        std::size_t idle = 0;
        std::size_t busy = 0;
        /// Connections opened since the start.
        std::uint64_t opened = 0;
        std::uint64_t requests = 0;
    };
    [[nodiscard]] Statistics statistics() const noexcept;

private:
    std::shared_ptr<detail::ClientState> state_;
};

}  // namespace coaio::http
