// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/gather.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/core/to_thread.hpp>

#include "support/catch.hpp"
#include "support/postgres_proxy.hpp"
#include "support/throws.hpp"
#include "support/timely.hpp"
#include "support/token_table.hpp"

namespace db = coaio::db;
using coaio::Clock;
using coaio::Coro;
using db::Outcome;
using db::Transaction;
using tests::Fault;
using tests::PostgresProxy;
using tests::Spot;
using tests::Way;
using namespace std::chrono_literals;

namespace {

struct Scene {
    Scene() : proxy(database.server()), url(proxy.conninfo(database.name())) {}
    [[nodiscard]] int number(const std::string& sql) const { return std::stoi(database.value(sql)); }

    tests::Database database;
    PostgresProxy proxy;
    std::string url;
};

template <class T>
Coro<> wait_for_task(coaio::Task<T> task) {
    co_await task;
}

template <class T>
Coro<bool> is_cancelled(coaio::Task<T> task) {
    task.cancel();
    co_return co_await tests::throws<coaio::CancelledError>(wait_for_task(task));
}

/// Everything that a client has sent, in messages.
std::size_t sent(const PostgresProxy& proxy) {
    std::size_t count = 0;
    for (const char type : {'Q', 'P', 'B', 'D', 'E', 'S', 'C', 'H', 'X', tests::message::cancel}) {
        count += proxy.seen(Way::to_server, type);
    }
    return count;
}

// --- given back while it is looked for --------------------------------------------------------------------------------

Coro<Outcome> commit_on(db::Connection& connection) {
    auto body = [](Transaction& tx) -> Coro<> { co_await tx.execute("insert into t values (1)"); };
    try {
        co_await connection.transaction(body);
    } catch (const db::ConnectionError& error) {
        co_return error.outcome();
    }
    co_return Outcome::committed;
}

// The look-ups outlive their connection, and the pool it is of.
Coro<> give_back_in_doubt(Scene& scene) {
    std::optional<db::Pool> pool(std::in_place, scene.url, db::PoolOptions().max_size(1).resolve_timeout(20s));
    db::Connection connection = co_await pool->acquire();
    scene.proxy.on(Spot(Way::to_client, 'C').containing("COMMIT"), Fault::cut_before());
    // The first look-up is held in its first message, and lost there, so that there is a second one.
    scene.proxy.on(Spot(Way::to_server, 'Q').containing("lock_timeout"), Fault::freeze());
    auto committing = coaio::create_task(commit_on(connection));
    while (scene.proxy.fired() < 2) co_await coaio::sleep(1ms);
    connection.release();
    pool.reset();
    scene.proxy.cut_all();
    const Outcome outcome = co_await committing;
    CHECK(outcome == Outcome::committed);
    CHECK(scene.number("select count(*) from t") == 1);
}

// --- cut after every message ------------------------------------------------------------------------------------------

Coro<Outcome> write(Scene& scene, int n) {
    db::Pool pool(scene.url, db::PoolOptions().max_size(1).resolve_timeout(5s));
    auto body = [n](Transaction& tx) -> Coro<> {
        co_await tx.execute("insert into t values ($1)", n);
        auto inner = [](Transaction& sub) -> Coro<> { co_await sub.query("select 1"); };
        co_await tx.transaction(inner);
    };
    Outcome outcome = Outcome::committed;
    try {
        co_await pool.transaction(body);
    } catch (const db::ConnectionError& error) {
        outcome = error.outcome();
        CHECK(error.retryable() == (outcome != Outcome::unknown));
    }
    CHECK(pool.statistics().in_use == 0);
    co_await coaio::to_thread([&scene] { scene.proxy.clear(); });  // and the loop looks outside
    const int one = co_await pool.query_value<int>("select 1");
    CHECK(one == 1);
    co_await pool.close();
    co_return outcome;
}

void cut_everywhere(bool with_tokens) {
    Scene scene;
    scene.database.sql("create table t (n int)");
    if (with_tokens) scene.database.sql(tests::token_table);
    int n = 0;  // of the transaction
    int unknown = 0;
    int committed = 0;
    coaio::Runner runner;
    for (const Way way : {Way::to_server, Way::to_client}) {
        for (const bool after : {false, true}) {
            const Fault fault = after ? Fault::reset_after() : Fault::cut_before();
            const int connected = way == Way::to_client ? 16 : 2;
            for (int at = after ? connected : 1;; ++at) {
                scene.proxy.clear();
                scene.proxy.forget_counts();
                scene.proxy.on(Spot(way, tests::message::any).nth(at).connection(1), fault);
                INFO("message " << at << (way == Way::to_server ? " to the server" : " to the client"));
                const Outcome outcome = runner.run(write(scene, ++n));
                const int rows = scene.number("select count(*) from t where n = " + std::to_string(n));
                REQUIRE(rows <= 1);
                if (outcome == Outcome::committed) REQUIRE(rows == 1);
                if (outcome == Outcome::rolled_back || outcome == Outcome::not_sent) REQUIRE(rows == 0);
                if (with_tokens) CHECK(outcome != Outcome::unknown);
                if (outcome == Outcome::unknown) ++unknown;
                if (outcome == Outcome::committed) ++committed;
                if (scene.proxy.fired() == 0) break;
            }
        }
    }
    CHECK(n > 60);
    CHECK(committed > 10);
    CHECK((unknown == 0) == with_tokens);
}

// --- cancelling -------------------------------------------------------------------------------------------------------

Coro<> cancel_in_the_queue(Scene& scene) {
    db::Pool pool(scene.url, db::PoolOptions().max_size(1));
    auto held = co_await pool.acquire();
    co_await held.query("select 1");
    const std::size_t before = sent(scene.proxy);
    auto task = coaio::create_task(pool.query("select 2"));
    co_await coaio::sleep(0s);
    CHECK(pool.statistics().waiting == 1);
    const bool cancelled = co_await is_cancelled(task);
    CHECK(cancelled);
    CHECK(sent(scene.proxy) == before);
    CHECK(scene.proxy.accepted() == 1);
}

Coro<> cancel_late(Scene& scene) {
    db::Pool pool(scene.url, db::PoolOptions().max_size(1));
    co_await pool.query("select 1");
    scene.proxy.on(Spot(Way::to_server, tests::message::cancel).times(0), Fault::delay(15ms));
    auto& loop = coaio::get_running_loop();
    for (int i = 0; i < 60; ++i) {
        auto task = coaio::create_task(pool.query("select pg_sleep(0.01)"));
        co_await coaio::sleep(std::chrono::microseconds(loop.random() % 12'000));
        (void)co_await is_cancelled(task);
        const int value = co_await pool.query_value<int>("select $1::int", i);
        REQUIRE(value == i);
    }
    // None was lost needlessly.
    CHECK(pool.statistics().opened == 1);
    CHECK(pool.statistics().closed == 0);
}

Coro<> cancel_in_vain(Scene& scene) {
    db::Pool pool(scene.url, db::PoolOptions().max_size(1).cancel_timeout(250ms));
    auto task = coaio::create_task(pool.query("select pg_sleep(60)"));
    while (scene.proxy.seen(Way::to_server, 'E') == 0) co_await coaio::sleep(1ms);
    if (scene.proxy.fired() > 0) scene.proxy.freeze_all();
    const auto began = Clock::now();
    task.cancel();
    auto next = coaio::create_task(pool.query("select 1"));
    co_await coaio::sleep(100ms);
    // Until then its place is taken.
    CHECK(pool.statistics().size == 1);
    CHECK(pool.statistics().opening == 0);
    const bool cancelled = co_await is_cancelled(task);
    CHECK(cancelled);
    CHECK(Clock::now() - began >= 240ms);
    CHECK(Clock::now() - began < 2s);
    co_await next;
    CHECK(pool.statistics().opened == 2);
    CHECK(pool.statistics().closed == 1);
}

Coro<> out_of_time(Scene& scene) {
    db::Pool pool(scene.url, db::PoolOptions().max_size(1));
    co_await pool.query("select 1");
    const std::size_t before = sent(scene.proxy);
    for (int i = 0; i < 500; ++i) {
        const bool late = co_await tests::throws<coaio::TimeoutError>(
            coaio::wait_for(pool.query("insert into nowhere values (1)"), coaio::Duration(i % 2 == 0 ? 0 : -1)));
        REQUIRE(late);
    }
    CHECK(sent(scene.proxy) == before);
    const int one = co_await pool.query_value<int>("select 1");
    CHECK(one == 1);
    CHECK(pool.statistics().opened == 1);
}

Coro<> leave_running(std::string url, std::vector<db::Pool>& pools) {
    pools.emplace_back(url, db::PoolOptions().max_size(3).cancel_timeout(300ms));
    for (int i = 0; i < 3; ++i) (void)coaio::create_task(pools[0].query("select pg_sleep(60)"));
    while (pools[0].statistics().in_use < 3) co_await coaio::sleep(1ms);
    co_await coaio::sleep(20ms);
}

Coro<> cancel_begin(Scene& scene) {
    db::Pool pool(scene.url, db::PoolOptions().max_size(1));
    co_await pool.execute("create table t (n int)");
    // The first one is for the look for the table of tokens.
    scene.proxy.on(Spot(Way::to_client, 'Z').nth(2), Fault::delay(100ms));
    const auto run = [](db::Pool its) -> Coro<> {
        auto body = [](Transaction& tx) -> Coro<> { co_await tx.execute("insert into t values (1)"); };
        co_await its.transaction(body);
    };
    auto task = coaio::create_task(run(pool));
    while (scene.proxy.fired() == 0) co_await coaio::sleep(1ms);
    const bool cancelled = co_await is_cancelled(task);
    CHECK(cancelled);
    CHECK(scene.number("select count(*) from pg_stat_activity where state like 'idle in transaction%'") == 0);
    const int rows = co_await pool.query_value<int>("select count(*)::int from t");
    CHECK(rows == 0);
    CHECK(pool.statistics().opened == 1);
}

// --- time -------------------------------------------------------------------------------------------------------------

Coro<> deadline_covers(Scene& scene, char type, int nth) {
    scene.proxy.clear();
    scene.proxy.on(Spot(Way::to_client, type).nth(nth), Fault::delay(10s));
    db::Pool pool(scene.url, db::PoolOptions().max_size(1).cancel_timeout(100ms));
    const auto began = Clock::now();
    const bool late =
        co_await tests::throws<coaio::TimeoutError>(coaio::wait_for(pool.query("select generate_series(1, 100)"), 1s));
    CHECK(late);
    CHECK(Clock::now() - began < 5s);
    CHECK(scene.proxy.fired() == 1);
    scene.proxy.forget_counts();
}

Coro<> ping_in_silence(Scene& scene) {
    db::Pool pool(scene.url, db::PoolOptions().max_size(1).ping_after(0s));
    co_await pool.query("select 1");
    scene.proxy.freeze_all();
    const auto began = Clock::now();
    const int one = co_await pool.query_value<int>("select 1");
    CHECK(one == 1);
    CHECK(Clock::now() - began < 5s);
    CHECK(pool.statistics().opened == 2);
}

Coro<> outage(Scene& scene) {
    db::Pool pool(scene.url, db::PoolOptions().max_size(6));
    scene.proxy.listen(tests::Listen::reset);
    std::vector<coaio::Task<db::Rows>> tasks;
    for (int i = 0; i < 6; ++i) tasks.push_back(coaio::create_task(pool.query("select pg_sleep(0.02)")));
    co_await coaio::sleep(500ms);
    const std::size_t first = scene.proxy.accepted();
    CHECK(first >= 6);
    CHECK(first <= 16);
    scene.proxy.forget_counts();
    scene.proxy.listen(tests::Listen::normal);
    for (auto& task : tasks) co_await task;
    CHECK(pool.statistics().connect_errors >= 6);
    CHECK(pool.statistics().in_use == 0);
}

}  // namespace

TEST_CASE("FLT-07: cut after any message of a transaction, its outcome is as it says", "[pgtest]") {
    cut_everywhere(false);
}

TEST_CASE("FLT-07: cut after any message, with commit tokens no outcome is unknown", "[pgtest]") {
    cut_everywhere(true);
}

TEST_CASE("CAN-01: who is cancelled while waiting for a connection sends nothing", "[pgtest]") {
    Scene scene;
    tests::run_timely(cancel_in_the_queue(scene));
}

TEST_CASE("CAN-03: a cancel request that is late on its way hits no later query, and costs no connection", "[pgtest]") {
    Scene scene;
    tests::run_timely(cancel_late(scene));
}

TEST_CASE("CAN-05 POL-02: a cancel that goes unheard ends in its time, and the place is taken until then", "[pgtest]") {
    Scene scene;
    SECTION("the request is swallowed") {
        scene.proxy.on(Spot(Way::to_server, tests::message::cancel), Fault::freeze());
    }
    SECTION("nothing passes any more") {
        scene.proxy.on(Spot(Way::to_server, tests::message::startup), Fault::none());
        scene.proxy.on(Spot(Way::to_server, tests::message::cancel), Fault::freeze());
    }
    tests::run_timely(cancel_in_vain(scene));
}

TEST_CASE("CAN-13 CAN-14: a query whose time is over before it is sent sends nothing", "[pgtest]") {
    Scene scene;
    tests::run_timely(out_of_time(scene));
}

TEST_CASE("CAN-15: a loop that shuts down ends its queries within the time for cancelling, and says goodbye",
          "[pgtest]") {
    Scene scene;
    const bool hears = GENERATE(true, false);
    if (!hears) scene.proxy.on(Spot(Way::to_server, tests::message::cancel).times(0), Fault::freeze());
    std::vector<db::Pool> pools;
    const auto began = std::chrono::steady_clock::now();
    coaio::run(leave_running(scene.url, pools));
    pools.clear();
    CHECK(std::chrono::steady_clock::now() - began < 3s);
    CHECK(scene.proxy.await_seen(Way::to_server, 'X', 3));
}

TEST_CASE("CMT-04: a lost COMMIT is found out although its connection is given back meanwhile, and the pool gone",
          "[pgtest]") {
    Scene scene;
    scene.database.sql("create table t (n int)");
    scene.database.sql(tests::token_table);
    tests::run_timely(give_back_in_doubt(scene));
}

TEST_CASE("TXN-07: a BEGIN that is cancelled on its way leaves no transaction open", "[pgtest]") {
    Scene scene;
    tests::run_timely(cancel_begin(scene));
}

TEST_CASE("TMO-01: a deadline covers connecting, preparing, running and all rows", "[pgtest]") {
    Scene scene;
    tests::run_timely(deadline_covers(scene, 'R', 1));
    tests::run_timely(deadline_covers(scene, '1', 1));
    tests::run_timely(deadline_covers(scene, '2', 1));
    tests::run_timely(deadline_covers(scene, 'D', 90));
}

TEST_CASE("POL-15: the ping has a time of its own, and silence means a new connection", "[pgtest]") {
    Scene scene;
    tests::run_timely(ping_in_silence(scene));
}

TEST_CASE("POL-11: in an outage the server is tried by one connection at a time", "[pgtest]") {
    Scene scene;
    tests::run_timely(outage(scene));
}
