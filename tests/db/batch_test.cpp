// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/testing.hpp>

#include "db/cut.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/throws.hpp"

namespace db = coaio::db;
using coaio::Coro;
using db::Transaction;
using tests::Bench;
using namespace std::chrono_literals;

/// Its codec fails when half of it is written.
struct Brittle {
    bool foreign;
};

template <>
struct coaio::db::Codec<Brittle> {
    static constexpr std::string_view name = "Brittle";
    static constexpr Oid oid = Oid::int8;
    static constexpr Format format = Format::binary;
    static void encode(const Brittle& value, Encoder& out) {
        out.put_int32(7);
        if (value.foreign) throw std::out_of_range("not a number of ours");
        throw ValueError("it breaks");
    }
};

namespace {

template <class E>
std::string failure(const coaio::Outcome<db::Rows>& answer) {
    try {
        std::rethrow_exception(answer.error());
    } catch (const E& error) {
        CHECK(error.outcome() == db::Outcome::rolled_back);
        return error.message();
    }
}

Coro<> together(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    const auto nothing = co_await pool.batch(db::Batch());
    CHECK(nothing.empty());
    db::Batch first;
    first.add("create table t (n int primary key, s text)");
    first.add("insert into t values ($1, $2)", 1, "one").add("insert into t values ($1, $2)", 2, "two");
    first.add("select s from t order by n").add("");
    auto answers = co_await pool.batch(first);
    REQUIRE(answers.size() == 5);
    CHECK(answers[1].affected() == 1);
    CHECK(answers[3].as<std::string>().to_vector() == std::vector<std::string>{"one", "two"});
    for (int round = 0; round < 3; ++round) {
        db::Batch batch;
        for (int i = 0; i < 50; ++i) batch.add("select $1::int + 1, $2::text", i, "x");
        answers = co_await pool.batch(std::move(batch));
        REQUIRE(answers.size() == 50);
        for (int i = 0; i < 50; ++i) {
            const auto [number, text] = answers[static_cast<std::size_t>(i)].one<int, std::string>();
            REQUIRE(number == i + 1);
        }
    }
    const int prepared = co_await pool.query_value<int>("select count(*)::int from pg_prepared_statements");
    CHECK(prepared <= 6);
}

Coro<> fail_together(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    co_await pool.execute("create table t (n int primary key)");
    for (int round = 0; round < 2; ++round) {
        db::Batch batch;
        batch.add("insert into t values (1)").add("insert into t values (1)").add("insert into t values (2)");
        auto answers = co_await pool.batch(coaio::return_exceptions, batch);
        REQUIRE(answers.size() == 3);
        CHECK(failure<db::BatchError>(answers[0]).find("rolled back: statement 2 of the batch failed") == 0);
        CHECK(failure<db::UniqueViolation>(answers[1]).find("duplicate key") == 0);
        CHECK(failure<db::BatchError>(answers[2]).find("not executed: statement 2") == 0);
        const bool thrown = co_await tests::throws<db::UniqueViolation>(pool.batch(batch));
        CHECK(thrown);
        db::Batch unparsable;
        unparsable.add("insert into t values (5)").add("selec 1").add("select 3");
        const bool refused = co_await tests::throws<db::Error>(pool.batch(unparsable));
        CHECK(refused);
    }
    int rows = co_await pool.query_value<int>("select count(*)::int from t");
    CHECK(rows == 0);
    CHECK(pool.statistics().opened == 1);

    auto body = [](Transaction& tx) -> Coro<> {
        auto inner = [](Transaction& sub) -> Coro<> {
            db::Batch batch;
            batch.add("insert into t values (1)").add("insert into t values (1)").add("insert into t values (2)");
            auto answers = co_await sub.batch(coaio::return_exceptions, std::move(batch));
            CHECK(answers[0].has_value());
            CHECK(failure<db::UniqueViolation>(answers[1]).find("duplicate key") == 0);
            CHECK(failure<db::BatchError>(answers[2]).find("not executed") == 0);
            std::rethrow_exception(answers[1].error());
        };
        const bool undone = co_await tests::throws<db::UniqueViolation>(tx.transaction(inner));
        CHECK(undone);
        db::Batch batch;
        batch.add("insert into t values (1)").add("insert into t values (2)");
        co_await tx.batch(std::move(batch));
    };
    co_await pool.transaction(body);
    rows = co_await pool.query_value<int>("select count(*)::int from t");
    CHECK(rows == 2);
}

Coro<> fail_at_the_end(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    co_await pool.execute("create table t (n int, unique (n) deferrable initially deferred)");
    db::Batch batch;
    batch.add("insert into t values (1)").add("insert into t values (1)");
    const bool thrown = co_await tests::throws<db::UniqueViolation>(pool.batch(batch));
    CHECK(thrown);
    const int rows = co_await pool.query_value<int>("select count(*)::int from t");
    CHECK(rows == 0);
    CHECK(pool.statistics().opened == 1);
}

Coro<> refuse_before_sending(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    co_await pool.execute("create table t (s text)");
    db::Batch batch;
    batch.add("insert into t values ($1)", "fine");
    bool refused = false;
    try {
        batch.add("insert into t values ($1)", std::string("with a \0 byte", 13));
    } catch (const db::ParameterError&) {
        refused = true;
    }
    CHECK(refused);
    CHECK(batch.size() == 1);
    CHECK_THROWS_AS(batch.add("insert into t values ($1)", Brittle{false}), db::ParameterError);
    CHECK_THROWS_AS(batch.add("insert into t values ($1)", Brittle{true}), std::out_of_range);
    db::Params params;
    params.add("also");
    CHECK_THROWS_AS(params.add(Brittle{false}), db::ParameterError);
    CHECK_THROWS_AS(params.add(Brittle{true}), std::out_of_range);
    CHECK(batch.size() == 1);
    int rows = co_await pool.query_value<int>("select count(*)::int from t");
    CHECK(rows == 0);
    // What it held is whole, and so is what came later.
    batch.add("insert into t values ($1)", std::move(params)).add("select count(*)::int from t");
    const auto answers = co_await pool.batch(std::move(batch));
    rows = answers.back().value<int>();
    CHECK(rows == 2);
    const auto texts = co_await pool.query_value<std::string>("select string_agg(s, ',' order by s) from t");
    CHECK(texts == "also,fine");
    CHECK(pool.statistics().opened == 1);
}

// With as many parameters as there may be, and as many to read again; the server talks meanwhile.
Coro<> with_all_parameters(std::string url) {
    int notices = 0;
    auto pool = co_await db::Pool::connect(url, db::PoolOptions()
                                                    .max_size(1)
                                                    .on_notice([&notices](const db::ErrorFields&) { ++notices; })
                                                    .setting("client_min_messages", "debug5"));
    std::string sql = "select array[$1";
    db::Params params;
    params.add(0);
    for (int i = 1; i < static_cast<int>(db::Params::most); ++i) {
        sql += ",$" + std::to_string(i + 1);
        params.add(i);
    }
    sql += "]::int[]";
    notices = 0;
    db::Batch batch;
    for (int i = 0; i < 6; ++i) batch.add(sql, params);
    const auto answers = co_await pool.batch(std::move(batch));
    REQUIRE(answers.size() == 6);
    for (const auto& each : answers) {
        const auto numbers = each.value<std::vector<int>>();
        REQUIRE(numbers.size() == db::Params::most);
        CHECK(numbers.back() == static_cast<int>(db::Params::most) - 1);
    }
    CHECK(notices > 0);
    CHECK(pool.statistics().opened == 1);
}

Coro<> go_stale(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    co_await pool.execute("create table t (a int)");
    co_await pool.execute("insert into t values (1)");
    db::Batch batch;
    batch.add("insert into t (a) values (2)").add("select * from t order by a limit 1");
    co_await pool.batch(batch);
    co_await pool.execute("alter table t add column b text");
    auto answers = co_await pool.batch(batch);
    CHECK(answers[1].column_count() == 2);
    co_await pool.execute("do $$begin deallocate all; end$$");
    answers = co_await pool.batch(batch);
    CHECK(answers[1].size() == 1);
    const int rows = co_await pool.query_value<int>("select count(*)::int from t");
    CHECK(rows == 4);
}

// What a procedure committed on the way stands.
Coro<> go_stale_after_commit(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    co_await pool.execute("create table t (n int)");
    co_await pool.execute("create table kept (n int)");
    co_await pool.execute(
        "create procedure p() language plpgsql as $$begin insert into kept values (1); commit; end$$");
    co_await pool.execute("create procedure stale(fail bool) language plpgsql as $$begin insert into kept values (1); "
                          "commit; if fail then raise 'cached plan is stale' using errcode = '0A000'; end if; end$$");
    db::Batch batch;
    batch.add("/* first */ call p()").add("select * from t");
    co_await pool.batch(batch);
    co_await pool.execute("alter table t add column more text");
    const bool stale = co_await tests::throws<db::Error>(pool.batch(batch));
    CHECK(stale);
    int kept = co_await pool.query_value<int>("select count(*)::int from kept");
    CHECK(kept == 2);
    co_await pool.batch(batch);

    for (const bool fail : {false, true}) {
        bool failed = co_await tests::throws<db::Error>(pool.execute("call stale($1)", fail));
        CHECK(failed == fail);
        failed = co_await tests::throws<db::Error>(pool.query_each("call stale($1)", std::vector<bool>(1, fail)));
        CHECK(failed == fail);
    }
    kept = co_await pool.query_value<int>("select count(*)::int from kept");
    CHECK(kept == 7);

    // One that is gone was not called.
    co_await pool.execute("call p()");
    co_await pool.execute("do $$begin deallocate all; end$$");
    co_await pool.execute("call p()");
    co_await pool.execute("do $$begin deallocate all; end$$");
    co_await pool.query_each("call stale($1)", std::vector<bool>(1, false));
    kept = co_await pool.query_value<int>("select count(*)::int from kept");
    CHECK(kept == 10);
}

Coro<> lose_after_commit(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    co_await pool.execute("create table kept (n int)");
    co_await pool.execute("create procedure p() language plpgsql as $$begin insert into kept values (1); commit; "
                          "perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(1); end$$");
    for (const bool batched : {false, true}) {
        db::Outcome outcome = db::Outcome::committed;
        try {
            db::Batch batch;
            batch.add("call p()").add("select 1");
            if (batched) {
                co_await pool.batch(std::move(batch));
            } else {
                co_await pool.execute("call p()");
            }
        } catch (const db::ConnectionError& error) {
            outcome = error.outcome();
        }
        CHECK(outcome == db::Outcome::unknown);
    }
    const int kept = co_await pool.query_value<int>("select count(*)::int from kept");
    CHECK(kept == 2);
}

Coro<> evict(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1).statement_cache(3));
    for (int i = 0; i < 10; ++i) {
        db::Batch batch;
        for (int j = 0; j < 5; ++j) batch.add("select " + std::to_string(i * 5 + j));
        auto answers = co_await pool.batch(std::move(batch));
        CHECK(answers[4].value<int>() == i * 5 + 4);
    }
    const int prepared = co_await pool.query_value<int>("select count(*)::int from pg_prepared_statements");
    CHECK(prepared <= 10);
}

