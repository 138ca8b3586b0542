// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/gather.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>

#include "support/catch.hpp"
#include "support/postgres_proxy.hpp"
#include "support/throws.hpp"
#include "support/timely.hpp"
#include "support/token_table.hpp"

namespace db = coaio::db;
using coaio::Coro;
using db::Transaction;
using tests::Fault;
using tests::Spot;
using tests::Way;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

constexpr db::TransactionOptions serializable = {.isolation = db::Isolation::serializable};
constexpr db::RetryOptions patient = {.attempts = 200, .pause = 2ms, .transaction = serializable};

db::ErrorFields lost_against_another() {
    db::ErrorFields fields;
    fields.sqlstate = "40001";
    fields.outcome = db::Outcome::rolled_back;
    return fields;
}

Coro<> count_up(db::Pool pool) {
    for (int i = 0; i < 5; ++i) {
        auto body = [](Transaction& tx) -> Coro<> {
            const int n = co_await tx.query_value<int>("select n from t");
            co_await tx.execute("update t set n = $1", n + 1);
        };
        co_await pool.retry_transaction(body, patient);
    }
}

Coro<> contend(std::string url) {
    db::Pool pool(url, db::PoolOptions().max_size(4));
    co_await pool.execute("create table t (n int)");
    co_await pool.execute("insert into t values (0)");
    std::vector<Coro<>> tasks;
    for (int i = 0; i < 4; ++i) tasks.push_back(count_up(pool));
    co_await coaio::gather(std::move(tasks));
    const int n = co_await pool.query_value<int>("select n from t");
    CHECK(n == 20);
    CHECK(pool.statistics().closed == 0);
}

/// Two that read what the other one writes: whoever commits last fails, and at COMMIT.
Coro<> fail_at_commit(std::string url) {
    db::Pool pool(url, db::PoolOptions().max_size(3));
    co_await pool.execute("create table t (n int)");
    int runs = 0;
    auto body = [&runs, &pool](Transaction& tx) -> Coro<> {
        const bool first = ++runs == 1;
        const int rows = co_await tx.query_value<int>("select count(*)::int from t");
        co_await tx.execute("insert into t values ($1)", rows);
        if (!first) co_return;
        auto other = [](Transaction& its) -> Coro<> {
            co_await its.query("select count(*) from t");
            co_await its.execute("insert into t values (100)");
        };
        co_await pool.transaction(other, serializable);
    };
    co_await pool.retry_transaction(body, patient);
    CHECK(runs == 2);
    const auto sum = co_await pool.query_value<int>("select sum(n)::int from t");
    CHECK(sum == 101);
}

Coro<> lock_two(db::Pool pool, int first, int& runs, int& locked) {
    auto body = [first, &runs, &locked](Transaction& tx) -> Coro<> {
        ++runs;
        co_await tx.execute("update t set n = n + 1 where id = $1", first);
        ++locked;
        while (locked < 2) co_await coaio::sleep(1ms);
        co_await tx.execute("update t set n = n + 1 where id = $1", 3 - first);
    };
    co_await pool.retry_transaction(body);
}

Coro<> deadlock(std::string url) {
    db::Pool pool(url, db::PoolOptions().max_size(2).setting("deadlock_timeout", "50ms"));
    co_await pool.execute("create table t (id int, n int)");
    co_await pool.execute("insert into t values (1, 0), (2, 0)");
    int runs = 0;
    int locked = 0;
    auto other = coaio::create_task(lock_two(pool, 1, runs, locked));
    co_await lock_two(pool, 2, runs, locked);
    co_await other;
    CHECK(runs > 2);
    const int sum = co_await pool.query_value<int>("select sum(n)::int from t");
    CHECK(sum == 4);
}

Coro<> give_up(std::string url) {
    db::Pool pool(url);
    int runs = 0;
    auto losing = [&runs](Transaction&) -> Coro<> {
        ++runs;
        throw db::SerializationError(lost_against_another());
        co_return;
    };
    const bool lost =
        co_await tests::throws<db::SerializationError>(pool.retry_transaction(losing, {.attempts = 3, .pause = 1ms}));
    CHECK(lost);
    CHECK(runs == 3);
    const bool late = co_await tests::throws<db::SerializationError>(
        pool.retry_transaction(losing, {.deadline = 30ms, .pause = 20ms}));
    CHECK(late);
    CHECK(runs < 9);
    runs = 0;
    auto failing = [&runs](Transaction& tx) -> Coro<> {
        ++runs;
        co_await tx.query("select 1/0");
    };
    const bool failed = co_await tests::throws<db::Error>(pool.retry_transaction(failing));
    CHECK(failed);
    CHECK(runs == 1);
}

