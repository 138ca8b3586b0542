// SPDX-License-Identifier: MIT
#include <coaio/db/batch.hpp>
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/gather.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "db/refusal.hpp"
#include "support/catch.hpp"
#include "support/postgres_proxy.hpp"
#include "support/token_table.hpp"

namespace db = coaio::db;
using coaio::Coro;
using tests::Way;
using namespace std::chrono_literals;

namespace {

/// What is said of a failure.
struct Said {
    db::Outcome outcome = db::Outcome::committed;
    std::string state;
    bool retryable = false;
    bool connection_good = false;
};

Coro<Said> said_of(Coro<std::uint64_t> work) {
    try {
        co_await std::move(work);
    } catch (const db::Error& error) {
        co_return Said{error.outcome(), error.sqlstate(), error.retryable(), error.connection_good()};
    }
    co_return Said{};
}

Coro<> fail_after_commit(std::string url, const tests::Database& database) {
    const db::Pool pool(url, db::PoolOptions().max_size(1));
    database.sql("create table t (n int)");
    database.sql("create procedure half(state text) language plpgsql as $$ begin insert into t values (1); commit; "
                 "raise exception 'no' using errcode = state; end $$");
    for (const std::string state : {"40001", "23505", "57014", "P0001"}) {
        INFO(state);
        auto half = pool.execute("call half($1)", state);
        const Said said = co_await said_of(std::move(half));
        CHECK(said.state == state);
        CHECK(said.outcome == db::Outcome::unknown);
        CHECK_FALSE(said.retryable);
        CHECK(said.connection_good);
    }
    CHECK(database.value("select count(*) from t") == "4");
    // The last commit has no context any more.
    database.sql("create table of (n int primary key); create table o (n int references of initially deferred)");
    database.sql("create procedure late() language plpgsql as $$ begin insert into t values (1); commit; "
                 "insert into o values (7); end $$");
    auto late = pool.execute("call late()");
    const Said of_late = co_await said_of(std::move(late));
    CHECK(of_late.state == "23503");
    CHECK(of_late.outcome == db::Outcome::unknown);
    CHECK(database.value("select count(*) from t") == "5");
    auto nothing = pool.execute("call nothing()");
    const Said said = co_await said_of(std::move(nothing));
    CHECK(said.outcome == db::Outcome::rolled_back);
}

Coro<std::vector<db::Outcome>> outcomes_of(db::Pool pool, db::Batch batch) {
    auto answers = co_await pool.batch(coaio::return_exceptions, std::move(batch));
    std::vector<db::Outcome> outcomes;
    for (const auto& each : answers) {
        try {
            static_cast<void>(each.value());
            outcomes.push_back(db::Outcome::committed);
        } catch (const db::Error& error) {
            outcomes.push_back(error.outcome());
        }
    }
    co_return outcomes;
}

Coro<> fail_after_commit_in_a_batch(std::string url, const tests::Database& database) {
    using enum db::Outcome;
    const db::Pool pool(url, db::PoolOptions().max_size(1));
    database.sql("create table t (n int)");
    database.sql("create procedure half(state text) language plpgsql as $$ begin insert into t values (1); commit; "
                 "if state <> '' then raise exception 'no' using errcode = state; end if; end $$");
    const std::string insert = "insert into t values (2)";
    const std::string fail = "select 1 / 0";
    db::Batch in_the_end;
    in_the_end.add(insert).add("call half('P0001')").add(insert);
    const auto first = co_await outcomes_of(pool, std::move(in_the_end));
    CHECK(first == std::vector{unknown, unknown, rolled_back});
    CHECK(database.value("select string_agg(n::text, ',' order by n) from t") == "1,2");
    db::Batch between;
    between.add("call half('')").add(insert).add(fail);
    const auto second = co_await outcomes_of(pool, std::move(between));
    CHECK(second == std::vector{unknown, rolled_back, rolled_back});
    CHECK(database.value("select string_agg(n::text, ',' order by n) from t") == "1,1,2");
}

// What another connection has committed is not committed twice.
Coro<> call_in_a_transaction_that_is_tried_again(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    const db::Pool other(url);
    database.sql("create table t (n int)");
    database.sql("create procedure half() language plpgsql as $$ begin insert into t values (1); commit; "
                 "raise exception 'no' using errcode = '40001'; end $$");
    auto body = [&other](db::Transaction&) -> Coro<std::uint64_t> { return other.execute("call half()"); };
    auto trying = pool.retry_transaction(body);
    const Said said = co_await said_of(std::move(trying));
    CHECK(said.state == "40001");
    CHECK(database.value("select count(*) from t") == "1");
}

// For servers that are like Postgres: it raises neither by itself.
Coro<> fail_in_doubt(std::string url, const tests::Database& database) {
    const db::Pool pool(url, db::PoolOptions().max_size(1));
    database.sql("create table t (n int)");
    for (const std::string state : {"40003", "08007"}) {
        INFO(state);
        const std::string raise = "$$ begin raise exception 'who knows' using errcode = '" + state + "'; end $$";
        database.sql("create or replace function doubt() returns int language plpgsql as " + raise);
        auto asking = pool.execute("select doubt()");
        const Said said = co_await said_of(std::move(asking));
        CHECK(said.state == state);
        CHECK(said.outcome == db::Outcome::unknown);
        CHECK_FALSE(said.retryable);
    }
}

// A pooler that has lost its server says so, and not what has become of the statement.
Coro<> lose_the_pooler(tests::PostgresProxy& proxy, std::string url, const tests::Database& database) {
    const db::Pool pool(url, db::PoolOptions().max_size(1));
    database.sql("create table t (n int)");
    proxy.on(tests::Spot(Way::to_client, 'C').containing("INSERT"), tests::Fault::replace(tests::refusal("08P01")));
    auto inserting = pool.execute("insert into t values (1)");
    const Said said = co_await said_of(std::move(inserting));
    CHECK(said.state == "08P01");
    CHECK(said.outcome == db::Outcome::unknown);
    CHECK_FALSE(said.retryable);
    CHECK(database.value("select count(*) from t") == "1");
    // Where it was told by another server, and the session goes on, it is an error as any other.
    database.sql("create function elsewhere() returns int language plpgsql as $$ begin raise exception 'elsewhere' "
                 "using errcode = '08006'; end $$");
    auto raising = pool.execute("select elsewhere()");
    const Said elsewhere = co_await said_of(std::move(raising));
    CHECK(elsewhere.connection_good);
    CHECK(elsewhere.outcome == db::Outcome::rolled_back);
}

Coro<> fail_to_build_concurrently(std::string url, const tests::Database& database) {
    const db::Pool pool(url, db::PoolOptions().max_size(1));
    database.sql("create table t (n int); insert into t values (1), (1)");
    auto building = pool.execute("create unique index CONCURRENTLY t_n on t (n)");
    const Said said = co_await said_of(std::move(building));
    CHECK(said.state == "23505");
    CHECK(said.outcome == db::Outcome::unknown);
    CHECK(database.value("select indisvalid from pg_index where indexrelid = 't_n'::regclass") == "f");
    auto at_once = pool.execute("create unique index t_m on t (n)");
    const Said of_that = co_await said_of(std::move(at_once));
    CHECK(of_that.outcome == db::Outcome::rolled_back);
    // What is refused before it begins has left nothing.
    auto only_reading = pool.execute("set default_transaction_read_only = on");
    co_await std::move(only_reading);
    auto refused = pool.execute("create index concurrently t_o on t (n)");
    const Said of_refused = co_await said_of(std::move(refused));
    CHECK(of_refused.state == "25006");
    CHECK(of_refused.outcome == db::Outcome::rolled_back);
}

Coro<std::uint64_t> insert_in_transaction(db::Pool pool) {
    auto body = [](db::Transaction& transaction) -> Coro<std::uint64_t> {
        return transaction.execute("insert into t values (1)");
    };
    co_return co_await pool.transaction(body);
}

Coro<> commit_in_doubt(std::string url, const tests::Database& database) {
    const db::Pool pool(url, db::PoolOptions().max_size(1));
    database.sql("create table t (n int)");
    database.sql(tests::token_table);
    database.sql("create function doubt() returns trigger language plpgsql as $$ begin raise exception 'who knows' "
                 "using errcode = '40003'; end $$");
    database.sql("create constraint trigger doubt after insert on t deferrable initially deferred for each row execute "
                 "function doubt()");
    auto inserting = insert_in_transaction(pool);
    const Said said = co_await said_of(std::move(inserting));
    CHECK(said.outcome == db::Outcome::rolled_back);  // it was looked up
    CHECK(database.value("select count(*) from t") == "0");
}

Coro<std::uint64_t> write_by(db::Connection& connection) { co_return co_await connection.execute("select 1"); }

Coro<std::uint64_t> transact_by(db::Connection& connection) {
    auto body = [](db::Transaction& transaction) -> Coro<std::uint64_t> { return transaction.execute("select 1"); };
    co_return co_await connection.transaction(body);
}

// The system gives the number of its socket to the next one.
Coro<> lose_what_is_kept(std::string url, const tests::Database& database, bool in_transaction, bool noticed) {
    auto kept = co_await db::Connection::connect(url);
    const int pid = co_await kept.query_value<int>("select pg_backend_pid()");
    database.sql("select pg_terminate_backend(" + std::to_string(pid) + ")");
    REQUIRE(database.server().await_sessions(database.name(), 0));
    if (noticed) co_await coaio::sleep(1ms);
    auto failing = in_transaction ? transact_by(kept) : write_by(kept);
    const Said said = co_await said_of(std::move(failing));
    CHECK_FALSE(said.connection_good);
    for (int i = 0; i < 3; ++i) {
        auto next = co_await db::Connection::connect(url);
        const int one = co_await next.query_value<int>("select 1");
        CHECK(one == 1);
    }
}

std::string message(char type, const std::string& body) {
    const auto size = static_cast<unsigned>(body.size() + 4);
    std::string made(1, type);
    for (const int shift : {24, 16, 8, 0}) made += static_cast<char>(size >> shift & 0xff);
    return made + body;
}

std::string farewell() {
    using namespace std::string_literals;
    return message('E', "SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0"s);
}

// The farewell came with the last answer, and the end after it.
Coro<> lose_after_farewell(tests::PostgresProxy& proxy, const tests::Database& database) {
    auto kept = co_await db::Connection::connect(proxy.conninfo(database.name()));
    co_await kept.execute("select 1");  // it is prepared from now on
    proxy.on(tests::Spot(Way::to_client, 'Z').nth(0), tests::Fault::replace(message('Z', "I") + farewell()));
    co_await kept.execute("select 1");
    proxy.cut_all();
    co_await coaio::sleep(1ms);
    auto failing = write_by(kept);
    const Said said = co_await said_of(std::move(failing));
    CHECK(said.outcome == db::Outcome::not_sent);
    for (int i = 0; i < 3; ++i) {
        auto next = co_await db::Connection::connect(database.conninfo());
        const int one = co_await next.query_value<int>("select 1");
        CHECK(one == 1);
    }
}

// The answer and the farewell come together.
Coro<> say_farewell(tests::PostgresProxy& proxy, const tests::Database& database, bool by_pool) {
    const db::Pool pool(proxy.conninfo(database.name()), db::PoolOptions().max_size(1));
    database.sql("create table t (n int)");
    std::optional<db::Connection> held = co_await pool.acquire();
    co_await held->execute("select 1");
    auto waiting = coaio::create_task(pool.execute("insert into t values (1)"));
    co_await coaio::sleep(0s);
    proxy.on(tests::Spot(Way::to_client, 'Z').nth(0), tests::Fault::replace(message('Z', "I") + farewell()));
    co_await held->execute("select 1");
    if (!by_pool) {
        auto writing = held->execute("insert into t values (2)");
        const Said said = co_await said_of(std::move(writing));
        CHECK(said.outcome == db::Outcome::not_sent);
        CHECK(said.retryable);
    }
    held.reset();
    co_await waiting;
    CHECK(database.value("select string_agg(n::text, ',') from t") == "1");
    CHECK(pool.statistics().opened == 2);
}

}  // namespace

