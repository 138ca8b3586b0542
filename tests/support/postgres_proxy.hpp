// SPDX-License-Identifier: MIT
#pragma once

#include "support/postgres.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace tests {

/// Which way a message goes.
enum class Way : unsigned char { to_server, to_client };

/// Names for what has no type byte in the protocol. All other messages are named by theirs.
namespace message {
inline constexpr char any = '\0';
inline constexpr char startup = '\1';
inline constexpr char ssl_request = '\2';
inline constexpr char cancel = '\3';  ///< the one message of a cancel connection
inline constexpr char ssl_answer = '\4';
inline constexpr char gss_request = '\5';
}  // namespace message

/// A place in the conversation: `Spot(Way::to_client, 'C').containing("COMMIT")`.
class Spot {
public:
    Spot(Way way, char type) : way_(way), type_(type) {}
    /// The nth such message of a connection since the rule was made, counted from 1. 0: each one.
    Spot& nth(int value) {
        nth_ = value;
        return *this;
    }
    /// Only messages whose first 500 bytes contain this.
    Spot& containing(std::string text) {
        containing_ = std::move(text);
        return *this;
    }
    /// Only on the nth connection that was accepted, counted from 1.
    Spot& connection(std::size_t value) {
        connection_ = value;
        return *this;
    }
    /// How often in all; 1 unless told. 0: always.
    Spot& times(std::size_t value) {
        times_ = value;
        return *this;
    }
    /// Only with this probability, by the proxy's seed.
    Spot& chance(double value) {
        chance_ = value;
        return *this;
    }

private:
    friend class PostgresProxy;
    Way way_;
    char type_;
    int nth_ = 1;
    std::string containing_;
    std::size_t connection_ = 0;
    std::size_t times_ = 1;
    double chance_ = 1;
};

/// What is done to a message, or to the connection at that place.
class Fault {
public:
    enum class Kind : unsigned char {
        none,
        cut_before,
        cut_after,
        reset_before,
        reset_after,
        swallow,
        delay,
        freeze,
        freeze_way,
        half_close,
        inject,
        replace,
    };

    /// Nothing, but it counts as a rule that applied.
    static Fault none() { return Fault(Kind::none); }
    /// The connection ends, both ways, before the message has passed, or when it has. The server reads what came before.
    static Fault cut_before() { return Fault(Kind::cut_before); }
    static Fault cut_after() { return Fault(Kind::cut_after); }
    /// The same, and the client finds its connection reset.
    static Fault reset_before() { return Fault(Kind::reset_before); }
    static Fault reset_after() { return Fault(Kind::reset_after); }
    /// The message does not arrive; all others do.
    static Fault swallow() { return Fault(Kind::swallow); }
    /// The message, and what follows it that way, arrives so much later.
    static Fault delay(std::chrono::milliseconds time);
    /// From this message on nothing passes, not even the end: a black hole.
    static Fault freeze() { return Fault(Kind::freeze); }
    /// The same for this way only.
    static Fault freeze_way() { return Fault(Kind::freeze_way); }
    /// The receiver sees an end in place of the message and of what follows it; the other way goes on.
    static Fault half_close() { return Fault(Kind::half_close); }
    /// These bytes go before the message, or in its place.
    static Fault inject(std::string bytes);
    static Fault replace(std::string bytes);
    /// Also calls this, in the proxy's thread and before the message passes. It must not use the proxy.
    Fault& telling(std::function<void()> whom) {
        told_ = std::move(whom);
        return *this;
    }

private:
    friend class PostgresProxy;
    explicit Fault(Kind kind) : kind_(kind) {}
    Kind kind_;
    std::chrono::milliseconds time_{};
    std::string bytes_;
    std::function<void()> told_;
};

/// What all bytes go through.
struct Weather {
    std::chrono::microseconds latency{};  ///< each way
    std::chrono::microseconds jitter{};   ///< up to this on top; nothing overtakes
    std::size_t split = 0;                ///< at most so many bytes at a time; 0: whole
    bool random_split = false;            ///< from one to `split` bytes
};

enum class Listen : unsigned char {
    normal,
    refuse,
    hang,   ///< connections are taken and never answered
    reset,  ///< connections are taken and reset
};

/// A proxy between clients and a server, which understands where messages begin and does to them what it is told.
/// It listens on a free port of 127.0.0.1 and runs in a thread of its own, so that a loop that hangs cannot hang it.
/// All members may be called from any thread and are done when they return. Once TLS has begun it sees only bytes.
class PostgresProxy {
public:
    explicit PostgresProxy(const Postgres& server, std::uint64_t seed = 1);
    ~PostgresProxy();
    PostgresProxy(const PostgresProxy&) = delete;
    PostgresProxy& operator=(const PostgresProxy&) = delete;

    [[nodiscard]] int port() const noexcept;
    /// "host=127.0.0.1 port=… user=postgres dbname=… sslmode=disable"
    [[nodiscard]] std::string conninfo(const std::string& database) const;

    /// Connections from now on go to that server.
    void lead_to(const Postgres& server);

    /// Of several rules for a message the first one applies.
    void on(Spot spot, Fault fault);
    /// Forgets all rules.
    void clear();
    void weather(Weather value);
    void listen(Listen how);
    /// Ends all connections there are, or lets nothing pass on them, and again.
    void cut_all();
    void freeze_all();
    void thaw_all();

    /// Messages that arrived at the proxy.
    [[nodiscard]] std::size_t seen(Way way, char type) const;
    /// Waits until so many have arrived; false when that does not happen in time.
    [[nodiscard]] bool await_seen(Way way, char type, std::size_t count,
                                  std::chrono::milliseconds limit = std::chrono::seconds(20)) const;
    /// How often a rule applied.
    [[nodiscard]] std::size_t fired() const;
    [[nodiscard]] std::size_t accepted() const;
    /// Connections that are open on the client's side, and the most there were.
    [[nodiscard]] std::size_t open() const;
    [[nodiscard]] std::size_t most_open() const;
    /// The most sessions that clients had open, or were opening, at once; cancel requests are none.
    [[nodiscard]] std::size_t most_sessions() const;
    /// The last messages of each connection, ">Q" to the server and "<Z" to the client: for a test that fails.
    [[nodiscard]] std::string trace() const;
    void forget_counts();

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace tests
