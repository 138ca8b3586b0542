// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>

#include "db/cut.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/throws.hpp"

namespace db = coaio::db;
using coaio::Coro;
using db::Transaction;
using tests::Bench;
using namespace std::chrono_literals;

namespace {

// Each of the steps that are cut. `begun` is counted before a write is asked for, `acknowledged` when it is answered.

Coro<> cut_acquire(Bench& bench) {
    auto pool = bench.open();
    auto connection = co_await pool.acquire();
    connection.release();
    auto again = co_await pool.acquire();
}

Coro<> cut_query(Bench& bench) {
    auto pool = bench.open();
    for (int i = 0; i < 2; ++i) {
        const int value = co_await pool.query_value<int>("select $1::int", 41 + i);
        CHECK(value == 41 + i);
    }
}

Coro<> cut_insert(Bench& bench) {
    auto pool = bench.open();
    for (int i = 0; i < 2; ++i) {
        ++bench.begun;
        co_await pool.execute("insert into t values ($1)", i);
        ++bench.acknowledged;
    }
}

Coro<> cut_slow_query(Bench& bench) {
    auto pool = bench.open();
    co_await pool.query("select pg_sleep(0.02)");
}

Coro<> cut_transaction(Bench& bench) {
    auto pool = bench.open();
    auto body = [](Transaction& tx) -> Coro<int> {
        co_await tx.execute("insert into t values (1)");
        co_return 1;
    };
    bench.begun += 1;
    bench.acknowledged += co_await pool.transaction(body);
}

Coro<> cut_savepoint(Bench& bench) {
    auto pool = bench.open();
    auto body = [](Transaction& tx) -> Coro<int> {
        auto inner = [](Transaction& sub) -> Coro<> { co_await sub.execute("insert into t values (1)"); };
        auto failing = [](Transaction& sub) -> Coro<> {
            co_await sub.execute("insert into t values (1)");
            throw std::runtime_error("undo this");
        };
        co_await tx.transaction(inner);
        const bool undone = co_await tests::throws<std::runtime_error>(tx.transaction(failing));
        CHECK(undone);
        co_return 1;
    };
    bench.begun += 1;
    bench.acknowledged += co_await pool.transaction(body);
}

Coro<> cut_rollback(Bench& bench) {
    auto pool = bench.open();
    auto body = [](Transaction& tx) -> Coro<> {
        co_await tx.execute("insert into t values (1)");
        throw std::runtime_error("undo this");
    };
    const bool thrown = co_await tests::throws<std::runtime_error>(pool.transaction(body));
    CHECK(thrown);
}

Coro<> look_at_rows(Bench& bench, db::Pool& pool, bool in_transaction) {
    const int value = co_await pool.query_value<int>("select 11");
    REQUIRE(value == 11);
    for (int i = 0; i < 3; ++i) {
        const int open = co_await pool.query_value<int>(
            "select count(*)::int from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() "
            "and state like 'idle in transaction%'");
        REQUIRE(open == 0);
    }
    const int rows = co_await pool.query_value<int>("select count(*)::int from t");
    REQUIRE(rows >= bench.acknowledged);
    REQUIRE(rows <= bench.begun);
    // A COMMIT that was sent is answered, and so acknowledged.
    if (in_transaction) REQUIRE(rows == bench.acknowledged);
    co_await pool.execute("truncate t");
}

void cut_at_every_turn(Coro<> (*step)(Bench&), bool in_transaction) {
    tests::Database database;
    database.sql("create table t (n int)");
    tests::cut_at_every_turn(database, step, [in_transaction](Bench& bench, db::Pool& pool) {
        return look_at_rows(bench, pool, in_transaction);
    });
}

Coro<> interleave(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(2).cancel_timeout(10s));
    auto& loop = coaio::get_running_loop();
    for (int i = 0; i < 60; ++i) {
        auto task = coaio::create_task(pool.query("select pg_sleep(0.01)"));
        const auto turns = loop.random() % 6;
        for (std::uint64_t turn = 0; turn < turns; ++turn) co_await coaio::sleep(0s);
        task.cancel();
        const int value = co_await pool.query_value<int>("select $1::int", i);
        REQUIRE(value == i);
        try {
            co_await task;
        } catch (const coaio::CancelledError&) {}
        const int after = co_await pool.query_value<int>("select $1::int", -i);
        REQUIRE(after == -i);
    }
    CHECK(pool.statistics().closed == 0);
}

Coro<> by_closing(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1).cancel_by_closing(true));
    auto task = coaio::create_task(pool.query("select pg_sleep(60)"));
    for (int i = 0; i < 5; ++i) co_await coaio::sleep(0s);
    task.cancel();
    try {
        co_await task;
    } catch (const coaio::CancelledError&) {}
    CHECK(pool.statistics().size == 0);
    const int value = co_await pool.query_value<int>("select 1");
    CHECK(value == 1);
}

