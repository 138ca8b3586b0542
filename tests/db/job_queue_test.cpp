// SPDX-License-Identifier: MIT
#include <coaio/db/job_queue.hpp>
#include <coaio/db/listener.hpp>

#include <coaio/core/gather.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/timeout.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include "db/jobs.hpp"
#include "job_sql.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/throws.hpp"

namespace db = coaio::db;
namespace job_sql = coaio::db::detail::job_sql;
using namespace std::chrono_literals;
using coaio::Coro;
using db::KeyHeld;

namespace {

struct Oops : std::runtime_error {
    using std::runtime_error::runtime_error;
};

Coro<> put_in_transactions(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "mails");
    co_await queue.prepare();
    auto undone = [&queue](db::Transaction& tx) -> Coro<> {
        const auto id = co_await queue.put(tx, tests::numbered(1));
        CHECK(id.has_value());
        throw Oops("undo it");
    };
    const bool thrown = co_await tests::throws<Oops>(pool.transaction(undone));
    CHECK(thrown);
    auto done = [&queue](db::Transaction& tx) -> Coro<> { co_await queue.put(tx, tests::numbered(2).priority(-1)); };
    co_await pool.transaction(done);
    CHECK(database.value("select string_agg(queue || payload || state || attempt, ',') from coaio_job") ==
          "mails2ready0");
    const auto other = co_await db::JobQueue(pool, "other").counts();
    CHECK(other.ready == 0);
    co_await queue.put(tests::numbered(3).delay(1h));
    co_await queue.put(tests::numbered(4).at(std::chrono::sys_days(std::chrono::year(2200) / 1 / 1)));
    const auto counts = co_await queue.counts();
    CHECK(counts.ready == 1);
    CHECK(counts.delayed == 2);
    CHECK(counts.running + counts.dead == 0);
    const bool ready = co_await queue.has_ready();
    CHECK(ready);
    database.sql("update coaio_job set state = 'running' where payload = '2'");
    const bool still_ready = co_await queue.has_ready();
    CHECK_FALSE(still_ready);
    CHECK(database.value("select run_at from coaio_job where payload = '4'") == "2200-01-01 00:00:00+00");
    CHECK(database.value("select run_at - now() between '59 min' and '60 min' from coaio_job where payload = '3'") ==
          "t");
    const bool refused = co_await tests::throws<db::Error>(queue.put(db::NewJob(db::Json("{"))));
    CHECK(refused);
}

Coro<> keep_keys(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    const auto first = co_await queue.put(tests::numbered(1).key("a", KeyHeld::while_ready));
    const auto second = co_await queue.put(tests::numbered(2).key("a"));
    const auto third = co_await queue.put(tests::numbered(3).key("b"));
    const auto fourth = co_await queue.put(tests::numbered(4).key("c", KeyHeld::while_kept));
    CHECK(first.has_value());
    CHECK_FALSE(second.has_value());
    CHECK(third.has_value());
    CHECK(fourth.has_value());
    const auto elsewhere = co_await db::JobQueue(pool, "r").put(tests::numbered(1).key("a"));
    CHECK(elsewhere.has_value());
    const auto keys = [&database] {
        return database.value("select coalesce(string_agg(key, '' order by key), '') from coaio_job where queue = 'q'");
    };
    co_await pool.query(job_sql::claim, "q", 10, 60000, "me");
    CHECK(keys() == "bc");
    const std::vector<std::int64_t> ids = {*first, *third, *fourth};
    const std::vector<std::int32_t> attempts = {1, 1, 1};
    const std::vector<std::string> states = {"dead", "dead", "dead"};
    const std::vector<std::int64_t> delays = {0, 0, 0};
    const std::vector<std::optional<std::string>> errors = {"x", "y", std::nullopt};
    const std::vector<bool> counted = {true, true, true};
    const auto dead = co_await pool.query(job_sql::put_back, ids, attempts, states, delays, errors, counted);
    CHECK(dead.size() == 3);
    CHECK(keys() == "c");
    const auto again = co_await queue.put(tests::numbered(5).key("c"));
    CHECK_FALSE(again.has_value());
    const bool gone = co_await queue.remove(*fourth);
    CHECK(gone);
    const auto now = co_await queue.put(tests::numbered(6).key("c"));
    CHECK(now.has_value());
}

std::vector<db::NewJob> ten_thousand(bool backwards) {
    std::vector<db::NewJob> jobs;
    for (int i = 0; i < 10000; ++i) {
        const int n = backwards ? 9999 - i : i;
        jobs.push_back(tests::numbered(n).key("key " + std::to_string(n / 2)));
    }
    return jobs;
}

