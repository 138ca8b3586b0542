// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/future.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>

#include "db/fake_lanes.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/postgres_proxy.hpp"
#include "support/throws.hpp"
#include "support/timely.hpp"

#include <string>
#include <utility>
#include <vector>

namespace db = coaio::db;
using coaio::Clock;
using coaio::Coro;
using coaio::Task;
using db::detail::Lease;
using tests::LaneWorld;
using namespace std::chrono_literals;

namespace {

Coro<> open_all(LaneWorld& world, std::size_t count) {
    std::vector<Lease> held;
    for (std::size_t i = 0; i < count; ++i) held.push_back(co_await world.pool->acquire());
}

// None of them answers; new ones would.
Coro<> fall_silent_together() {
    LaneWorld world(db::PoolOptions().max_size(10));
    co_await open_all(world, 10);
    co_await coaio::sleep(2s);
    world.server->silent = true;
    const auto began = Clock::now();
    auto hasty = coaio::create_task(coaio::wait_for(tests::hold(world, 0s), 500ms));
    co_await coaio::sleep(1s);
    world.server->silent = false;
    const bool timed_out = co_await tests::throws<coaio::TimeoutError>(hasty);
    CHECK(timed_out);
    CHECK(Clock::now() - began <= 2s);
    co_await tests::hold(world, 0s);
    CHECK(Clock::now() - began < 3s);
    CHECK(world.pool->statistics().opened == 11);
    co_await world.pool->close();
}

Coro<> stay_the_first() {
    LaneWorld world(db::PoolOptions().max_size(1).max_waiting(2));
    co_await open_all(world, 1);
    co_await coaio::sleep(2s);
    std::vector<int> order;
    const auto take = [](LaneWorld& of, int number, std::vector<int>& taken) -> Coro<> {
        const Lease lease = co_await of.pool->acquire();
        taken.push_back(number);
        co_await coaio::sleep(1ms);
    };
    world.server->silent = true;
    std::vector<Task<>> tasks;
    for (int i = 0; i < 3; ++i) {
        tasks.push_back(coaio::create_task(take(world, i, order)));
        co_await coaio::sleep(1ms);
    }
    world.server->silent = false;
    for (Task<>& each : tasks) co_await each;
    CHECK(order == std::vector<int>{0, 1, 2});
    co_await world.pool->close();
}

Coro<> open_in_vain() {
    LaneWorld world(db::PoolOptions().max_size(4).acquire_timeout(5s));
    world.server->stillborn = true;
    std::vector<Task<>> tasks;
    for (int i = 0; i < 4; ++i) tasks.push_back(coaio::create_task(tests::hold(world, 0s)));
    for (Task<>& each : tasks) {
        std::string why;
        try {
            co_await each;
        } catch (const db::PoolTimeout& error) {
            why = error.what();
        }
        CHECK_THAT(why, tests::contains("as soon as it was open"));
    }
    CHECK(world.server->attempts <= 20);
    CHECK(world.pool->statistics().connect_errors == world.server->attempts);
    world.server->stillborn = false;
    co_await tests::hold(world, 0s);
    co_await world.pool->close();
}

// A handler of notices is told of the end of an idle session, and expires the pool.
Coro<> expire_while_looking() {
    LaneWorld world(db::PoolOptions().max_size(4).min_size(3));
    {
        std::vector<Lease> held;
        for (int i = 0; i < 3; ++i) held.push_back(co_await world.pool->acquire());
    }
    std::size_t looks = 0;
    world.server->when_looked_at = [&] {
        if (++looks == 2) world.pool->expire();
    };
    co_await coaio::sleep(6s);
    const auto stats = world.pool->statistics();
    CHECK(stats.closed_by.expired == 3);
    CHECK(stats.opened == 6);
    CHECK(stats.idle == 3);
    world.server->when_looked_at = [&] { world.pool->abandon(); };
    co_await coaio::sleep(6s);
    CHECK(world.server->sessions == 0);
}

Coro<> replace_the_dead() {
    LaneWorld world(db::PoolOptions().max_size(4).min_size(3));
    {
        std::vector<Lease> held;
        for (int i = 0; i < 3; ++i) held.push_back(co_await world.pool->acquire());
        for (const Lease& each : held) static_cast<tests::FakeLink&>(each.link()).vanish_when_idle();
    }
    CHECK(world.pool->statistics().opened == 3);
    co_await coaio::sleep(20s);
    const auto stats = world.pool->statistics();
    CHECK(stats.opened == 6);
    CHECK(stats.idle == 3);
    CHECK(stats.closed_by.lost == 3);
    co_await world.pool->close();
}

Coro<> listen_unheard(tests::PostgresProxy& proxy, std::string url) {
    db::Pool pool(url, db::PoolOptions().max_size(1).cancel_timeout(20s));
    {
        auto connection = co_await pool.acquire();
        co_await connection.query("select 1");
        proxy.on(tests::Spot(tests::Way::to_client, 'C'), tests::Fault::delay(2s));
        auto listening = coaio::create_task(connection.execute("listen x"));
        while (proxy.fired() == 0) co_await coaio::sleep(1ms);
        listening.cancel();
        const bool cancelled = co_await tests::throws<coaio::CancelledError>(listening);
        CHECK(cancelled);
    }
    const int channels = co_await pool.query_value<int>("select count(*)::int from pg_listening_channels()");
    CHECK(channels == 0);
}

Coro<std::string> interval_of(std::string url, db::ConnectOptions options) {
    auto connection = co_await db::Connection::connect(url, options);
    co_return co_await connection.query_value<std::string>("show client_connection_check_interval");
}

Coro<> end_with_its_connection(std::string url, std::string aside) {
    auto connection = co_await db::Connection::connect(url, db::ConnectOptions().cancel_by_closing(true));
    auto sleeping = coaio::create_task(connection.execute("select pg_sleep(600)"));
    auto other = co_await db::Connection::connect(aside);
    const std::string running = "select count(*)::int from pg_stat_activity where query = 'select pg_sleep(600)'";
    const auto await_running = [](db::Connection& of, const std::string& sql, int count) -> Coro<> {
        for (int found = -1; found != count;) found = co_await of.query_value<int>(sql);
    };
    co_await await_running(other, running, 1);
    sleeping.cancel();
    const bool cancelled = co_await tests::throws<coaio::CancelledError>(sleeping);
    CHECK(cancelled);
    co_await coaio::wait_for(await_running(other, running, 0), 30s);
}

}  // namespace

