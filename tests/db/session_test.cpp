// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>

#include "db/refusal.hpp"
#include "support/catch.hpp"
#include "support/postgres_proxy.hpp"
#include "support/throws.hpp"
#include "support/timely.hpp"

namespace db = coaio::db;
using coaio::Clock;
using coaio::Coro;
using db::Transaction;
using tests::Fault;
using tests::Spot;
using tests::Way;
using namespace std::chrono_literals;

namespace {

Coro<std::string> state_of(Coro<db::Rows> statement) {
    try {
        co_await std::move(statement);
    } catch (const db::Error& error) {
        co_return error.sqlstate();
    }
    co_return "none";
}

Coro<std::string> connect_state(std::string url, coaio::Duration limit = 3s) {
    try {
        auto connection = co_await db::Connection::connect(url, db::ConnectOptions().connect_timeout(limit));
    } catch (const db::ConnectionError& error) {
        co_return error.sqlstate();
    }
    co_return "connected";
}

Coro<> start_up(tests::PostgresProxy& proxy, std::string url) {
    proxy.on(Spot(Way::to_client, 'R').times(3), Fault::replace(tests::refusal("57P03")));
    const std::string first = co_await connect_state(url);
    CHECK(first == "connected");
    CHECK(proxy.accepted() == 4);
    // As long as it takes, but no longer than the limit.
    proxy.clear();
    proxy.on(Spot(Way::to_client, 'R').times(0), Fault::replace(tests::refusal("57P03")));
    const std::string never = co_await connect_state(url, 2s);
    CHECK(never == "57P03");
    for (const char* state : {"28P01", "28000", "3D000", "53300"}) {
        proxy.clear();
        proxy.forget_counts();
        proxy.on(Spot(Way::to_client, 'R').times(0), Fault::replace(tests::refusal(state)));
        const std::string final = co_await connect_state(url);
        CHECK(final == std::string(state));
        CHECK(proxy.accepted() == 1);
    }
}

Coro<> too_many(std::string url) {
    db::Pool pool(url, db::PoolOptions().max_size(3).acquire_timeout(2s));
    auto held = co_await pool.acquire();
    std::string text;
    try {
        auto second = co_await pool.acquire();
    } catch (const db::PoolTimeout& error) {
        text = error.what();
    }
    CHECK_THAT(text, tests::contains("53300"));
    // The server is not broken: what there is goes on.
    auto waiting = coaio::create_task(pool.query_value<int>("select 2"));
    co_await coaio::sleep(10ms);
    held.release();
    const int two = co_await waiting;
    CHECK(two == 2);
    CHECK(pool.statistics().closed == 0);
}

Coro<> read_parameters(std::string url) {
    auto connection = co_await db::Connection::connect(url);
    const int pid = co_await connection.query_value<int>("select pg_backend_pid()");
    CHECK(connection.pid() == pid);
    CHECK(connection.parameter("is_superuser") == "on");
    CHECK(connection.parameter("no_such_parameter").empty());
    co_await connection.execute("set timezone = 'Asia/Tokyo'");
    CHECK(connection.parameter("TimeZone") == "Asia/Tokyo");
}

Coro<> change_encoding(std::string url) {
    db::Pool pool(url, db::PoolOptions().max_size(1));
    {
        auto connection = co_await pool.acquire();
        co_await connection.execute("set client_encoding = 'LATIN1'");
        std::string text;
        try {
            co_await connection.query("select 'é'");
        } catch (const db::ConnectionError& error) {
            text = error.what();
        }
        CHECK_THAT(text, tests::contains("client_encoding"));
        CHECK_THAT(text, tests::contains("LATIN1"));
    }
    const auto fine = co_await pool.query_value<std::string>("select 'é'");
    CHECK(fine == "é");
}

Coro<> time_out(std::string url) {
    db::Pool pool(url, db::PoolOptions().max_size(2).setting("lock_timeout", "30ms"));
    co_await pool.execute("create table t (n int)");
    auto connection = co_await pool.acquire();
    co_await connection.execute("set statement_timeout = 1000");
    const std::string statement = co_await state_of(connection.query("select pg_sleep(60)"));
    CHECK(statement == db::sqlstate::query_canceled);
    auto body = [&connection](Transaction& tx) -> Coro<> {
        co_await tx.execute("lock table t");
        const std::string lock = co_await state_of(connection.query("select * from t"));
        CHECK(lock == db::sqlstate::lock_not_available);
        // What is local ends with the transaction.
        co_await tx.execute("set local statement_timeout = 12345");
    };
    co_await connection.execute("reset statement_timeout");
    co_await pool.transaction(body);
    connection.release();
    const auto left = co_await pool.query_value<std::string>("select current_setting('statement_timeout')");
    CHECK(left == "0");
    CHECK(pool.statistics().closed == 0);
}

Coro<> idle_too_long(std::string url) {
    db::Pool pool(url, db::PoolOptions().max_size(1).setting("idle_in_transaction_session_timeout", "40ms"));
    auto body = [](Transaction& tx) -> Coro<> {
        co_await tx.query("select 1");
        co_await coaio::sleep(150ms);
        co_await tx.query("select 1");
    };
    auto at_commit = [](Transaction& tx) -> Coro<> {
        co_await tx.query("select 1");
        co_await coaio::sleep(150ms);
    };
    for (int i = 0; i < 2; ++i) {
        std::string state = "none";
        try {
            if (i == 0) {
                co_await pool.transaction(body);
            } else {
                co_await pool.transaction(at_commit);
            }
        } catch (const db::ConnectionError& error) {
            state = error.sqlstate();
            CHECK(error.outcome() == db::Outcome::rolled_back);
            CHECK(error.retryable());
        }
        CHECK(state == db::sqlstate::idle_in_transaction_timeout);
        const int one = co_await pool.query_value<int>("select 1");
        CHECK(one == 1);
    }
    CHECK(pool.statistics().opened == 3);

    auto connection = co_await db::Connection::connect(url);
    co_await connection.execute("set idle_session_timeout = 40");
    co_await coaio::sleep(150ms);
    const std::string idle = co_await state_of(connection.query("select 1"));
    CHECK(idle == db::sqlstate::idle_session_timeout);
}

Coro<> hear_notices(std::string url) {
    std::string heard;
    auto connection =
        co_await db::Connection::connect(url, db::ConnectOptions().on_notice([&heard](const db::ErrorFields& notice) {
            heard += notice.message;
            if (notice.message == "2") throw std::runtime_error("the handler fails");
        }));
    const int one = co_await connection.query_value<int>("select 1");
    CHECK(one == 1);
    co_await connection.execute("do $$ begin for i in 1..4 loop raise notice '%', i; end loop; end $$");
    CHECK(heard == "1234");
    const int two = co_await connection.query_value<int>("select 2");
    CHECK(two == 2);
}

Coro<> fail_late(std::string url) {
    auto connection = co_await db::Connection::connect(url);
    co_await connection.execute("create table t (n int unique deferrable initially deferred)");
    co_await connection.execute("insert into t values (1)");
    const std::string alone = co_await state_of(connection.query("insert into t values (1)"));
    CHECK(alone == db::sqlstate::unique_violation);
}

}  // namespace

