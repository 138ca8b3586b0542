// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/options.hpp>
#include <coaio/db/queries.hpp>

#include <coaio/core/coro.hpp>
#include <coaio/core/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace coaio::db {

class Pool;

/// Why notifications are missing.
enum class Gap : unsigned char {
    none,
    session_lost,  ///< nobody listened from the loss of a session until the next one did
    overflow,      ///< more came than were fetched, and the buffer was full
};

/// What one session told those that listen (`NOTIFY channel, 'payload'`); or that some of it is missing at this place, so
/// that what it is about has to be read anew. A gap has neither channel nor payload.
class Notification {
public:
    std::string channel;
    std::string payload;
    int pid = 0;  ///< the server's process of the session that sent it
    Gap gap = Gap::none;
    std::uint64_t missed = 0;  ///< how many are known to be missing: of an overflow
};

/// How a `Listener` listens.
struct ListenOptions {
    /// Notifications kept for a subscriber who does not fetch them. What comes beyond that is dropped, and reported.
    std::size_t buffer = 1024;
    /// After so long without a notification the server is asked for a sign of life. A session that gives none within the
    /// same time, 10 s at most, is lost. Zero: it is never asked.
    Duration check_after = std::chrono::seconds(30);
};

/// A listener in figures.
struct ListenerStats {
    bool connected = false;
    std::size_t channels = 0;    ///< that the server was told to listen on
    std::uint64_t sessions = 0;  ///< that were opened
    std::uint64_t received = 0;
    std::uint64_t dropped = 0;  ///< for want of room, counted for each subscriber
};

namespace detail {
class ListenerHandle;
class Inbox;
}  // namespace detail

/// One subscriber of a `Listener`, with a buffer of its own. For one task at a time.
/// When the last subscriber of a channel goes, the server is told to stop.
class Subscription {
public:
    Subscription(Subscription&&) noexcept;
    Subscription& operator=(Subscription&&) noexcept;
    ~Subscription();

    /// Waits for the next notification, in the order in which the server sent them, or for word of a gap.
    /// Errors: as of `Listener::next`. Cancellation: nothing is lost; what comes meanwhile is given by the next call.
    [[nodiscard]] Coro<Notification> next();
    /// Ends it; what was not fetched is dropped. Again: no effect.
    void close() noexcept;

    /// For the library.
    explicit Subscription(std::shared_ptr<detail::Inbox> inbox) noexcept;

private:
    std::shared_ptr<detail::Inbox> inbox_;
};

/// A session of its own that listens on channels, for any number of subscribers, and is one of them itself.
///
/// Notifications are not kept by the server: what is sent while nobody listens is gone. So read the tables that they are
/// about once after `listen`, and again at each gap. A session that is lost is replaced, for as long as that takes; when
/// the new one listens on the same channels, each subscriber is told of the gap. A subscriber who does not fetch holds up
/// nobody, neither the others nor the server, whose queue is always emptied.
///
/// Errors: of `connect`: as of a Connection. Later on a refused password, or a database that is gone, is a
/// ConnectionError of every call, once what was heard has been fetched. UsageError when it is closed.
/// Cancellation: of `listen` and `subscribe`: as if it had not been called.
/// Lifetime: the session ends with `close`, or when the listener and all its subscriptions have gone. Of one loop.
///
///     auto listener = co_await coaio::db::Listener::connect(url);
///     co_await listener.listen("orders");
///     co_await read_all_orders();
///     for (;;) {
///         const auto heard = co_await listener.next();
///         if (heard.gap != coaio::db::Gap::none) co_await read_all_orders();
///         else co_await read_order(heard.payload);
///     }
class Listener {
public:
    [[nodiscard]] static Coro<Listener> connect(std::string_view url, ConnectOptions options = ConnectOptions(),
                                                ListenOptions listen = {});
    /// To the pool's database, as its connections, but beside them: it takes none of `max_size`, and neither of the two
    /// waits for the other to close.
    [[nodiscard]] static Coro<Listener> connect(const Pool& pool, ListenOptions listen = {});

    Listener(Listener&&) noexcept;
    Listener& operator=(Listener&&) noexcept;
    ~Listener();

    /// Returns when the server listens: what is committed from then on is heard. Waits for a new session if need be.
    /// The channel's name is taken as it is, quoted. Errors: UsageError for one that is empty or longer than 63 bytes; the
    /// server's, such as a standby's, which cannot listen.
    [[nodiscard]] Coro<> listen(std::string_view channel);
    /// Returns when the server has stopped, unless another subscriber wants the channel. What came before can be fetched.
    [[nodiscard]] Coro<> unlisten(std::string_view channel);
    /// Waits for the next notification of the channels of `listen`; see `Subscription::next`. For one task at a time.
    [[nodiscard]] Coro<Notification> next();

    /// A subscriber of its own for one channel, as by `listen`.
    [[nodiscard]] Coro<Subscription> subscribe(std::string_view channel);

    /// Ends the session; whoever waits gets a UsageError. Again: no effect.
    void close() noexcept;
    [[nodiscard]] ListenerStats statistics() const;

    /// For the library.
    explicit Listener(std::shared_ptr<detail::ListenerHandle> handle);

private:
    std::shared_ptr<detail::ListenerHandle> handle_;
    std::shared_ptr<detail::Inbox> inbox_;
};

namespace detail {

[[nodiscard]] std::string checked_channel(std::string_view channel);
[[nodiscard]] std::string checked_payload(std::string_view payload);
[[nodiscard]] Coro<> notified(Coro<Rows> answer);

}  // namespace detail

/// Sends a notification: with a pool or a connection at once, in a transaction when that commits. The server delivers
/// equal ones of one transaction once.
/// Errors: UsageError for a channel as of `listen`; ParameterError for a payload of more than 7 999 bytes. Nothing is
/// sent then. Transactions that notify commit one after the other: not for the busiest of tables.
///
///     co_await coaio::db::notify(tx, "orders", std::to_string(id));
template <class Self>
[[nodiscard]] Coro<> notify(const Queries<Self>& by, std::string_view channel, std::string_view payload = {}) {
    return detail::notified(
        by.query("select pg_notify($1, $2)", detail::checked_channel(channel), detail::checked_payload(payload)));
}

}  // namespace coaio::db