Coro<> put_many(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "many");
    co_await queue.prepare();
    database.sql("create table statements (n bigserial);"
                 "create function count_statement() returns trigger language plpgsql as "
                 "$$ begin insert into statements default values; return null; end $$;"
                 "create trigger count_statement after insert on coaio_job execute function count_statement()");
    const auto ids = co_await queue.put_all(ten_thousand(false));
    CHECK(ids.size() == 5000);
    CHECK(database.value("select count(*) from coaio_job") == "5000");
    CHECK(database.value("select count(*) from statements") == "1");
    database.sql("truncate coaio_job");
    // Two at once that come from both ends would wait for each other for ever, were the keys not put in one order.
    std::vector<Coro<std::vector<std::int64_t>>> both;
    both.push_back(queue.put_all(ten_thousand(false)));
    both.push_back(queue.put_all(ten_thousand(true)));
    const auto put = co_await coaio::gather(std::move(both));
    CHECK(put[0].size() + put[1].size() == 5000);
    CHECK(database.value("select count(distinct key) from coaio_job") == "5000");
    const auto none = co_await queue.put_all({});
    CHECK(none.empty());
}

// How often it is heard: so often at least, and until nothing comes any more.
Coro<int> heard(db::Listener& listener, std::string payload, int wanted) {
    int count = 0;
    for (;;) {
        try {
            const auto next = co_await coaio::wait_for(listener.next(), count < wanted ? 60s : 300ms);
            CHECK(next.channel == "coaio_job");
            CHECK(next.payload == payload);
            ++count;
        } catch (const coaio::TimeoutError&) {
            co_return count;
        }
    }
}

Coro<> wake_rarely(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    db::JobQueueOptions options;
    options.wake_interval = 1h;
    const db::JobQueue queue(pool, "woken", options);
    co_await queue.prepare();
    auto listener = co_await db::Listener::connect(url);
    co_await listener.listen("coaio_job");
    for (int i = 0; i < 50; ++i) co_await queue.put(tests::numbered(i));
    queue.wake();
    const int once = co_await heard(listener, "woken", 1);
    CHECK(once == 1);

    db::JobQueueOptions often;
    often.wake_interval = 1ms;
    const db::JobQueue another(pool, "another", often);
    another.wake();
    const int first = co_await heard(listener, "another", 1);
    another.wake();
    const int second = co_await heard(listener, "another", 1);
    CHECK(first == 1);
    CHECK(second == 1);

    // The transactions that put jobs send nothing.
    auto body = [&another](db::Transaction& tx) -> Coro<> { co_await another.put(tx, tests::numbered(1)); };
    co_await pool.transaction(body);
    const int of_transaction = co_await heard(listener, "another", 0);
    CHECK(of_transaction == 0);
    CHECK(database.value("select count(*) from coaio_job") == "51");
}

Coro<> wake_by_many_handles(std::string url) {
    const db::Pool pool(url);
    db::JobQueueOptions options;
    options.wake_interval = 1h;
    co_await db::JobQueue(pool, "woken").prepare();
    auto listener = co_await db::Listener::connect(url);
    co_await listener.listen("coaio_job");
    const db::JobQueue kept(pool, "woken", options);
    kept.wake();
    db::JobQueue(db::Pool(url), "woken", options).wake();
    int times = co_await heard(listener, "woken", 1);
    CHECK(times == 1);
    db::JobQueue(db::Pool(url), "other", options).wake();
    times = co_await heard(listener, "other", 1);
    CHECK(times == 1);
    db::JobQueue(pool, "other", options).wake();  // nobody has the one before any more
    kept.wake();
    times = co_await heard(listener, "other", 0);
    CHECK(times == 0);
    times = co_await heard(listener, "woken", 0);
    CHECK(times == 0);
}

// Whoever was to tell them is gone: the next one does.
Coro<> leave_a_wake_up_undone(std::string url) {
    const db::Pool pool(url);
    db::JobQueueOptions options;
    options.wake_interval = 1h;
    const db::JobQueue queue(pool, "left", options);
    co_await queue.prepare();
    queue.wake();
}

Coro<> tell_after_all(std::string url) {
    const db::Pool pool(url);
    auto listener = co_await db::Listener::connect(url);
    co_await listener.listen("coaio_job");
    db::JobQueue(pool, "left").wake();
    const int times = co_await heard(listener, "left", 1);
    CHECK(times == 1);
}

