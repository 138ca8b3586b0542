// SPDX-License-Identifier: MIT
#include <coaio/db/composite.hpp>
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>
#include <coaio/db/range.hpp>

#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>

#include "db/cut.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/throws.hpp"

#include <limits>

namespace db = coaio::db;
using coaio::Coro;
using db::CopyIn;
using db::CopyRows;
using db::Transaction;
using tests::Bench;
using namespace std::chrono_literals;

namespace {

Coro<> write_text(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    co_await pool.execute("create table t (n int, s text)");
    auto body = [](CopyIn& copy) -> Coro<> {
        for (int i = 0; i < 20'000; ++i) {
            const std::string line = std::to_string(i) + "\tline " + std::to_string(i) + "\n";
            co_await copy.write(line.substr(0, 3));
            co_await copy.write(line.substr(3));
        }
    };
    const auto rows = co_await pool.copy_in("copy t from stdin", body);
    CHECK(rows == 20'000);
    const int stored = co_await pool.query_value<int>("select count(*)::int from t where s = 'line ' || n");
    CHECK(stored == 20'000);
    auto nothing = [](CopyIn&) -> Coro<> { co_return; };
    const auto none = co_await pool.copy_in("copy t from stdin", nothing);
    CHECK(none == 0);
}

Coro<> write_rows(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    co_await pool.execute("create type mood as enum ('sad', 'ok')");
    co_await pool.execute("create domain small as int2 check (value < 1000)");
    co_await pool.execute(
        "create table t (\"the (id)\" int8, a int2, s varchar(20), f float8, m mood, j jsonb, d numeric(20,4), u uuid, "
        "l int[], at timestamptz, b bytea, k small, x int default 7)");
    using Row =
        CopyRows<int, std::int64_t, std::string, float, std::string, db::Json, db::Numeric, db::Uuid, std::vector<int>,
                 std::chrono::sys_time<std::chrono::microseconds>, std::vector<std::byte>, std::optional<int>>;
    const auto uuid = db::Uuid::parse("00112233-4455-6677-8899-aabbccddeeff");
    const std::vector<int> list{1, 2, 3};
    const std::vector<std::byte> bytes{std::byte{0}, std::byte{255}};
    auto body = [&](Row& copy) -> Coro<> {
        for (int i = 0; i < 5'000; ++i) {
            std::optional<int> k;
            if (i % 2 == 0) k = i % 100;
            co_await copy.write(i, i, "row " + std::to_string(i), 0.5F, "ok", db::Json("{\"n\": 1}"),
                                db::Numeric("-12.5"), uuid, list, std::chrono::sys_time<std::chrono::microseconds>(1s),
                                bytes, k);
        }
    };
    const auto rows =
        co_await pool.copy_rows<int, std::int64_t, std::string, float, std::string, db::Json, db::Numeric, db::Uuid,
                                std::vector<int>, std::chrono::sys_time<std::chrono::microseconds>,
                                std::vector<std::byte>, std::optional<int>>(
            "t (\"the (id)\", a, s, f, m, j, d, u, l, at, b, k)", body);
    CHECK(rows == 5'000);
    const int right = co_await pool.query_value<int>(
        "select count(*)::int from t where \"the (id)\" = a and s = 'row ' || a and f = 0.5 and m = 'ok' and j->>'n' = "
        "'1' and d = -12.5 and u = '00112233-4455-6677-8899-aabbccddeeff' and l = '{1,2,3}' and at = to_timestamp(1) "
        "and b = '\\x00ff' and k is not distinct from (case when a % 2 = 0 then a % 100 end) and x = 7");
    CHECK(right == 5'000);
}

Coro<> write_numerics(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    co_await pool.execute("create table t (n int, d numeric, i numeric)");
    // All that one may have before its point and behind it, in more than 32 767 groups of digits.
    const std::string most = std::string(131'072, '7') + "." + std::string(16'383, '3');
    const std::vector<std::string> texts{
        most,  "0",       "0.00",   "-0.0001", "10000",    "99999999",      "-12.50",
        "NaN", "1e3",     "1.5e-7", "12e+2",   "Infinity", "-Infinity",     "+3",
        "0e9", "123.4e1", ".5",     "5.",      "1e-1000",  "1234567890.12", "00001.10"};
    auto body = [&](CopyRows<int, db::Numeric, std::int64_t>& copy) -> Coro<> {
        int n = 0;
        for (const auto& text : texts) co_await copy.write(n++, db::Numeric(text), -1234567890123);
    };
    co_await pool.copy_rows<int, db::Numeric, std::int64_t>("t", body);
    int n = 0;
    for (const auto& text : texts) {
        INFO(text);
        const bool same = co_await pool.query_value<bool>(
            "select d::text = $1::text::numeric::text and i = -1234567890123 from t where n = $2", text, n++);
        CHECK(same);
    }
}

Coro<> refuse_rows(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    co_await pool.execute("create table t (a int2, s text)");
    bool begun = false;
    auto never = [&](auto& copy) -> Coro<> {
        begun = true;
        static_cast<void>(copy);
        co_return;
    };
    bool refused = co_await tests::throws<db::ConversionError>(pool.copy_rows<int>("t", never));
    CHECK(refused);
    refused = co_await tests::throws<db::ConversionError>(pool.copy_rows<std::string, std::string>("t", never));
    CHECK(refused);
    refused = co_await tests::throws<db::ConversionError>(pool.copy_rows<int, double>("t (a, s)", never));
    CHECK(refused);
    CHECK(!begun);
    CHECK(pool.statistics().opened == 1);
    auto body = [](CopyRows<int, std::optional<std::string>>& copy) -> Coro<> {
        co_await copy.write(1, "one");
        bool range = false;
        try {
            co_await copy.write(40'000, "two");
        } catch (const db::ParameterError& error) {
            range = error.index() == 1;
        }
        CHECK(range);
        bool nul = false;
        try {
            co_await copy.write(2, std::string("\0", 1));
        } catch (const db::ParameterError& error) {
            nul = error.index() == 2;
        }
        CHECK(nul);
        co_await copy.write(3, std::nullopt);
    };
    const auto rows = co_await pool.copy_rows<int, std::optional<std::string>>("t", body);
    CHECK(rows == 2);
}

// Each takes text in SQL, but only some in binary.
constexpr const char* users_types[] = {
    "create type word",
    "create function word_in(cstring) returns word as 'textin' language internal immutable strict",
    "create function word_out(word) returns cstring as 'textout' language internal immutable strict",
    "create function word_recv(internal) returns word as 'textrecv' language internal immutable strict",
    "create type word (input = word_in, output = word_out, receive = word_recv, like = text, category = 'S')",
    "create type thing",
    "create function thing_in(cstring) returns thing as 'textin' language internal immutable strict",
    "create function thing_out(thing) returns cstring as 'textout' language internal immutable strict",
    "create function thing_recv(internal) returns thing as 'bytearecv' language internal immutable strict",
    "create type thing (input = thing_in, output = thing_out, receive = thing_recv, like = text)",
    "create type span as range (subtype = float8)",
    "create type place as (x int, y int)",
    "create type mood as enum ('sad', 'ok')",
    "create domain feeling as mood",
    "create table things (w word, t thing, s span, p place, m mood, f feeling, ms mood[], ss span_multirange)"};

struct Place {
    int x = 0;
    int y = 0;
};

}  // namespace

template <>
struct coaio::db::Codec<Place> : coaio::db::CompositeCodec<Place> {
    static constexpr std::string_view name = "Place";
};

namespace {

template <class T>
Coro<std::string> refused_into(db::Pool pool, std::string column) {
    bool begun = false;
    auto body = [&begun](CopyRows<T>&) -> Coro<> {
        begun = true;
        co_return;
    };
    std::string problem;
    try {
        co_await pool.copy_rows<T>("things (" + column + ")", body);
    } catch (const db::ConversionError& error) {
        problem = error.what();
    }
    CHECK_FALSE(begun);
    co_return problem;
}

Coro<> write_users_types(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    for (const char* each : users_types) co_await pool.execute(each);
    using Row = CopyRows<std::string, std::string, std::optional<std::string>>;
    auto body = [](Row& copy) -> Coro<> { co_await copy.write("a word", "ok", "sad"); };
    co_await pool.copy_rows<std::string, std::string, std::optional<std::string>>("things (w, m, f)", body);
    const bool same =
        co_await pool.query_value<bool>("select w::text = 'a word' and m = 'ok' and f::text = 'sad' from things");
    CHECK(same);
    for (const char* column : {"t", "s", "p", "ms", "ss"}) {
        INFO(column);
        const std::string problem = co_await refused_into<std::string>(pool, column);
        CHECK_THAT(problem, tests::contains("\"" + std::string(column) + "\"") && tests::contains("std::string"));
    }
    const std::string place = co_await refused_into<Place>(pool, "p");
    CHECK_THAT(place, tests::contains("place") && tests::contains("Place"));
    const std::string span = co_await refused_into<db::Range<double>>(pool, "s");
    CHECK_THAT(span, tests::contains("type span"));
}

Coro<> fail(CopyIn& copy) {
    for (int i = 0; i < 30'000; ++i) co_await copy.write("1\n");
    throw std::runtime_error("the source is broken");
}

Coro<> stall(CopyIn& copy) {
    for (int i = 0; i < 30'000; ++i) co_await copy.write("1\n");
    co_await coaio::sleep(1h);
}

Coro<> fail_the_source(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    co_await pool.execute("create table t (n int)");
    for (int i = 0; i < 3; ++i) {
        const bool failed = co_await tests::throws<std::runtime_error>(pool.copy_in("copy t from stdin", fail));
        CHECK(failed);
        const bool timed_out = co_await tests::throws<coaio::TimeoutError>(
            coaio::wait_for(pool.copy_in("copy t from stdin", stall), 20ms));
        CHECK(timed_out);
    }
    const int rows = co_await pool.query_value<int>("select count(*)::int from t");
    CHECK(rows == 0);
    CHECK(pool.statistics().opened == 1);
    auto body = [](Transaction& tx) -> Coro<> {
        auto inner = [](Transaction& sub) -> Coro<> { co_await sub.copy_in("copy t from stdin", fail); };
        const bool failed = co_await tests::throws<std::runtime_error>(tx.transaction(inner));
        CHECK(failed);
        auto one = [](CopyIn& copy) -> Coro<> { co_await copy.write("5\n"); };
        co_await tx.copy_in("copy t from stdin", one);
    };
    co_await pool.transaction(body);
    const int kept = co_await pool.query_value<int>("select n from t");
    CHECK(kept == 5);
}

Coro<> refuse_statements(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    co_await pool.execute("create table t (n int)");
    auto one = [](CopyIn& copy) -> Coro<> { co_await copy.write("x\n"); };
    bool refused = co_await tests::throws<db::Error>(pool.copy_in("copy missing from stdin", one));
    CHECK(refused);
    refused = co_await tests::throws<db::Error>(pool.copy_in("copy t from stdin (format wrong)", one));
    CHECK(refused);
    refused = co_await tests::throws<db::UsageError>(pool.copy_in("", one));
    CHECK(refused);
    refused = co_await tests::throws<db::UsageError>(pool.copy_in("select 1", one));
    CHECK(refused);
    refused = co_await tests::throws<db::UsageError>(pool.copy_in("copy t to stdout", one));
    CHECK(refused);
    refused = co_await tests::throws<db::Error>(pool.copy_in("copy t from stdin", one));
    CHECK(refused);
    auto out = pool.copy_out("copy t from stdin");
    refused = co_await tests::throws<db::UsageError>(out.next());
    CHECK(refused);
    auto missing = pool.copy_out("copy missing to stdout");
    refused = co_await tests::throws<db::Error>(missing.next());
    CHECK(refused);
    refused = co_await tests::throws<db::UsageError>(missing.next());
    CHECK(refused);
    CHECK(pool.statistics().opened == 1);
    CHECK(pool.statistics().idle == 1);
}

Coro<> read_out(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    auto lines = pool.copy_out("copy (select i from generate_series(1, 10000) as i) to stdout");
    int expected = 1;
    while (auto line = co_await lines.next()) REQUIRE(*line == std::to_string(expected++) + "\n");
    CHECK(expected == 10'001);
    {
        auto left = pool.copy_out("copy (select generate_series(1, 1000000000)) to stdout");
        const auto first = co_await left.next();
        CHECK(first == "1\n");
    }
    int fine = co_await pool.query_value<int>("select 3");
    CHECK(fine == 3);
    auto closed = pool.copy_out("copy (select generate_series(1, 1000000000)) to stdout");
    const auto first = co_await closed.next();
    CHECK(first == "1\n");
    co_await closed.close();
    CHECK(pool.statistics().idle == 1);
    auto slow = pool.copy_out("copy (select pg_sleep(60)) to stdout");
    const bool timed_out = co_await tests::throws<coaio::TimeoutError>(coaio::wait_for(slow.next(), 20ms));
    CHECK(timed_out);
    auto limited = pool.copy_out("copy (select 1 / (5000 - i) from generate_series(1, 10000) as i) to stdout");
    int seen = 0;
    bool failed = false;
    try {
        while (auto line = co_await limited.next()) ++seen;
    } catch (const db::Error& error) {
        failed = error.is("22012");
    }
    CHECK(failed);
    CHECK(seen == 4999);
    CHECK(pool.statistics().opened == 1);
    auto body = [](Transaction& tx) -> Coro<int> {
        auto inside = tx.copy_out("copy (select i from generate_series(1, 100000) as i) to stdout");
        const auto line = co_await inside.next();
        CHECK(line == "1\n");
        const bool busy = co_await tests::throws<db::UsageError>(tx.query("select 1"));
        CHECK(busy);
        co_await inside.close();
        co_return co_await tx.query_value<int>("select 4");
    };
    fine = co_await pool.transaction(body);
    CHECK(fine == 4);
}

Coro<> run_out_of_time(std::string url) {
    auto connection = co_await db::Connection::connect(url);
    co_await connection.execute("set statement_timeout = 1500");
    // Each row fills what the server keeps before it sends.
    auto lines = connection.copy_out("copy (select i, repeat('x', 9000), pg_sleep(case when i > 3 then 60 else 0 end) "
                                     "from generate_series(1, 100) as i) to stdout");
    int seen = 0;
    std::string state;
    try {
        while (auto line = co_await lines.next()) ++seen;
    } catch (const db::Error& error) {
        state = error.sqlstate();
        CHECK(error.connection_good());
    }
    CHECK(state == db::sqlstate::query_canceled);
    CHECK(seen >= 2);
    CHECK(seen <= 3);
    const int fine = co_await connection.query_value<int>("select 1");
    CHECK(fine == 1);
}

struct SinkFull : std::runtime_error {
    SinkFull() : std::runtime_error("the sink is full") {}
};

// It takes its time, and three lines.
Coro<> pour_into_a_sink(db::CopyOut lines) {
    int taken = 0;
    while (auto line = co_await lines.next()) {
        CHECK(*line == std::to_string(++taken) + "\n");
        co_await coaio::sleep(1ms);
        if (taken == 3) throw SinkFull();
    }
}

Coro<> fail_the_sink(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    for (int i = 0; i < 3; ++i) {
        const bool failed = co_await tests::throws<SinkFull>(
            pour_into_a_sink(pool.copy_out("copy (select generate_series(1, 1000000000)) to stdout")));
        CHECK(failed);
        const int fine = co_await pool.query_value<int>("select $1::int", i);
        CHECK(fine == i);
    }
    CHECK(pool.statistics().opened == 1);
    CHECK(pool.statistics().in_use == 0);
}

Coro<> cut_copy(Bench& bench) {
    auto pool = bench.open();
    auto body = [](CopyRows<int>& copy) -> Coro<> {
        for (int i = 0; i < 20'000; ++i) co_await copy.write(i);
        co_await coaio::sleep(0s);
    };
    co_await pool.copy_rows<int>("t", body);
    bench.acknowledged = 20'000;
    auto lines = pool.copy_out("copy t to stdout");
    while (auto line = co_await lines.next()) continue;
}

Coro<> look_at_rows(Bench& bench, db::Pool& pool) {
    const int rows = co_await pool.query_value<int>("select count(*)::int from t");
    REQUIRE((rows == 0 || rows == 20'000));
    REQUIRE(rows >= bench.acknowledged);
    co_await pool.execute("truncate t");
}

}  // namespace

TEST_CASE("CPY-02: bytes cut anywhere are copied in", "[pgtest]") {
    tests::Database database;
    coaio::run(write_text(database.conninfo()));
}

TEST_CASE("CPY-07: typed rows are copied in binary, with NULLs, into columns of other widths", "[pgtest]") {
    tests::Database database;
    coaio::run(write_rows(database.conninfo()));
}

TEST_CASE("CPY-07 TYP-04: numerics are copied digit by digit", "[pgtest]") {
    tests::Database database;
    coaio::run(write_numerics(database.conninfo()));
}

TEST_CASE("CPY-07 TYP-18: rows that do not fit are refused before anything of them is sent", "[pgtest]") {
    tests::Database database;
    coaio::run(refuse_rows(database.conninfo()));
}

TEST_CASE("CPY-07 TYP-18: text goes into types of users' that are text in binary too, and into no others", "[pgtest]") {
    tests::Database database;
    coaio::run(write_users_types(database.conninfo()));
}

TEST_CASE("CPY-02: a source that fails or is cancelled stores nothing, and the connection goes on", "[pgtest]") {
    tests::Database database;
    coaio::run(fail_the_source(database.conninfo()));
}

TEST_CASE("CPY-04: what is no COPY, or a wrong one, is an error and no more", "[pgtest]") {
    tests::Database database;
    coaio::run(refuse_statements(database.conninfo()));
}

TEST_CASE("CPY-05: rows are copied out; a reader that leaves or is cancelled leaves a clean connection", "[pgtest]") {
    tests::Database database;
    coaio::run(read_out(database.conninfo()));
}

TEST_CASE("CPY-05: a COPY whose time is over in the middle gives what came before, and its error", "[pgtest]") {
    tests::Database database;
    coaio::run(run_out_of_time(database.conninfo()));
}

TEST_CASE("CPY-05: a sink that is slow and then fails ends its COPY, and the connection goes on", "[pgtest]") {
    tests::Database database;
    coaio::run(fail_the_sink(database.conninfo()));
}

TEST_CASE("CPY-02 CPY-05: a COPY cut at any turn has stored all or nothing", "[pgtest]") {
    tests::Database database;
    database.sql("create table t (n int)");
    tests::cut_at_every_turn(database, cut_copy, look_at_rows);
}
