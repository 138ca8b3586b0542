// SPDX-License-Identifier: MIT
#pragma once

#include "job_queue_state.hpp"

#include <coaio/db/job_worker.hpp>
#include <coaio/db/row.hpp>

#include <coaio/core/event.hpp>
#include <coaio/core/mask.hpp>
#include <coaio/core/task.hpp>

#include <cstdint>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace coaio::db::detail {

/// How a job ended, as the database is to be told.
class JobEnding {
public:
    enum class Kind : unsigned char { completed, failed, died, snoozed, returned };

    std::int64_t id = 0;
    int attempt = 0;
    Kind kind = Kind::completed;
    Duration delay{};
    std::optional<std::string> error;
    bool done_before = false;  // by its handler, if that transaction stands
};

/// A worker: the jobs it holds, and the tasks that take them, run them, write their ends and renew their leases.
class JobWorkerState : public std::enable_shared_from_this<JobWorkerState> {
public:
    JobWorkerState(JobQueue queue, JobHandler handler, JobWorkerOptions options);
    JobWorkerState(const JobWorkerState&) = delete;
    JobWorkerState& operator=(const JobWorkerState&) = delete;
    ~JobWorkerState();

    [[nodiscard]] static Coro<> run(std::shared_ptr<JobWorkerState> self);
    void stop() noexcept { over_.set(); }
    [[nodiscard]] JobWorkerStats statistics() const;

private:
    enum class Phase : unsigned char { waiting, running, ending };

    struct Held {
        Held(std::int64_t id, Json payload, int attempt, int failures, int max_attempts)
            : job(id, std::move(payload), attempt, failures, max_attempts) {}

        Job job;
        TimePoint renewed;
        std::optional<Task<>> task;
        Phase phase = Phase::waiting;
        bool begun = false;
        bool lost = false;
    };
    using Key = std::pair<std::int64_t, int>;
    using Kind = JobEnding::Kind;

    // job_worker.cpp: from the beginning to the end of a run
    void begin();
    void start(std::string_view name, Coro<> loop);
    Coro<> guarded(std::shared_ptr<JobWorkerState> self, Coro<> loop);
    void fail(std::exception_ptr failure) noexcept;
    Coro<> shut_down();
    Coro<> end_tasks(std::vector<Task<>> tasks);
    Coro<bool> settled(Event& event, Duration limit);
    Coro<> pause(Duration limit);
    void tell(const std::string& trouble) const;
    /// Returns when it is time to try again what failed, and throws what does not pass.
    Coro<> bear(std::exception_ptr failure, const char* what);

    // job_worker_take.cpp
    Coro<> take_jobs();
    Coro<std::size_t> claim(std::size_t most);
    [[nodiscard]] std::size_t wanted() const noexcept;
    Coro<> listen();
    Coro<> listen_once();

    // job_worker_run.cpp
    void dispatch();
    Coro<> work(std::shared_ptr<JobWorkerState> self, Held& held);
    void finish(Held& held, JobEnding ending);
    void drop(const Held& held);
    void cancel_handler(Held& held, const std::string& why);
    [[nodiscard]] JobEnding ending_of(const Held& held, Kind kind) const;
    [[nodiscard]] JobEnding failure_of(const Held& held, const std::string& error, bool hopeless) const;

    // job_worker_write.cpp
    Coro<> write_endings();
    void gather_batch();
    Coro<> write();
    [[nodiscard]] Coro<Rows> send() const;
    void acknowledge(const JobEnding& ending, bool written);

    // job_worker_leases.cpp
    Coro<> renew_leases();
    Coro<> renew();
    Coro<> watch_deadlines();
    /// Its lease is, or so nearly that others may begin soon.
    [[nodiscard]] bool is_over(const Held& held, TimePoint now) const;
    void lose(Held& held, const char* why);
    Coro<> reap();

    // job_worker_table.cpp
    Coro<> watch_health();
    Coro<> keep_clean();

    JobQueue queue_;
    JobHandler handler_;
    JobWorkerOptions options_;
    std::size_t prefetch_;
    bool running_ = false;
    bool stopping_ = false;
    bool dispatching_ = false;
    std::exception_ptr failure_;
    std::vector<Task<>> takers_;   // those that end when the worker stops
    std::vector<Task<>> keepers_;  // and those that go on until nothing is held

    std::map<Key, std::unique_ptr<Held>> held_;
    std::deque<Held*> waiting_;
    std::size_t at_work_ = 0;
    std::deque<JobEnding> endings_;
    std::vector<JobEnding> sending_;  // what the statement on its way is about
    bool sent_ = false;               // it may have reached the server
    std::size_t ending_count_ = 0;

    Event over_;   // it is to stop
    Event nudge_;  // there may be jobs
    Event room_;   // there may be room for some
    Event idle_;   // no handler runs
    Event to_write_;
    Event written_;  // nothing is left to write
    JobWorkerStats stats_;
};

}  // namespace coaio::db::detail
