// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/gather.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/throws.hpp"

#include <string>
#include <utility>

namespace db = coaio::db;
using coaio::Coro;
using namespace std::chrono_literals;

namespace {

Coro<> look_at_a_result(std::string url) {
    const db::Pool pool(url, db::PoolOptions().max_size(2));
    {
        auto task = coaio::create_task(pool.acquire());
        const db::Connection& connection = co_await task;
        co_await connection.query("select 1");
        CHECK(pool.statistics().in_use == 1);
        CHECK(pool.dump().find("by a task that has ended") != std::string::npos);
    }
    CHECK(pool.statistics().in_use == 0);
    co_await pool.close();
}

Coro<> take_two(db::Pool pool) { static_cast<void>(co_await coaio::gather(pool.acquire(), pool.acquire())); }

// One has its connection when the other is cancelled.
Coro<> cancel_between_two(std::string url) {
    const db::Pool pool(url, db::PoolOptions().max_size(2));
    {
        const auto held = co_await pool.acquire();
        auto both = coaio::create_task(take_two(pool));
        while (pool.statistics().in_use < 2 || pool.statistics().waiting < 1) co_await coaio::sleep(1ms);
        both.cancel();
        const bool cancelled = co_await tests::throws<coaio::CancelledError>(std::move(both));
        CHECK(cancelled);
        CHECK(pool.statistics().in_use == 1);
    }
    co_await take_two(pool);
    CHECK(pool.statistics().in_use == 0);
    CHECK(pool.statistics().opened == 2);
    co_await pool.close();
}

}  // namespace

TEST_CASE("POL-01: a connection that is the result of a task comes back when nobody can take it any more", "[pgtest]") {
    tests::Database database;
    SECTION("it was looked at") { coaio::run(look_at_a_result(database.conninfo())); }
    SECTION("what would have taken it was cancelled") { coaio::run(cancel_between_two(database.conninfo())); }
}
