// SPDX-License-Identifier: MIT
#include "lanes.hpp"

#include <coaio/db/pool.hpp>

#include <coaio/core/gather.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/postgres_proxy.hpp"
#include "support/throws.hpp"

namespace db = coaio::db;
using coaio::Coro;
using db::Transaction;
using namespace std::chrono_literals;

namespace {

constexpr const char* echo = "select $1::int";

/// After this it is known to be quick, on each connection there is.
Coro<> warm_up(db::Pool pool, std::string sql, int value) {
    for (int i = 0; i < 2; ++i) co_await pool.query(sql, value);
}

Coro<> ask(db::Pool pool, int first, int count) {
    for (int i = first; i < first + count; ++i) {
        const int answer = co_await pool.query_value<int>(echo, i);
        REQUIRE(answer == i);
    }
}

Coro<> ask_all(std::string url, int tasks, int each, std::size_t size) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(size).pipelining(32));
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

Coro<> fail_some(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1).pipelining(32));
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

Coro<> at_a_distance(std::string url, coaio::Duration& took) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(4).pipelining(32));
    co_await warm_up(pool, echo, 1);
    std::vector<Coro<>> all;
    for (int i = 0; i < 100; ++i) all.push_back(ask(pool, i, 1));
    const auto began = coaio::Clock::now();
    co_await coaio::gather(std::move(all));
    took = coaio::Clock::now() - began;
}

Coro<> cancel_some(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(2).pipelining(32));
    co_await warm_up(pool, echo, 1);
    auto& loop = coaio::get_running_loop();
    for (int round = 0; round < 30; ++round) {
        std::vector<coaio::Task<int>> tasks;
        for (int i = 0; i < 70; ++i) tasks.push_back(coaio::create_task(pool.query_value<int>(echo, i)));
        const auto turns = loop.random() % 4;
        for (std::uint64_t turn = 0; turn < turns; ++turn) co_await coaio::sleep(0s);
        for (std::size_t i = 0; i < tasks.size(); ++i) {
            if (i % 3 == 1) tasks[i].cancel();
        }
        for (std::size_t i = 0; i < tasks.size(); ++i) {
            int answer = -1;
            try {
                answer = co_await tasks[i];
            } catch (const coaio::CancelledError&) {
                REQUIRE(i % 3 == 1);
                continue;
            }
            REQUIRE(answer == static_cast<int>(i));
        }
    }
    CHECK(pool.statistics().opened <= 2);
    co_await pool.close();
}

Coro<> disown(std::string url, tests::PostgresProxy& proxy) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1).pipelining(32));
    const std::string count = "select count(*)::int from generate_series(1, $1::int)";
    co_await warm_up(pool, count, 1);
    co_await warm_up(pool, echo, 1);
    // However quick the server is, the slow one's answer is on its way for as long as it takes to cancel.
    proxy.on(tests::Spot(tests::Way::to_client, 'D').nth(2), tests::Fault::freeze_way());
    auto alone = coaio::create_task(pool.query(echo, 1));
    auto slow = coaio::create_task(pool.query(count, 1000));
    std::vector<coaio::Task<int>> behind;
    for (int i = 0; i < 10; ++i) behind.push_back(coaio::create_task(pool.query_value<int>(echo, i)));
    const auto before = proxy.seen(tests::Way::to_server, 'B');
    while (proxy.seen(tests::Way::to_server, 'B') < before + 12) co_await coaio::sleep(1ms);
    slow.cancel();
    const bool cancelled = co_await tests::throws<coaio::CancelledError>(
        [](coaio::Task<db::Rows> task) -> Coro<> { co_await task; }(slow));
    CHECK(cancelled);
    proxy.thaw_all();
    for (std::size_t i = 0; i < behind.size(); ++i) {
        const int answer = co_await behind[i];
        CHECK(answer == static_cast<int>(i));
    }
    CHECK(proxy.seen(tests::Way::to_server, tests::message::cancel) == 0);
    CHECK(pool.statistics().opened == 1);
}

