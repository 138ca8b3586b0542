// SPDX-License-Identifier: MIT
#include <coaio/db/listener.hpp>
#include <coaio/db/pool.hpp>

#include "connect.hpp"
#include "link_pq.hpp"

#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/postgres_proxy.hpp"
#include "support/sanitizers.hpp"
#include "support/throws.hpp"

#include <fstream>
#include <functional>

#include <unistd.h>

namespace db = coaio::db;
using coaio::Coro;
using db::Gap;
using db::Listener;
using tests::PostgresProxy;
using tests::Way;
using namespace std::chrono_literals;

namespace {

Coro<> until(std::function<bool()> true_at_last) {
    while (!true_at_last()) co_await coaio::sleep(0s);
}

Coro<bool> hears(Listener& listener, std::string payload) {
    const auto heard = co_await listener.next();
    co_return heard.gap == Gap::none&& heard.payload == payload;
}

/// Skips what comes before it, as after a loss that was noticed twice.
Coro<> hear_gap(Listener& listener) {
    for (;;) {
        const auto heard = co_await listener.next();
        if (heard.gap == Gap::session_lost) co_return;
    }
}

Coro<> hear(std::string url) {
    auto pool = co_await db::Pool::connect(url);
    auto listener = co_await Listener::connect(url);
    const std::string channel = "Jobs \"and\" more";
    co_await listener.listen(channel);
    auto waiting = coaio::create_task(listener.next());
    co_await coaio::sleep(0s);
    CHECK_FALSE(waiting.done());
    co_await db::notify(pool, channel, "first");
    const db::Notification first = co_await waiting;
    CHECK(first.channel == channel);
    CHECK(first.payload == "first");
    CHECK(first.pid > 0);
    CHECK(first.gap == Gap::none);

    // A wait that is given up loses nothing.
    auto dropped = coaio::create_task(listener.next());
    co_await coaio::sleep(0s);
    dropped.cancel();
    const bool cancelled = co_await tests::throws<coaio::CancelledError>(dropped);
    CHECK(cancelled);
    for (int i = 0; i < 100; ++i) co_await db::notify(pool, channel, std::to_string(i));
    co_await listener.listen("another");
    for (int i = 0; i < 100; ++i) {
        const bool next = co_await hears(listener, std::to_string(i));
        REQUIRE(next);
    }
    co_await listener.unlisten(channel);
    co_await db::notify(pool, channel, "unheard");
    co_await db::notify(pool, "another", "heard");
    const bool last = co_await hears(listener, "heard");
    CHECK(last);
    CHECK(listener.statistics().received == 102);
    listener.close();
    CHECK_THROWS_AS(listener.next(), db::UsageError);
    CHECK_THROWS_AS(listener.listen("c"), db::UsageError);
}

// ------------------------------------------------------------------------------------------------------- LIS-02

constexpr int notifications = 100'000;
constexpr int at_once = 1'000;

Coro<> send_many(db::Pool pool, std::string channel) {
    for (int first = 0; first < notifications; first += at_once) {
        co_await pool.query("select pg_notify($1, n::text) from generate_series($2::int, $3::int) n", channel, first,
                            first + at_once - 1);
    }
}

Coro<> query_under_fire(std::string url) {
    db::detail::PqConnector connector(url, db::detail::ConnectValues());
    const auto link = co_await connector.connect();
    link->keep_notifications();
    co_await link->command("listen fire", db::detail::OnCancel::wait);
    auto sending = coaio::create_task(send_many(db::Pool(url), "fire"));
    int heard = 0;
    bool in_order = true;
    const auto take = [&] {
        for (const auto& each : link->take_heard()) in_order = in_order && each.payload == std::to_string(heard++);
    };
    const std::string sql = "select $1::int, repeat('x', $1 % 500)";
    for (int i = 0; i < 5'000; ++i) {
        const auto params = db::Params::of(i);
        const db::Rows rows = co_await link->run(sql, params);
        const auto [number, text] = rows.one<int, std::string>();
        REQUIRE(number == i);
        REQUIRE(text.size() == static_cast<std::size_t>(i % 500));
        take();
    }
    while (heard < notifications) {
        co_await link->hear();
        take();
    }
    CHECK(heard == notifications);
    CHECK(in_order);
    co_await sending;
}

Coro<> change_under_fire(std::string url) {
    auto listener = co_await Listener::connect(url, {}, {.buffer = notifications});
    co_await listener.listen("fire");
    auto other = co_await listener.subscribe("fire");
    auto sending = coaio::create_task(send_many(db::Pool(url), "fire"));
    for (int i = 0; i < 250; ++i) {
        const std::string name = "c" + std::to_string(i);
        co_await listener.listen(name);
        co_await listener.unlisten(name);
    }
    co_await sending;
    for (int i = 0; i < notifications; ++i) {
        const auto mine = co_await listener.next();
        const auto theirs = co_await other.next();
        if (mine.payload == std::to_string(i) && theirs.payload == mine.payload && mine.channel == "fire") continue;
        FAIL("at " << i << " came " << mine.payload << " and " << theirs.payload);
    }
    const auto stats = listener.statistics();
    CHECK(stats.received == notifications);
    CHECK(stats.dropped == 0);
    CHECK(stats.sessions == 1);
}

// ------------------------------------------------------------------------------------------------------- LIS-03

Coro<> come_back(std::string url, std::string through, PostgresProxy& proxy) {
    const db::Pool pool(url);
    auto listener = co_await Listener::connect(through);
    co_await listener.listen("a");
    co_await listener.listen("b");
    auto other = co_await listener.subscribe("b");
    auto waiting = coaio::create_task(listener.next());
    proxy.listen(tests::Listen::refuse);
    proxy.cut_all();
    co_await until([&] { return !listener.statistics().connected; });
    co_await db::notify(pool, "a", "missed");
    CHECK_FALSE(waiting.done());
    // One that comes during the outage waits for its end.
    auto late = coaio::create_task(listener.subscribe("c"));
    co_await coaio::sleep(0s);
    proxy.listen(tests::Listen::normal);

    const db::Notification gap = co_await waiting;
    CHECK(gap.gap == Gap::session_lost);
    CHECK(gap.channel.empty());
    // It listens again by now.
    co_await db::notify(pool, "a", "one");
    co_await db::notify(pool, "b", "two");
    co_await db::notify(pool, "c", "three");
    const bool one = co_await hears(listener, "one");
    const bool two = co_await hears(listener, "two");
    CHECK((one && two));
    const db::Notification others_gap = co_await other.next();
    CHECK(others_gap.gap == Gap::session_lost);
    const db::Notification others_two = co_await other.next();
    CHECK(others_two.payload == "two");
    auto third = co_await std::move(late);
    const db::Notification three = co_await third.next();
    CHECK(three.gap == Gap::none);
    CHECK(three.payload == "three");
    CHECK(listener.statistics().sessions == 2);
    CHECK(listener.statistics().channels == 3);
}

Coro<> lose_it_often(std::string url, std::string through, PostgresProxy& proxy) {
    const db::Pool pool(url);
    auto listener = co_await Listener::connect(through);
    co_await listener.listen("a");
    for (int i = 0; i < 10; ++i) {
        proxy.cut_all();
        co_await hear_gap(listener);
        co_await db::notify(pool, "a", std::to_string(i));
        const bool heard = co_await hears(listener, std::to_string(i));
        REQUIRE(heard);
    }
}

Coro<> notice_silence(std::string through, PostgresProxy& proxy) {
    auto listener = co_await Listener::connect(through, {}, {.check_after = 200ms});
    co_await listener.listen("a");
    const auto asked = proxy.seen(Way::to_server, 'Q');
    co_await until([&] { return proxy.seen(Way::to_server, 'Q') >= asked + 2; });
    proxy.freeze_all();
    co_await hear_gap(listener);
}

Coro<> lose_the_database(const tests::Postgres& server) {
    auto database = std::make_unique<tests::Database>();
    auto listener = co_await Listener::connect(database->conninfo());
    co_await listener.listen("a");
    auto waiting = coaio::create_task(listener.next());
    co_await coaio::sleep(0s);
    server.sql("postgres", "drop database " + database->name() + " with (force)");
    std::string state;
    try {
        co_await waiting;
    } catch (const db::ConnectionError& error) {
        state = error.sqlstate();
    }
    CHECK(state == "3D000");
    const bool again = co_await tests::throws<db::ConnectionError>(listener.listen("b"));
    CHECK(again);
    server.sql("postgres", "create database " + database->name());
}

std::string error_message(const std::string& state) {
    using namespace std::string_literals;
    const std::string body = "SERROR\0VERROR\0C"s + state + "\0Mcannot execute LISTEN during recovery\0\0"s;
    const auto length = static_cast<unsigned char>(body.size() + 4);
    return "E\0\0\0"s + static_cast<char>(length) + body;
}

Coro<> refuse(std::string through, PostgresProxy& proxy) {
    auto listener = co_await Listener::connect(through);
    co_await listener.listen("fine");
    proxy.on(tests::Spot(Way::to_client, 'C').containing("LISTEN"), tests::Fault::replace(error_message("25006")));
    std::string state;
    try {
        co_await listener.listen("refused");
    } catch (const db::Error& error) {
        state = error.sqlstate();
    }
    CHECK(state == "25006");
    CHECK(listener.statistics().channels == 1);
    co_await listener.listen("refused");
    CHECK(listener.statistics().channels == 2);
    CHECK(listener.statistics().sessions == 1);
    co_await db::notify(db::Pool(through), "fine", "heard");
    const bool heard = co_await hears(listener, "heard");
    CHECK(heard);
}

// ------------------------------------------------------------------------------------------------------- LIS-04

long resident() {
    std::ifstream file("/proc/self/statm");
    long size = 0;
    long pages = 0;
    file >> size >> pages;
    return pages * ::sysconf(_SC_PAGESIZE);
}

Coro<> overflow(std::string url) {
    const db::Pool pool(url, db::PoolOptions().max_size(1));
    auto slow = co_await Listener::connect(url, {}, {.buffer = 10});
    auto quick = co_await Listener::connect(url);
    co_await slow.listen("a");
    co_await quick.listen("a");
    co_await pool.query("select pg_notify('a', n::text) from generate_series(0, 999) n");
    for (int i = 0; i < 1000; ++i) {
        const bool next = co_await hears(quick, std::to_string(i));
        REQUIRE(next);
    }
    co_await until([&] { return slow.statistics().received == 1000; });
    CHECK(slow.statistics().dropped == 990);
    for (int i = 0; i < 10; ++i) {
        const bool next = co_await hears(slow, std::to_string(i));
        REQUIRE(next);
    }
    co_await db::notify(pool, "a", "after");
    const db::Notification gap = co_await slow.next();
    CHECK(gap.gap == Gap::overflow);
    CHECK(gap.missed == 990);
    const bool after = co_await hears(slow, "after");
    CHECK(after);
}

Coro<> stay_flat(std::string url) {
    constexpr std::uint64_t count = 20'000;
    const db::Pool pool(url, db::PoolOptions().max_size(1));
    auto listener = co_await Listener::connect(url, {}, {.buffer = 100});
    co_await listener.listen("a");
    const std::string many = "select pg_notify('a', n || repeat('x', 7900)) from generate_series(1, 500) n";
    co_await pool.query(many);
    co_await until([&] { return listener.statistics().received >= 500; });
    const long before = resident();
    for (std::uint64_t sent = 500; sent < count; sent += 500) co_await pool.query(many);
    co_await until([&] { return listener.statistics().received == count; });
    const long grown = resident() - before;
    if (COAIO_TEST_SANITIZED == 0) CHECK(grown < 10 * 1024 * 1024);
    CHECK(listener.statistics().dropped == count - 100);
    // Held up, these 158 MB would be 0.018 of what the server's queue takes.
    co_await pool.query(many);
    const double usage = co_await pool.query_value<double>("select pg_notification_queue_usage()");
    CHECK(usage < 0.009);
}

// ------------------------------------------------------------------------------------------------------- LIS-05

Coro<> name_anything(std::string url) {
    const db::Pool pool(url);
    auto listener = co_await Listener::connect(url);
    for (const std::string& name :
         {std::string("a\"; drop table x; --"), std::string("Groß und klein"), std::string(63, 'x')}) {
        co_await listener.listen(name);
        co_await db::notify(pool, name, name);
        const db::Notification heard = co_await listener.next();
        CHECK(heard.channel == name);
        CHECK(heard.payload == name);
        co_await listener.unlisten(name);
    }
    for (const std::string& name : {std::string(), std::string(64, 'x'), std::string("a\0b", 3)}) {
        CHECK_THROWS_AS(listener.listen(name), db::UsageError);
        CHECK_THROWS_AS(listener.subscribe(name), db::UsageError);
        CHECK_THROWS_AS(db::notify(pool, name), db::UsageError);
    }
    co_await listener.listen("a");
    const std::string longest(7'999, 'y');
    co_await db::notify(pool, "a", longest);
    const bool whole = co_await hears(listener, longest);
    CHECK(whole);
    const auto acquires = pool.statistics().acquires;
    CHECK_THROWS_AS(db::notify(pool, "a", std::string(8'000, 'y')), db::ParameterError);
    CHECK(pool.statistics().acquires == acquires);

    auto body = [](db::Transaction& tx) -> Coro<> {
        co_await db::notify(tx, "a", "of a transaction");
        throw std::runtime_error("rolled back");
    };
    const bool failed = co_await tests::throws<std::runtime_error>(pool.transaction(body));
    CHECK(failed);
    co_await db::notify(pool, "a");
    const bool empty = co_await hears(listener, "");
    CHECK(empty);
}

// ------------------------------------------------------------------------------------------------------- LIS-06

Coro<> stop_listening(std::string through, PostgresProxy& proxy) {
    proxy.on(tests::Spot(Way::to_server, 'Q').nth(0).times(0).containing("unlisten"), tests::Fault::none());
    auto listener = co_await Listener::connect(through);
    co_await listener.listen("a");
    {
        auto one = co_await listener.subscribe("a");
        auto two = co_await listener.subscribe("b");
        CHECK(listener.statistics().channels == 2);
        co_await listener.unlisten("a");
        CHECK(proxy.fired() == 0);
        one.close();
        co_await until([&] { return listener.statistics().channels == 1; });
        CHECK(proxy.fired() == 1);
    }
    co_await until([&] { return listener.statistics().channels == 0; });
    CHECK(proxy.fired() == 2);
    // Wanted again before the server was told.
    auto three = co_await listener.subscribe("c");
    three.close();
    auto four = co_await listener.subscribe("c");
    co_await db::notify(db::Pool(through), "c", "heard");
    const db::Notification heard = co_await four.next();
    CHECK(heard.payload == "heard");
}

Coro<> come_back_deaf(std::string url) {
    const db::Pool pool(url, db::PoolOptions().max_size(1));
    const std::string count = "select count(*)::int from pg_listening_channels()";
    const auto channels = [&pool, &count] { return pool.query_value<int>(count); };
    const int pid = co_await pool.query_value<int>("select pg_backend_pid()");
    {
        const auto connection = co_await pool.acquire();
        co_await connection.execute("listen by_statement");
        const int inside = co_await connection.query_value<int>(count);
        CHECK(inside == 1);
    }
    const int after_statement = co_await channels();
    CHECK(after_statement == 0);
    co_await pool.execute("listen by_pool");
    const int after_pool = co_await channels();
    CHECK(after_pool == 0);
    db::Batch batch;
    batch.add("select 1");
    batch.add("listen in_a_batch");
    co_await pool.batch(std::move(batch));
    const int after_batch = co_await channels();
    CHECK(after_batch == 0);
    // What hides it shows itself by what it hears.
    co_await pool.execute("do $$ begin execute 'listen hidden'; end $$");
    co_await pool.query("select pg_notify('hidden', '')");
    const int after_hidden = co_await channels();
    CHECK(after_hidden == 0);
    const int same = co_await pool.query_value<int>("select pg_backend_pid()");
    CHECK(same == pid);
}

// ------------------------------------------------------------------------------------------------------- LIS-07

Coro<> close_the_pool(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    auto listener = co_await Listener::connect(pool);
    co_await listener.listen("a");
    CHECK(pool.statistics().size == 1);
    auto waiting = coaio::create_task(listener.next());
    co_await coaio::sleep(0s);
    co_await pool.close();
    CHECK_FALSE(waiting.done());
    co_await db::notify(db::Pool(url), "a", "still there");
    const db::Notification heard = co_await waiting;
    CHECK(heard.payload == "still there");
}

Coro<> go_away(std::string url, const tests::Database& database) {
    {
        auto listener = co_await Listener::connect(url);
        auto subscription = co_await listener.subscribe("a");
        auto waiting = coaio::create_task(subscription.next());
        co_await coaio::sleep(0s);
        listener.close();
        const bool told = co_await tests::throws<db::UsageError>(waiting);
        CHECK(told);
    }
    {
        auto kept = [](std::string to) -> Coro<db::Subscription> {
            auto listener = co_await Listener::connect(to);
            co_return co_await listener.subscribe("a");
        };
        auto subscription = co_await kept(url);
        co_await db::notify(db::Pool(url), "a", "heard");
        const db::Notification heard = co_await subscription.next();
        CHECK(heard.payload == "heard");
    }
    // Forgotten: the loop's end ends them.
    auto listener = co_await Listener::connect(url);
    co_await until([&] { return database.sessions() == 1; });
}

}  // namespace

TEST_CASE("LIS-01: a listener hears what is sent, in order, also while nobody waits", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(hear(database.conninfo()));
}

TEST_CASE("LIS-02: 5 000 queries on a session that hears 100 000 notifications: all are answered and heard in order",
          "[pgtest]") {
    tests::Database database;
    coaio::testing::run(query_under_fire(database.conninfo()));
}

TEST_CASE("LIS-02: 500 changes of what is listened to under 100 000 notifications, for two subscribers", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(change_under_fire(database.conninfo()));
}

TEST_CASE("LIS-03: a listener that loses its session listens again by itself, and then reports the gap", "[pgtest]") {
    tests::Database database;
    PostgresProxy proxy(database.server());
    coaio::testing::run(come_back(database.conninfo(), proxy.conninfo(database.name()), proxy));
}

TEST_CASE("LIS-03: what is sent after the report of a gap is heard, however often the session is lost", "[pgtest]") {
    tests::Database database;
    PostgresProxy proxy(database.server());
    coaio::testing::run(lose_it_often(database.conninfo(), proxy.conninfo(database.name()), proxy));
}

TEST_CASE("LIS-03: a server that has fallen silent is noticed and left", "[pgtest]") {
    tests::Database database;
    PostgresProxy proxy(database.server());
    coaio::run(notice_silence(proxy.conninfo(database.name()), proxy));
}

TEST_CASE("LIS-03: a listener whose database is gone for good says so", "[pgtest]") {
    coaio::testing::run(lose_the_database(tests::Postgres::shared()));
}

TEST_CASE("a server that refuses LISTEN is an error of that listen alone", "[pgtest]") {
    tests::Database database;
    PostgresProxy proxy(database.server());
    coaio::testing::run(refuse(proxy.conninfo(database.name()), proxy));
}

TEST_CASE("LIS-04: what does not fit a slow subscriber's buffer is reported as a gap in its place", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(overflow(database.conninfo()));
}

TEST_CASE("LIS-04: a subscriber who fetches nothing takes no memory and does not hold up the server's queue",
          "[pgtest]") {
    tests::Database database;
    coaio::testing::run(stay_flat(database.conninfo()));
}

TEST_CASE("LIS-05: channels have any name of up to 63 bytes, payloads up to 7 999 bytes; more is refused", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(name_anything(database.conninfo()));
}

TEST_CASE("LIS-06: the server stops listening when the last subscriber of a channel has gone", "[pgtest]") {
    tests::Database database;
    PostgresProxy proxy(database.server());
    coaio::testing::run(stop_listening(proxy.conninfo(database.name()), proxy));
}

TEST_CASE("LIS-06: a connection that listens does not do so any more when it is back in its pool", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(come_back_deaf(database.conninfo()));
}

TEST_CASE("LIS-07: a pool closes while a listener to its database listens on", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(close_the_pool(database.conninfo()));
}

TEST_CASE("the session of a listener ends with it and the last of its subscriptions", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(go_away(database.conninfo(), database));
    CHECK(database.server().await_sessions(database.name(), 0));
}
