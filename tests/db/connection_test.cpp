// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

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
using namespace std::chrono_literals;

namespace {

struct User {
    int id;
    std::string name;
};

Coro<> use_every_verb(std::string url) {
    auto connection = co_await db::Connection::connect(url);
    co_await connection.execute("create table users (id int primary key, name text)");
    const auto inserted =
        co_await connection.execute("insert into users values ($1, $2), ($3, $4)", 1, "one", 2, "two");
    CHECK(inserted == 2);
    const auto rows = co_await connection.query("select id, name from users where id > $1 order by id", 0);
    std::string all;
    for (auto [id, name] : rows.as<int, std::string>()) all += std::to_string(id) + name;
    CHECK(all == "1one2two");
    const auto user = co_await connection.query_one<User>("select id, name from users where id = $1", 2);
    REQUIRE(user.has_value());
    CHECK(user->name == "two");
    const auto nobody = co_await connection.query_one<int, std::string>("select id, name from users where id = $1", 3);
    CHECK_FALSE(nobody.has_value());
    const auto count = co_await connection.query_value<std::int64_t>("select count(*) from users");
    CHECK(count == 2);
    db::Params params;
    params.add(1).add("one");
    const auto again = co_await connection.query_value<int>("select id from users where id = $1 and name = $2", params);
    CHECK(again == 1);
    CHECK(connection.pid() > 0);
    CHECK(connection.server_version() >= 150000);
    CHECK(connection.parameter("client_encoding") == "UTF8");
}

Coro<std::string> failure_of(Coro<db::Rows> statement) {
    try {
        co_await std::move(statement);
    } catch (const db::Error& error) {
        co_return error.sqlstate();
    }
    co_return "none";
}

Coro<> fail_and_go_on(std::string url) {
    auto connection = co_await db::Connection::connect(url);
    const std::string syntax = co_await failure_of(connection.query("selec 1"));
    CHECK(syntax == "42601");
    const std::string divided = co_await failure_of(connection.query("select 1 / $1", 0));
    CHECK(divided == "22012");
    const int fine = co_await connection.query_value<int>("select 1 + $1", 1);
    CHECK(fine == 2);
    CHECK_THROWS_AS(connection.query("select $1", std::string("a\0b", 3)), db::ParameterError);
}

Coro<> evict(std::string url) {
    auto connection = co_await db::Connection::connect(url, db::ConnectOptions().statement_cache(2));
    for (int round = 0; round < 2; ++round) {
        for (int i = 0; i < 4; ++i) {
            const int value = co_await connection.query_value<int>("select " + std::to_string(i));
            CHECK(value == i);
        }
    }
    const auto prepared = co_await connection.query_value<int>("select count(*)::int from pg_prepared_statements");
    CHECK(prepared <= 4);
}

Coro<> outdate(std::string url) {
    auto connection = co_await db::Connection::connect(url);
    co_await connection.execute("create table t (a int)");
    co_await connection.execute("insert into t values (1)");
    const auto before = co_await connection.query("select * from t");
    CHECK(before.column_count() == 1);
    co_await connection.execute("alter table t add b text default 'x'");
    const auto after = co_await connection.query("select * from t");
    CHECK(after.column_count() == 2);
    co_await connection.execute("do $$begin deallocate all; end$$");
    const auto gone = co_await connection.query("select * from t");
    CHECK(gone.column_count() == 2);
}

Coro<> read_unknown_types(std::string url) {
    auto connection = co_await db::Connection::connect(url);
    const auto address = co_await connection.query_value<std::string>("select '::1'::inet");
    CHECK(address == "::1");
    const auto raw = co_await db::Connection::connect(url, db::ConnectOptions().statement_cache(0));
    const auto number = co_await raw.query_value<std::int64_t>("select $1::int8", 5);
    CHECK(number == 5);
    const auto kept = co_await raw.query_value<int>("select count(*)::int from pg_prepared_statements");
    CHECK(kept == 0);
}

Coro<> set_up(std::string url) {
    std::string heard;
    auto connection = co_await db::Connection::connect(
        url, db::ConnectOptions()
                 .setting("search_path", "pg_catalog")
                 .setting("statement_timeout", "12345")
                 .on_notice([&heard](const db::ErrorFields& notice) { heard = notice.message; }));
    const auto path = co_await connection.query_value<std::string>("select current_setting('search_path')");
    CHECK(path == "pg_catalog");
    const auto limit = co_await connection.query_value<std::string>("select current_setting('statement_timeout')");
    CHECK(limit == "12345ms");
    co_await connection.execute("do $$ begin raise notice 'hello'; end $$");
    CHECK(heard == "hello");
}

Coro<> set_anything(std::string url) {
    const std::string odd = "it's a \\ \"text\" ü";
    const auto options = db::ConnectOptions().setting("my.text", odd);
    const auto connection = co_await db::Connection::connect(url + " options='-c standard_conforming_strings=off'",
                                                             db::ConnectOptions(options).setting("my.more", "\\' x"));
    const auto [text, more] =
        (co_await connection.query("select current_setting('my.text'), current_setting('my.more')"))
            .one<std::string, std::string>();
    CHECK(text == odd);
    CHECK(more == "\\' x");
    std::string why;
    try {
        const auto none = co_await db::Connection::connect(url, db::ConnectOptions().setting("no_such", "secret"));
    } catch (const db::Error& error) {
        why = error.what();
        CHECK(error.sqlstate() == "42704");
    }
    CHECK_THAT(why, tests::contains("no_such"));
    CHECK_THAT(why, !tests::contains("secret"));
}

Coro<> lose_over_settings(std::string url, tests::PostgresProxy& proxy) {
    const db::Pool pool(url, db::PoolOptions().max_size(1).setting("my.text", "a"));
    proxy.on(tests::Spot(tests::Way::to_server, 'Q').containing("set_config"), tests::Fault::cut_after());
    const auto text = co_await pool.query_value<std::string>("select current_setting('my.text')");
    CHECK(text == "a");
    CHECK(pool.statistics().connect_errors == 1);
    CHECK(pool.statistics().opened == 1);
}

Coro<> hear_nothing_of_settings(std::string url, tests::PostgresProxy& proxy) {
    proxy.on(tests::Spot(tests::Way::to_server, 'Q').containing("set_config"), tests::Fault::freeze());
    const auto options = db::ConnectOptions().setting("my.text", "a").connect_timeout(2s).cancel_timeout(1h);
    std::string why;
    try {
        const auto connection = co_await coaio::wait_for(db::Connection::connect(url, options), 1min);
    } catch (const db::ConnectionError& error) {
        why = error.what();
        CHECK(error.attempts().size() == 1);
    }
    CHECK_THAT(why, tests::contains("no answer within"));
    CHECK(proxy.fired() == 1);
}

Coro<std::string> connect_problem(std::string url, coaio::Duration limit = 5s) {
    try {
        auto connection = co_await db::Connection::connect(url, db::ConnectOptions().connect_timeout(limit));
    } catch (const db::ConnectionError& error) {
        CHECK(error.outcome() == db::Outcome::not_sent);
        CHECK_FALSE(error.attempts().empty());
        co_return error.sqlstate() + " " + error.what();
    }
    co_return "connected";
}

Coro<> use_twice_at_once(std::string url) {
    const auto connection = co_await db::Connection::connect(url);
    auto slow = coaio::create_task(connection.query("select pg_sleep(0.05)"));
    co_await coaio::sleep(0s);
    const bool refused1 = co_await tests::throws<db::UsageError>(connection.query("select 1"));
    CHECK(refused1);
    co_await slow;
    const int fine = co_await connection.query_value<int>("select 1");
    CHECK(fine == 1);
}

Coro<> large_both_ways(std::string url) {
    const auto connection = co_await db::Connection::connect(url);
    const std::string large(8 << 20, 'x');
    const auto echoed = co_await connection.query_value<std::string>("select $1::text || $2::text", large, large);
    CHECK(echoed.size() == large.size() * 2);
}

/// With prepared statements, without, and in a batch. What would show that a statement ran, is a sequence.
Coro<> give_wrong_numbers(std::string url) {
    for (const std::size_t cache : {std::size_t{64}, std::size_t{0}}) {
        const auto connection = co_await db::Connection::connect(url, db::ConnectOptions().statement_cache(cache));
        co_await connection.execute("create temporary sequence runs");
        const std::string one = "select nextval('runs') + $1::int";
        const std::string two = "select nextval('runs') + $1::int + $2::int";
        using Wrong = db::ParameterError;
        const bool surplus1 = co_await tests::throws<Wrong>(connection.query(one, 1, 2));
        const bool surplus2 = co_await tests::throws<Wrong>(connection.query("select nextval('runs')", 1));
        const bool surplus3 = co_await tests::throws<Wrong>(connection.query(two, 1, 2, "x"));
        CHECK((surplus1 && surplus2 && surplus3));
        const bool missing1 = co_await tests::throws<db::Error>(connection.query(two, 1));
        const bool missing2 = co_await tests::throws<db::Error>(connection.query(one));
        CHECK((missing1 && missing2));
        if (cache > 0) {
            const bool seen = co_await tests::throws<Wrong>(connection.query(two, 1));
            CHECK(seen);
        }
        db::Batch batch;
        batch.add(one, 1);
        batch.add(one, 1, 2);
        const bool batched = co_await tests::throws<Wrong>(connection.batch(std::move(batch)));
        CHECK(batched);
        const auto runs = co_await connection.query_value<int>(one, 0);
        CHECK(runs == 1);
    }
}

Coro<> ask_at_length(std::string url) {
    auto connection = co_await db::Connection::connect(url);
    for (const std::size_t filler : {std::size_t{100}, std::size_t{16 * 1024}}) {
        const std::string sql = "select $1::int -- " + std::string(filler, 'x');
        for (int i = 0; i < 3; ++i) {
            const int value = co_await connection.query_value<int>(sql, i);
            CHECK(value == i);
        }
    }
    const auto kept = co_await connection.query(
        "select length(statement)::int from pg_prepared_statements where statement like 'select $1::int --%'");
    CHECK(kept.as<int>().to_vector() == std::vector<int>{118});
}

}  // namespace

