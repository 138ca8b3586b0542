// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/observer.hpp>
#include <coaio/db/params.hpp>
#include <coaio/db/row.hpp>

#include <coaio/core/coro.hpp>
#include <coaio/core/semaphore.hpp>
#include <coaio/core/time.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace coaio::db {
class Notification;
}

namespace coaio::db::detail {

enum class LinkState : unsigned char {
    idle,
    in_transaction,
    failed,  ///< in a transaction that the server has given up
    unread,  ///< an answer was left in the middle; whoever uses the session next ends it first
    busy,    ///< something runs, or its answer was not read to its end
    broken,
};

enum class OnCancel : unsigned char {
    stop,   ///< cancel it in the server and wait until the session is quiet again
    wait,   ///< wait for its end, for as long as a cancel may take: for commands that are over at once
    close,  ///< close the session: for COMMIT, which must not be stopped half-way
};

/// What a session knows of its database's table of commit tokens.
struct CommitTable {
    std::optional<TimePoint> looked;
    std::string name;                ///< qualified and quoted; empty: there is none
    std::int64_t backend_start = 0;  ///< of the session, in microseconds; 0: not known

    [[nodiscard]] bool usable() const noexcept { return !name.empty(); }
};

class LaneLink;
class PqLink;

/// One session with a server, as the pool and the transactions see it. One task uses it at a time; it belongs to it.
class Link {
public:
    Link() = default;
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;
    virtual ~Link();

    /// Runs a statement. Arguments must outlive it.
    /// Cancellation: the statement is cancelled in the server and the session quiet again, or broken, when it ends.
    virtual Coro<Rows> run(const std::string& sql, const Params& params) = 0;
    /// Runs commands without parameters, several perhaps, and gives the last one's answer.
    virtual Coro<Rows> command(std::string sql, OnCancel on_cancel) = 0;

    /// Ends what was left in the middle, where `state` is `unread`. Throws ConnectionError where it had to be closed.
    virtual Coro<> settle();
    /// The same, and ends a transaction that is open, and stops listening.
    virtual Coro<> reset();
    /// Whether there is something of its user's in it that the next one must not find, other than by its state.
    [[nodiscard]] virtual bool tainted() const noexcept { return false; }

    // For a session that listens.

    /// From now on notifications are kept until they are taken.
    virtual void keep_notifications() noexcept {}
    /// Waits until some are there.
    virtual Coro<> hear();
    [[nodiscard]] virtual std::deque<Notification> take_heard();

    /// Itself, where it can do more than run statements.
    [[nodiscard]] virtual PqLink* libpq() noexcept { return nullptr; }
    /// Itself, where statements of several tasks can share it.
    [[nodiscard]] virtual LaneLink* lane() noexcept { return nullptr; }

    [[nodiscard]] virtual LinkState state() const noexcept = 0;
    /// Its server is not, or no longer, of the kind that was asked for: whoever connects again finds a better one.
    [[nodiscard]] virtual bool misplaced() const noexcept { return false; }
    /// It was taken for want of a better one.
    [[nodiscard]] virtual bool second_choice() const noexcept { return false; }
    /// Looks, without waiting, whether an idle session is still there, unless it was read a moment ago. `now`: the clock.
    [[nodiscard]] virtual bool alive(TimePoint now) noexcept = 0;
    /// Ends it at once; `broken` from then on. A statement that runs on it fails.
    virtual void close() noexcept = 0;

    [[nodiscard]] virtual int pid() const noexcept = 0;
    [[nodiscard]] virtual int server_version() const noexcept = 0;
    [[nodiscard]] virtual std::string parameter(const std::string& name) const = 0;

    [[nodiscard]] CommitTable& commit_table() noexcept { return commit_table_; }
    [[nodiscard]] const CommitTable& commit_table() const noexcept { return commit_table_; }

private:
    CommitTable commit_table_;
};

/// Opens sessions.
class Connector {
public:
    Connector() = default;
    Connector(const Connector&) = delete;
    Connector& operator=(const Connector&) = delete;
    virtual ~Connector();

    /// Ends within the connect timeout, by a link or by a ConnectionError.
    virtual Coro<std::unique_ptr<Link>> connect() = 0;
    /// "user@host:port/database", for errors.
    [[nodiscard]] virtual std::string target() const = 0;

    /// Who is told of what is done; null: nobody.
    [[nodiscard]] virtual const std::shared_ptr<Observer>& observer() const noexcept;
    [[nodiscard]] virtual const TraceSource& trace() const noexcept;

    /// How many at a time connect to find out what became of a COMMIT.
    [[nodiscard]] Semaphore& resolvers() noexcept { return resolvers_; }

private:
    Semaphore resolvers_ = Semaphore(2);
};

/// `delay` from now, or the end of time.
[[nodiscard]] TimePoint deadline_in(Duration delay);

/// Throws the cancellation that is due to the running task, before anything is begun.
[[nodiscard]] Coro<> throw_if_cancelled();
[[nodiscard]] bool cancellation_due() noexcept;

[[nodiscard]] Coro<> ignore(Coro<Rows> answer);

/// Runs `step` where cancellation does not reach it, for `limit` at most. False when it failed or took too long.
[[nodiscard]] Coro<bool> masked_attempt(Coro<> step, Duration limit);

}  // namespace coaio::db::detail