Coro<> retire(std::string url, const tests::PostgresProxy& proxy) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1).pipelining(32));
    const std::string nap = "select pg_sleep($1::int)";
    co_await warm_up(pool, nap, 0);
    auto alone = coaio::create_task(pool.query(nap, 0));
    auto slow = coaio::create_task(pool.query(nap, 60));
    const auto before = proxy.seen(tests::Way::to_server, 'B');
    while (proxy.seen(tests::Way::to_server, 'B') < before + 2) co_await coaio::sleep(1ms);
    slow.cancel();
    const int fine = co_await coaio::wait_for(pool.query_value<int>("select 5"), 20s);
    CHECK(fine == 5);
    CHECK(proxy.seen(tests::Way::to_server, tests::message::cancel) == 1);
    CHECK(pool.statistics().opened == 1);
}

Coro<> lose_the_connection(std::string url, tests::PostgresProxy& proxy) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1).pipelining(32));
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

Coro<> beside_transactions(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(3).pipelining(32));
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

Coro<> go_stale(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1).pipelining(32));
    co_await pool.execute("create table t (a int)");
    co_await pool.execute("insert into t values (1)");
    const std::string all_of = "select *, $1::int from t";
    co_await warm_up(pool, all_of, 1);
    co_await pool.execute("alter table t add column b text");
    std::vector<Coro<db::Rows>> all;
    for (int i = 0; i < 10; ++i) all.push_back(pool.query(all_of, i));
    const auto answers = co_await coaio::gather(std::move(all));
    for (const auto& each : answers) CHECK(each.column_count() == 3);
}

Coro<> close_under(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1).pipelining(4));
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

Coro<> stay_behind_nothing_slow(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(2).pipelining(32));
    co_await warm_up(pool, echo, 1);
    const std::string nap = "select pg_sleep($1::int)";
    co_await warm_up(pool, nap, 0);
    auto asleep = coaio::create_task(pool.query(nap, 60));
    co_await coaio::sleep(0s);
    co_await coaio::wait_for(ask(pool, 0, 50), 20s);
    asleep.cancel();
    const bool cancelled = co_await tests::throws<coaio::CancelledError>(
        [](coaio::Task<db::Rows> task) -> Coro<> { co_await task; }(asleep));
    CHECK(cancelled);
}

struct Bench {
    std::string url;
    std::optional<db::Pool> pool;
};

Coro<> cut_asks(Bench& bench) {
    bench.pool.emplace(bench.url, db::PoolOptions().max_size(1).pipelining(32).cancel_timeout(10s));
    co_await warm_up(*bench.pool, echo, 1);
    std::vector<Coro<>> all;
    for (int i = 0; i < 5; ++i) all.push_back(ask(*bench.pool, i * 10, 3));
    co_await coaio::gather(std::move(all));
}

Coro<> look_after(Bench& bench, std::size_t turn) {
    INFO("cut before turn " << turn);
    db::Pool pool = bench.pool ? *bench.pool : db::Pool(bench.url, db::PoolOptions().max_size(1).pipelining(32));
    co_await ask(pool, 5, 1);
    std::vector<Coro<>> all;
    for (int i = 0; i < 5; ++i) all.push_back(ask(pool, i * 10, 1));
    co_await coaio::gather(std::move(all));
    co_await ask(pool, 5, 1);
    const auto stats = pool.statistics();
    REQUIRE(stats.size == 1);
    REQUIRE(stats.waiting == 0);
    co_await pool.close();
    bench.pool.reset();
}

}  // namespace