TEST_CASE("TYP-19: a wrong number of parameters is refused, and nothing of the statement runs", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(give_wrong_numbers(database.conninfo()));
}

TEST_CASE("query, query_one, query_value and execute on a connection of its own", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(use_every_verb(database.conninfo()));
    CHECK(database.server().await_sessions(database.name(), 0));
}

TEST_CASE("a failed statement leaves the connection usable", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(fail_and_go_on(database.conninfo()));
}

TEST_CASE("STM-01: statements that are evicted are dropped in the server", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(evict(database.conninfo()));
}

TEST_CASE("STM-04 STM-05: a statement that is stale or gone is prepared again", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(outdate(database.conninfo()));
}

TEST_CASE("STM-07: a very long text is not kept, by the client nor by the server", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(ask_at_length(database.conninfo()));
}

TEST_CASE("TYP-17 STM-07: a type without a binary form comes as text, and so does all without a cache", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(read_unknown_types(database.conninfo()));
}

TEST_CASE("CON-14 LPQ-11: settings are set at connect and notices come to the handler", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(set_up(database.conninfo()));
}

TEST_CASE("CON-14: settings have any value, and one that the server does not want is a clear error", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(set_anything(database.conninfo()));
}

TEST_CASE("POL-10: a connection that is lost over its settings fails nobody who waits", "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    coaio::run(lose_over_settings(proxy.conninfo(database.name()), proxy));
}

