// SPDX-License-Identifier: MIT
#include <coaio/db/pool.hpp>
#include <coaio/db/transaction.hpp>

#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/throws.hpp"

namespace db = coaio::db;
using coaio::Coro;
using db::Transaction;

namespace {

struct Oops : std::runtime_error {
    using std::runtime_error::runtime_error;
};

Coro<int> insert(const Transaction& tx, int n) {
    co_await tx.execute("insert into t values ($1)", n);
    co_return n;
}

Coro<> throw_oops(const Transaction& tx, int n) {
    co_await insert(tx, n);
    throw Oops("oops");
}

Coro<std::string> rows_of(const db::Pool& pool) {
    co_return co_await pool.query_value<std::string>("select coalesce(string_agg(n::text, ',' order by n), '') from t");
}

Coro<> commit_and_roll_back(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(2));
    co_await pool.execute("create table t (n int unique deferrable initially deferred)");
    auto one = [](Transaction& tx) -> Coro<int> { return insert(tx, 1); };
    const int got = co_await pool.transaction(one);
    CHECK(got == 1);
    auto bad = [](Transaction& tx) -> Coro<> { return throw_oops(tx, 2); };
    const bool thrown = co_await tests::throws<Oops>(pool.transaction(bad));
    CHECK(thrown);
    auto late = [](Transaction& tx) -> Coro<int> { return insert(tx, 1); };
    const bool deferred = co_await tests::throws<db::UniqueViolation>(pool.transaction(late));
    CHECK(deferred);
    auto swallowing = [](Transaction& tx) -> Coro<> {
        co_await insert(tx, 3);
        const bool failed = co_await tests::throws<db::Error>(tx.query("select 1/0"));
        CHECK(failed);
        auto nothing = [](Transaction&) -> Coro<> { co_return; };
        const bool nested_refused = co_await tests::throws<db::Error>(tx.transaction(nothing));
        CHECK(nested_refused);
    };
    const bool refused = co_await tests::throws<db::Error>(pool.transaction(swallowing));
    CHECK(refused);
    const std::string rows = co_await rows_of(pool);
    CHECK(rows == "1");
    CHECK(pool.statistics().idle == pool.statistics().size);
    CHECK(pool.statistics().closed == 0);
}

Coro<> nest(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    co_await pool.execute("create table t (n int)");
    auto body = [](Transaction& tx) -> Coro<> {
        co_await insert(tx, 1);
        auto inner = [&tx](Transaction& sub) -> Coro<> {
            co_await insert(sub, 2);
            const bool outer_refused = co_await tests::throws<db::UsageError>(tx.query("select 1"));
            CHECK(outer_refused);
            auto innermost = [](Transaction& deep) -> Coro<> { return throw_oops(deep, 3); };
            const bool thrown = co_await tests::throws<Oops>(sub.transaction(innermost));
            CHECK(thrown);
            co_await insert(sub, 4);
        };
        co_await tx.transaction(inner);
        auto failing = [](Transaction& sub) -> Coro<> { co_await sub.query("select 1/0"); };
        const bool failed = co_await tests::throws<db::Error>(tx.transaction(failing));
        CHECK(failed);
        co_await insert(tx, 5);
    };
    co_await pool.transaction(body);
    const std::string rows = co_await rows_of(pool);
    CHECK(rows == "1,2,4,5");
}

// As by a deadline that passed while the one before was released.
Coro<> begin_cancelled(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    co_await pool.execute("create table t (n int)");
    auto body = [](Transaction& tx) -> Coro<> {
        co_await insert(tx, 1);
        auto inner = [](Transaction& sub) -> Coro<> { co_await insert(sub, 2); };
        auto self = coaio::current_task();
        self->cancel();
        const bool cancelled = co_await tests::throws<coaio::CancelledError>(tx.transaction(inner));
        CHECK(cancelled);
        self->uncancel();
        co_await insert(tx, 3);
        co_await tx.transaction(inner);
    };
    co_await pool.transaction(body);
    const std::string rows = co_await rows_of(pool);
    CHECK(rows == "1,2,3");
    CHECK(pool.statistics().opened == 1);
}

