// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/error.hpp>
#include <coaio/db/observer.hpp>

#include <coaio/core/coro.hpp>
#include <coaio/core/detail/closure.hpp>
#include <coaio/core/time.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace coaio::db {

/// Called, on the loop's thread, with each notice or warning that a server sends. Must not throw.
using NoticeHandler = std::function<void(const ErrorFields&)>;

/// What a password is wanted for: the scope that a password provider gets.
class PasswordRequest {
public:
    PasswordRequest(std::string host, std::string port, std::string user, std::string database)
        : host_(std::move(host)), port_(std::move(port)), user_(std::move(user)), database_(std::move(database)) {}

    /// The host's name as it was given, or the folder of its socket.
    [[nodiscard]] const std::string& host() const noexcept { return host_; }
    [[nodiscard]] const std::string& port() const noexcept { return port_; }
    [[nodiscard]] const std::string& user() const noexcept { return user_; }
    [[nodiscard]] const std::string& database() const noexcept { return database_; }

private:
    std::string host_;
    std::string port_;
    std::string user_;
    std::string database_;
};

/// Gives the password for a new session; see `password`.
using PasswordProvider = std::function<Coro<std::string>(PasswordRequest&)>;

namespace detail {

struct CommitValues {
    Duration timeout = std::chrono::seconds(30);
    Duration resolve_timeout = std::chrono::seconds(30);
    bool tokens = true;
};

struct ConnectValues {
    std::optional<Duration> connect_timeout;
    Duration cancel_timeout = std::chrono::seconds(2);
    CommitValues commit;
    std::size_t statement_cache = 256;
    std::optional<bool> cancel_by_closing;
    bool balance_hosts = false;
    std::vector<std::pair<std::string, std::string>> settings;
    NoticeHandler on_notice;
    PasswordProvider password;
    std::shared_ptr<Observer> observer;
    TraceSource trace;
};

struct PoolValues {
    std::size_t max_size = 10;
    std::size_t min_size = 0;
    std::size_t max_waiting = 1024;
    std::size_t pipelining = 1;
    bool shared_sync = false;
    Duration acquire_timeout = std::chrono::seconds(30);
    Duration max_lifetime = std::chrono::minutes(30);
    Duration max_idle = std::chrono::minutes(10);
    Duration ping_after = std::chrono::seconds(1);
    Duration ping_timeout = std::chrono::seconds(2);
    Duration go_back_after = std::chrono::seconds(30);
};

/// The setters that `ConnectOptions` and `PoolOptions` have in common.
template <class Self>
class ConnectSetters {
public:
    /// Covers name look-up, all addresses, TLS, authentication and the first answer together. 10 s, or what the
    /// connection string says; the shorter one where both say something.
    Self& connect_timeout(Duration value) {
        connect_.connect_timeout = value;
        return self();
    }
    /// How long a cancelled statement may take to end in the server before its connection is closed instead. 2 s.
    Self& cancel_timeout(Duration value) {
        connect_.cancel_timeout = value;
        return self();
    }
    /// How long the answer to a COMMIT is waited for before it counts as lost. 30 s.
    Self& commit_timeout(Duration value) {
        connect_.commit.timeout = value;
        return self();
    }
    /// How long the outcome of a COMMIT whose answer was lost is looked for by its token. 30 s. See `Transaction`.
    Self& resolve_timeout(Duration value) {
        connect_.commit.resolve_timeout = value;
        return self();
    }
    /// Whether commit tokens are used where the database has their table. They are.
    Self& commit_tokens(bool value) {
        connect_.commit.tokens = value;
        return self();
    }
    /// Prepared statements that each connection keeps. 256; 0: none, for poolers that cannot carry them.
    Self& statement_cache(std::size_t most) {
        connect_.statement_cache = most;
        return self();
    }
    /// Whether a statement is cancelled by closing its connection, for which a pool opens another one. Else the server is
    /// sent a cancel request, which libpq before 17 does not encrypt: there it is so for sessions by TLS unless this says
    /// `false`, so that no key to them goes over the network in plain text. For all other sessions it is not so. Where it
    /// is, the server is told to look for its client each second (docs/connecting.md says what if it cannot).
    Self& cancel_by_closing(bool value) {
        connect_.cancel_by_closing = value;
        return self();
    }
    /// Tries the hosts of the connection string, and the addresses of each, in a random order for every new session, so
    /// that sessions spread over them. Else in their order. As libpq's `load_balance_hosts=random`, which came with 16.
    Self& balance_hosts(bool value) {
        connect_.balance_hosts = value;
        return self();
    }
    /// A run-time parameter set when connected: `search_path`, `statement_timeout`, …
    Self& setting(std::string name, std::string value) {
        connect_.settings.emplace_back(std::move(name), std::move(value));
        return self();
    }
    /// Who knows the password, in place of the connection string, the environment and the password file. It is asked for
    /// every new session, and of several hosts for each that is tried: passwords may change, or be made for a quarter of
    /// an hour. Its time counts as connecting does; what it throws, connecting throws, but where what it waits for was
    /// cancelled: then the attempt has failed, and nobody else is cancelled. An empty password is none: then the others
    /// are asked after all. The lambda lives as long as what connects.
    ///
    ///     auto provider = [vault](coaio::db::PasswordRequest& request) -> coaio::Coro<std::string> {
    ///         co_return co_await vault->secret_of(request.user());
    ///     };
    ///     auto options = coaio::db::PoolOptions().password(provider);
    template <class F>
    Self& password(F&& provider) {
        COAIO_CHECK_BODY(F);
        connect_.password = std::forward<F>(provider);
        return self();
    }
    /// Called with the server's notices, and with warnings of the client's own: a password file that is not read.
    Self& on_notice(NoticeHandler handler) {
        connect_.on_notice = std::move(handler);
        return self();
    }
    /// Is told what is done, how long it took and what it failed with; several may be set. See Observer.
    Self& observer(std::shared_ptr<Observer> value) {
        connect_.observer = both(std::move(connect_.observer), std::move(value));
        return self();
    }
    /// Asked before each statement and stream; what it gives is appended to the text, as the comment
    /// `/*traceparent='…'*/`, for the server's logs. Such a statement is not prepared, since no other has its text: trace
    /// some of many.
    Self& trace(TraceSource source) {
        connect_.trace = std::move(source);
        return self();
    }