Coro<> reap_only_what_is_over(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    for (int i = 1; i <= 3; ++i) co_await queue.put(tests::numbered(i).max_attempts(i == 3 ? 1 : 20));
    co_await pool.query(job_sql::claim, "q", 10, 60000, "gone");
    const auto nothing = co_await pool.query(job_sql::reap);
    CHECK(nothing.empty());
    database.sql("update coaio_job set lease_until = now() - interval '1 second'");
    // One is being finished at this very moment, another one's lease is being renewed.
    auto finishing = co_await pool.acquire();
    co_await finishing.execute("begin");
    co_await finishing.execute("delete from coaio_job where payload = '1' and attempt = 1 and state = 'running'");
    co_await finishing.execute("update coaio_job set lease_until = now() + interval '1 minute' where payload = '2'");
    const auto free = co_await pool.query(job_sql::reap);
    CHECK(free.size() == 1);
    co_await finishing.execute("commit");
    finishing.release();
    const auto rest = co_await pool.query(job_sql::reap);
    CHECK(rest.empty());
    CHECK(database.value("select string_agg(payload || state || failures, ',' order by id) from coaio_job") ==
          "2running0,3dead1");
    const auto dead = co_await queue.dead();
    REQUIRE(dead.size() == 1);
    REQUIRE(dead[0].errors.size() == 1);
    CHECK_THAT(dead[0].errors[0], tests::contains("attempt 1, ") && tests::contains("no sign of life from gone"));
}

Coro<> notice_a_held_snapshot(std::string url) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    const auto before = co_await queue.health();
    CHECK(before.held_by.find("select 42") == std::string::npos);
    auto holder = co_await pool.acquire();
    co_await holder.execute("begin isolation level repeatable read");
    co_await holder.query("select 42");
    co_await coaio::sleep(20ms);
    const auto health = co_await queue.health();
    CHECK(health.oldest_snapshot >= 20ms);
    CHECK_THAT(health.held_by,
               tests::contains("session " + std::to_string(holder.pid())) && tests::contains("select 42"));
    co_await holder.execute("rollback");
}

Coro<> clean_after_many(std::string url) {
    const db::Pool pool(url);
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    co_await pool.execute("insert into coaio_job (queue, payload, priority, run_at, max_attempts, key_held) "
                          "select 'q', '1', 0, now(), 20, 1 from generate_series(1, 20000)");
    const db::JobHandler nothing = [](db::Job&) -> Coro<> { co_return; };
    const db::JobWorker worker(queue, nothing, tests::quick_worker().concurrency(200));
    co_await tests::work_until(worker, pool,
                               "(select vacuum_count > 0 from pg_stat_user_tables where relname = 'coaio_job')");
}

}  // namespace

TEST_CASE("JOB-01: a job exists if the transaction that put it commits", "[pgtest]") {
    tests::Database database;
    coaio::run(put_in_transactions(database.conninfo(), database));
}

TEST_CASE("JOB-08: a key keeps others out for as long as it was asked to", "[pgtest]") {
    tests::Database database;
    coaio::run(keep_keys(database.conninfo(), database));
}

TEST_CASE("JOB-08: ten thousand with duplicates are one statement, and two such at once do not block each other",
          "[pgtest]") {
    tests::Database database;
    coaio::run(put_many(database.conninfo(), database));
}

TEST_CASE("JOB-12: however many jobs are put, workers are told once in an interval, and outside of transactions",
          "[pgtest]") {
    tests::Database database;
    coaio::run(wake_rarely(database.conninfo(), database));
}

TEST_CASE("JOB-12: all handles of a queue tell its workers once in an interval", "[pgtest]") {
    tests::Database database;
    coaio::run(wake_by_many_handles(database.conninfo()));
}

TEST_CASE("JOB-12: workers that a loop has left untold when it ended are told by the next one", "[pgtest]") {
    tests::Database database;
    coaio::run(leave_a_wake_up_undone(database.conninfo()));
    coaio::run(tell_after_all(database.conninfo()));
}

TEST_CASE("JOB-09, JOB-10: the reaper frees what nobody renews, needs no trace of its worker, and touches nothing else",
          "[pgtest]") {
    tests::Database database;
    coaio::run(reap_only_what_is_over(database.conninfo(), database));
}

TEST_CASE("JOB-15: a snapshot that keeps the table from being cleaned is noticed, with its session", "[pgtest]") {
    tests::Database database;
    coaio::run(notice_a_held_snapshot(database.conninfo()));
}

TEST_CASE("JOB-15: a worker that has taken many jobs has the table vacuumed", "[pgtest]") {
    tests::Database database;
    coaio::run(clean_after_many(database.conninfo()));
}

TEST_CASE("a queue needs a name, and a job an attempt") {
    const db::Pool pool("host=/nowhere");
    CHECK_THROWS_AS(db::JobQueue(pool, ""), db::UsageError);
    CHECK_THROWS_AS(db::JobQueue(pool, std::string(201, 'x')), db::UsageError);
    CHECK_THROWS_AS(db::NewJob().max_attempts(0), db::UsageError);
}
