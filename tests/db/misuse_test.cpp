// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/event.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/core/to_thread.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/throws.hpp"

#include <optional>
#include <stdexcept>

namespace db = coaio::db;
using coaio::Coro;
using db::Transaction;
using namespace std::chrono_literals;

namespace {

const std::string with_nul("select 1\0, 2", 12);

Coro<> release_behind_a_copy(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    {
        auto connection = co_await pool.acquire();
        auto out = connection.copy_out("copy (select 1) to stdout");
        while (auto line = co_await out.next()) continue;
        connection.release();
        CHECK(pool.statistics().idle == 1);
    }
    auto connection = co_await pool.acquire();
    auto rows = connection.stream<int>("select 1");
    auto lines = connection.copy_out("copy (select 1) to stdout");
    auto never_begun = connection.stream<int>("select 1");
    connection.release();
    bool refused = co_await tests::throws<db::UsageError>(rows.next());
    CHECK(refused);
    refused = co_await tests::throws<db::UsageError>(lines.next());
    CHECK(refused);
    co_await rows.close();
    co_await lines.close();
    co_await never_begun.close();
}

Coro<> release_in_a_transaction(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1).acquire_timeout(10s));
    co_await pool.execute("create table t (n int)");
    for (const bool nested : {false, true}) {
        auto connection = co_await pool.acquire();
        auto inner = [&connection](Transaction& tx) -> Coro<> {
            co_await tx.execute("insert into t values (1)");
            connection.release();
        };
        auto outer = [&inner](Transaction& tx) -> Coro<> { co_await tx.transaction(inner); };
        bool refused = false;
        if (nested) {
            refused = co_await tests::throws<db::UsageError>(connection.transaction(outer));
        } else {
            refused = co_await tests::throws<db::UsageError>(connection.transaction(inner));
        }
        CHECK(refused);
        const int rows = co_await pool.query_value<int>("select count(*)::int from t");
        CHECK(rows == 0);
    }
    // It goes between two statements of a task.
    auto taken = co_await pool.acquire();
    std::optional<db::Connection> connection(std::move(taken));
    coaio::Event inserted;
    coaio::Event gone;
    auto slow = [&](Transaction& tx) -> Coro<> {
        co_await tx.execute("insert into t values (1)");
        inserted.set();
        co_await gone.wait();
        co_await tx.execute("insert into t values (2)");
    };
    auto task = coaio::create_task(connection->transaction(slow));
    co_await inserted.wait();
    connection.reset();
    gone.set();
    const bool refused = co_await tests::throws<db::UsageError>(coaio::wait_for(std::move(task), 10s));
    CHECK(refused);
    const int rows = co_await pool.query_value<int>("select count(*)::int from t");
    CHECK(rows == 0);
}

// Its savepoint and its number may be another transaction's by then, on the same connection or on one of another hand.
Coro<> outlive_the_transaction_around(std::string url, bool same_hand) {
    const db::Pool pool(url, db::PoolOptions().max_size(1).acquire_timeout(10s));
    co_await pool.execute("create table t (n int)");
    coaio::Event inserted;
    coaio::Event go_on;
    std::optional<coaio::Task<>> stray;
    auto inner = [&](Transaction& tx) -> Coro<> {
        co_await tx.execute("insert into t values (1)");
        inserted.set();
        co_await go_on.wait();
    };
    auto outer = [&](Transaction& tx) -> Coro<> {
        stray = coaio::create_task(tx.transaction(inner));
        co_await inserted.wait();
        throw std::runtime_error("the body's own");
    };
    auto next = [&](Transaction& tx) -> Coro<> {
        co_await tx.execute("insert into t values (2)");
        go_on.set();
        const bool refused = co_await tests::throws<db::UsageError>(*stray);
        CHECK(refused);
        co_await tx.execute("insert into t values (3)");
    };
    auto connection = co_await pool.acquire();
    const bool failed = co_await tests::throws<std::runtime_error>(connection.transaction(outer));
    CHECK(failed);
    if (!same_hand) {
        connection.release();
        connection = co_await pool.acquire();
    }
    co_await connection.transaction(next);
    connection.release();
    const int sum = co_await pool.query_value<int>("select sum(n)::int from t");
    CHECK(sum == 5);
    CHECK(pool.statistics().opened == 1);
}

Coro<> release_while_busy(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1).acquire_timeout(5s));
    auto connection = co_await pool.acquire();
    auto task = coaio::create_task(connection.query("select 1"));
    co_await coaio::sleep(0s);
    connection.release();
    CHECK(pool.statistics().in_use == 1);
    co_await task;
    CHECK(pool.statistics().idle == 1);
    connection = co_await pool.acquire();
    auto rows = connection.stream<int>("select generate_series(1, 1000000000)");
    const auto first = co_await rows.next();
    CHECK(first == 1);
    connection.release();
    CHECK(pool.statistics().in_use == 1);
    co_await rows.close();
    CHECK(pool.statistics().in_use == 0);
    const int fine = co_await pool.query_value<int>("select 2");
    CHECK(fine == 2);
}

