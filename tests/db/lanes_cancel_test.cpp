// SPDX-License-Identifier: MIT
#include <coaio/db/pool.hpp>

#include <coaio/core/gather.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/core/to_thread.hpp>

#include "db/asking.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/postgres_proxy.hpp"
#include "support/throws.hpp"

#include <thread>

namespace db = coaio::db;
using coaio::Coro;
using tests::ask;
using tests::echo;
using tests::sharing;
using tests::warm_up;
using namespace std::chrono_literals;

namespace {

constexpr const char* read = "select count(*)::int from t";

Coro<> lock(db::Connection& other) {
    co_await other.execute("begin");
    co_await other.execute("lock table t in access exclusive mode");
}

Coro<> cancel_some(std::string url, bool shared_sync) {
    auto pool = co_await db::Pool::connect(url, sharing(2, shared_sync));
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
    co_await warm_up(pool, echo, 1);
    auto alone = coaio::create_task(pool.query(echo, 1));
    auto left = coaio::create_task(pool.query(echo, 2));
    std::vector<coaio::Task<int>> behind;
    for (int i = 0; i < 10; ++i) behind.push_back(coaio::create_task(pool.query_value<int>(echo, i)));
    // However quick the server is, the answer is on its way for as long as it takes to cancel.
    proxy.on(tests::Spot(tests::Way::to_client, 'D').nth(2), tests::Fault::freeze_way());
    const auto before = proxy.seen(tests::Way::to_server, 'B');
    co_await coaio::to_thread([&proxy, before] {
        while (proxy.seen(tests::Way::to_server, 'B') < before + 12 || proxy.fired() == 0) std::this_thread::yield();
    });
    left.cancel();
    const bool cancelled = co_await tests::throws<coaio::CancelledError>(left);
    CHECK(cancelled);
    proxy.thaw_all();
    for (std::size_t i = 0; i < behind.size(); ++i) {
        const int answer = co_await behind[i];
        CHECK(answer == static_cast<int>(i));
    }
    CHECK(proxy.seen(tests::Way::to_server, tests::message::cancel) == 0);
    CHECK(pool.statistics().opened == 1);
}

Coro<> retire(std::string url, std::string aside, const tests::PostgresProxy& proxy, bool shared_sync) {
    auto other = co_await db::Connection::connect(aside);
    co_await other.execute("create table t (n int)");
    auto pool = co_await db::Pool::connect(url, sharing(1, shared_sync).cancel_timeout(20s));
    co_await warm_up(pool, echo, 1);
    co_await warm_up(pool, read, std::nullopt);
    co_await lock(other);
    auto alone = coaio::create_task(pool.query(echo, 0));
    auto in_front = coaio::create_task(pool.query_value<int>(echo, 3));
    auto stuck = coaio::create_task(pool.query(read));
    const auto before = proxy.seen(tests::Way::to_server, 'B');
    while (proxy.seen(tests::Way::to_server, 'B') < before + 3) co_await coaio::sleep(1ms);
    stuck.cancel();
    const int answer = co_await in_front;
    CHECK(answer == 3);
    const int fine = co_await coaio::wait_for(pool.query_value<int>("select 5"), 20s);
    CHECK(fine == 5);
    CHECK(proxy.seen(tests::Way::to_server, tests::message::cancel) == 1);
    CHECK(pool.statistics().opened == 1);
}

Coro<> stay_behind_nothing_slow(std::string url, bool shared_sync) {
    auto other = co_await db::Connection::connect(url);
    co_await other.execute("create table t (n int)");
    auto pool = co_await db::Pool::connect(url, sharing(2, shared_sync).cancel_timeout(20s));
    co_await warm_up(pool, echo, 1);
    co_await warm_up(pool, read, std::nullopt);
    co_await lock(other);
    auto stuck = coaio::create_task(pool.query(read));
    std::vector<Coro<>> all;
    for (int i = 0; i < 20; ++i) all.push_back(ask(pool, i * 10, 5));
    co_await coaio::wait_for(coaio::gather(std::move(all)), 20s);
    CHECK_FALSE(stuck.done());
    stuck.cancel();
    const bool cancelled = co_await tests::throws<coaio::CancelledError>(stuck);
    CHECK(cancelled);
}

struct Bench {
    std::string url;
    bool shared_sync;
    std::optional<db::Pool> pool;
};

Coro<> cut_asks(Bench& bench) {
    bench.pool.emplace(bench.url, sharing(1, bench.shared_sync).cancel_timeout(10s));
    co_await warm_up(*bench.pool, echo, 1);
    std::vector<Coro<>> all;
    for (int i = 0; i < 5; ++i) all.push_back(ask(*bench.pool, i * 10, 3));
    co_await coaio::gather(std::move(all));
}

Coro<> look_after(Bench& bench, std::size_t turn) {
    INFO("cut before turn " << turn);
    db::Pool pool = bench.pool ? *bench.pool : db::Pool(bench.url, sharing(1, bench.shared_sync));
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

TEST_CASE("CAN-08 CAN-09: cancelled statements leave their pipeline, and the others get their own answers",
          "[pgtest]") {
    const bool shared_sync = GENERATE(false, true);
    tests::Database database;
    coaio::run(cancel_some(database.conninfo(), shared_sync));
}

TEST_CASE("CAN-09 CAN-10: no cancel request goes to a connection that others share", "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    // The clock stands still while an answer is awaited, so nothing is late.
    coaio::testing::run(disown(proxy.conninfo(database.name()), proxy));
}

TEST_CASE("CAN-10: a disowned statement that runs for long is cancelled once it is alone", "[pgtest]") {
    const bool shared_sync = GENERATE(false, true);
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    coaio::run(retire(proxy.conninfo(database.name()), database.conninfo(), proxy, shared_sync));
}

TEST_CASE("CAN-11: nothing waits behind a statement that takes long", "[pgtest]") {
    const bool shared_sync = GENERATE(false, true);
    tests::Database database;
    coaio::run(stay_behind_nothing_slow(database.conninfo(), shared_sync));
}

TEST_CASE("CAN-09: a pipeline cut at any turn leaves a whole pool", "[pgtest]") {
    tests::Database database;
    Bench bench{database.conninfo(), GENERATE(false, true), std::nullopt};
    coaio::testing::cut([&] { return cut_asks(bench); }, [&](std::size_t turn) { return look_after(bench, turn); });
    CHECK(database.server().await_sessions(database.name(), 0));
}
