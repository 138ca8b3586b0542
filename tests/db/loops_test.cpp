// SPDX-License-Identifier: MIT
#include <coaio/db/batch.hpp>
#include <coaio/db/copy.hpp>
#include <coaio/db/pool.hpp>
#include <coaio/db/stream.hpp>
#include <coaio/db/transaction.hpp>

#include <coaio/core/loop.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/threadsafe.hpp>

#include "core/loop_thread.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/throws.hpp"

#include <thread>
#include <vector>

namespace db = coaio::db;
using coaio::Coro;

namespace {

constexpr int rounds = 50;

/// Every way in, tried on a loop that is not the pool's.
Coro<int> refused_uses(db::Pool pool) {
    auto body = [](db::Transaction& tx) -> Coro<> { co_await tx.execute("insert into t values (-1)"); };
    auto copy = [](db::CopyIn& in) -> Coro<> { co_await in.write("-1\n"); };
    db::Batch batch;
    batch.add("insert into t values (-1)");
    auto rows = pool.stream<int>("select n from t");
    auto lines = pool.copy_out("copy t to stdout");
    int refused = 0;
    const auto count = [&refused](bool was) { refused += was ? 1 : 0; };
    count(co_await tests::throws<coaio::RuntimeError>(pool.query("select 1")));
    count(co_await tests::throws<coaio::RuntimeError>(pool.acquire()));
    count(co_await tests::throws<coaio::RuntimeError>(pool.transaction(body)));
    count(co_await tests::throws<coaio::RuntimeError>(pool.retry_transaction(body)));
    count(co_await tests::throws<coaio::RuntimeError>(pool.batch(std::move(batch))));
    count(co_await tests::throws<coaio::RuntimeError>(pool.copy_in("copy t from stdin", copy)));
    count(co_await tests::throws<coaio::RuntimeError>(rows.next()));
    count(co_await tests::throws<coaio::RuntimeError>(lines.next()));
    count(co_await tests::throws<coaio::RuntimeError>(pool.close()));
    co_return refused;
}

Coro<int> work(db::Pool pool, int times) {
    const std::string sql = "insert into t values (1) returning pg_backend_pid()";
    int pid = 0;
    for (int i = 0; i < times; ++i) pid = co_await pool.query_value<int>(sql);
    co_return pid;
}

/// How many rounds went as they should; threads hand it to the test, whose CHECK is for one thread at a time.
Coro<int> hand_over(db::Pool pool, coaio::Loop& loop) {
    int well = 0;
    for (int i = 0; i < rounds; ++i) {
        const int refused = co_await refused_uses(pool);
        auto far = coaio::run_coroutine_threadsafe(work(pool, 1), loop);
        const int pid = co_await coaio::wrap_future(far);
        well += refused == 9 && pid > 0 ? 1 : 0;
    }
    co_return well;
}

Coro<db::Pool> open(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(3).pipelining(8));
    co_await pool.execute("create table t (n int)");
    co_return pool;
}

Coro<> look_after(db::Pool pool) {
    const int sum = co_await pool.query_value<int>("select sum(n)::int from t");
    const int rows = co_await pool.query_value<int>("select count(*)::int from t");
    CHECK(sum == rows);
    CHECK(rows == rounds * 5);
    const auto stats = pool.statistics();
    CHECK(stats.size <= 3);
    CHECK(stats.opened <= 3);
    CHECK(stats.closed == 0);
    CHECK(stats.in_use == 0);
    co_await pool.close();
}

Coro<db::Connection> take(db::Pool pool) { co_return co_await pool.acquire(); }

Coro<bool> refused_on(const db::Connection& connection) {
    co_return co_await tests::throws<coaio::RuntimeError>(connection.query("insert into t values (-1)"));
}

Coro<int> use_and_drop(db::Connection connection) { co_return co_await connection.query_value<int>("select 1"); }

}  // namespace

TEST_CASE("POL-27: a pool's connections stay on its loop; another loop is refused, and hands its work over",
          "[pgtest][threads]") {
    tests::Database database;
    tests::LoopThread there;
    coaio::Loop& loop = there.loop();
    {
        db::Pool pool = coaio::run_coroutine_threadsafe(open(database.conninfo()), loop).result();
        std::vector<coaio::ThreadsafeFuture<int>> own;
        own.reserve(3);
        for (int i = 0; i < 3; ++i) own.push_back(coaio::run_coroutine_threadsafe(work(pool, rounds), loop));
        int well_there = 0;
        std::thread other([&] { well_there = coaio::run(hand_over(pool, loop)); });
        CHECK(coaio::run(hand_over(pool, loop)) == rounds);
        other.join();
        CHECK(well_there == rounds);
        for (auto& each : own) CHECK(each.result() > 0);
        db::Connection connection = coaio::run_coroutine_threadsafe(take(pool), loop).result();
        CHECK(coaio::run(refused_on(connection)));
        auto dropped = coaio::run_coroutine_threadsafe(use_and_drop(std::move(connection)), loop);
        CHECK(dropped.result() == 1);
        coaio::run_coroutine_threadsafe(look_after(std::move(pool)), loop).result();
    }
    CHECK(database.server().await_sessions(database.name(), 0));
}