Coro<> large_both_ways(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    const std::string large(1 << 20, 'x');
    for (int round = 0; round < 2; ++round) {
        db::Batch batch;
        for (int i = 0; i < 20; ++i) batch.add("select $1::text || $1::text", large);
        auto answers = co_await pool.batch(std::move(batch));
        REQUIRE(answers.size() == 20);
        CHECK(answers[19].value<std::string>().size() == large.size() * 2);
    }
}

Coro<> cut_batch(Bench& bench) {
    auto pool = bench.open();
    for (int i = 0; i < 2; ++i) {
        db::Batch batch;
        batch.add("insert into t values (1)").add("insert into t values (2)").add("select count(*) from t");
        co_await pool.batch(std::move(batch));
        bench.acknowledged += 2;
    }
}

Coro<> look_at_rows(Bench& bench, db::Pool& pool) {
    const int rows = co_await pool.query_value<int>("select count(*)::int from t");
    REQUIRE(rows % 2 == 0);
    REQUIRE(rows >= bench.acknowledged);
    co_await pool.execute("truncate t");
}

}  // namespace

TEST_CASE("PIP-03: a batch is answered statement by statement, prepared once", "[pgtest]") {
    tests::Database database;
    coaio::run(together(database.conninfo()));
}

TEST_CASE("PIP-03: an error in a batch is its statement's own, and the others say that they have no effect",
          "[pgtest]") {
    tests::Database database;
    coaio::run(fail_together(database.conninfo()));
}

