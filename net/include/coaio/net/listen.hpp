// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/detail/closure.hpp>
#include <coaio/core/io.hpp>
#include <coaio/core/time.hpp>
#include <coaio/net/address.hpp>
#include <coaio/net/stream.hpp>
#include <coaio/net/tls.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace coaio::net {

/// How to listen.
struct ListenOptions {
    /// Connections that wait to be accepted, at most; the system may hold it lower.
    int backlog = 4096;
    /// Several sockets, one a loop, share the port, and the kernel spreads connections over them.
    bool reuse_port = false;
    /// An IPv6 socket takes IPv4 connections too.
    bool dual_stack = true;
    /// Small writes on accepted connections are not held back (TCP_NODELAY).
    bool no_delay = true;
    /// Who may connect to a Unix socket, as for `chmod`; 0: whatever the umask leaves.
    unsigned mode = 0;
};

/// A socket that accepts connections. Closed by its destructor; a Unix socket's file is removed then.
///
/// Cancellation: of `accept` loses no connection: none is taken before the task goes on.
/// Lifetime: belongs to its loop.
class Listener {
public:
    Listener() noexcept = default;
    Listener(Listener&&) noexcept;
    Listener& operator=(Listener&&) noexcept;
    ~Listener();

    /// Waits for a connection. Throws `IoError` (out of descriptors, and the like: the listener is as before),
    /// `ClosedError`, `BusyError`. A peer that has gone already is skipped.
    [[nodiscard]] Coro<Stream> accept();
    void close() noexcept;
    [[nodiscard]] bool is_open() const noexcept { return descriptor_.is_open(); }
    /// Where it listens: the port that the system chose, for port 0.
    [[nodiscard]] const Address& address() const noexcept { return address_; }
    [[nodiscard]] int descriptor() const noexcept { return descriptor_.number(); }

    /// For the library.
    Listener(io::Descriptor descriptor, Address address, bool no_delay) noexcept;

private:
    io::Descriptor descriptor_;
    Address address_;
    bool no_delay_ = true;
};

/// Listens on a host's address and a port, 0 for any that is free. An empty host: every address of the machine, IPv6 and
/// IPv4. Of several addresses it takes the first that can be bound.
/// Errors: `IoError` with the operation and the address.
[[nodiscard]] Coro<Listener> listen(std::string host, std::uint16_t port, ListenOptions options = {});

/// Listens on one address, which may be a Unix socket. A socket file that nobody listens on any more is replaced.
[[nodiscard]] Listener listen(const Address& address, ListenOptions options = {});

/// How to serve.
struct ServeOptions {
    /// Speak TLS with these settings; null: do not. Copied before the call returns.
    const TlsContext* tls = nullptr;
    /// How long a handshake may take.
    Duration handshake_timeout = std::chrono::seconds(10);
    /// Beyond this many connections no more are accepted until one ends. 0: no limit.
    std::size_t max_connections = 0;
    /// When it is cancelled: how long running handlers may go on before they are cancelled too.
    Duration grace = Duration::zero();
};

namespace detail {

using Handler = std::function<Coro<>(Stream&)>;
[[nodiscard]] Coro<> serve(Listener& listener, Handler handler, ServeOptions options);
[[nodiscard]] Coro<> serve(Listener&& listener, Handler handler, ServeOptions options);

}  // namespace detail

/// Accepts connections for ever and runs `handler(stream)` for each as a task of its own; the stream is closed when it
/// ends. The handler is kept alive until the last of them is done.
///
/// Errors: of a handler: reported to the loop's exception handler, unless the connection was lost, and no other
/// connection notices. When descriptors run out it waits a little and goes on. Only a listener that is closed or broken
/// ends it.
/// Cancellation: stops accepting, gives the handlers `grace`, cancels them, waits until all have ended, then passes on.
///
///     auto listener = co_await net::listen("127.0.0.1", 8000);
///     co_await net::serve(listener, [](net::Stream& stream) -> Coro<> { co_await stream.write("hello\n"); });
template <class F>
    requires std::is_invocable_r_v<Coro<>, std::decay_t<F>&, Stream&> && std::copy_constructible<std::decay_t<F>>
[[nodiscard]] Coro<> serve(Listener& listener, F&& handler, ServeOptions options = {}) {
    COAIO_CHECK_BODY(F);
    return detail::serve(listener, detail::Handler(std::forward<F>(handler)), options);
}
/// The same with a listener that it owns, and closes as soon as it stops accepting.
template <class F>
    requires std::is_invocable_r_v<Coro<>, std::decay_t<F>&, Stream&> && std::copy_constructible<std::decay_t<F>>
[[nodiscard]] Coro<> serve(Listener&& listener, F&& handler, ServeOptions options = {}) {
    COAIO_CHECK_BODY(F);
    return detail::serve(std::move(listener), detail::Handler(std::forward<F>(handler)), options);
}

}  // namespace coaio::net
