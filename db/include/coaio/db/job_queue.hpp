// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/error.hpp>
#include <coaio/db/migrations.hpp>
#include <coaio/db/pool.hpp>
#include <coaio/db/transaction.hpp>
#include <coaio/db/values.hpp>

#include <coaio/core/coro.hpp>
#include <coaio/core/detail/closure.hpp>
#include <coaio/core/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coaio::db {

/// How long a job's key keeps out others of the same key.
enum class KeyHeld : unsigned char {
    while_ready,   ///< until a worker takes it: what changes from then on is worth another job
    while_active,  ///< until it is done or dead
    while_kept,    ///< also while it is dead
};

/// A job to be put into a queue.
class NewJob {
public:
    explicit NewJob(Json payload = Json()) : payload_(std::move(payload)) {}

    /// The lowest go first. 0.
    NewJob& priority(int value);
    /// It is not run before this has passed, by the server's clock.
    NewJob& delay(Duration value);
    /// It is not run before this moment.
    NewJob& at(std::chrono::sys_time<std::chrono::microseconds> value);
    /// How often it may fail before it is dead. 20.
    NewJob& max_attempts(int value);
    /// A queue holds one job of a key.
    NewJob& key(std::string value, KeyHeld held = KeyHeld::while_active);

private:
    friend class JobQueue;

    Json payload_;
    int priority_ = 0;
    std::optional<std::int64_t> delay_ms_;
    std::optional<std::chrono::sys_time<std::chrono::microseconds>> at_;
    int max_attempts_ = 20;
    std::optional<std::string> key_;
    KeyHeld held_ = KeyHeld::while_active;
};

/// The worker does not hold the job any more: its lease ran out and others may run it, or it was removed.
class JobLost : public Error {
public:
    explicit JobLost(std::int64_t id);
    ~JobLost() override;
};

/// What a handler throws when trying again is no use: the job is dead at once.
class GiveUp final : public coaio::Error {
public:
    using coaio::Error::Error;
};

/// A job in a worker's hands: what its handler gets. It lives until the handler's coroutine has ended.
class Job {
public:
    Job(const Job&) = delete;
    Job& operator=(const Job&) = delete;

    [[nodiscard]] std::int64_t id() const noexcept { return id_; }
    [[nodiscard]] const Json& payload() const noexcept { return payload_; }
    /// How often it was taken, this time included. It fences: what an earlier taker says of the job is ignored.
    [[nodiscard]] int attempt() const noexcept { return attempt_; }
    /// How often it failed.
    [[nodiscard]] int failures() const noexcept { return failures_; }
    [[nodiscard]] int max_attempts() const noexcept { return max_attempts_; }

    /// When others may have it at the earliest, by `Clock`; it moves on as the lease is renewed. A handler is cancelled
    /// before that, but a process may stand still at any instant, and go on in the middle of a step: look at the clock right
    /// before what cannot be undone. (A machine that sleeps, or is paused as a whole, does not see its clock go on.)
    [[nodiscard]] TimePoint lease_until() const noexcept { return lease_until_; }

    /// When the handler ends normally, the job is not done but runs again after `delay`; that counts as no failure.
    void snooze(Duration delay) noexcept { snooze_ = delay; }

    /// Makes the job done with the transaction, so that what it has written and the end of the job are one: exactly once.
    /// Let it be the transaction's last statement. Its lease is renewed meanwhile, which a transaction of repeatable read
    /// or serializable loses against, by a SerializationError: run that again, or leave it at read committed.
    /// Where the transaction is rolled back nothing has ended: what counts is how the handler ends.
    /// Errors: JobLost where others may have the job by now; let it roll the transaction back.
    [[nodiscard]] Coro<> complete(const Transaction& transaction);

    /// For the library.
    Job(std::int64_t id, Json payload, int attempt, int failures, int max_attempts)
        : id_(id), payload_(std::move(payload)), attempt_(attempt), failures_(failures), max_attempts_(max_attempts) {}
    [[nodiscard]] const std::optional<Duration>& snoozed() const noexcept { return snooze_; }
    [[nodiscard]] bool completed() const noexcept { return completed_; }
    void hold_until(TimePoint time) noexcept { lease_until_ = time; }

private:
    static Coro<> complete_by(Job& job, Coro<std::uint64_t> removal);

    std::int64_t id_;
    Json payload_;
    int attempt_;
    int failures_;
    int max_attempts_;
    TimePoint lease_until_ = TimePoint::max();
    std::optional<Duration> snooze_;
    bool completed_ = false;
};

/// A queue in figures.
struct JobCounts {
    std::uint64_t ready = 0;    ///< could run now
    std::uint64_t delayed = 0;  ///< waits for its time: put so, snoozed, or failed
    std::uint64_t running = 0;  ///< in a worker's hands
    std::uint64_t dead = 0;
    Duration oldest{};  ///< how long the one that has been ready for longest waits
};

