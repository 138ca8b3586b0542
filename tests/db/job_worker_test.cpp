// SPDX-License-Identifier: MIT
#include <coaio/db/job_worker.hpp>

#include <coaio/core/event.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/timeout.hpp>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "db/jobs.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/throws.hpp"

namespace db = coaio::db;
using namespace std::chrono_literals;
using coaio::Coro;

namespace {

const std::string none_left = "not exists (select from coaio_job)";

Coro<std::int64_t> put(db::JobQueue queue, db::NewJob job) {
    const auto id = co_await queue.put(job);
    co_return id.value();
}

Coro<> do_in_order(std::string url) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    co_await put(queue, tests::numbered(2));
    co_await put(queue, tests::numbered(3));
    co_await put(queue, tests::numbered(1).priority(-1));
    co_await put(queue, tests::numbered(4).delay(100ms));
    std::vector<int> done;
    auto handler = [&done](db::Job& job) -> Coro<> {
        CHECK(job.attempt() == 1);
        CHECK(job.failures() == 0);
        done.push_back(tests::number_of(job));
        co_return;
    };
    const db::JobWorker worker(queue, handler, tests::quick_worker().concurrency(1));
    co_await tests::work_until(worker, pool, none_left);
    CHECK(done == std::vector<int>{1, 2, 3, 4});
    const auto stats = worker.statistics();
    CHECK(stats.taken == 4);
    CHECK(stats.completed == 4);
    CHECK(stats.running + stats.waiting + stats.ending == 0);
    CHECK(stats.failed + stats.lost + stats.trouble == 0);
}

Coro<> fail_and_die(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    const auto flaky = co_await put(queue, tests::numbered(1));
    const auto doomed = co_await put(queue, tests::numbered(2).max_attempts(3));
    const auto hopeless = co_await put(queue, tests::numbered(3));
    const auto sleepy = co_await put(queue, tests::numbered(4).max_attempts(1));
    std::vector<int> tries(5);
    auto handler = [&tries](db::Job& job) -> Coro<> {
        const int n = tests::number_of(job);
        ++tries.at(static_cast<std::size_t>(n));
        if (n == 1 && job.failures() < 2) throw std::runtime_error("not \xff yet");
        if (n == 2) throw std::runtime_error("never");
        if (n == 3) throw db::GiveUp("no such user");
        if (n == 4 && job.attempt() < 4) job.snooze(1ms);
        co_return;
    };
    const db::JobWorker worker(queue, handler, tests::quick_worker());
    co_await tests::work_until(worker, pool, "not exists (select from coaio_job where state <> 'dead')");
    CHECK(tries == std::vector<int>{0, 3, 3, 1, 4});
    CHECK(flaky < doomed);
    CHECK(hopeless < sleepy);
    const auto dead = co_await queue.dead();
    REQUIRE(dead.size() == 2);
    const auto& last = dead[0].id == doomed ? dead[0] : dead[1];
    const auto& given_up = dead[0].id == doomed ? dead[1] : dead[0];
    CHECK(last.failures == 3);
    REQUIRE(last.errors.size() == 3);
    CHECK_THAT(last.errors[0], tests::contains("attempt 1, ") && tests::contains("never"));
    CHECK_THAT(last.errors[2], tests::contains("attempt 3, "));
    CHECK(given_up.id == hopeless);
    REQUIRE(given_up.errors.size() == 1);
    CHECK_THAT(given_up.errors[0], tests::contains("no such user"));
    const auto stats = worker.statistics();
    CHECK(stats.completed == 2);
    CHECK(stats.failed == 4);
    CHECK(stats.died == 2);
    CHECK(stats.snoozed == 3);

    const bool revived = co_await queue.revive(doomed);
    CHECK(revived);
    const bool twice = co_await queue.revive(doomed);
    CHECK_FALSE(twice);
    CHECK(database.value("select failures from coaio_job where state = 'ready'") == "0");
}

Coro<> wait_longer_and_longer(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    for (int i = 0; i < 20; ++i) co_await put(queue, tests::numbered(i));
    database.sql("update coaio_job set failures = (payload #>> '{}')::int % 4");
    auto handler = [](db::Job&) -> Coro<> {
        throw std::runtime_error("no");
        co_return;
    };
    const db::JobWorker worker(queue, handler, tests::quick_worker().backoff(100s, 500s));
    co_await tests::work_until(worker, pool, "count(*) = 20 from coaio_job where state = 'ready' and attempt = 1");
    // 100, 200, 400 and 500 s, less up to a half.
    CHECK(database.value("select bool_and(extract(epoch from run_at - now()) between wanted / 2 - 20 and wanted) "
                         "from coaio_job, lateral (select least(500, 100 * 2 ^ (failures - 1)) as wanted) as w") ==
          "t");
    CHECK(database.value("select count(distinct run_at) > 10 from coaio_job") == "t");
}

