// SPDX-License-Identifier: MIT
#include "commit.hpp"

#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>

#include "db/fake_link.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/throws.hpp"
#include "support/token_table.hpp"

#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

namespace db = coaio::db;
using coaio::Coro;
using db::Outcome;
using db::Transaction;
using namespace std::chrono_literals;

namespace {

Coro<> insert_one(const Transaction& tx) { co_await tx.execute("insert into t values (1)"); }

Coro<> write_once(db::Pool pool) {
    auto body = [](Transaction& tx) -> Coro<> { return insert_one(tx); };
    co_await pool.transaction(body);
}

/// A role with rights of its own; roles are the whole server's.
class Role {
public:
    explicit Role(const tests::Database& database)
        : database_(database), name_("coaio_role_" + std::to_string(::getpid())) {
        database_.sql("create role " + name_ + "; grant select, insert on t to " + name_);
    }
    Role(const Role&) = delete;
    Role& operator=(const Role&) = delete;
    ~Role() { database_.sql("drop owned by " + name_ + "; drop role " + name_); }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }

private:
    const tests::Database& database_;
    std::string name_;
};

Coro<> lose_the_table(std::string url, const tests::Database& database, std::string how) {
    const db::Pool pool(url, db::PoolOptions().max_size(1));
    co_await write_once(pool);
    CHECK(database.value("select count(*) from coaio_commit") == "1");
    database.sql(how);
    const bool failed = co_await tests::throws<db::Error>(write_once(pool));
    CHECK(failed);
    co_await write_once(pool);
    CHECK(database.value("select count(*) from t") == "2");
}

Coro<> only_read(std::string url, const tests::Database& database) {
    const auto connection = co_await db::Connection::connect(url);
    co_await connection.execute("create temporary table mine (n int)");
    auto temporary = [](Transaction& tx) -> Coro<> {
        co_await tx.execute("set transaction read only");
        co_await tx.execute("insert into mine values (1)");
        const int all = co_await tx.query_value<int>("select count(*)::int from mine, t");
        CHECK(all == 0);
    };
    co_await connection.transaction(temporary);
    const int kept = co_await connection.query_value<int>("select count(*)::int from mine");
    CHECK(kept == 1);
    CHECK(database.value("select count(*) from coaio_commit") == "0");

    // What could not be found out later is not committed.
    auto written = [](Transaction& tx) -> Coro<> {
        co_await insert_one(tx);
        co_await tx.execute("set transaction read only");
    };
    std::string state;
    try {
        co_await connection.transaction(written);
    } catch (const db::Error& error) {
        state = error.sqlstate();
    }
    CHECK(state == "25006");
    CHECK(database.value("select count(*) from t") == "0");
}

Coro<> outlast_an_outage(std::shared_ptr<tests::FakeServer> server) {
    const auto connector = std::make_shared<tests::FakeConnector>(server);
    server->down = true;
    std::vector<coaio::Task<Outcome>> tasks;
    for (int i = 0; i < 20; ++i) {
        tasks.push_back(coaio::create_task(db::detail::resolve_commit(connector, db::detail::CommitToken(), 30s)));
    }
    const auto began = coaio::Clock::now();
    for (auto& task : tasks) {
        const Outcome outcome = co_await task;
        CHECK(outcome == Outcome::unknown);
    }
    const auto took = coaio::Clock::now() - began;
    CHECK(took > 29s);
    CHECK(took < 31s);
}

Coro<> outlast_silence(std::shared_ptr<tests::FakeServer> server) {
    const auto connector = std::make_shared<tests::FakeConnector>(server);
    db::detail::CommitToken token;
    token.table = "coaio_commit";
    token.text = "a token";
    server->silent = true;
    const auto began = coaio::Clock::now();
    auto asking = coaio::create_task(db::detail::resolve_commit(connector, token, 60s));
    co_await coaio::sleep(15s);
    CHECK_FALSE(asking.done());
    CHECK(server->attempts > 1);
    server->silent = false;
    const Outcome outcome = co_await asking;
    CHECK(outcome == Outcome::rolled_back);
    CHECK(server->tokens.at("a token"));
    CHECK(coaio::Clock::now() - began < 30s);
    CHECK(server->sessions == 0);
}

}  // namespace

TEST_CASE("CMT-07: a look-up that meets silence is begun anew in time") {
    coaio::testing::run(outlast_silence(std::make_shared<tests::FakeServer>()));
}

TEST_CASE("who may not write tokens and read them, or has no language for it, commits without", "[pgtest]") {
    tests::Database database;
    database.sql("create table t (n int)");
    database.sql(tests::token_table);
    const Role role(database);
    std::string tokens = "0";
    SECTION("only reading") { database.sql("grant select on coaio_commit to " + role.name()); }
    SECTION("only writing") { database.sql("grant insert on coaio_commit to " + role.name()); }
    SECTION("not in plpgsql") {
        database.sql("grant select, insert on coaio_commit to " + role.name() +
                     "; revoke usage on language plpgsql from public");
    }
    SECTION("all of it") {
        database.sql("grant select, insert on coaio_commit to " + role.name());
        tokens = "1";
    }
    coaio::run(write_once(db::Pool(database.conninfo(), db::PoolOptions().setting("role", role.name()))));
    CHECK(database.value("select count(*) from t") == "1");
    CHECK(database.value("select count(*) from coaio_commit") == tokens);
}

TEST_CASE("a table of tokens that has gone fails one commit of a connection, and no other", "[pgtest]") {
    tests::Database database;
    database.sql("create table t (n int)");
    database.sql(tests::token_table);
    std::string how;
    SECTION("dropped") { how = "drop table coaio_commit"; }
    SECTION("moved") { how = "create schema other; alter table coaio_commit set schema other"; }
    coaio::run(lose_the_table(database.conninfo(), database, how));
}

TEST_CASE("a transaction that only reads may write to temporary tables, and leaves no token", "[pgtest]") {
    tests::Database database;
    database.sql("create table t (n int)");
    database.sql(tests::token_table);
    coaio::run(only_read(database.conninfo(), database));
}

TEST_CASE("a table of tokens whose name would end the script that names it is not used", "[pgtest]") {
    tests::Database database;
    const std::string schema = "\"a $coaio$ b\"";
    database.sql("create table t (n int); create schema " + schema);
    database.sql("set search_path to " + schema + "; " + tests::token_table);
    const auto options = db::PoolOptions().setting("search_path", schema + ", public");
    coaio::run(write_once(db::Pool(database.conninfo(), options)));
    CHECK(database.value("select count(*) from t") == "1");
    CHECK(database.value("select count(*) from " + schema + ".coaio_commit") == "0");
}

TEST_CASE("many who ask what became of their COMMIT do not storm a server that is down") {
    const auto server = std::make_shared<tests::FakeServer>();
    coaio::testing::run(outlast_an_outage(server));
    CHECK(server->most_attempts_now <= 2);
    CHECK(server->attempts > 20U * 30U);  // still more than one a second by each
    CHECK(server->attempts < 20U * 60U);
}