    /// For the library.
    [[nodiscard]] const ConnectValues& connect_values() const noexcept { return connect_; }

protected:
    ConnectSetters() = default;

private:
    Self& self() noexcept { return static_cast<Self&>(*this); }
    ConnectValues connect_;
};

}  // namespace detail

/// How `Connection::connect` connects.
class ConnectOptions : public detail::ConnectSetters<ConnectOptions> {
public:
    ConnectOptions() = default;
    ConnectOptions(const ConnectOptions&) = default;
    ConnectOptions(ConnectOptions&&) = default;
    ConnectOptions& operator=(const ConnectOptions&) = default;
    ConnectOptions& operator=(ConnectOptions&&) = default;
    ~ConnectOptions() = default;
};

/// How a `Pool` connects, grows and waits.
class PoolOptions : public detail::ConnectSetters<PoolOptions> {
public:
    PoolOptions() = default;
    PoolOptions(const PoolOptions&) = default;
    PoolOptions(PoolOptions&&) = default;
    PoolOptions& operator=(const PoolOptions&) = default;
    PoolOptions& operator=(PoolOptions&&) = default;
    ~PoolOptions() = default;

    /// Never more sessions than this at the server, those being opened or cleaned up included. 10; at least 1.
    PoolOptions& max_size(std::size_t value) {
        pool_.max_size = std::max<std::size_t>(value, 1);
        return *this;
    }
    /// Kept open in the background once the pool is in use; they are looked at every 5 s. 0.
    PoolOptions& min_size(std::size_t value) {
        pool_.min_size = value;
        return *this;
    }
    /// How many tasks may wait for a connection; more get `PoolFull` at once. 1024.
    PoolOptions& max_waiting(std::size_t value) {
        pool_.max_waiting = value;
        return *this;
    }
    /// How many statements of different tasks may be under way on one connection at the same time, each with a Sync of
    /// its own (or see `shared_sync`). None is touched by another's failure. Only those that just read share one; so
    /// transactions, streams, COPY, what writes, what takes longer than others and what calls functions of one's own
    /// have a connection to themselves, and so has any statement while another one is free. One that is cancelled while
    /// others share its connection is not cancelled in the server: its answer is dropped. One that others hold up may
    /// be run again by itself. 1: never more than one; more where many small statements go to a server at a distance
    /// (docs/rows.md says what to mind).
    PoolOptions& pipelining(std::size_t value) {
        pool_.pipelining = value;
        return *this;
    }
    /// Whether statements that are asked in the same turn of the loop and go on one connection (see `pipelining`) share a
    /// Sync, and with it a transaction: small ones cost half as much, here and in the server. None is answered before all
    /// of them stand. Where one fails none has had an effect, and the others run again without it, so that they do not
    /// fail. What it takes: each waits for the last, until then their answers are kept and the locks on their tables
    /// held, and they have one `now()` (and one snapshot, where `default_transaction_isolation` is not read committed).
    /// No more than some 4 kB of statements share one. false; nothing without `pipelining`.
    PoolOptions& shared_sync(bool value) {
        pool_.shared_sync = value;
        return *this;
    }
    /// How long a task waits for a connection before it gets `PoolTimeout`. 30 s.
    PoolOptions& acquire_timeout(Duration value) {
        pool_.acquire_timeout = value;
        return *this;
    }
    /// Connections older than this, give or take a tenth, are replaced when nobody uses them. 30 min; 0: never.
    PoolOptions& max_lifetime(Duration value) {
        pool_.max_lifetime = value;
        return *this;
    }
    /// Connections above `min_size` that nobody has used for this long are closed. 10 min; 0: never.
    PoolOptions& max_idle(Duration value) {
        pool_.max_idle = value;
        return *this;
    }
    /// With `target_session_attrs=prefer-standby`: how long a connection to a primary, taken because no standby was there,
    /// lives before a standby is looked for again. 30 s; `max_lifetime` where that is shorter.
    PoolOptions& go_back_after(Duration value) {
        pool_.go_back_after = value;
        return *this;
    }
    /// A connection that was idle for this long is tried with a round trip before it is handed out. 1 s; 0: always.
    PoolOptions& ping_after(Duration value) {
        pool_.ping_after = value;
        return *this;
    }
    /// How long that round trip may take before the connection counts as lost and another one is taken. 2 s.
    PoolOptions& ping_timeout(Duration value) {
        pool_.ping_timeout = value;
        return *this;
    }

    /// For the library.
    [[nodiscard]] const detail::PoolValues& pool_values() const noexcept { return pool_; }

private:
    detail::PoolValues pool_;
};

}  // namespace coaio::db

template <>
inline constexpr bool coaio::enable_scope<coaio::db::PasswordRequest> = true;