template <class T>
Coro<> release_and_cancel(const tests::Postgres& server, db::Pool pool, db::Connection& connection, Coro<T> statement) {
    auto task = coaio::create_task(std::move(statement));
    // The server ignores a cancel that is there before the statement.
    co_await coaio::to_thread([&server, pid = connection.pid()] {
        const std::string of_it = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and pid = ";
        CHECK(server.await_value(of_it + std::to_string(pid), "1"));
    });
    connection.release();
    CHECK(pool.statistics().in_use == 1);
    task.cancel();
    const bool cancelled = co_await tests::throws<coaio::CancelledError>(task);
    CHECK(cancelled);
    CHECK(pool.statistics().in_use == 0);
}

Coro<> release_what_is_cancelled(std::string url, const tests::Postgres& server) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1).cancel_timeout(30s));
    auto connection = co_await pool.acquire();
    co_await release_and_cancel(server, pool, connection, connection.within(30s).query("select pg_sleep(60)"));
    connection = co_await pool.acquire();
    db::Batch batch;
    batch.add("select 1");
    batch.add("select pg_sleep(60)");
    co_await release_and_cancel(server, pool, connection, connection.batch(std::move(batch)));
}

Coro<> end_it_by_a_statement(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    co_await pool.execute("create table t (n int)");
    for (const char* command : {"commit", "rollback"}) {
        auto body = [command](Transaction& tx) -> Coro<> {
            co_await tx.execute(command);
            bool refused = co_await tests::throws<db::UsageError>(tx.execute("insert into t values (1)"));
            CHECK(refused);
            db::Batch batch;
            batch.add("insert into t values (2)");
            refused = co_await tests::throws<db::UsageError>(tx.batch(std::move(batch)));
            CHECK(refused);
            auto copy = [](db::CopyIn& in) -> Coro<> { co_await in.write("3\n"); };
            refused = co_await tests::throws<db::UsageError>(tx.copy_in("copy t from stdin", copy));
            CHECK(refused);
            auto inner = [](Transaction&) -> Coro<> { co_return; };
            refused = co_await tests::throws<db::UsageError>(tx.transaction(inner));
            CHECK(refused);
        };
        const bool refused = co_await tests::throws<db::UsageError>(pool.transaction(body));
        CHECK(refused);
        const int rows = co_await pool.query_value<int>("select count(*)::int from t");
        CHECK(rows == 0);
    }
    CHECK(pool.statistics().opened == 1);
}

// After it the session is in a transaction, as it was before.
Coro<> chain_another(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    co_await pool.execute("create table t (n int)");
    auto body = [](Transaction& tx) -> Coro<> {
        co_await tx.execute("insert into t values (1)");
        for (const char* command : {"commit and chain", "Rollback Work And Chain"}) {
            bool refused = co_await tests::throws<db::UsageError>(tx.execute(command));
            CHECK(refused);
            refused = co_await tests::throws<db::UsageError>(tx.within(10s).execute(command));
            CHECK(refused);
        }
        throw std::out_of_range("undo it");
    };
    const bool thrown = co_await tests::throws<std::out_of_range>(pool.transaction(body));
    CHECK(thrown);
    const int rows = co_await pool.query_value<int>("select count(*)::int from t");
    CHECK(rows == 0);
    // By hand it is nobody's business.
    auto connection = co_await pool.acquire();
    for (const char* command : {"begin", "insert into t values (2)", "commit and chain", "rollback"}) {
        co_await connection.execute(command);
    }
    const int kept = co_await connection.query_value<int>("select count(*)::int from t");
    CHECK(kept == 1);
}

Coro<bool> refused(db::Pool& pool, const char* sql) {
    db::Batch batch;
    batch.add("insert into t values (1)").add(sql).add("select 1/0");
    return tests::throws<db::UsageError>(pool.batch(std::move(batch)));
}

Coro<> end_it_in_a_batch(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    co_await pool.execute("create table t (n int)");
    for (const char* sql : {"commit", "-- why\n COMMIT and chain", "begin", "start transaction", "end", "abort work",
                            "rollback", "Rollback Work", "/* /* */ */ prepare transaction 'x'", "; commit"}) {
        INFO(sql);
        const bool said_so = co_await refused(pool, sql);
        CHECK(said_so);
    }
    const int rows = co_await pool.query_value<int>("select count(*)::int from t");
    CHECK(rows == 0);
    auto body = [](Transaction& tx) -> Coro<> {
        db::Batch batch;
        batch.add("savepoint s").add("insert into t values (1)").add("rollback work to savepoint s");
        batch.add("insert into t values (2)").add("prepare p as select 1").add("deallocate p");
        co_await tx.batch(std::move(batch));
    };
    co_await pool.transaction(body);
    const int kept = co_await pool.query_value<int>("select n from t");
    CHECK(kept == 2);
}