Coro<> apply_options(std::string url) {
    auto pool = co_await db::Pool::connect(url);
    db::TransactionOptions options;
    options.isolation = db::Isolation::serializable;
    options.read_only = true;
    options.deferrable = true;
    auto ask = [](Transaction& tx) -> Coro<std::string> {
        co_return co_await tx.query_value<std::string>(
            "select current_setting('transaction_isolation') || current_setting('transaction_read_only') || "
            "current_setting('transaction_deferrable')");
    };
    const std::string got = co_await pool.transaction(ask, options);
    CHECK(got == "serializableonon");
}

Coro<> misuse(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(2));
    co_await pool.execute("create table t (n int)");
    auto connection = co_await pool.acquire();
    auto body = [&connection](Transaction& tx) -> Coro<> {
        const bool refused = co_await tests::throws<db::UsageError>(connection.query("select 1"));
        CHECK(refused);
        co_await insert(tx, 1);
    };
    co_await connection.transaction(body);
    auto ending = [](Transaction& tx) -> Coro<> { co_await tx.execute("commit"); };
    const bool noticed = co_await tests::throws<db::UsageError>(connection.transaction(ending));
    CHECK(noticed);
    co_await connection.execute("begin");
    auto nothing = [](Transaction&) -> Coro<> { co_return; };
    const bool open = co_await tests::throws<db::UsageError>(connection.transaction(nothing));
    CHECK(open);
    co_await connection.execute("rollback");
    std::optional<Coro<db::Rows>> stray;
    auto leak = [&stray](Transaction& tx) -> Coro<> {
        stray.emplace(tx.query("select 1"));
        co_return;
    };
    co_await connection.transaction(leak);
    const bool over = co_await tests::throws<db::UsageError>(std::move(*stray));
    CHECK(over);
}

Coro<> lose_it(std::string url, bool at_commit) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(2));
    co_await pool.execute("create table t (n int)");
    auto body = [&pool, at_commit](Transaction& tx) -> Coro<> {
        co_await insert(tx, 1);
        const int pid = co_await tx.query_value<int>("select pg_backend_pid()");
        co_await pool.query("select pg_terminate_backend($1, 5000)", pid);
        if (!at_commit) co_await insert(tx, 2);
    };
    db::Outcome outcome = db::Outcome::committed;
    try {
        co_await pool.transaction(body);
    } catch (const db::ConnectionError& error) {
        outcome = error.outcome();
    }
    CHECK(outcome == db::Outcome::rolled_back);
    const std::string rows = co_await rows_of(pool);
    CHECK(rows.empty());
    CHECK(pool.statistics().in_use == 0);
}

// The deferred trigger ends the session in the middle of COMMIT.
Coro<> lose_commit(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(2));
    co_await pool.execute("create table t (n int)");
    co_await pool.execute("create function die() returns trigger language plpgsql as $$ begin perform "
                          "pg_terminate_backend(pg_backend_pid()); perform pg_sleep(1); return null; end $$");
    co_await pool.execute(
        "create constraint trigger die after insert on t deferrable initially deferred for each row execute function "
        "die()");
    auto body = [](Transaction& tx) -> Coro<int> { return insert(tx, 1); };
    const bool unknown = co_await tests::throws<db::CommitUnknownError>(pool.transaction(body));
    CHECK(unknown);
    const std::string rows = co_await rows_of(pool);
    CHECK(rows.empty());
}

}  // namespace

TEST_CASE("TXN-01: a transaction commits at its end, and an exception rolls it back and goes on", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(commit_and_roll_back(database.conninfo()));
}

TEST_CASE("TXN-04 TXN-05: nested transactions are savepoints, and only the innermost handle works", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(nest(database.conninfo()));
}

TEST_CASE("TXN-04 TXN-07: a nested transaction that is cancelled before it begins leaves the outer one as it is",
          "[pgtest]") {
    tests::Database database;
    coaio::testing::run(begin_cancelled(database.conninfo()));
}

TEST_CASE("TXN-08: isolation, read only and deferrable are applied", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(apply_options(database.conninfo()));
}

TEST_CASE("TXN-09: handles used out of turn and transactions ended by hand are errors", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(misuse(database.conninfo()));
}

TEST_CASE("CMT-03: a connection lost before COMMIT was sent means rolled back", "[pgtest]") {
    tests::Database database;
    auto at_commit = GENERATE(false, true);
    coaio::testing::run(lose_it(database.conninfo(), at_commit));
}

TEST_CASE("CMT-04: a connection lost after COMMIT was sent means unknown", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(lose_commit(database.conninfo()));
}