// The handler runs until it is cancelled; gives whether the lease was still on at that moment.
Coro<> run_into_the_deadline(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    co_await put(queue, tests::numbered(1));
    std::string in_time;
    std::vector<std::string> trouble;
    auto handler = [&in_time, &database](db::Job&) -> Coro<> {
        try {
            co_await coaio::sleep(1h);
        } catch (const coaio::CancelledError&) {
            const std::chrono::duration<double> now = coaio::get_running_loop().wall_time().time_since_epoch();
            in_time =
                database.value("select to_timestamp(" + std::to_string(now.count()) + ") < lease_until from coaio_job");
            throw;
        }
    };
    const db::JobWorker worker(queue, handler,
                               tests::quick_worker().lease(3s).grace(10ms).on_trouble(
                                   [&trouble](std::string_view text) { trouble.emplace_back(text); }));
    auto running = coaio::create_task(worker.run());
    const bool taken = co_await tests::comes_true(pool, "exists (select from coaio_job where state = 'running')");
    CHECK(taken);
    // Whoever has the row locked keeps its lease from being renewed.
    auto holder = co_await pool.acquire();
    co_await holder.execute("begin");
    co_await holder.execute("select from coaio_job for update");
    while (worker.statistics().lost == 0) co_await coaio::sleep(5ms);
    CHECK(in_time == "t");
    co_await holder.execute("commit");
    REQUIRE_FALSE(trouble.empty());
    CHECK_THAT(trouble.back(), tests::contains("could not be renewed in time"));
    // Nobody ended it: the reaper finds it when the lease is over, and it runs again.
    const bool again = co_await tests::comes_true(
        pool, "exists (select from coaio_job where state = 'running' and attempt = 2 and failures = 1)");
    CHECK(again);
    running.cancel();
    const bool cancelled =
        co_await tests::throws<coaio::CancelledError>([](coaio::Task<> it) -> Coro<> { co_await it; }(running));
    CHECK(cancelled);
}

Coro<> outlive_a_failed_heartbeat(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    co_await put(queue, tests::numbered(1));
    database.sql(R"(
        create sequence beats;
        create function refuse_first() returns trigger language plpgsql as $$ begin
            if old.state = 'running' and new.state = 'running' and nextval('beats') = 1 then
                raise 'busy' using errcode = 'lock_not_available';
            end if;
            return new;
        end $$;
        create trigger refuse_first before update on coaio_job for each row execute function refuse_first())");
    coaio::Event go_on;
    coaio::TimePoint first_lease;
    coaio::TimePoint last_lease;
    auto handler = [&](db::Job& job) -> Coro<> {
        first_lease = job.lease_until();
        co_await go_on.wait();
        last_lease = job.lease_until();
    };
    const db::JobWorker worker(queue, handler, tests::quick_worker().lease(3s));
    auto running = coaio::create_task(worker.run());
    const bool taken = co_await tests::comes_true(pool, "exists (select from coaio_job where state = 'running')");
    CHECK(taken);
    while (worker.statistics().trouble == 0) co_await coaio::sleep(5ms);
    CHECK(worker.statistics().running == 1);
    const bool renewed = co_await tests::comes_true(pool, "lease_until > now() + interval '2.5 s' from coaio_job");
    CHECK(renewed);
    go_on.set();
    const bool done = co_await tests::comes_true(pool, none_left);
    CHECK(done);
    worker.stop();
    co_await running;
    CHECK(worker.statistics().completed == 1);
    CHECK(worker.statistics().lost == 0);
    CHECK(first_lease < last_lease);
    CHECK(last_lease <= coaio::Clock::now() + 3s);
}

