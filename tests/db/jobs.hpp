// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/db/job_worker.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/postgres.hpp"

// A queue in a database of its own, for tests of jobs.
namespace tests {

namespace db = coaio::db;

/// A worker's options for impatient tests.
inline db::JobWorkerOptions quick_worker() {
    using namespace std::chrono_literals;
    return db::JobWorkerOptions().poll(5ms, 20ms).backoff(1ms, 4ms).lease(2s).grace(2s).name("a test");
}

/// A job that says `n`.
inline db::NewJob numbered(int n) { return db::NewJob(db::Json(std::to_string(n))); }

inline int number_of(const db::Job& job) { return std::stoi(job.payload().text()); }

/// Waits, not for ever, until the condition holds in the database; gives whether it does.
inline coaio::Coro<bool> comes_true(db::Pool pool, std::string condition) {
    using namespace std::chrono_literals;
    for (int i = 0; i < 2000; ++i) {
        const bool holds = co_await pool.query_value<bool>("select " + condition);
        if (holds) co_return true;
        co_await coaio::sleep(5ms);
    }
    co_return false;
}

/// Runs the worker until the condition holds, and stops it.
inline coaio::Coro<> work_until(db::JobWorker worker, db::Pool pool, std::string condition) {
    auto running = coaio::create_task(worker.run());
    const bool there = co_await comes_true(pool, condition);
    worker.stop();
    co_await running;
    if (!there) throw std::runtime_error("it never came true: " + condition);
}

/// Makes each completion leave its job's payload in the table `done`: what happened exactly once stands there once.
inline const std::string log_completions =
    "create table done (n int, failures int);"
    "create function log_done() returns trigger language plpgsql as "
    "$$ begin insert into done values ((old.payload #>> '{}')::int, old.failures); return old; end $$;"
    "create trigger log_done after delete on coaio_job for each row execute function log_done()";

}  // namespace tests
