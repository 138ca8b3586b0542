// SPDX-License-Identifier: MIT
// What a dump of tasks says of the database: which statement, without what it must not tell, and who waits for the pool.
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include "running.hpp"

#include <coaio/core/dump.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <utility>

namespace db = coaio::db;
using coaio::Coro;
using coaio::create_task;
using db::detail::without_literals;
using namespace std::chrono_literals;
using Json = nlohmann::json;

namespace {

Json task_named(const std::string& name) {
    const Json dump = Json::parse(coaio::dump_tasks({.format = coaio::DumpFormat::json}));
    for (const Json& node : dump["tasks"]) {
        if (node["name"] == name) return node;
    }
    return {};
}

/// Once the task waits with something that it is in the midst of.
Coro<Json> busy_task(std::string name) {
    Json node;
    while (!node.contains("doing") || !node.contains("wait")) {
        co_await coaio::sleep(0s);
        node = task_named(name);
    }
    co_return node;
}

Coro<> sleep_long(db::Connection& connection) {
    static_cast<void>(co_await connection.query("select pg_sleep($1), 'secret' -- for ever", 60));
}
Coro<> ask_one(db::Pool pool) { static_cast<void>(co_await pool.query("select 1")); }
Coro<> take_one(db::Pool pool) { static_cast<void>(co_await pool.acquire()); }

Coro<> ends(coaio::Task<> task) {
    task.cancel();
    try {
        co_await task;
    } catch (const coaio::CancelledError&) {}
}

Coro<> look_at_both(std::string url) {
    const auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    auto connection = co_await pool.acquire();
    auto query = create_task(sleep_long(connection), {.name = "query"});
    const Json running = co_await busy_task("query");
    const std::string sql = "select pg_sleep($1), '\u2026'";
    const std::string session = std::to_string(connection.pid());
    CHECK(running["doing"][0]["what"] == "query \"" + sql + "\" (session " + session + ")");
    CHECK(running["doing"][0]["detail"] == Json({{"sql", sql}, {"session", connection.pid()}}));
    CHECK(running["wait"]["what"].get<std::string>().starts_with("readable descriptor "));
    CHECK(coaio::dump_tasks().find("secret") == std::string::npos);

    auto waiting = create_task(take_one(pool), {.name = "waits"});
    co_await coaio::sleep(0s);
    const Json wait = task_named("waits")["wait"];
    CHECK(wait["what"] == "a connection of the pool (1 in use, 1 of at most 1 open, 1 waiting)");
    CHECK(wait["detail"] == Json({{"in_use", 1}, {"size", 1}, {"max_size", 1}, {"waiting", 1}}));
    co_await ends(waiting);

    auto starved = create_task(ask_one(pool), {.name = "starved"});
    const Json starving = co_await busy_task("starved");
    CHECK(starving["doing"][0]["what"] == "query \"select 1\" (waits for a connection)");
    CHECK(starving["doing"][0]["detail"] == Json({{"sql", "select 1"}}));
    co_await ends(starved);
    co_await ends(query);
    CHECK_FALSE(task_named("Task-1").contains("doing"));
}

}  // namespace

TEST_CASE("What is quoted in a statement is left out, and comments too; names and parameters stay") {
    CHECK(without_literals("select $1, a$b from \"it's\" where x = 7") == "select $1, a$b from \"it's\" where x = 7");
    CHECK(without_literals("alter role a password 'pass''word' valid") == "alter role a password '…' valid");
    CHECK(without_literals("select E'a\\'b', 'a\\', e'\\\\', x'1f'") == "select E'…', '…', e'…', x'…'");
    CHECK(without_literals("select type'a\\', 1") == "select type'…', 1");
    CHECK(without_literals("do $$ 'x' $$; do $a1$ $$ $a$ $a1$;") == "do $$…$$; do $a1$…$a1$;");
    CHECK(without_literals("select 1 -- 'it\n, 2 /* a /* b */ ' */ + 3") == "select 1 \n, 2  + 3");
    CHECK(without_literals("select 'cut") == "select '…'");
    CHECK(without_literals("select $x$cut") == "select $x$…$x$");
    CHECK(without_literals("select /* cut") == "select ");
    CHECK(without_literals("") == "");
    CHECK(without_literals(std::string(1'000'000, 'x')).size() < 10'000);
}

TEST_CASE("A dump shows the statement that a task waits for, and who waits for the pool", "[pgtest]") {
    tests::Database database;
    coaio::Loop loop;
    loop.run_until_complete(look_at_both(database.conninfo()));
}