Coro<> lose_a_lease(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    for (int i = 0; i < 3; ++i) co_await put(queue, tests::numbered(i));
    coaio::Event go_on;
    auto handler = [&go_on](db::Job& job) -> Coro<> {
        co_await go_on.wait();
        if (tests::number_of(job) == 1) throw std::runtime_error("late");
        if (tests::number_of(job) == 2) job.snooze(1h);
    };
    const db::JobWorker worker(queue, handler, tests::quick_worker().lease(1h));
    auto running = coaio::create_task(worker.run());
    const bool taken = co_await tests::comes_true(pool, "count(*) = 3 from coaio_job where state = 'running'");
    CHECK(taken);
    database.sql("update coaio_job set attempt = 2, worker = 'another', lease_until = now() + interval '1 h'");
    go_on.set();
    while (worker.statistics().lost < 3) co_await coaio::sleep(1ms);
    CHECK(database.value("select string_agg(state || attempt || worker || failures, ',') from coaio_job") ==
          "running2another0,running2another0,running2another0");
    worker.stop();
    co_await running;
    CHECK(worker.statistics().completed + worker.statistics().failed + worker.statistics().snoozed == 0);
}

Coro<> run_again_after_the_lease(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    co_await put(queue, tests::numbered(1));
    database.sql("update coaio_job set state = 'running', attempt = 1, worker = 'killed', "
                 "lease_until = now() - interval '1 ms'");
    std::vector<int> attempts;
    auto handler = [&attempts](db::Job& job) -> Coro<> {
        attempts.push_back(job.attempt());
        CHECK(job.failures() == 1);
        co_return;
    };
    const db::JobWorker worker(queue, handler, tests::quick_worker());
    co_await tests::work_until(worker, pool, none_left);
    CHECK(attempts == std::vector<int>{2});
    CHECK(worker.statistics().reaped == 1);
}

Coro<> never_two_at_once(std::string url) {
    const db::Pool pool(url, db::PoolOptions().max_size(12));
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    std::vector<db::NewJob> jobs;
    jobs.reserve(500);
    for (int i = 0; i < 500; ++i) jobs.push_back(tests::numbered(i));
    co_await queue.put_all(jobs);
    std::set<std::int64_t> active;
    std::vector<int> runs(500);
    auto handler = [&active, &runs](db::Job& job) -> Coro<> {
        const bool alone = active.insert(job.id()).second;
        CHECK(alone);
        ++runs.at(static_cast<std::size_t>(tests::number_of(job)));
        co_await coaio::sleep(std::chrono::microseconds(coaio::get_running_loop().random() % 2000));
        active.erase(job.id());
    };
    const db::JobWorker first(queue, handler, tests::quick_worker());
    const db::JobWorker second(queue, handler, tests::quick_worker().batch(7).concurrency(5).prefetch(0));
    const db::JobWorker third(queue, handler, tests::quick_worker().batch(1).prefetch(100));
    auto one = coaio::create_task(first.run());
    auto two = coaio::create_task(second.run());
    co_await tests::work_until(third, pool, none_left);
    first.stop();
    second.stop();
    co_await one;
    co_await two;
    CHECK(std::count(runs.begin(), runs.end(), 1) == 500);
    CHECK(first.statistics().completed + second.statistics().completed + third.statistics().completed == 500);
    CHECK(first.statistics().completed > 0);
    CHECK(second.statistics().completed > 0);
    CHECK(third.statistics().completed > 0);
}

Coro<> stop_gracefully(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    for (int i = 0; i < 6; ++i) co_await put(queue, tests::numbered(i));
    coaio::Event stopping;
    auto handler = [&stopping](db::Job& job) -> Coro<> {
        co_await stopping.wait();
        if (tests::number_of(job) == 0) co_await coaio::sleep(1h);  // does not end in time
    };
    const db::JobWorker worker(queue, handler, tests::quick_worker().concurrency(2).prefetch(2).grace(1s));
    auto running = coaio::create_task(worker.run());
    while (worker.statistics().running + worker.statistics().waiting < 4) co_await coaio::sleep(1ms);
    running.cancel();
    co_await coaio::sleep(1ms);
    stopping.set();
    const bool cancelled =
        co_await tests::throws<coaio::CancelledError>([](coaio::Task<> it) -> Coro<> { co_await it; }(running));
    CHECK(cancelled);
    // What had begun was done in its time, or cancelled; that, and what had not begun, was given back.
    CHECK(
        database.value("select string_agg(payload || state || attempt || failures, ',' order by id) from coaio_job") ==
        "0ready10,2ready10,3ready10,4ready00,5ready00");
    CHECK(worker.statistics().completed == 1);
    CHECK(worker.statistics().returned == 3);
    // It can work again.
    auto again = coaio::create_task(worker.run());
    while (worker.statistics().completed < 5) co_await coaio::sleep(1ms);
    worker.stop();
    co_await again;
    CHECK(database.value("select string_agg(payload || state || failures, ',') from coaio_job") == "0ready0");
}