Coro<> cut_own_connection(Bench& bench, std::optional<db::Connection>& connection) {
    if (!connection) connection.emplace(co_await db::Connection::connect(bench.url));
    auto body = [](Transaction& tx) -> Coro<int> {
        auto inner = [](Transaction& sub) -> Coro<> { co_await sub.execute("insert into t values (1)"); };
        co_await tx.transaction(inner);
        co_return 1;
    };
    bench.begun += 1;
    bench.acknowledged += co_await connection->transaction(body);
    co_await connection->query("select $1::int", 1);
}

Coro<> look_at_connection(Bench& bench, std::optional<db::Connection>& connection) {
    if (connection) {
        const int value = co_await connection->query_value<int>("select 12");
        REQUIRE(value == 12);
        const bool alone = co_await connection->query_value<bool>("select pg_current_xact_id_if_assigned() is null");
        REQUIRE(alone);
        const int rows = co_await connection->query_value<int>("select count(*)::int from t");
        REQUIRE(rows == bench.acknowledged);
        // Refused if one were open still.
        auto clear = [](Transaction& tx) -> Coro<> { co_await tx.execute("truncate t"); };
        co_await connection->transaction(clear);
    }
    connection.reset();
    bench.acknowledged = bench.begun = 0;
}

// In COMMIT a deferred trigger waits for a lock; the cancellation waits for it.
Coro<> cancel_commit(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(2));
    co_await pool.execute("create table s (n int)");
    co_await pool.execute("create function slow() returns trigger language plpgsql as $$ begin perform "
                          "pg_advisory_xact_lock(1); return null; end $$");
    co_await pool.execute(
        "create constraint trigger slow after insert on s deferrable initially deferred for each row execute function "
        "slow()");
    auto run = [](db::Pool its) -> Coro<int> {
        auto body = [](Transaction& tx) -> Coro<int> {
            co_await tx.execute("insert into s values (1)");
            co_return 5;
        };
        co_return co_await its.transaction(body);
    };
    const auto holder = co_await pool.acquire();
    co_await holder.query("select pg_advisory_lock(1)");
    auto task = coaio::create_task(run(pool));
    for (bool waits = false; !waits;) {
        waits = co_await holder.query_value<bool>(
            "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = "
            "'Lock' and query = 'commit')");
    }
    task.cancel();
    co_await coaio::sleep(0s);
    co_await holder.query("select pg_advisory_unlock(1)");
    const int got = co_await task;
    CHECK(got == 5);
    const int rows = co_await holder.query_value<int>("select count(*)::int from s");
    CHECK(rows == 1);
}

}  // namespace

TEST_CASE("CON-06: an acquire cut at any turn leaves a whole pool and no session", "[pgtest]") {
    cut_at_every_turn(cut_acquire, false);
}
TEST_CASE("CAN-03: a query cut at any turn, prepared or not, leaves a clean connection", "[pgtest]") {
    cut_at_every_turn(cut_query, false);
}
TEST_CASE("CAN-04: an insert cut at any turn stands where it was acknowledged", "[pgtest]") {
    cut_at_every_turn(cut_insert, false);
}
TEST_CASE("a slow query cut at any turn leaves a clean connection", "[pgtest]") {
    cut_at_every_turn(cut_slow_query, false);
}
TEST_CASE("TXN-07 CMT-01: a transaction cut at any turn is committed just when it says so", "[pgtest]") {
    cut_at_every_turn(cut_transaction, true);
}
TEST_CASE("a transaction with savepoints cut at any turn is committed just when it says so", "[pgtest]") {
    // Two rows would mean that the inner failure was not undone.
    cut_at_every_turn(cut_savepoint, true);
}
TEST_CASE("a rollback cut at any turn still rolls back", "[pgtest]") { cut_at_every_turn(cut_rollback, true); }

TEST_CASE("a transaction on a connection of one's own cut at any turn leaves it idle and usable", "[pgtest]") {
    tests::Database database;
    database.sql("create table t (n int)");
    Bench bench(database);
    std::optional<db::Connection> connection;
    coaio::testing::cut([&] { return cut_own_connection(bench, connection); },
                        [&](std::size_t) { return look_at_connection(bench, connection); });
}

TEST_CASE("CAN-03: a late cancel never hits the next query", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(interleave(database.conninfo()), {.seed = 7});
}

TEST_CASE("TLS-07: where asked, a query is cancelled by closing its connection", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(by_closing(database.conninfo()));
}

TEST_CASE("CMT-01: a cancellation that meets COMMIT waits for its answer", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(cancel_commit(database.conninfo()));
}
