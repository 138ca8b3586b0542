// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

/// A network for tests: the sockets of a loop without a kernel, so that servers and clients run whole inside one test, on
/// the virtual clock, and go wrong as a seed wants it.
namespace coaio::net::testing {

class World;

/// How the network behaves where nothing else is said. Rates are chances between 0 and 1, drawn from the seed.
struct NetworkOptions {
    /// None: drawn from the loop's, so that the seed of `coaio::testing::run` and `explore` decides.
    std::optional<std::uint64_t> seed = std::nullopt;
    /// How long a packet travels, one way, and how much longer at most.
    Duration latency = std::chrono::milliseconds(1);
    Duration jitter = Duration::zero();
    /// Bytes written and not yet read, in each direction of a connection, before `write` waits.
    std::size_t buffer = 64 * 1024;
    /// Reads and writes transfer less than they could, and what is written arrives in pieces.
    bool chunk = false;
    /// Of packets: sent again a little later, as TCP does, which gives up after a quarter of an hour; a datagram is gone.
    double loss_rate = 0;
    /// Of packets: both ends find their connection reset instead.
    double reset_rate = 0;
    /// Of connection attempts.
    double refuse_rate = 0;
    /// Of name look-ups: a temporary failure.
    double lookup_failure_rate = 0;
    /// Of sockets made or accepted: the process has no descriptors left (EMFILE).
    double exhaustion_rate = 0;
    /// Keep a `trace()`.
    bool trace = false;
};

/// The simulated network of the loop that runs when it is made: from then on, for the rest of that loop's life, its TCP
/// and UDP sockets and its look-ups are simulated, in `net::connect` and `net::listen` as in all that is built on them.
/// Nothing leaves the process, no port is taken, and time may jump, since nothing outside is awaited. TCP behaves as
/// Linux does: `connect` is answered after a round trip, a full backlog leaves it waiting, unread bytes at a close reset
/// the connection. A datagram may be lost or overtaken; broadcast and multicast are not simulated. Unix sockets stay the
/// kernel's.
///
/// All machines are one: any address can be listened on and connected to. A client's own address is 192.0.2.1 or
/// 2001:db8:c::1, or the one it connects to if that is a loopback address. Where nobody listens, connections are refused.
/// Of names it knows `localhost`, which is 127.0.0.1 alone, and what `host` said; `host` in the calls below is such a name
/// or a numeric address. Of services it knows the numbers only: a look-up of "http" fails with EAI_SERVICE.
///
/// The same program with the same seed does the same; a `trace` shows it. Only the contents of TLS differ, and with them
/// now and then a length: OpenSSL takes its random numbers from the system.
///
/// Errors: `ValueError` for a host that it does not know; `RuntimeError` where a second one is made on one loop.
/// Lifetime: a handle; the network lives on with the loop. It belongs to that loop's thread.
///
///     coaio::testing::explore([]() -> Coro<> {
///         net::testing::Network network({.jitter = 5ms, .chunk = true, .reset_rate = 0.01});
///         network.host("db.example", "10.0.0.2");
///         ...
///     });
class Network {
public:
    explicit Network(NetworkOptions options = {});
    /// The running loop's. Throws `RuntimeError` when it has none.
    [[nodiscard]] static Network current();

    /// From now on, for what is sent from now on. The seed and the trace stay.
    void set_options(NetworkOptions options);
    [[nodiscard]] const NetworkOptions& options() const noexcept;

    /// A look-up of `name` finds this address, after those given before; with jitter in an order drawn from the seed.
    void host(std::string_view name, std::string_view address);
    /// Look-ups of `name` take this long in place of a round trip.
    void slow_lookup(std::string_view name, Duration delay);
    /// Look-ups of `name` fail with this code of `resolver_category()`, as EAI_AGAIN; 0: no more.
    void fail_lookup(std::string_view name, int code);

    /// Connections to it are refused; `port` 0: to any port. Of this and the next three the last said holds; without a
    /// port it takes back what was said of one.
    void refuse(std::string_view host, std::uint16_t port = 0);
    /// There is no route to it.
    void unreachable(std::string_view host, std::uint16_t port = 0);
    /// A black hole: what is sent to it or from it does not arrive, neither answers nor data. What was sent meanwhile
    /// arrives after a `heal`; before, attempts end by ETIMEDOUT after some two minutes, and writers after a quarter of
    /// an hour.
    void silence(std::string_view host, std::uint16_t port = 0);
    /// Takes the last three back.
    void heal(std::string_view host, std::uint16_t port = 0);
    /// Packets to it and from it travel so much longer.
    void delay(std::string_view host, Duration extra);
    /// Its connections, from it or to it, are reset now, at both ends.
    void reset(std::string_view host, std::uint16_t port = 0);
    /// No more sockets than this at once: then EMFILE.
    void limit_sockets(std::size_t most);

    /// Sockets that are open, listeners and accepted ones among them.
    [[nodiscard]] std::size_t sockets() const noexcept;
    /// What happened, a line each: time, addresses, and what; empty unless the options ask for it.
    [[nodiscard]] std::string trace() const;

private:
    explicit Network(std::shared_ptr<World> world) noexcept;
    std::shared_ptr<World> world_;
};

}  // namespace coaio::net::testing