// Gives the worker, which still runs when the program is over.
Coro<db::JobWorker> leave_it_running(std::string url) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    for (int i = 0; i < 6; ++i) co_await put(queue, tests::numbered(i));
    auto handler = [](db::Job& job) -> Coro<> {
        if (tests::number_of(job) > 0) co_await coaio::sleep(1h);
    };
    const db::JobWorker worker(queue, handler, tests::quick_worker().concurrency(2).prefetch(2).grace(1h));
    static_cast<void>(coaio::create_task(worker.run()));
    while (worker.statistics().completed == 0 || worker.statistics().waiting == 0) co_await coaio::sleep(1ms);
    co_return worker;
}

Coro<> hear_at_once(std::string url) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    std::vector<int> done;
    auto handler = [&done](db::Job& job) -> Coro<> {
        done.push_back(tests::number_of(job));
        co_return;
    };
    const db::JobWorker worker(queue, handler, tests::quick_worker().poll(1h, 1h).listen(url));
    auto running = coaio::create_task(worker.run());
    const bool listening =
        co_await tests::comes_true(pool, "exists (select from pg_stat_activity where query like 'listen%coaio_job%')");
    CHECK(listening);
    // Another handle knows nothing of the worker here.
    const db::JobQueue elsewhere(pool, "q");
    co_await put(elsewhere, tests::numbered(1));
    while (done.empty()) co_await coaio::sleep(1ms);
    // A listener that lost its session comes back, and looks at what it missed.
    co_await pool.query("select pg_terminate_backend(pid) from pg_stat_activity where query like 'listen%coaio_job%'");
    co_await put(queue, tests::numbered(2));
    while (done.size() < 2) co_await coaio::sleep(1ms);
    worker.stop();
    co_await running;
    CHECK(done == std::vector<int>{1, 2});
}

Coro<> complete_in_a_transaction(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    database.sql("create table effects (n int)");
    for (int i = 0; i < 3; ++i) co_await put(queue, tests::numbered(i));
    auto handler = [&pool, &database](db::Job& job) -> Coro<> {
        const int n = tests::number_of(job);
        auto body = [&job, &database, n](db::Transaction& tx) -> Coro<> {
            co_await tx.execute("insert into effects values ($1)", n);
            if (n == 2 && job.attempt() == 1) {
                database.sql("update coaio_job set attempt = 5, lease_until = now() where payload = '2'");
            }
            co_await job.complete(tx);
            if (n == 1 && job.attempt() == 1) throw std::runtime_error("at the last moment");
        };
        co_await pool.transaction(body);
    };
    const db::JobWorker worker(queue, handler, tests::quick_worker());
    co_await tests::work_until(worker, pool, none_left);
    CHECK(database.value("select string_agg(n::text, ',' order by n) from effects") == "0,1,2");
    CHECK(worker.statistics().completed == 3);
    CHECK(worker.statistics().failed == 1);
    CHECK(worker.statistics().lost == 1);
}

// The second job shows when the lease that both were taken with is over.
Coro<> go_on_after_completing(std::string url) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    for (int i = 0; i < 2; ++i) co_await put(queue, tests::numbered(i));
    coaio::Event completed;
    coaio::Event go_on;
    bool cancelled = false;
    auto handler = [&](db::Job& job) -> Coro<> {
        if (tests::number_of(job) == 0) {
            auto body = [&job](db::Transaction& tx) -> Coro<> { co_await job.complete(tx); };
            co_await pool.transaction(body);
            completed.set();
        }
        try {
            co_await go_on.wait();
        } catch (const coaio::CancelledError&) {
            cancelled = cancelled || tests::number_of(job) == 0;
            throw;
        }
    };
    const db::JobWorker worker(queue, handler, tests::quick_worker().lease(3s));
    auto running = coaio::create_task(worker.run());
    co_await completed.wait();
    const auto lease = co_await pool.query_value<std::string>("select lease_until::text from coaio_job");
    const std::string renewed_after_it = "lease_until > '" + lease + "'::timestamptz + interval '3.1 s' from coaio_job";
    const bool over = co_await tests::comes_true(pool, renewed_after_it);
    CHECK(over);
    CHECK_FALSE(cancelled);
    go_on.set();
    const bool done = co_await tests::comes_true(pool, none_left);
    CHECK(done);
    worker.stop();
    co_await running;
    CHECK(worker.statistics().completed == 2);
}

