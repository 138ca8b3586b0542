// SPDX-License-Identifier: MIT
#include <coaio/db/listener.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/throws.hpp"

namespace db = coaio::db;
using coaio::Coro;

namespace {

Coro<> hear(std::string url) {
    auto pool = co_await db::Pool::connect(url);
    auto listener = co_await db::Listener::connect(url);
    const std::string channel = "Jobs \"and\" more";
    co_await listener.listen(channel);
    auto waiting = coaio::create_task(listener.next());
    co_await coaio::sleep(coaio::Duration::zero());
    CHECK_FALSE(waiting.done());
    co_await pool.execute("select pg_notify($1, $2)", channel, "first");
    const db::Notification first = co_await waiting;
    CHECK(first.channel == channel);
    CHECK(first.payload == "first");
    CHECK(first.pid > 0);

    // A wait that is given up loses nothing.
    auto dropped = coaio::create_task(listener.next());
    co_await coaio::sleep(coaio::Duration::zero());
    dropped.cancel();
    const bool cancelled = co_await tests::throws<coaio::CancelledError>(
        [](coaio::Task<db::Notification> it) -> Coro<> { co_await it; }(dropped));
    CHECK(cancelled);
    for (int i = 0; i < 100; ++i) co_await pool.execute("select pg_notify($1, $2::text)", channel, std::to_string(i));
    co_await listener.listen("another");
    for (int i = 0; i < 100; ++i) {
        const db::Notification next = co_await listener.next();
        REQUIRE(next.payload == std::to_string(i));
    }
    co_await listener.unlisten(channel);
    co_await pool.execute("select pg_notify($1, 'unheard')", channel);
    co_await pool.execute("select pg_notify('another', 'heard')");
    const db::Notification last = co_await listener.next();
    CHECK(last.payload == "heard");
}

Coro<> lose_it(std::string url) {
    auto pool = co_await db::Pool::connect(url);
    auto listener = co_await db::Listener::connect(url, db::ConnectOptions().setting("application_name", "ear"));
    co_await listener.listen("c");
    auto waiting = coaio::create_task(listener.next());
    co_await coaio::sleep(coaio::Duration::zero());
    co_await pool.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'ear'");
    const bool lost = co_await tests::throws<db::ConnectionError>(
        [](coaio::Task<db::Notification> it) -> Coro<> { co_await it; }(waiting));
    CHECK(lost);
    CHECK_THROWS_AS(listener.listen(""), db::UsageError);
    CHECK_THROWS_AS(listener.listen(std::string(64, 'x')), db::UsageError);
    listener.close();
    CHECK_THROWS_AS(listener.next(), db::UsageError);
}

}  // namespace

TEST_CASE("LIS-01: a listener hears what is sent, in order, also while nobody waits", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(hear(database.conninfo()));
}

TEST_CASE("a listener whose session is lost says so", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(lose_it(database.conninfo()));
}