TEST_CASE("CAN-01: what is cancelled by closing its connection ends in the server too", "[pgtest]") {
    tests::Database database;
    if (std::stoi(database.value("show server_version_num")) < 140000) return;
    const auto closing = db::ConnectOptions().cancel_by_closing(true);
    CHECK(coaio::run(interval_of(database.conninfo(), closing)) == "1s");
    const auto chosen = db::ConnectOptions(closing).setting("client_connection_check_interval", "7s");
    CHECK(coaio::run(interval_of(database.conninfo(), chosen)) == "7s");
    const auto sending = db::ConnectOptions().cancel_by_closing(false);
    CHECK(coaio::run(interval_of(database.conninfo(), sending)) == "0");
    coaio::run(end_with_its_connection(database.conninfo(), database.conninfo()));
}

TEST_CASE("POL-15 TMO-01: connections that have fallen silent together cost one deadline, not one each") {
    coaio::testing::run(fall_silent_together());
}

TEST_CASE("POL-03: who got a connection that turned out dead is still the first") {
    coaio::testing::run(stay_the_first());
}

TEST_CASE("POL-11: sessions that end as soon as they are open are opened with pauses, and the error says so") {
    coaio::testing::run(open_in_vain());
}

TEST_CASE("POL-24: a pool may be expired, or closed, while it looks after what is idle") {
    coaio::testing::run(expire_while_looking());
}

TEST_CASE("POL-12: connections of min_size that died while nobody used them are replaced") {
    coaio::testing::run(replace_the_dead());
}

TEST_CASE("LIS-06: a LISTEN that was cancelled too late stays with no connection of the pool", "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    tests::run_timely(listen_unheard(proxy, proxy.conninfo(database.name())));
}
