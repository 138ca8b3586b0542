// SPDX-License-Identifier: MIT
#include "lanes.hpp"

#include <coaio/db/pool.hpp>

#include <coaio/core/gather.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/to_thread.hpp>

#include "db/asking.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/postgres_proxy.hpp"
#include "support/throws.hpp"

#include <algorithm>
#include <chrono>
#include <iostream>

namespace db = coaio::db;
using coaio::Coro;
using db::Transaction;
using tests::ask;
using tests::echo;
using tests::sharing;
using tests::warm_up;
using namespace std::chrono_literals;

namespace {

Coro<> ask_all(std::string url, int tasks, int each, std::size_t size, bool shared_sync) {
    auto pool = co_await db::Pool::connect(url, sharing(size, shared_sync));
    co_await warm_up(pool, echo, 1);
    std::vector<Coro<>> all;
    for (int i = 0; i < tasks; ++i) all.push_back(ask(pool, i * each, each));
    co_await coaio::gather(std::move(all));
    const auto stats = pool.statistics();
    CHECK(stats.in_use == 0);
    CHECK(stats.waiting == 0);
    CHECK(stats.size <= size);
    co_await pool.close();
}

Coro<> fail_some(std::string url, bool shared_sync) {
    auto pool = co_await db::Pool::connect(url, sharing(1, shared_sync));
    const std::string divide = "select 100 / $1::int";
    co_await warm_up(pool, divide, 1);
    std::vector<Coro<int>> all;
    for (int i = 0; i < 40; ++i) all.push_back(pool.query_value<int>(divide, i % 4));
    const auto answers = co_await coaio::gather(coaio::return_exceptions, std::move(all));
    for (std::size_t i = 0; i < answers.size(); ++i) {
        if (i % 4 != 0) {
            REQUIRE(answers[i].value() == 100 / static_cast<int>(i % 4));
            continue;
        }
        std::string state;
        try {
            static_cast<void>(answers[i].value());
        } catch (const db::Error& error) {
            state = error.sqlstate();
            CHECK(error.sql() == divide);
        }
        REQUIRE(state == "22012");
    }
    CHECK(pool.statistics().opened == 1);
}

// No answer passes before all have been asked.
Coro<> ask_before_any_answer(std::string url, tests::PostgresProxy& proxy, std::size_t size) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(size).pipelining(32));
    co_await warm_up(pool, echo, 1);
    proxy.on(tests::Spot(tests::Way::to_client, 'D').nth(0).times(0), tests::Fault::freeze_way());
    const std::size_t before = proxy.seen(tests::Way::to_server, 'S');
    std::vector<coaio::Task<int>> tasks;
    for (int i = 0; i < 20; ++i) tasks.push_back(coaio::create_task(pool.query_value<int>(echo, i)));
    auto all_asked = [&proxy, before] { return proxy.await_seen(tests::Way::to_server, 'S', before + 20, 30s); };
    const bool asked = co_await coaio::to_thread(all_asked);
    CHECK(asked);
    proxy.clear();
    proxy.thaw_all();
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        const int answer = co_await tasks[i];
        CHECK(answer == static_cast<int>(i));
    }
}

Coro<> measure(std::string url, int tasks, bool pipelining) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(4).pipelining(pipelining ? 128 : 1));
    co_await warm_up(pool, echo, 1);
    {  // all connections are there
        std::vector<db::Connection> held;
        for (int i = 0; i < 4; ++i) held.push_back(co_await pool.acquire());
        for (auto& each : held) co_await each.query(echo, 1);
    }
    std::vector<double> times;
    for (int round = 0; round < 51; ++round) {
        std::vector<Coro<>> all;
        for (int i = 0; i < tasks; ++i) all.push_back(ask(pool, i, 1));
        const auto began = coaio::Clock::now();
        co_await coaio::gather(std::move(all));
        times.push_back(std::chrono::duration<double, std::milli>(coaio::Clock::now() - began).count());
    }
    std::sort(times.begin(), times.end());
    std::cout << tasks << (pipelining ? " in pipelines: " : " on their own: ") << times.front() << " ms at best, "
              << times[times.size() / 2] << " in the median\n";
}

