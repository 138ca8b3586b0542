// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/options.hpp>

#include <coaio/core/coro.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace coaio::db {

/// What one session told those that listen (`NOTIFY channel, 'payload'`).
class Notification {
public:
    std::string channel;
    std::string payload;
    int pid = 0;  ///< the server's process of the session that sent it
};

namespace detail {
class PqLink;
}

/// A session of its own that listens on channels. What is sent while nobody listens is lost, so read the tables that it
/// is about once after `listen`, and again after every reconnect.
///
/// For one task at a time. Errors: ConnectionError when the session is lost; make a new Listener then.
/// Cancellation: of `next`: nothing is lost; what comes meanwhile is given by the next call.
///
///     auto listener = co_await coaio::db::Listener::connect(url);
///     co_await listener.listen("jobs");
///     for (;;) handle(co_await listener.next());
class Listener {
public:
    [[nodiscard]] static Coro<Listener> connect(std::string_view url, ConnectOptions options = ConnectOptions());

    Listener(Listener&&) noexcept;
    Listener& operator=(Listener&&) noexcept;
    ~Listener();

    /// The channel's name is taken as it is, quoted. UsageError for one that is empty or longer than 63 bytes.
    [[nodiscard]] Coro<> listen(std::string_view channel);
    [[nodiscard]] Coro<> unlisten(std::string_view channel);
    /// Waits for the next notification, in the order in which the server sent them.
    [[nodiscard]] Coro<Notification> next();
    /// Ends the session. Again: no effect.
    void close() noexcept;

    /// For the library.
    explicit Listener(std::shared_ptr<detail::PqLink> link) noexcept;

private:
    std::shared_ptr<detail::PqLink> link_;
};

}  // namespace coaio::db