/// How well the table can be kept clean: rows that were done with can go only when no snapshot is older than they are.
class JobHealth {
public:
    std::uint64_t dead_rows = 0;  ///< versions of rows that wait to be vacuumed, of all queues; an estimate
    Duration oldest_snapshot{};   ///< of any session of the server
    std::string held_by;          ///< that session: "session 7 (app): select …"
};

/// A job that has failed for good.
class DeadJob {
public:
    std::int64_t id = 0;
    Json payload;
    int failures = 0;
    std::vector<std::string> errors;  ///< the last ones, the latest last, each with its attempt and time
};

struct JobQueueOptions {
    /// Workers elsewhere are woken at most once in this time.
    Duration wake_interval = std::chrono::milliseconds(100);
};

namespace detail {
class JobQueueState;
class JobWorkerState;
}  // namespace detail

/// Work that outlives the program: jobs in a table, done by workers in any number of processes. A handle: copies mean
/// the same queue, of one loop.
///
/// A job is put by a transaction of the caller's and exists if that commits. It is taken by one worker at a time, for as
/// long as that renews its lease; when the worker dies, another one takes it after the lease. Each handler runs at least
/// once; what it does is exactly once where it ends the job in the transaction that does it (`Job::complete`).
///
/// Workers look for jobs every few seconds. `wake` makes them look at once, by a NOTIFY of its own, since one inside of
/// the transactions would make their commits wait for each other.
///
/// Give a queue a pool of its own, or one with some sessions to spare: leases are renewed through it.
///
/// Errors: those of the database. Cancellation: as of the statements.
///
///     coaio::db::JobQueue mails(pool, "mails");
///     co_await mails.prepare();
///     co_await pool.transaction([&](coaio::db::Transaction& tx) -> coaio::Coro<> {
///         co_await tx.execute("insert into users (name) values ($1)", name);
///         co_await mails.put(tx, coaio::db::NewJob(coaio::db::Json(letter)));
///     });
///     mails.wake();
class JobQueue {
public:
    /// UsageError for a name that is empty or longer than 200 bytes.
    JobQueue(Pool pool, std::string name, JobQueueOptions options = {});

    /// The tables of all queues, for whoever runs migrations elsewhere.
    [[nodiscard]] static Migrations migrations();
    /// Makes them, or brings them up to date.
    [[nodiscard]] Coro<> prepare() const;

    /// Puts a job and wakes the workers. Gives its id; nothing where its key was there already.
    [[nodiscard]] Coro<std::optional<std::int64_t>> put(const NewJob& job) const;
    /// The same within the caller's transaction; `wake` when it has committed.
    [[nodiscard]] Coro<std::optional<std::int64_t>> put(const Transaction& transaction, const NewJob& job) const;
    /// Puts all jobs by one statement, and gives the ids of those whose key was not there already.
    [[nodiscard]] Coro<std::vector<std::int64_t>> put_all(const std::vector<NewJob>& jobs) const;
    [[nodiscard]] Coro<std::vector<std::int64_t>> put_all(const Transaction& transaction,
                                                          const std::vector<NewJob>& jobs) const;

    /// Makes workers look for jobs soon: those of this handle now, others by one NOTIFY for all calls of an interval in
    /// this process, whatever handle of the queue they are made on.
    void wake() const;

    /// Whether a worker could take a job now.
    [[nodiscard]] Coro<bool> has_ready() const;
    [[nodiscard]] Coro<JobCounts> counts() const;
    /// Of all queues that have jobs in the database, by name; none where the tables are not there.
    [[nodiscard]] static Coro<std::map<std::string, JobCounts>> counts_by_queue(const Pool& pool);
    [[nodiscard]] Coro<JobHealth> health() const;
    /// The dead jobs, the latest first.
    [[nodiscard]] Coro<std::vector<DeadJob>> dead(std::size_t most = 100) const;
    /// A dead job may fail as often again as at first. False where there is no such dead job.
    [[nodiscard]] Coro<bool> revive(std::int64_t id) const;
    /// Takes a job out, in whatever state; a handler that runs it is cancelled when its lease is to be renewed.
    [[nodiscard]] Coro<bool> remove(std::int64_t id) const;

    [[nodiscard]] const std::string& name() const noexcept;

    /// For the library.
    [[nodiscard]] const std::shared_ptr<detail::JobQueueState>& state() const noexcept { return state_; }

private:
    [[nodiscard]] Params encode(const NewJob* jobs, std::size_t count) const;

    std::shared_ptr<detail::JobQueueState> state_;
};

}  // namespace coaio::db

template <>
inline constexpr bool coaio::enable_scope<coaio::db::Job> = true;
