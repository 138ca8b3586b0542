// SPDX-License-Identifier: MIT
#include <coaio/db/pool.hpp>

#include "connect.hpp"

#include <coaio/core/gather.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/core/to_thread.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/throws.hpp"

#include <csignal>

namespace db = coaio::db;
using coaio::Coro;
using namespace std::chrono_literals;

namespace {

Coro<> count_up(db::Pool pool, int times) {
    for (int i = 0; i < times; ++i) co_await pool.execute("update t set n = n + 1");
}

Coro<> share(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(4));
    co_await pool.execute("create table t (n int)");
    co_await pool.execute("insert into t values (0)");
    std::vector<Coro<>> tasks;
    for (int i = 0; i < 64; ++i) tasks.push_back(count_up(pool, 3));
    co_await coaio::gather(std::move(tasks));
    const int n = co_await pool.query_value<int>("select n from t");
    CHECK(n == 192);
    const auto stats = pool.statistics();
    CHECK(stats.size <= 4);
    CHECK(stats.opened <= 4);
    CHECK(stats.in_use == 0);
    CHECK(stats.idle + stats.opening == stats.size);  // who waited for one may have been served by another
    co_await pool.close();
    CHECK(pool.statistics().size == 0);
    const bool refused1 = co_await tests::throws<db::PoolClosed>(pool.query("select 1"));
    CHECK(refused1);
}

Coro<> come_back_clean(std::string url) {
    std::string warned;
    auto pool = co_await db::Pool::connect(
        url, db::PoolOptions().max_size(1).on_notice(
                 [&warned](const db::ErrorFields& notice) { warned += notice.severity + notice.message; }));
    int pid = 0;
    {
        auto connection = co_await pool.acquire();
        pid = connection.pid();
        co_await connection.execute("create table t (n int)");
        co_await connection.execute("begin");
        co_await connection.execute("insert into t values (1)");
    }
    const int rows = co_await pool.query_value<int>("select count(*)::int from t");
    CHECK(rows == 0);
    auto connection = co_await pool.acquire();
    CHECK(connection.pid() == pid);
    CHECK_THAT(warned, tests::contains("WARNINGa connection came back to the pool in a transaction"));
    CHECK_THAT(warned, tests::contains("pool_test.cpp:"));
    connection.release();
    connection.release();
    const bool refused2 = co_await tests::throws<db::UsageError>(connection.query("select 1"));
    CHECK(refused2);
}

Coro<> time_out_of_a_query(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    bool timed_out = false;
    try {
        co_await coaio::wait_for(pool.query("select pg_sleep(60)"), 100ms);
    } catch (const coaio::TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out);
    CHECK(pool.statistics().idle == 1);
    const int fine = co_await pool.query_value<int>("select 7");
    CHECK(fine == 7);
    CHECK(pool.statistics().opened == 1);
    const int sleeping = co_await pool.query_value<int>(
        "select count(*)::int from pg_stat_activity where state = 'active' and query like '%pg_sleep(60)%' and pid <> "
        "pg_backend_pid()");
    CHECK(sleeping == 0);
}

Coro<> lose_a_backend(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(2));
    auto victim = co_await pool.acquire();
    const int pid = victim.pid();
    auto running = coaio::create_task(victim.query("select pg_sleep(60)"));
    co_await coaio::sleep(0s);
    co_await pool.query("select pg_terminate_backend($1)", pid);
    std::string state;
    bool good = true;
    try {
        co_await running;
    } catch (const db::ConnectionError& error) {
        state = error.sqlstate();
        good = error.connection_good();
    }
    CHECK(state == "57P01");
    CHECK_FALSE(good);
    victim.release();
    CHECK(pool.statistics().size == 1);
    const int fine = co_await pool.query_value<int>("select 1");
    CHECK(fine == 1);
}

Coro<> outlive_a_restart(std::string url, tests::Postgres* server, tests::Stop how) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(4));
    std::vector<db::Connection> held;
    for (int i = 0; i < 4; ++i) {
        auto connection = co_await pool.acquire();
        held.push_back(std::move(connection));
    }
    held.clear();
    CHECK(pool.statistics().idle == 4);
    server->restart(how);
    for (int i = 0; i < 20; ++i) {
        const int value = co_await pool.query_value<int>("select 3");
        CHECK(value == 3);
    }
}