TEST_CASE("CON-08 CON-09: a server that starts up is tried again, one that refuses is not", "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    tests::run_timely(start_up(proxy, proxy.conninfo(database.name())));
}

TEST_CASE("CON-09: where no more connections are allowed the pool goes on with those it has", "[pgtest]") {
    tests::Database database;
    database.sql("create role limited login connection limit 1");
    tests::run_timely(too_many(database.conninfo() + " user=limited"));
    database.server().await_sessions(database.name(), 0);
    database.sql("drop role limited");
}

TEST_CASE("CON-15: process, version and parameters can be read, also when they change", "[pgtest]") {
    tests::Database database;
    tests::run_timely(read_parameters(database.conninfo()));
}

TEST_CASE("CON-16: a change of client_encoding breaks the connection loudly", "[pgtest]") {
    tests::Database database;
    tests::run_timely(change_encoding(database.conninfo()));
}

TEST_CASE("TMO-02 TXN-13: the server's time limits are told apart, and local ones end with the transaction",
          "[pgtest]") {
    tests::Database database;
    tests::run_timely(time_out(database.conninfo()));
}

TEST_CASE("TXN-14 TMO-02: a transaction or session that was idle for too long is reported as that", "[pgtest]") {
    tests::Database database;
    tests::run_timely(idle_too_long(database.conninfo()));
}

TEST_CASE("ERR-10: notices come in order, and a handler that throws breaks nothing", "[pgtest]") {
    tests::Database database;
    tests::run_timely(hear_notices(database.conninfo()));
}

TEST_CASE("ERR-09: a deferred constraint speaks up at the end of a statement of its own", "[pgtest]") {
    tests::Database database;
    tests::run_timely(fail_late(database.conninfo()));
}