Coro<> lose_the_connection(std::string url, tests::PostgresProxy& proxy, bool shared_sync) {
    auto pool = co_await db::Pool::connect(url, sharing(1, shared_sync));
    co_await warm_up(pool, echo, 1);
    std::vector<Coro<int>> all;
    for (int i = 0; i < 50; ++i) all.push_back(pool.query_value<int>(echo, i));
    proxy.on(tests::Spot(tests::Way::to_client, 'D').nth(0), tests::Fault::cut_before());
    const auto answers = co_await coaio::gather(coaio::return_exceptions, std::move(all));
    int unknown = 0;
    int not_sent = 0;
    int answered = 0;
    for (const auto& each : answers) {
        try {
            static_cast<void>(each.value());
            ++answered;
        } catch (const db::ConnectionError& error) {
            if (error.outcome() == db::Outcome::unknown) ++unknown;
            if (error.outcome() == db::Outcome::not_sent) ++not_sent;
        }
    }
    CHECK(unknown > 0);
    CHECK(unknown + not_sent + answered == 50);
    proxy.clear();
    const int fine = co_await pool.query_value<int>(echo, 4);
    CHECK(fine == 4);
}

Coro<> add_one(db::Pool pool, std::string update) {
    for (int i = 0; i < 5; ++i) co_await pool.execute(update, 1);
}

Coro<> add_in_transactions(db::Pool pool, std::string update) {
    for (int i = 0; i < 5; ++i) {
        auto body = [&update](Transaction& tx) -> Coro<> {
            co_await tx.execute(update, 100);
            co_await coaio::sleep(0s);
            const int wrong = co_await tx.query_value<int>("select count(*)::int from t where n < 0");
            CHECK(wrong == 0);
            throw std::runtime_error("undo");
        };
        const bool undone = co_await tests::throws<std::runtime_error>(pool.transaction(body));
        CHECK(undone);
    }
}

Coro<> beside_transactions(std::string url, bool shared_sync) {
    auto pool = co_await db::Pool::connect(url, sharing(3, shared_sync));
    co_await pool.execute("create table t (n int)");
    co_await pool.execute("insert into t values (0)");
    const std::string update = "update t set n = n + $1";
    co_await warm_up(pool, update, 0);
    co_await warm_up(pool, echo, 1);
    std::vector<Coro<>> all;
    for (int i = 0; i < 20; ++i) {
        all.push_back(add_one(pool, update));
        all.push_back(add_in_transactions(pool, update));
        all.push_back(ask(pool, i * 100, 20));
    }
    co_await coaio::gather(std::move(all));
    const int n = co_await pool.query_value<int>("select n from t");
    CHECK(n == 100);
    CHECK(pool.statistics().in_use == 0);
    co_await pool.close();
}

Coro<> close_under(std::string url, bool shared_sync) {
    auto pool = co_await db::Pool::connect(url, sharing(1, shared_sync).pipelining(4));
    co_await warm_up(pool, echo, 1);
    std::vector<coaio::Task<int>> tasks;
    for (int i = 0; i < 40; ++i) tasks.push_back(coaio::create_task(pool.query_value<int>(echo, i)));
    co_await coaio::sleep(0s);
    CHECK(pool.statistics().waiting > 10);
    co_await pool.close();
    int closed = 0;
    int answered = 0;
    for (auto& each : tasks) {
        try {
            co_await each;
            ++answered;
        } catch (const db::PoolClosed&) {
            ++closed;
        }
    }
    CHECK(closed > 10);
    CHECK(answered + closed == 40);
    CHECK(pool.statistics().size == 0);
}

}  // namespace