Coro<> lose_all(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(4).min_size(4));
    const int pid = co_await pool.query_value<int>("select pg_backend_pid()");
    ::kill(pid, SIGKILL);
    int fine = 0;
    for (int i = 0; i < 2000 && fine < 8; ++i) {
        bool lost = false;
        try {
            fine += co_await pool.query_value<int>("select 1");
        } catch (const db::ConnectionError&) {
            lost = true;
        }
        if (!lost) continue;
        fine = 0;
        co_await coaio::sleep(5ms);
    }
    CHECK(fine == 8);
    while (pool.statistics().idle < 4) co_await coaio::sleep(1ms);
    CHECK(pool.statistics().size == 4);
}

Coro<std::string> connect_with(std::string url) {
    try {
        auto pool = co_await db::Pool::connect(url);
    } catch (const db::ConnectionError& error) {
        co_return error.sqlstate();
    }
    co_return "connected";
}

Coro<std::string> use_with(std::string url) {
    db::Pool pool(url);
    try {
        co_await pool.query("select 1");
    } catch (const db::ConnectionError& error) {
        co_return error.sqlstate();
    }
    co_return "connected";
}

enum class Rest : unsigned char { none, no_time, a_second, a_turn };

// It is lost as soon as it was read, and nobody looks.
Coro<> lose_a_link(const tests::Database* database, Rest rest) {
    db::detail::PqConnector connector(database->conninfo(), {});
    const auto link = co_await connector.connect();
    const std::string sql = "select 1";
    const db::Params none;
    co_await link->run(sql, none);
    database->sql("select pg_terminate_backend(" + std::to_string(link->pid()) + ", 5000)");
    const coaio::TimePoint read{coaio::Duration(coaio::detail::require_core().now)};
    if (rest == Rest::a_turn) co_await coaio::to_thread([] {});
    coaio::Duration rested = 1us;
    if (rest == Rest::no_time) rested = 0s;
    if (rest == Rest::a_second) rested = 1s;
    CHECK(link->alive(read + rested) == (rest == Rest::none));
}

Coro<> leave_in_use(std::string url) {
    std::optional<db::Connection> kept;
    {
        db::Pool pool(url);
        kept.emplace(co_await pool.acquire());
    }
    const int fine = co_await kept->query_value<int>("select 1");
    CHECK(fine == 1);
    kept.reset();
}

}  // namespace

TEST_CASE("POL-26: 64 tasks share a pool of 4", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(share(database.conninfo()));
    CHECK(database.server().await_sessions(database.name(), 0));
}

TEST_CASE("POL-16 POL-20: a connection that comes back in a transaction is rolled back and handed out again",
          "[pgtest]") {
    tests::Database database;
    coaio::testing::run(come_back_clean(database.conninfo()));
}

TEST_CASE("CAN-13: a query whose time is over is cancelled in the server and its connection stays", "[pgtest]") {
    tests::Database database;
    coaio::run(time_out_of_a_query(database.conninfo()));
}

TEST_CASE("FLT-01: a backend terminated mid-query fails its query with 57P01 and no other", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(lose_a_backend(database.conninfo()));
}

TEST_CASE("FLT-02 POL-12: when one backend is killed all sessions end, and the pool is full again in seconds",
          "[pgtest]") {
    tests::Database database;
    coaio::run(lose_all(database.conninfo()));
    CHECK(database.server().await_sessions(database.name(), 0));
}

TEST_CASE("POL-14 FLT-03: connections that died while idle are never handed out", "[pgtest]") {
    tests::Database database;
    auto how = GENERATE(tests::Stop::fast, tests::Stop::immediate);
    coaio::run(outlive_a_restart(database.conninfo(), &database.server(), how));
}

TEST_CASE("POL-14: a link that was read a moment ago, since the loop looked outside, is not looked at, any other is",
          "[pgtest]") {
    tests::Database database;
    const auto rest = GENERATE(Rest::none, Rest::a_second, Rest::a_turn);
    coaio::run(lose_a_link(&database, rest));
}

TEST_CASE("POL-14: on a virtual clock, which stands still, every link is looked at", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(lose_a_link(&database, Rest::no_time));
}

TEST_CASE("CON-08: a database that is not there fails at once, also for those who wait", "[pgtest]") {
    tests::Database database;
    const std::string url = database.server().conninfo("no_such_database");
    CHECK(coaio::testing::run(connect_with(url)) == "3D000");
    CHECK(coaio::testing::run(use_with(url)) == "3D000");
}

TEST_CASE("POL-23: a pool may go before its connections", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(leave_in_use(database.conninfo()));
    CHECK(database.server().await_sessions(database.name(), 0));
}
