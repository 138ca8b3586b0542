// SPDX-License-Identifier: MIT
#include <coaio/db/job_worker.hpp>

#include <coaio/core/event.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "db/jobs.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/throws.hpp"
#include "support/until.hpp"

namespace db = coaio::db;
using namespace std::chrono_literals;
using coaio::Coro;

namespace {

const std::string none_left = "not exists (select from coaio_job)";

Coro<> put(db::JobQueue queue, int n) { static_cast<void>(co_await queue.put(tests::numbered(n))); }

/// A handler that goes on when it may.
struct Held {
    Coro<> operator()(db::Job& /*job*/) {
        ++runs;
        begun.set();
        co_await gate.wait();
    }
    coaio::Event begun;
    coaio::Event gate;
    int runs = 0;
};

// The loop stands still in the first one's handler until all leases are over.
Coro<> stand_still(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    for (int i = 0; i < 5; ++i) co_await put(queue, i);
    int late = 0;
    int runs = 0;
    auto handler = [&late, &runs, &database](db::Job& job) -> Coro<> {
        ++runs;
        if (job.lease_until() <= coaio::Clock::now()) ++late;
        if (tests::number_of(job) == 0 && job.attempt() == 1) database.sql("select pg_sleep(0.6)");
        co_return;
    };
    const auto fail = [](std::string_view) { throw std::runtime_error("no log"); };
    const auto options = tests::quick_worker().lease(500ms).concurrency(1).prefetch(10).on_trouble(fail);
    const db::JobWorker worker(queue, handler, options);
    co_await tests::work_until(worker, pool, none_left);
    CHECK(late == 0);
    CHECK(runs >= 5);
    CHECK(worker.statistics().running + worker.statistics().waiting + worker.statistics().ending == 0);
}

Coro<> complete_and_roll_back(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    for (int i = 0; i < 3; ++i) co_await put(queue, i);
    auto handler = [&pool](db::Job& job) -> Coro<> {
        const int n = tests::number_of(job);
        auto body = [&job, n](db::Transaction& transaction) -> Coro<> {
            co_await job.complete(transaction);
            if (n != 0) throw std::runtime_error("not yet");
        };
        bool undone = false;
        try {
            co_await pool.transaction(body);
        } catch (const std::runtime_error&) {
            undone = true;
        }
        CHECK(undone == (n != 0));
        if (n == 2) job.snooze(1h);
    };
    const db::JobWorker worker(queue, handler, tests::quick_worker());
    co_await tests::work_until(worker, pool, "count(*) = 1 and bool_and(state = 'ready') from coaio_job");
    CHECK(database.value("select payload::text || ',' || (run_at > now() + interval '50 min') from coaio_job") ==
          "2,true");
    const auto stats = worker.statistics();
    CHECK(stats.completed == 2);
    CHECK(stats.snoozed == 1);
    CHECK(stats.lost == 0);
}

// As after the promotion of a standby that did not have the last transactions.
Coro<> go_back_in_time(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    co_await put(queue, 1);
    Held held;
    auto handler = [&held](db::Job& job) { return held(job); };
    const db::JobWorker worker(queue, handler, tests::quick_worker().lease(1min));
    auto running = coaio::create_task(worker.run());
    co_await held.begun.wait();
    database.sql("update coaio_job set state = 'ready', attempt = 0, lease_until = null, worker = null");
    co_await tests::until(database, "exists (select from coaio_job where state = 'running')");
    held.gate.set();
    co_await tests::until(database, none_left);
    worker.stop();
    co_await running;
    CHECK(held.runs == 1);
    CHECK(worker.statistics().completed == 1);
    CHECK(worker.statistics().taken == 2);
}

bool runs_a_task(std::string_view name) {
    const auto tasks = coaio::all_tasks();
    return std::any_of(tasks.begin(), tasks.end(), [name](const coaio::AnyTask& each) { return each.name() == name; });
}

// While it ends since it was cancelled, it fails for good too.
Coro<> be_cancelled_and_fail(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    co_await put(queue, 1);
    Held held;
    auto handler = [&held](db::Job& job) { return held(job); };
    const db::JobWorker worker(queue, handler, tests::quick_worker().lease(1min).grace(1min));
    auto running = coaio::create_task(worker.run());
    co_await held.begun.wait();
    running.cancel();
    while (runs_a_task("job-reaper")) co_await coaio::sleep(1ms);  // those that take jobs end first
    database.sql("alter table coaio_job rename to away");
    held.gate.set();
    const bool cancelled = co_await tests::throws<coaio::CancelledError>(running);
    CHECK(cancelled);
    database.sql("alter table away rename to coaio_job; delete from coaio_job");
    co_await put(queue, 2);
    co_await tests::work_until(worker, pool, none_left);
}

}  // namespace

TEST_CASE("JOB-02 JOB-05: a job whose lease is over is not begun, however long its worker stood still", "[pgtest]") {
    tests::Database database;
    coaio::run(stand_still(database.conninfo(), database));
}

TEST_CASE("a completion that was rolled back ends nothing: what the handler does then is what counts", "[pgtest]") {
    tests::Database database;
    coaio::run(complete_and_roll_back(database.conninfo(), database));
}

TEST_CASE("JOB-02: a job that a worker has, and is given again, stays with its handler", "[pgtest]") {
    tests::Database database;
    coaio::run(go_back_in_time(database.conninfo(), database));
}

TEST_CASE("what a worker has failed with is not told by its next run", "[pgtest]") {
    tests::Database database;
    coaio::run(be_cancelled_and_fail(database.conninfo(), database));
}
