// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>
#include <coaio/db/transaction.hpp>

#include <coaio/core/run.hpp>

#include "db/cut.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/throws.hpp"

#include <initializer_list>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

namespace db = coaio::db;
using coaio::Coro;
using db::Transaction;
using tests::Bench;

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
    const auto texts = co_await pool.query_each("select $2::text, $1::int", pairs);
    CHECK(texts[0].one<std::optional<std::string>, int>() == std::tuple(std::optional<std::string>("one"), 1));
    CHECK(texts[1].one<std::optional<std::string>, int>() == std::tuple(std::optional<std::string>(), 2));

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
        CHECK(error.outcome() != db::Outcome::not_sent);
    }
    CHECK(lost);
    const int kept = co_await count_rows(pool);
    CHECK(kept == 1);
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

TEST_CASE("CAN-04: runs cut at any turn leave a connection that is clean", "[pgtest]") {
    tests::Database database;
    database.sql("create table t (n int)");
    tests::cut_at_every_turn(database, cut_each, look_at_rows);
}