Coro<> end_a_removed_job(std::string url) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    const auto id = co_await put(queue, tests::numbered(1));
    bool ended = false;
    auto handler = [&ended](db::Job&) -> Coro<> {
        try {
            co_await coaio::sleep(1h);
        } catch (const coaio::CancelledError&) {
            ended = true;
            throw;
        }
    };
    const db::JobWorker worker(queue, handler, tests::quick_worker().lease(200ms));
    auto running = coaio::create_task(worker.run());
    while (worker.statistics().running == 0) co_await coaio::sleep(1ms);
    const bool removed = co_await queue.remove(id);
    CHECK(removed);
    while (worker.statistics().lost == 0) co_await coaio::sleep(1ms);
    CHECK(ended);
    worker.stop();
    co_await running;
}

Coro<> fail_for_good(std::string url) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "q");
    auto handler = [](db::Job&) -> Coro<> { co_return; };
    const db::JobWorker worker(queue, handler, tests::quick_worker());
    std::string state;
    try {
        co_await worker.run();
    } catch (const db::Error& error) {
        state = error.sqlstate();
    }
    CHECK(state == "42P01");
    CHECK_THROWS_AS(db::JobWorker(queue, {}), db::UsageError);
    CHECK_THROWS_AS(db::JobWorkerOptions().lease(1ms), db::UsageError);
}

}  // namespace

TEST_CASE("a worker does jobs in their order, and not before their time", "[pgtest]") {
    tests::Database database;
    coaio::run(do_in_order(database.conninfo()));
}

TEST_CASE("JOB-07: a job that fails is tried again until it is dead, its errors kept; a snooze does not count",
          "[pgtest]") {
    tests::Database database;
    coaio::run(fail_and_die(database.conninfo(), database));
}

TEST_CASE("JOB-07: each failure is waited for twice as long as the one before, up to a limit, less some chance",
          "[pgtest]") {
    tests::Database database;
    coaio::run(wait_longer_and_longer(database.conninfo(), database));
}

TEST_CASE("JOB-05: a handler whose lease cannot be renewed is stopped before others may begin", "[pgtest]") {
    tests::Database database;
    coaio::run(run_into_the_deadline(database.conninfo(), database));
}

TEST_CASE("JOB-06: a heartbeat that fails ends no job whose lease still holds", "[pgtest]") {
    tests::Database database;
    coaio::run(outlive_a_failed_heartbeat(database.conninfo(), database));
}

TEST_CASE("JOB-02: what a worker says of a job that others have taken since is ignored", "[pgtest]") {
    tests::Database database;
    coaio::run(lose_a_lease(database.conninfo(), database));
}

TEST_CASE("JOB-02: of many workers one has a job", "[pgtest]") {
    tests::Database database;
    coaio::run(never_two_at_once(database.conninfo()));
}

TEST_CASE("JOB-03: the job of a worker that is gone runs again after its lease, once", "[pgtest]") {
    tests::Database database;
    coaio::run(run_again_after_the_lease(database.conninfo(), database));
}

TEST_CASE("a worker that is cancelled gives its handlers their time, and the rest back", "[pgtest]") {
    tests::Database database;
    coaio::run(stop_gracefully(database.conninfo(), database));
}

TEST_CASE("a worker whose program ends gives back what it has", "[pgtest]") {
    tests::Database database;
    const db::JobWorker worker = coaio::run(leave_it_running(database.conninfo()));
    CHECK(database.value("select count(*) from coaio_job where state = 'ready' and failures = 0") == "5");
    CHECK(worker.statistics().returned == worker.statistics().taken - 1);
    CHECK(worker.statistics().running + worker.statistics().waiting + worker.statistics().ending == 0);
}

TEST_CASE("a worker that listens hears of jobs at once, and listens again when its session was lost", "[pgtest]") {
    tests::Database database;
    coaio::run(hear_at_once(database.conninfo()));
}

TEST_CASE("a job that is completed in a transaction is done exactly if that commits", "[pgtest]") {
    tests::Database database;
    coaio::run(complete_in_a_transaction(database.conninfo(), database));
}

TEST_CASE("a handler may go on when it has completed its job, for longer than its lease", "[pgtest]") {
    tests::Database database;
    coaio::run(go_on_after_completing(database.conninfo()));
}

TEST_CASE("the handler of a job that was removed is cancelled", "[pgtest]") {
    tests::Database database;
    coaio::run(end_a_removed_job(database.conninfo()));
}

TEST_CASE("a worker without its tables says so at once", "[pgtest]") {
    tests::Database database;
    coaio::run(fail_for_good(database.conninfo()));
}