TEST_CASE("CAN-11: what may begin a transaction or take locks has no statement of others behind it") {
    using db::detail::Sharing;
    using db::detail::sharing_of;
    CHECK(sharing_of("select a from t") == Sharing::free);
    CHECK(sharing_of("  (SELECT 1) union (select 2)") == Sharing::free);
    CHECK(sharing_of("values (1)") == Sharing::free);
    CHECK(sharing_of("with x as (select 1) select * from x") == Sharing::free);
    CHECK(sharing_of("with x as (delete from t returning *) select * from x") == Sharing::last);
    CHECK(sharing_of("select * from t for UPDATE") == Sharing::last);
    CHECK(sharing_of("select * from t for share") == Sharing::last);
    CHECK(sharing_of("select pg_advisory_lock(1)") == Sharing::last);
    CHECK(sharing_of("select pg_sleep(1)") == Sharing::last);
    CHECK(sharing_of("insert into t values (1)") == Sharing::last);
    CHECK(sharing_of("Update t set a = 1") == Sharing::last);
    for (const char* never : {"begin", "", "  ", "start transaction", "set x = 1", "call p()", "do $$ begin end $$",
                              "listen x", "/* a */ select 1", "commit", "copy t to stdout"}) {
        INFO(never);
        CHECK(sharing_of(never) == Sharing::never);
    }
}

TEST_CASE("PIP-01 PIP-07: many tasks on few connections each get their own answers", "[pgtest]") {
    tests::Database database;
    coaio::run(ask_all(database.conninfo(), 100, 20, 3));
}

TEST_CASE("PIP-01 FLT-06: answers go to their askers at any chunking", "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    tests::Weather weather;
    weather.split = 1;
    proxy.weather(weather);
    coaio::run(ask_all(proxy.conninfo(database.name()), 20, 5, 2));
}

TEST_CASE("PIP-09: a statement that fails in a pipeline fails alone", "[pgtest]") {
    tests::Database database;
    coaio::run(fail_some(database.conninfo()));
}

TEST_CASE("PIP-05: a hundred queries at a distance take about one round trip", "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    tests::Weather weather;
    weather.latency = 50ms;
    proxy.weather(weather);
    coaio::Duration took{};
    coaio::run(at_a_distance(proxy.conninfo(database.name()), took));
    CHECK(took < 600ms);  // one by one on four connections: 2.5 s
}

TEST_CASE("CAN-08 CAN-09: cancelled statements leave their pipeline, and the others get their own answers",
          "[pgtest]") {
    tests::Database database;
    coaio::run(cancel_some(database.conninfo()));
}

TEST_CASE("CAN-09 CAN-10: no cancel request goes to a connection that others share", "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    coaio::run(disown(proxy.conninfo(database.name()), proxy));
}

TEST_CASE("CAN-10: a disowned statement that runs for long is cancelled once it is alone", "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    coaio::run(retire(proxy.conninfo(database.name()), proxy));
}

TEST_CASE("PIP-08: when a shared connection dies each statement on it fails, and says whether it was sent",
          "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    coaio::run(lose_the_connection(proxy.conninfo(database.name()), proxy));
}

TEST_CASE("PIP-04: single statements never get into a transaction of others", "[pgtest]") {
    tests::Database database;
    coaio::run(beside_transactions(database.conninfo()));
}

TEST_CASE("STM-05 STM-06: a statement that went stale in a pipeline runs again by itself", "[pgtest]") {
    tests::Database database;
    coaio::run(go_stale(database.conninfo()));
}

TEST_CASE("PIP-07: closing the pool answers what was sent and refuses what waits", "[pgtest]") {
    tests::Database database;
    coaio::run(close_under(database.conninfo()));
}

TEST_CASE("CAN-11: nothing waits behind a statement that takes long", "[pgtest]") {
    tests::Database database;
    coaio::run(stay_behind_nothing_slow(database.conninfo()));
}

TEST_CASE("CAN-09: a pipeline cut at any turn leaves a whole pool", "[pgtest]") {
    tests::Database database;
    Bench bench{database.conninfo(), std::nullopt};
    coaio::testing::cut([&] { return cut_asks(bench); }, [&](std::size_t turn) { return look_after(bench, turn); });
    CHECK(database.server().await_sessions(database.name(), 0));
}
