// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/mask.hpp>
#include <coaio/core/time.hpp>
#include <coaio/http/router.hpp>
#include <coaio/net/address.hpp>
#include <coaio/net/stream.hpp>
#include <coaio/net/tls.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace coaio::http {

/// How to serve: where, on how many loops, and what a client may ask of us before it is turned away. What it points to
/// is copied before a call returns. A time of zero, and a limit of zero where that is said, means none.
struct ServeOptions {
    /// Empty: every address of the machine.
    std::string_view host = "127.0.0.1";
    /// 0: any free one; ask `Server::port()`.
    std::uint16_t port = 8080;
    /// Loops, each on a thread of its own and with a listener of its own on the same port (SO_REUSEPORT); the first is
    /// the caller's. 0: as many as the machine has processors.
    std::size_t workers = 1;
    /// Speak TLS with these settings; null: do not.
    const net::TlsContext* tls = nullptr;
    /// Connections waiting to be accepted.
    int backlog = 4096;
    /// Connections on one loop; more wait to be accepted. 0: no limit.
    std::size_t max_connections = 0;
    /// How long running requests get to finish when the server stops, before they are cancelled.
    Duration grace = std::chrono::seconds(10);

    /// A longer request line is answered with 414, a longer head or more headers with 431, a longer body with 413.
    std::size_t max_target = 16 * 1024;
    std::size_t max_head = 64 * 1024;
    std::size_t max_headers = 128;
    std::uint64_t max_body = 8 * 1024 * 1024;
    /// What a handler leaves unread of a body is read and dropped up to here, to keep the connection; else it closes.
    std::uint64_t max_drain = 256 * 1024;

    /// From the first byte of a head to its end.
    Duration head_timeout = std::chrono::seconds(10);
    /// Spent waiting for the bytes of one body, all in all; the handler's own time does not count.
    Duration body_timeout = std::chrono::seconds(60);
    /// Between two requests, and before the first.
    Duration idle_timeout = std::chrono::seconds(60);
    /// A write of at most 128 KiB that the client does not take.
    Duration write_timeout = std::chrono::seconds(30);
    Duration handshake_timeout = std::chrono::seconds(10);
    /// A client that has ended its half of the connection while a handler runs may have closed it, or may be waiting for
    /// the answer: TCP does not tell. After this it is sent `100 Continue`, which a client that waits drops (RFC 9110,
    /// 15.2.1), and to which the kernel of one that is gone answers with a reset. Zero: never.
    Duration probe_after = std::chrono::seconds(1);

    /// The Server header; empty: none.
    std::string_view server = "coaio";
};

/// What a server is doing, on the loop that asks.
struct ServerStatistics {
    std::size_t connections = 0;
    /// Requests that are with a handler.
    std::size_t running = 0;
    /// Requests answered, or given up, since the start.
    std::uint64_t requests = 0;
};

namespace detail {

using BuildApp = std::function<Coro<Router>(Scope&)>;

template <class F>
[[nodiscard]] BuildApp build_app_from(F&& build) {
    if constexpr (std::is_invocable_r_v<Coro<Router>, std::decay_t<F>&, Scope&>) {
        return BuildApp(std::forward<F>(build));
    } else {
        return BuildApp([build = std::decay_t<F>(std::forward<F>(build))](Scope&) mutable { return build(); });
    }
}

template <class F>
concept AppBuilder =
    std::is_copy_constructible_v<std::decay_t<F>> && (std::is_invocable_r_v<Coro<Router>, std::decay_t<F>&> ||
                                                      std::is_invocable_r_v<Coro<Router>, std::decay_t<F>&, Scope&>);

}  // namespace detail

/// An HTTP/1.1 server in steps: listens on one or more loops and runs a router's handlers, one task a connection.
///
/// `build_app` makes the router. It runs once on each worker's own loop, one after another, so what it makes belongs to
/// that loop; it is a function, or a lambda, which takes a `Scope&` if it captures.
///
/// Requests of one connection are answered in order. A handler is cancelled when its client is gone (closed or reset; a
/// client that only ended its half is not gone), and when `stop`'s grace is over. What it throws is answered with 500,
/// without its text, and reported to the loop's exception handler; `BadRequest` and the errors of a broken request are
/// answered with their status.
///
/// Lifetime: belongs to the loop that starts it, and is stopped before it goes (the destructor of one that was not
/// cancels what it started, without waiting for this loop's tasks).
///
///     http::Server server(build_app, {.port = 0});
///     co_await server.start();
///     std::cout << "listening on " << server.url() << std::endl;
///     co_await server.serve();                                 // until cancelled
class Server {
public:
    template <class F>
        requires(!std::is_same_v<std::decay_t<F>, Server> && detail::AppBuilder<F>)
    explicit Server(F&& build_app, ServeOptions options = {})
        : Server(detail::build_app_from(std::forward<F>(build_app)), options) {}
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server();

    /// Builds the app on every worker and listens; returns when all accept.
    /// Errors: what `build_app` throws; `IoError` when an address cannot be bound. Nothing is left running then.
    /// Cancellation: likewise.
    [[nodiscard]] Coro<> start();
    /// Serves until it is cancelled, or `stop` is called; starts first if need be. When cancelled, stops with the
    /// options' grace, and passes on.
    [[nodiscard]] Coro<> serve();
    /// Stops accepting, closes idle connections at once, gives running requests `grace` to finish (their answers say
    /// `Connection: close`), then cancels them, and returns when all have ended. Again: waits with the first.
    /// Cancellation: ends the grace.
    [[nodiscard]] Coro<> stop(Duration grace);
    [[nodiscard]] Coro<> stop();

    /// Where it listens; empty before `start`.
    [[nodiscard]] const net::Address& address() const noexcept;
    [[nodiscard]] std::uint16_t port() const noexcept { return address().port(); }
    /// `http://127.0.0.1:8080`
    [[nodiscard]] std::string url() const;
    /// Of this thread's worker.
    [[nodiscard]] ServerStatistics statistics() const noexcept;

private:
    struct State;
    Server(detail::BuildApp build, ServeOptions options);

    std::unique_ptr<State> state_;
};

namespace detail {
[[nodiscard]] Coro<> serve(std::unique_ptr<Server> server);
}

/// Serves until it is cancelled: `Server`, in one step. Cancelling it stops gracefully.
///
///     co_await http::serve(build_app, {.host = "127.0.0.1", .port = 8080, .workers = 4});
template <detail::AppBuilder F>
[[nodiscard]] Coro<> serve(F&& build_app, ServeOptions options = {}) {
    return detail::serve(std::make_unique<Server>(std::forward<F>(build_app), options));
}

/// Serves one connection that is there already, until it ends: for tests over `net::memory_pipe`, and for listeners of
/// your own. The address and TLS of the options do not matter.
///
/// Cancellation: cancels the handler and closes the stream. Lifetime: the router outlives it.
[[nodiscard]] Coro<> serve_stream(net::Stream stream, const Router& router, ServeOptions options = {});

}  // namespace coaio::http
