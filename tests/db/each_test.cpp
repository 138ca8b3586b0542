// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>
#include <coaio/db/transaction.hpp>

#include <coaio/core/run.hpp>
#include <coaio/core/task.hpp>

#include "db/cut.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/postgres_proxy.hpp"
#include "support/throws.hpp"

#include <initializer_list>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

namespace db = coaio::db;
using coaio::Coro;
using db::Transaction;
using tests::Bench;
using tests::Fault;
using tests::PostgresProxy;
using tests::Spot;
using tests::Way;

namespace {

db::PoolOptions single() { return db::PoolOptions().max_size(1); }

Coro<int> count_rows(db::Pool pool) { return pool.query_value<int>("select count(*)::int from t"); }

Coro<> run_each(std::string url) {
    const auto options = single();
    auto pool = co_await db::Pool::connect(url, options);
    std::vector<int> numbers(300);  // more than are sent at once
    std::iota(numbers.begin(), numbers.end(), 0);
    const auto doubled = co_await pool.query_each("select $1::int * 2", numbers);
    REQUIRE(doubled.size() == numbers.size());
    for (const int n : numbers) REQUIRE(doubled[static_cast<std::size_t>(n)].value<int>() == n * 2);

    std::vector<std::tuple<int, std::optional<std::string>>> pairs;
    pairs.emplace_back(1, "one");
    pairs.emplace_back(2, std::nullopt);
    pairs.emplace_back(3, "");
    const auto texts = co_await pool.query_each("select $2::text, $1::int", pairs);
    CHECK(texts[0].one<std::optional<std::string>, int>() == std::tuple(std::optional<std::string>("one"), 1));
    CHECK(texts[1].one<std::optional<std::string>, int>() == std::tuple(std::optional<std::string>(), 2));
    CHECK(texts[2].one<std::optional<std::string>, int>() == std::tuple(std::optional<std::string>(""), 3));

    const auto nothing = co_await pool.query_each("select $1::int", std::vector<int>());
    CHECK(nothing.empty());
    const int prepared = co_await pool.query_value<int>("select count(*)::int from pg_prepared_statements");
    CHECK(prepared == 3);
}

Coro<> mix_types(std::string url) {
    const auto options = single();
    auto pool = co_await db::Pool::connect(url, options);
    std::vector<db::Params> runs;
    runs.push_back(db::Params::of(1));
    runs.push_back(db::Params::of("2"));
    runs.push_back(db::Params::of(std::nullopt));
    const auto rows = co_await pool.query_each("select coalesce($1::text, 'none')", std::move(runs));
    CHECK(rows[0].value<std::string>() == "1");
    CHECK(rows[1].value<std::string>() == "2");
    CHECK(rows[2].value<std::string>() == "none");
}

Coro<> fail_alone(std::string url) {
    const auto options = single();
    auto pool = co_await db::Pool::connect(url, options);
    co_await pool.execute("create table t (n int primary key)");
    const std::vector<int> numbers(std::initializer_list<int>{1, 1, 2});
    const auto answers = co_await pool.query_each(coaio::return_exceptions, "insert into t values ($1)", numbers);
    REQUIRE(answers.size() == 3);
    CHECK(answers[0].has_value());
    CHECK_THROWS_AS(answers[1].value(), db::UniqueViolation);
    CHECK(answers[2].has_value());
    const int kept = co_await count_rows(pool);
    CHECK(kept == 2);
    const bool thrown = co_await tests::throws<db::UniqueViolation>(
        pool.query_each("insert into t values ($1)", std::span<const int>(numbers).last(2)));
    CHECK(thrown);
    CHECK(pool.statistics().opened == 1);
}

Coro<> fail_in_transaction(std::string url) {
    const auto options = single();
    auto pool = co_await db::Pool::connect(url, options);
    co_await pool.execute("create table t (n int primary key)");
    auto body = [](Transaction& tx) -> Coro<> {
        auto inner = [](Transaction& sub) -> Coro<> {
            const std::vector<int> twice(2, 1);
            co_await sub.query_each("insert into t values ($1)", twice);
        };
        const bool undone = co_await tests::throws<db::UniqueViolation>(tx.transaction(inner));
        CHECK(undone);
        std::vector<int> numbers(2, 7);
        numbers[1] = 8;
        co_await tx.query_each("insert into t values ($1)", numbers);
    };
    co_await pool.transaction(body);
    const int kept = co_await count_rows(pool);
    CHECK(kept == 2);
}

Coro<> refuse(std::string url) {
    const auto options = single();
    auto pool = co_await db::Pool::connect(url, options);
    const std::vector<int> once(1, 1);
    for (const char* const text : {"begin", "/* */ Commit"}) {
        const bool refused = co_await tests::throws<db::UsageError>(pool.query_each(text, once));
        CHECK(refused);
    }
    std::vector<db::Params> uneven(2, db::Params::of(1));
    uneven[1].add(2);
    const bool counted = co_await tests::throws<db::ParameterError>(pool.query_each("select $1::int", uneven));
    CHECK(counted);
    const bool parsed = co_await tests::throws<db::Error>(pool.query_each("selec $1", once));
    CHECK(parsed);
    CHECK(pool.statistics().opened == 1);
    std::vector<db::Params> runs(1);
    const bool copied = co_await tests::throws<db::UsageError>(pool.query_each("copy pg_class to stdout", runs));
    CHECK(copied);
    const int one = co_await pool.query_value<int>("select 1");
    CHECK(one == 1);
}

Coro<> go_stale(std::string url) {
    const auto options = single();
    auto pool = co_await db::Pool::connect(url, options);
    co_await pool.execute("create table t (n int)");
    co_await pool.execute("insert into t values (1), (2)");
    const std::vector<int> numbers(std::initializer_list<int>{1, 2});
    for (int round = 0; round < 3; ++round) {
        const auto found = co_await pool.query_each("select * from t where n = $1", numbers);
        REQUIRE(found.size() == 2);
        CHECK(found[1].size() == 1);
        CHECK(found[1].column_count() == (round == 0 ? 1U : 2U));
        if (round == 0) co_await pool.execute("alter table t add column more text");
        if (round == 1) co_await pool.execute("do $$begin deallocate all; end$$");
    }
}

Coro<> lose_connection(std::string url) {
    const auto options = single();
    auto pool = co_await db::Pool::connect(url, options);
    co_await pool.execute("create table t (n int)");
    const std::string sql = "with done as (insert into t values ($1) returning n) "
                            "select case when n = 1 then pg_terminate_backend(pg_backend_pid()) end from done";
    std::vector<int> numbers(3);
    std::iota(numbers.begin(), numbers.end(), 0);
    bool lost = false;
    try {
        co_await pool.query_each(sql, numbers);
    } catch (const db::ConnectionError& error) {
        lost = true;
        CHECK(error.is(db::sqlstate::admin_shutdown));
        CHECK(error.outcome() == db::Outcome::unknown);
        CHECK_FALSE(error.retryable());
    }
    CHECK(lost);
    const int kept = co_await count_rows(pool);
    CHECK(kept == 1);
}

// Each run of `select f($1)` has a statement of its own, by its type, and the second one's is gone: it is found out when
// the first one has run.
Coro<std::vector<db::Params>> prepare_runs(db::Pool pool) {
    co_await pool.execute("create table t (n int)");
    co_await pool.execute("create function f(int) returns int language sql as 'insert into t values ($1) returning n'");
    co_await pool.execute("create function f(bool) returns int language sql as 'select 0'");
    co_await pool.query("select f($1)", 1);
    co_await pool.query("select f($1)", true);
    co_await pool.execute("do $$begin execute (select 'deallocate ' || name from pg_prepared_statements where "
                          "parameter_types[1] = 'bool'::regtype); end$$");
    std::vector<db::Params> runs;
    runs.push_back(db::Params::of(2));
    runs.push_back(db::Params::of(true));
    co_return runs;
}

Coro<> fail_to_prepare_again(std::string url) {
    const auto options = single();
    auto pool = co_await db::Pool::connect(url, options);
    auto runs = co_await prepare_runs(pool);
    co_await pool.execute("drop function f(bool)");
    const auto answers = co_await pool.query_each(coaio::return_exceptions, "select f($1)", std::move(runs));
    REQUIRE(answers.size() == 2);
    CHECK(answers[0].has_value());
    std::string state;
    try {
        std::rethrow_exception(answers[1].error());
    } catch (const db::Error& error) {
        state = error.sqlstate();
    }
    CHECK(state == db::sqlstate::undefined_function);
    const int kept = co_await count_rows(pool);
    CHECK(kept == 2);
    CHECK(pool.statistics().opened == 1);
}

Coro<> lose_while_preparing_again(PostgresProxy& proxy, std::string url) {
    const auto options = single();
    auto pool = co_await db::Pool::connect(url, options);
    auto runs = co_await prepare_runs(pool);
    proxy.on(Spot(Way::to_server, 'P').containing("f($1)"), Fault::cut_before());
    db::Outcome outcome = db::Outcome::committed;
    try {
        co_await pool.query_each("select f($1)", std::move(runs));
    } catch (const db::ConnectionError& error) {
        outcome = error.outcome();
    }
    CHECK(outcome == db::Outcome::unknown);
    const int kept = co_await count_rows(pool);
    CHECK(kept == 2);
}

/// Begins it, and lets nothing be read before the connection has ended with an error of the statement's.
template <class T>
coaio::Task<T> cut_after_error(PostgresProxy& proxy, Coro<T> work) {
    proxy.on(Spot(Way::to_client, 'E').containing("division"), Fault::reset_after());
    auto task = coaio::create_task(std::move(work), {.eager_start = true});
    const bool failed = proxy.await_seen(Way::to_client, 'E', 1);
    CHECK(failed);
    while (failed && proxy.open() > 0) std::this_thread::yield();
    return task;
}

// With 1 it fails after a row that is larger than libpq's first buffer, which reads the rest in one go, to the end.
constexpr const char* row_and_error =
    "select repeat('x', 40000 * $1::int), 1 / (2 - n * $1::int) from generate_series(1, 2) n";

Coro<> lose_after_error(PostgresProxy& proxy, std::string url) {
    std::vector<int> runs(2, 0);
    auto connection = co_await db::Connection::connect(url);
    co_await connection.query_each(row_and_error, runs);
    runs[0] = 1;
    auto task = cut_after_error(proxy, connection.query_each(row_and_error, runs));
    db::Outcome outcome = db::Outcome::committed;
    try {
        co_await task;
    } catch (const db::ConnectionError& error) {
        outcome = error.outcome();
    }
    CHECK(outcome == db::Outcome::unknown);
}

// There is no doubt what became of a statement alone.
Coro<> lose_after_its_error(PostgresProxy& proxy, std::string url) {
    auto connection = co_await db::Connection::connect(url);
    co_await connection.query(row_and_error, 0);
    auto task = cut_after_error(proxy, connection.query(row_and_error, 1));
    bool failed = false;
    try {
        co_await task;
    } catch (const db::Error& error) {
        failed = error.is("22012");
        CHECK(error.outcome() == db::Outcome::rolled_back);
        CHECK_FALSE(error.connection_good());
    }
    CHECK(failed);
}

Coro<> cut_each(Bench& bench) {
    auto pool = bench.open();
    const std::vector<int> numbers(3, 1);
    bench.begun += 3;
    co_await pool.query_each("insert into t values ($1)", numbers);
    bench.acknowledged += 3;
}

Coro<> look_at_rows(Bench& bench, db::Pool& pool) {
    const int rows = co_await count_rows(pool);
    REQUIRE(rows >= bench.acknowledged);
    REQUIRE(rows <= bench.begun);
    co_await pool.execute("truncate t");
}

}  // namespace

