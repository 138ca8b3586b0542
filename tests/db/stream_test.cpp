// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/gather.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>

#include "db/cut.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/sanitizers.hpp"
#include "support/throws.hpp"

#include <fstream>

namespace db = coaio::db;
using coaio::Coro;
using db::Transaction;
using tests::Bench;
using namespace std::chrono_literals;

namespace {

constexpr const char* many = "select i, 'row ' || i, nullif(i % 3, 0) from generate_series(1, $1::int) as i";

Coro<> read_all(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(2));
    int next = 1;
    auto rows = pool.stream<int, std::string, std::optional<int>>(many, 10'000);
    while (auto row = co_await rows.next()) {
        const auto& [number, text, rest] = *row;
        REQUIRE(number == next);
        REQUIRE(text == "row " + std::to_string(next));
        REQUIRE(rest.value_or(0) == next % 3);
        ++next;
    }
    CHECK(next == 10'001);
    const auto again = co_await rows.next();
    CHECK(!again);
    CHECK(pool.statistics().idle == 1);

    auto raw = pool.stream("select 7 as seven, 'x'::text as x");
    const auto first = co_await raw.next();
    REQUIRE(first);
    CHECK(first->at("seven").as<int>() == 7);
    auto none = pool.stream<int>("select 1 where false");
    const auto nothing = co_await none.next();
    CHECK(!nothing);
    auto command = pool.stream<int>("create table t (n int)");
    const auto no_rows = co_await command.next();
    CHECK(!no_rows);
    auto empty = pool.stream<int>("");
    const auto no_statement = co_await empty.next();
    CHECK(!no_statement);
}

Coro<> fail_late(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    auto rows = pool.stream<int>("select 100 / (101 - i) from generate_series(1, 200) as i");
    int seen = 0;
    std::string state;
    try {
        while (auto row = co_await rows.next()) ++seen;
    } catch (const db::Error& error) {
        state = error.sqlstate();
    }
    CHECK(seen == 100);
    CHECK(state == "22012");
    const bool over = co_await tests::throws<db::UsageError>(rows.next());
    CHECK(over);
    CHECK(pool.statistics().idle == 1);
    const int fine = co_await pool.query_value<int>("select 5");
    CHECK(fine == 5);
    CHECK(pool.statistics().opened == 1);
}

Coro<> refuse_types(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    auto wrong = pool.stream<int>("select 'x'::text from generate_series(1, 100000)");
    const bool refused = co_await tests::throws<db::ConversionError>(wrong.next());
    CHECK(refused);
    co_await wrong.close();
    auto wrong_empty = pool.stream<int>("select 'x'::text where false");
    const bool refused_empty = co_await tests::throws<db::ConversionError>(wrong_empty.next());
    CHECK(refused_empty);
    auto surplus = pool.stream<int, int>("select 1");
    const bool too_few = co_await tests::throws<db::ConversionError>(surplus.next());
    CHECK(too_few);
}

Coro<> break_out(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    for (int i = 0; i < 5; ++i) {
        {
            auto rows = pool.stream<int>("select generate_series(1, 1000000000)");
            const auto first = co_await rows.next();
            CHECK(first == 1);
        }
        const int fine = co_await pool.query_value<int>("select $1::int", i);
        CHECK(fine == i);
    }
    auto rows = pool.stream<int>("select generate_series(1, 1000000000)");
    const auto first = co_await rows.next();
    CHECK(first == 1);
    co_await rows.close();
    CHECK(pool.statistics().idle == 1);
    CHECK(pool.statistics().opened == 1);
    const bool over = co_await tests::throws<db::UsageError>(rows.next());
    CHECK(over);
    auto never_begun = pool.stream<int>("select 1");
    co_await never_begun.close();
    const int running = co_await pool.query_value<int>("select count(*)::int from pg_stat_activity where state = "
                                                       "'active' and query like '%generate_series%' and pid <> "
                                                       "pg_backend_pid()");
    CHECK(running == 0);
}

Coro<> pipeline_after(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    const std::string three = "select i from generate_series(1, 3) as i";
    for (int round = 0; round < 3; ++round) {
        for (const bool to_the_end : {true, false}) {
            auto rows = pool.stream<int>(three);
            const auto first = co_await rows.next();
            CHECK(first == 1);
            while (to_the_end) {
                auto row = co_await rows.next();
                if (!row) break;
            }
            co_await rows.close();
            db::Batch batch;
            batch.add(three);
            const auto answers = co_await pool.batch(std::move(batch));
            CHECK(answers[0].size() == 3);
            auto again = pool.stream<int>(three);
            while (auto row = co_await again.next()) continue;
            std::vector<Coro<db::Rows>> all;
            all.reserve(4);
            for (int i = 0; i < 4; ++i) all.push_back(pool.query(three));
            const auto each = co_await coaio::gather(std::move(all));
            for (const auto& one : each) CHECK(one.affected() == 3);
        }
    }
}

Coro<> on_a_connection(std::string url) {
    auto connection = co_await db::Connection::connect(url);
    auto rows = connection.stream<int>("select generate_series(1, 1000000000)");
    const auto first = co_await rows.next();
    CHECK(first == 1);
    const bool refused = co_await tests::throws<db::UsageError>(connection.query("select 1"));
    CHECK(refused);
    const auto second = co_await rows.next();
    CHECK(second == 2);
    { auto dropped = std::move(rows); }
    const int fine = co_await connection.query_value<int>("select 8");
    CHECK(fine == 8);
    {
        auto left = connection.stream<int>("select generate_series(1, 1000000000)");
        co_await left.next();
    }
    auto ask = [](db::Transaction& tx) -> Coro<int> { co_return co_await tx.query_value<int>("select 10"); };
    const int transacted = co_await connection.transaction(ask);
    CHECK(transacted == 10);
    co_await connection.execute("begin");
    auto inside = connection.stream<int>("select i from generate_series(1, 1000) as i");
    const auto one = co_await inside.next();
    CHECK(one == 1);
    const int between = co_await connection.query_value<int>("select 9");
    CHECK(between == 9);
    co_await connection.execute("commit");
}

Coro<> in_a_transaction(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    co_await pool.execute("create table t (n int)");
    auto body = [](Transaction& tx) -> Coro<int> {
        int sum = 0;
        auto rows = tx.stream<int>("select i from generate_series(1, $1::int) as i", 1000);
        while (auto row = co_await rows.next()) {
            sum += *row;
            if (*row % 100 == 0) co_await tx.execute("insert into t values ($1)", *row);
        }
        auto dropped = tx.stream<int>("select generate_series(1, 1000000)");
        const auto first = co_await dropped.next();
        CHECK(first == 1);
        auto exact = tx.stream<int>("select i from generate_series(1, 256) as i");
        int count = 0;
        while (auto row = co_await exact.next()) ++count;
        CHECK(count == 256);
        const int open = co_await tx.query_value<int>("select count(*)::int from pg_cursors where name like 'coaio%'");
        CHECK(open == 1);  // that of the one which was left
        co_return sum;
    };
    const int sum = co_await pool.transaction(body);
    CHECK(sum == 500'500);
    const int stored = co_await pool.query_value<int>("select count(*)::int from t");
    CHECK(stored == 10);
}

Coro<> scroll(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    std::optional<db::Cursor> kept;
    auto body = [&kept](Transaction& tx) -> Coro<> {
        auto cursor = tx.scroll_cursor("select i, 'x'::text from generate_series(1, $1::int) as i", 100);
        auto moved = co_await cursor.move(10);
        CHECK(moved == 10);
        auto rows = co_await cursor.fetch(3);
        CHECK(rows.size() == 3);
        CHECK(rows.front().at(0).as<int>() == 11);
        CHECK(rows.column(0).format == db::Format::binary);
        rows = co_await cursor.fetch(-2);
        CHECK(rows.size() == 2);
        CHECK(rows.front().at(0).as<int>() == 12);
        moved = co_await cursor.move(1000);
        CHECK(moved == 89);
        rows = co_await cursor.fetch(1);
        CHECK(rows.empty());
        co_await cursor.close();
        co_await cursor.close();
        const bool closed = co_await tests::throws<db::UsageError>(cursor.fetch(1));
        CHECK(closed);
        auto forward = tx.cursor("select interval '1 day' from generate_series(1, 3)");
        rows = co_await forward.fetch(5);
        CHECK(rows.size() == 3);
        CHECK(rows.front().at(0).as<std::string>() == "1 day");
        kept.emplace(tx.cursor("select 1"));
        rows = co_await kept->fetch(1);
        CHECK(rows.size() == 1);
        auto inner = [](Transaction& sub) -> Coro<> {
            auto back = sub.cursor("select i from generate_series(1, 9) as i");
            co_await back.fetch(1);
            const bool cannot = co_await tests::throws<db::Error>(back.fetch(-1));
            CHECK(cannot);
            throw std::runtime_error("undo");
        };
        const bool thrown = co_await tests::throws<std::runtime_error>(tx.transaction(inner));
        CHECK(thrown);
    };
    co_await pool.transaction(body);
    const bool dead = co_await tests::throws<db::UsageError>(kept->fetch(1));
    CHECK(dead);
}

Coro<> cut_stream(Bench& bench) {
    auto pool = bench.open();
    int seen = 0;
    auto rows = pool.stream<int>("select i from generate_series(1, 3000) as i");
    while (auto row = co_await rows.next()) {
        if (++seen % 300 == 0) co_await coaio::sleep(0s);
    }
    CHECK(seen == 3000);
}

Coro<> ask_again(Bench&, db::Pool& pool) {
    const int value = co_await pool.query_value<int>("select 11");
    REQUIRE(value == 11);
    REQUIRE(pool.statistics().opened <= 2);
}

long resident_kb() {
    std::ifstream statm("/proc/self/statm");
    long total = 0;
    long resident = 0;
    statm >> total >> resident;
    return resident * 4;
}

Coro<long> growth_while_reading(std::string url, int rows_wanted) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    auto rows = pool.stream<int, std::string_view>("select i, repeat('x', 100) from generate_series(1, $1::int) as i",
                                                   rows_wanted);
    long most = 0;
    long seen = 0;
    const long before = resident_kb();
    while (auto row = co_await rows.next()) {
        if (++seen % 20'000 == 0) most = std::max(most, resident_kb() - before);
    }
    CHECK(seen == rows_wanted);
    co_return most;
}

}  // namespace

TEST_CASE("CUR-01 CUR-06: a stream gives every row, in order, and a form to no rows at all", "[pgtest]") {
    tests::Database database;
    coaio::run(read_all(database.conninfo()));
}

TEST_CASE("CUR-01: hundreds of thousands of rows are read in the memory of some hundreds", "[pgtest]") {
    if (COAIO_TEST_SANITIZED != 0) return;
    tests::Database database;
    CHECK(coaio::run(growth_while_reading(database.conninfo(), 300'000)) < 4'000);
}

TEST_CASE("CUR-03: an error in row n comes after the rows before it", "[pgtest]") {
    tests::Database database;
    coaio::run(fail_late(database.conninfo()));
}

TEST_CASE("TYP-18: a stream of the wrong types is refused before its first row, also without rows", "[pgtest]") {
    tests::Database database;
    coaio::run(refuse_types(database.conninfo()));
}

TEST_CASE("CUR-02 POL-17: a stream that is left stops in the server and its connection is used again", "[pgtest]") {
    tests::Database database;
    coaio::run(break_out(database.conninfo()));
}

TEST_CASE("CUR-06: what is pipelined after a stream is answered whole", "[pgtest]") {
    tests::Database database;
    coaio::run(pipeline_after(database.conninfo()));
}

TEST_CASE("CUR-04: using a connection while it streams is an error at once", "[pgtest]") {
    tests::Database database;
    coaio::run(on_a_connection(database.conninfo()));
}

TEST_CASE("CUR-05: in a transaction a stream is a cursor, and other statements run between its steps", "[pgtest]") {
    tests::Database database;
    coaio::run(in_a_transaction(database.conninfo()));
}

TEST_CASE("CUR-05: a cursor fetches, moves, scrolls, and dies with its transaction", "[pgtest]") {
    tests::Database database;
    coaio::run(scroll(database.conninfo()));
}

TEST_CASE("CUR-02 CAN-03: a stream cut at any turn leaves a clean connection", "[pgtest]") {
    tests::Database database;
    tests::cut_at_every_turn(database, cut_stream, ask_again);
}
