// SPDX-License-Identifier: MIT
// The table of jobs is kept as small as its jobs are.
#include "job_worker_state.hpp"

#include "job_sql.hpp"

#include <coaio/core/sleep.hpp>

namespace coaio::db::detail {
namespace {

using namespace std::chrono_literals;

constexpr Duration health_interval = 60s;
constexpr Duration old_snapshot = 60s;
constexpr std::uint64_t many_dead_rows = 10000;
constexpr Duration clean_interval = 1s;
constexpr std::uint64_t taken_between = 20000;

}  // namespace

Coro<> JobWorkerState::watch_health() {
    for (;;) {
        co_await sleep(health_interval);
        JobHealth health;
        std::exception_ptr failure;
        try {
            health = co_await queue_.health();
        } catch (const std::exception&) {
            failure = std::current_exception();
        }
        if (failure) co_await bear(failure, "looking at the table");
        if (health.oldest_snapshot < old_snapshot || health.dead_rows < many_dead_rows) continue;
        tell("the table of jobs holds " + std::to_string(health.dead_rows) +
             " dead rows that cannot go, and gets slower, since " + health.held_by + " keeps a snapshot of " +
             std::to_string(std::chrono::duration_cast<std::chrono::seconds>(health.oldest_snapshot).count()) +
             " s ago");
    }
}

// Whoever takes jobs walks past the versions of those that were taken before, and autovacuum comes by once a minute.
Coro<> JobWorkerState::keep_clean() {
    for (std::uint64_t cleaned_at = 0;;) {
        co_await sleep(clean_interval);
        if (stats_.taken - cleaned_at < taken_between) continue;
        cleaned_at = stats_.taken;
        try {
            co_await queue_.state()->pool.execute(job_sql::clean);
        } catch (const std::exception& error) {
            // It is done again when as many were taken, and autovacuum comes by, too.
            ++stats_.trouble;
            tell("job queue " + queue_.name() + ": the table of jobs could not be vacuumed: " + error.what());
        }
    }
}

}  // namespace coaio::db::detail