TEST_CASE("PIP-01 STM-01: a statement runs once with each of many parameters, in order, prepared once", "[pgtest]") {
    tests::Database database;
    coaio::run(run_each(database.conninfo()));
}

TEST_CASE("the runs of a statement may have parameters of different types", "[pgtest]") {
    tests::Database database;
    coaio::run(mix_types(database.conninfo()));
}

TEST_CASE("a run that fails fails alone", "[pgtest]") {
    tests::Database database;
    coaio::run(fail_alone(database.conninfo()));
}

TEST_CASE("a run that fails in a transaction is undone with its savepoint", "[pgtest]") {
    tests::Database database;
    coaio::run(fail_in_transaction(database.conninfo()));
}

TEST_CASE("what cannot be run many times is refused", "[pgtest]") {
    tests::Database database;
    coaio::run(refuse(database.conninfo()));
}

TEST_CASE("STM-05 STM-06: runs whose statement is stale or gone are made again", "[pgtest]") {
    tests::Database database;
    coaio::run(go_stale(database.conninfo()));
}

TEST_CASE("PIP-08: a connection that is lost among the runs ends them with an error, and those before it stand",
          "[pgtest]") {
    tests::Database database;
    coaio::run(lose_connection(database.conninfo()));
}

TEST_CASE("STM-05: a run whose statement cannot be prepared again fails alone", "[pgtest]") {
    tests::Database database;
    coaio::run(fail_to_prepare_again(database.conninfo()));
}

TEST_CASE("PIP-08: a connection lost while a run is prepared again says that others may have taken effect",
          "[pgtest]") {
    tests::Database database;
    PostgresProxy proxy(database.server());
    coaio::run(lose_while_preparing_again(proxy, proxy.conninfo(database.name())));
}

TEST_CASE("PIP-08: a run's error that was read with the connection's end is not the server's last word", "[pgtest]") {
    tests::Database database;
    PostgresProxy proxy(database.server());
    coaio::run(lose_after_error(proxy, proxy.conninfo(database.name())));
}

TEST_CASE("ERR-04: a statement's error that was read with the connection's end is what became of it", "[pgtest]") {
    tests::Database database;
    PostgresProxy proxy(database.server());
    coaio::run(lose_after_its_error(proxy, proxy.conninfo(database.name())));
}

TEST_CASE("CAN-04: runs cut at any turn leave a connection that is clean", "[pgtest]") {
    tests::Database database;
    database.sql("create table t (n int)");
    tests::cut_at_every_turn(database, cut_each, look_at_rows);
}