TEST_CASE("CMT-08: what a procedure has committed before it failed is not called rolled back", "[pgtest]") {
    tests::Database database;
    coaio::run(fail_after_commit(database.conninfo(), database));
}

TEST_CASE("CMT-08: what stands before a procedure that commits in a batch is not called rolled back", "[pgtest]") {
    tests::Database database;
    coaio::run(fail_after_commit_in_a_batch(database.conninfo(), database));
}

TEST_CASE("TXN-11: a transaction is not tried again after a procedure that may have committed", "[pgtest]") {
    tests::Database database;
    coaio::run(call_in_a_transaction_that_is_tried_again(database.conninfo(), database));
}

TEST_CASE("ERR-04: a server that cannot tell what has become of a statement is believed", "[pgtest]") {
    tests::Database database;
    coaio::run(fail_in_doubt(database.conninfo(), database));
}

TEST_CASE("ERR-04: what a pooler says that has lost its server is no word on the statement", "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    coaio::run(lose_the_pooler(proxy, proxy.conninfo(database.name()), database));
}

TEST_CASE("CMT-08: what builds concurrently and fails has left something", "[pgtest]") {
    tests::Database database;
    coaio::run(fail_to_build_concurrently(database.conninfo(), database));
}

TEST_CASE("CMT-04: a COMMIT of which the server cannot tell what has become is looked up", "[pgtest]") {
    tests::Database database;
    coaio::run(commit_in_doubt(database.conninfo(), database));
}

TEST_CASE("FLT-01: a lost connection that is kept is not in the way of the next one", "[pgtest]") {
    tests::Database database;
    for (const bool in_transaction : {false, true}) {
        for (const bool noticed : {false, true}) {
            INFO(in_transaction << noticed);
            coaio::run(lose_what_is_kept(database.conninfo(), database, in_transaction, noticed));
        }
    }
}

TEST_CASE("FLT-01: a connection that said farewell, and is kept, is not in the way of the next one", "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    coaio::run(lose_after_farewell(proxy, database));
}

TEST_CASE("POL-14: a session that said farewell with its last answer is handed to nobody", "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    SECTION("from the pool") { coaio::run(say_farewell(proxy, database, true)); }
    SECTION("nor used by who has it") { coaio::run(say_farewell(proxy, database, false)); }
}