TEST_CASE("CON-02: a server that falls silent over the settings ends the connect in its time", "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    coaio::run(hear_nothing_of_settings(proxy.conninfo(database.name()), proxy));
}

TEST_CASE("connecting fails with what was tried and the server's SQLSTATE", "[pgtest]") {
    tests::Database database;
    const auto missing = coaio::testing::run(connect_problem(database.server().conninfo("no_such_database")));
    CHECK_THAT(missing, tests::contains("3D000"));
    const auto socket = coaio::testing::run(connect_problem("host=/nonexistent user=me dbname=x"));
    CHECK_THAT(socket, tests::contains("/nonexistent"));
    const auto refused =
        coaio::testing::run(connect_problem("host=127.0.0.1,localhost port=1 user=me password=secret1"));
    CHECK_THAT(refused, tests::contains("127.0.0.1:1"));
    CHECK_THAT(refused, tests::contains("localhost"));
    CHECK_THAT(refused, !tests::contains("secret1"));
    const auto unknown = coaio::testing::run(connect_problem("host=name.invalid user=me"));
    CHECK_THAT(unknown, tests::contains("name.invalid"));
}

TEST_CASE("two tasks on one connection at once is an error, not a mix-up", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(use_twice_at_once(database.conninfo()));
}

TEST_CASE("LPQ-04: a large statement and a large answer do not wait for each other", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(large_both_ways(database.conninfo()));
}