TEST_CASE("CAN-11: only what reads, by functions that are known, shares a connection") {
    using db::detail::only_reads;
    for (const char* shared :
         {"select a from t", "  (SELECT 1) union (select 2)", "values (1)", "table t",
          "with x as (select 1) select * from x", "select Count(*) from t where a in (1, 2) and b = any($1)",
          "select $1::numeric(10,2), coalesce(\"name\", '') from \"s\".\"t\" join u using (id)"}) {
        INFO(shared);
        CHECK(only_reads(shared));
    }
    for (const char* alone : {"with x as (delete from t returning *) select * from x",
                              "select * from t for UPDATE",
                              "select * from t for share",
                              "select * into u from t",
                              "insert into t values (1)",
                              "Update t set a = 1",
                              "select pg_advisory_lock(1)",
                              "select pg_sleep(1)",
                              "select pg_sleep_for ('1s')",
                              "select f()",
                              "select f2 (1)",
                              "select s.count(1)",
                              "select s . count(1)",
                              "select \"F\"(1)",
                              "select f/**/(1)",
                              "select f--\n(1)",
                              "select nextval('s')",
                              "select set_config('a', 'b', false)",
                              "select * from f(1)",
                              "select ünlock(1)",
                              "begin",
                              "",
                              "  ",
                              "start transaction",
                              "set x = 1",
                              "call p()",
                              "do $$ begin end $$",
                              "listen x",
                              "/* a */ select 1",
                              "commit",
                              "copy t to stdout"}) {
        INFO(alone);
        CHECK_FALSE(only_reads(alone));
    }
}

TEST_CASE("PIP-01 PIP-07: many tasks on few connections each get their own answers", "[pgtest]") {
    const bool shared_sync = GENERATE(false, true);
    tests::Database database;
    coaio::run(ask_all(database.conninfo(), 100, 20, 3, shared_sync));
    tests::PostgresProxy proxy(database.server());
    coaio::run(ask_all(proxy.conninfo(database.name()), 200, 20, 4, shared_sync));
}

TEST_CASE("PIP-01 FLT-06: answers go to their askers at any chunking", "[pgtest]") {
    const bool shared_sync = GENERATE(false, true);
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    tests::Weather weather;
    weather.split = 1;
    proxy.weather(weather);
    coaio::run(ask_all(proxy.conninfo(database.name()), 20, 5, 2, shared_sync));
}

TEST_CASE("PIP-09: a statement that fails in a pipeline fails alone", "[pgtest]") {
    const bool shared_sync = GENERATE(false, true);
    tests::Database database;
    coaio::run(fail_some(database.conninfo(), shared_sync));
}

TEST_CASE("PIP-05: twenty queries take one round trip: all are asked before any is answered", "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    for (const std::size_t size : {1U, 4U}) {
        CAPTURE(size);
        // The clock stands still while an answer is awaited, so nothing is late.
        coaio::testing::run(ask_before_any_answer(proxy.conninfo(database.name()), proxy, size));
    }
}

TEST_CASE("what queries at a distance of 1 ms each way take", "[.][distance]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    tests::Weather weather;
    weather.latency = 1ms;
    proxy.weather(weather);
    for (const int tasks : {1, 20, 100}) {
        for (const bool pipelining : {false, true}) {
            coaio::run(measure(proxy.conninfo(database.name()), tasks, pipelining));
        }
    }
}

TEST_CASE("PIP-08: when a shared connection dies each statement on it fails, and says whether it was sent",
          "[pgtest]") {
    const bool shared_sync = GENERATE(false, true);
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    coaio::run(lose_the_connection(proxy.conninfo(database.name()), proxy, shared_sync));
}

TEST_CASE("PIP-04: single statements never get into a transaction of others", "[pgtest]") {
    const bool shared_sync = GENERATE(false, true);
    tests::Database database;
    coaio::run(beside_transactions(database.conninfo(), shared_sync));
}

TEST_CASE("PIP-07: closing the pool answers what was sent and refuses what waits", "[pgtest]") {
    const bool shared_sync = GENERATE(false, true);
    tests::Database database;
    coaio::run(close_under(database.conninfo(), shared_sync));
}
