// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/job_queue.hpp>

#include <coaio/core/coro.hpp>
#include <coaio/core/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace coaio::db {

/// How a worker takes, holds and ends jobs.
class JobWorkerOptions {
public:
    JobWorkerOptions() = default;

    /// Jobs that run at the same time. 10.
    JobWorkerOptions& concurrency(std::size_t value);
    /// Jobs held ready beyond those that run, so that taking them is a matter of one statement for many. As many as run.
    JobWorkerOptions& prefetch(std::size_t value);
    /// The most that one statement takes. 100.
    JobWorkerOptions& batch(std::size_t value);
    /// How long a job is held without a sign of life; renewed after a quarter to a third of it. 30 s,
    /// a day at most.
    JobWorkerOptions& lease(Duration value);
    /// How often jobs are looked for when nothing wakes the worker: a time between these, drawn anew. 1 s, 5 s.
    JobWorkerOptions& poll(Duration least, Duration most);
    /// How long a failed job waits: `first`, twice that, and so on up to `most`, less up to a half by chance. 1 s, 1 h;
    /// a year at most.
    JobWorkerOptions& backoff(Duration first, Duration most);
    /// How long handlers may go on when the worker stops, before they are cancelled. 10 s, a day at most.
    JobWorkerOptions& grace(Duration value);
    /// Hears of new jobs through a session of its own to this database; without it, polling finds them.
    JobWorkerOptions& listen(std::string url);
    /// Stands with the jobs it holds, for people. The host's name and the process id.
    JobWorkerOptions& name(std::string value);
    /// Told of what passes by itself, but should be seen: a database that is away, a table that cannot be kept clean.
    JobWorkerOptions& on_trouble(std::function<void(std::string_view)> handler);

private:
    friend class detail::JobWorkerState;

    std::size_t concurrency_ = 10;
    std::optional<std::size_t> prefetch_;
    std::size_t batch_ = 100;
    Duration lease_ = std::chrono::seconds(30);
    Duration poll_least_ = std::chrono::seconds(1);
    Duration poll_most_ = std::chrono::seconds(5);
    Duration backoff_first_ = std::chrono::seconds(1);
    Duration backoff_most_ = std::chrono::hours(1);
    Duration grace_ = std::chrono::seconds(10);
    std::string listen_;
    std::string name_;
    std::function<void(std::string_view)> on_trouble_;
};

/// What a worker has done, and what it holds.
struct JobWorkerStats {
    std::size_t running = 0;  ///< handlers at work
    std::size_t waiting = 0;  ///< taken and not begun
    std::size_t ending = 0;   ///< ended, which is not written yet
    std::uint64_t taken = 0;
    std::uint64_t completed = 0;  ///< acknowledged by the database
    std::uint64_t failed = 0;     ///< to be tried again
    std::uint64_t died = 0;
    std::uint64_t snoozed = 0;
    std::uint64_t returned = 0;  ///< given back, since the worker stopped
    std::uint64_t lost = 0;      ///< the lease was over, or the job removed
    std::uint64_t reaped = 0;    ///< jobs of workers that gave no sign of life, freed by this one
    std::uint64_t claims = 0;    ///< statements that took jobs
    std::uint64_t trouble = 0;   ///< statements that failed and were tried again
};

/// Does a job. When it ends, the job is done; when it throws, the job failed, and is tried again later.
using JobHandler = std::function<Coro<>(Job&)>;

/// Runs the jobs of one queue, many at a time. A handle, of one loop.
///
/// Errors: of `run`: those of the database that do not pass by themselves. While the database is away, the worker tries
/// again, and ends what it runs before a lease is over for the others.
/// Cancellation: of `run`: a graceful stop, masked: nothing more is taken, handlers have the grace time, ends are
/// written, and what was not begun, or was cancelled, is given back at once and counts as no failure. A handler is
/// cancelled when its lease cannot be renewed in time.
///
///     coaio::db::JobWorker worker(mails, [&](coaio::db::Job& job) -> coaio::Coro<> { co_await send(job.payload()); });
///     co_await worker.run();
class JobWorker {
public:
    JobWorker(JobQueue queue, JobHandler handler, JobWorkerOptions options = JobWorkerOptions());

    /// Works until it is stopped or cancelled.
    [[nodiscard]] Coro<> run() const;
    /// Makes `run` stop gracefully and return.
    void stop() const;
    [[nodiscard]] JobWorkerStats statistics() const;

private:
    std::shared_ptr<detail::JobWorkerState> state_;
};

}  // namespace coaio::db