Coro<> be_cancelled(std::string url) {
    db::Pool pool(url);
    auto run = [](db::Pool its) -> Coro<> {
        auto losing = [](Transaction&) -> Coro<> {
            throw db::SerializationError(lost_against_another());
            co_return;
        };
        co_await its.retry_transaction(losing, {.attempts = 1'000'000, .pause = 1ms});
    };
    auto task = coaio::create_task(run(pool));
    co_await coaio::sleep(10ms);
    task.cancel();
    const bool cancelled =
        co_await tests::throws<coaio::CancelledError>([](coaio::Task<> it) -> Coro<> { co_await it; }(task));
    CHECK(cancelled);
    CHECK(pool.statistics().in_use == 0);
}

Coro<int> runs_until_done(std::string url) {
    db::Pool pool(url, db::PoolOptions().max_size(1).resolve_timeout(1s));
    int runs = 0;
    auto body = [&runs](Transaction& tx) -> Coro<> {
        ++runs;
        co_await tx.execute("insert into t values (1)");
    };
    bool unknown = false;
    try {
        co_await pool.retry_transaction(body, {.pause = 1ms});
    } catch (const db::CommitUnknownError&) {
        unknown = true;
    }
    co_return unknown ? -runs : runs;
}

Coro<> stay(std::string url) {
    db::Pool pool(url, db::PoolOptions().max_size(2));
    auto connection = co_await pool.acquire();
    std::vector<int> pids;
    auto body = [&pids](Transaction& tx) -> Coro<> {
        pids.push_back(co_await tx.query_value<int>("select pg_backend_pid()"));
        if (pids.size() < 3) throw db::SerializationError(lost_against_another());
    };
    co_await connection.retry_transaction(body, {.pause = 1ms});
    CHECK(pids == std::vector<int>(3, connection.pid()));
    int runs = 0;
    auto dying = [&runs, &pool](Transaction& tx) -> Coro<> {
        ++runs;
        const int pid = co_await tx.query_value<int>("select pg_backend_pid()");
        co_await pool.query("select pg_terminate_backend($1, 5000)", pid);
        co_await tx.query("select 1");
    };
    const bool lost = co_await tests::throws<db::ConnectionError>(connection.retry_transaction(dying, {.pause = 1ms}));
    CHECK(lost);
    CHECK(runs == 1);
    connection.release();
    runs = 0;
    auto dying_once = [&runs, &pool](Transaction& tx) -> Coro<> {
        const int pid = co_await tx.query_value<int>("select pg_backend_pid()");
        if (++runs == 1) co_await pool.query("select pg_terminate_backend($1, 5000)", pid);
        co_await tx.query("select 1");
    };
    co_await pool.retry_transaction(dying_once, {.pause = 1ms});
    CHECK(runs == 2);
}

}  // namespace

TEST_CASE("TXN-10: transactions that lose against others are run again until all are done", "[pgtest]") {
    tests::Database database;
    tests::run_timely(contend(database.conninfo()));
}

TEST_CASE("TXN-10: losing at COMMIT counts as well, and so does a deadlock", "[pgtest]") {
    tests::Database database;
    SECTION("COMMIT") { tests::run_timely(fail_at_commit(database.conninfo())); }
    SECTION("deadlock") { tests::run_timely(deadlock(database.conninfo())); }
}

TEST_CASE("TXN-10: attempts are limited by count and time, and other errors pass", "[pgtest]") {
    tests::Database database;
    tests::run_timely(give_up(database.conninfo()));
    tests::run_timely(be_cancelled(database.conninfo()));
}

TEST_CASE("TXN-11: after an unknown outcome nothing is run again, unless it was found to be rolled back", "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    database.sql("create table t (n int)");
    proxy.on(Spot(Way::to_server, 'Q').containing("commit\0"s).nth(0), Fault::cut_before());
    const std::string url = proxy.conninfo(database.name());
    coaio::Runner runner;
    SECTION("unknown") {
        CHECK(runner.run(runs_until_done(url)) == -1);
        CHECK(database.value("select count(*) from t") == "0");
    }
    SECTION("rolled back") {
        database.sql(tests::token_table);
        CHECK(runner.run(runs_until_done(url)) == 2);
        CHECK(database.value("select count(*) from t") == "1");
    }
}

TEST_CASE("TXN-12: on a connection of one's own every attempt stays there", "[pgtest]") {
    tests::Database database;
    tests::run_timely(stay(database.conninfo()));
}