TEST_CASE("PIP-03 ERR-09: a batch that fails at its end has no effect", "[pgtest]") {
    tests::Database database;
    coaio::run(fail_at_the_end(database.conninfo()));
}

TEST_CASE("TYP-20: a parameter that cannot be sent sends nothing of its batch, which is whole without it", "[pgtest]") {
    tests::Database database;
    coaio::run(refuse_before_sending(database.conninfo()));
}

TEST_CASE("STM-05 STM-06: a batch with a statement that is stale or gone runs again, once", "[pgtest]") {
    tests::Database database;
    coaio::run(go_stale(database.conninfo()));
}

TEST_CASE("STM-04: what is stale does not run again where a procedure has committed on the way", "[pgtest]") {
    tests::Database database;
    coaio::run(go_stale_after_commit(database.conninfo()));
}

TEST_CASE("ERR-04: a connection lost in a procedure does not say that it has no effect", "[pgtest]") {
    tests::Database database;
    coaio::run(lose_after_commit(database.conninfo()));
}

TEST_CASE("STM-01: statements that batches evict are dropped in the server", "[pgtest]") {
    tests::Database database;
    coaio::run(evict(database.conninfo()));
}

TEST_CASE("PIP-06: a large batch and its large answers do not wait for each other", "[pgtest]") {
    tests::Database database;
    coaio::run(large_both_ways(database.conninfo()));
}

TEST_CASE("PIP-06: statements of 65 535 parameters, their answers and the server's notices do not wait for each other",
          "[pgtest]") {
    tests::Database database;
    coaio::run(with_all_parameters(database.conninfo()));
}

TEST_CASE("PIP-03 CAN-04: a batch cut at any turn has taken effect as a whole or not at all", "[pgtest]") {
    tests::Database database;
    database.sql("create table t (n int)");
    tests::cut_at_every_turn(database, cut_batch, look_at_rows);
}