Coro<> send_a_nul(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    bool said_so = co_await tests::throws<db::ParameterError>(pool.query(with_nul));
    CHECK(said_so);
    auto rows = pool.stream<int>(with_nul);
    said_so = co_await tests::throws<db::ParameterError>(rows.next());
    CHECK(said_so);
    db::Batch batch;
    batch.add("select 1").add(with_nul);
    said_so = co_await tests::throws<db::ParameterError>(pool.batch(std::move(batch)));
    CHECK(said_so);
    auto body = [](Transaction& tx) -> Coro<int> {
        const bool query = co_await tests::throws<db::ParameterError>(tx.query(with_nul));
        CHECK(query);
        auto inside = tx.stream<int>(with_nul);
        const bool stream = co_await tests::throws<db::ParameterError>(inside.next());
        CHECK(stream);
        co_return co_await tx.query_value<int>("select 3");
    };
    const int fine = co_await pool.transaction(body);
    CHECK(fine == 3);
    CHECK(pool.statistics().opened == 1);
}

Coro<int> kept_by_the_server(db::Pool& pool) {
    auto body = [](Transaction& tx) -> Coro<int> {
        co_return co_await tx.query_value<int>("select count(*)::int from pg_prepared_statements");
    };
    co_return co_await pool.transaction(body);
}

Coro<> evict_in_transactions(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1).statement_cache(4));
    for (int i = 0; i < 30; ++i) {
        auto body = [i](Transaction& tx) -> Coro<> {
            co_await tx.execute("select " + std::to_string(i));
            db::Batch batch;
            batch.add("select 1, " + std::to_string(i));
            co_await tx.batch(std::move(batch));
        };
        co_await pool.transaction(body);
    }
    int kept = co_await kept_by_the_server(pool);
    CHECK(kept <= 7);
    // Gone all at once, they are not dropped one by one, which would fail the transaction.
    for (const char* command : {"deallocate all", "discard all"}) {
        for (int i = 0; i < 5; ++i) co_await pool.execute("select 2, " + std::to_string(i));
        co_await pool.execute(command);
        kept = co_await kept_by_the_server(pool);
        CHECK(kept <= 1);
    }
}

}  // namespace

TEST_CASE("POL-17 POL-20: a connection given back behind a stream or a COPY ends them by an error", "[pgtest]") {
    tests::Database database;
    coaio::run(release_behind_a_copy(database.conninfo()));
}

TEST_CASE("a connection given back inside its transaction rolls it back", "[pgtest]") {
    tests::Database database;
    coaio::run(release_in_a_transaction(database.conninfo()));
}

TEST_CASE("TXN-05: a savepoint that outlives the transaction around it touches no later one", "[pgtest]") {
    const bool same_hand = GENERATE(false, true);
    tests::Database database;
    coaio::run(outlive_the_transaction_around(database.conninfo(), same_hand));
}

TEST_CASE("POL-17: a connection given back while it is in use is back when that has ended", "[pgtest]") {
    tests::Database database;
    coaio::run(release_while_busy(database.conninfo()));
}

TEST_CASE("POL-17: a connection given back while it is in use, or in a batch, is back when that was cancelled",
          "[pgtest]") {
    tests::Database database;
    coaio::run(release_what_is_cancelled(database.conninfo(), database.server()));
}

TEST_CASE("after COMMIT or ROLLBACK as a statement the body's handle runs nothing more", "[pgtest]") {
    tests::Database database;
    coaio::run(end_it_by_a_statement(database.conninfo()));
}

TEST_CASE("TXN-09: a body cannot chain another transaction to its own", "[pgtest]") {
    tests::Database database;
    coaio::run(chain_another(database.conninfo()));
}

TEST_CASE("PIP-03: a batch refuses what begins or ends a transaction", "[pgtest]") {
    tests::Database database;
    coaio::run(end_it_in_a_batch(database.conninfo()));
}

TEST_CASE("a NUL in a statement is refused, and its connection is none the worse", "[pgtest]") {
    tests::Database database;
    coaio::run(send_a_nul(database.conninfo()));
}

TEST_CASE("STM-01: statements are dropped in the server also where all of them run in transactions", "[pgtest]") {
    tests::Database database;
    coaio::run(evict_in_transactions(database.conninfo()));
}
