// SPDX-License-Identifier: MIT
#include <coaio/db/batch.hpp>
#include <coaio/db/composite.hpp>
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>
#include <coaio/db/range.hpp>
#include <coaio/db/stream.hpp>

#include <coaio/core/run.hpp>
#include <coaio/core/task.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/throws.hpp"

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace db = coaio::db;
using coaio::Coro;

namespace {

using Micros = std::chrono::sys_time<std::chrono::microseconds>;

enum class Mood { sad, ok };

struct Point {
    double x = 0;
    double y = 0;
    friend bool operator==(const Point&, const Point&) = default;
};

struct Item {
    std::int64_t id = 0;
    std::string label;
    std::optional<db::Numeric> price;
    Mood mood = Mood::sad;
    int age = 0;
    std::vector<std::optional<std::string>> tags;
    std::vector<Point> path;
    db::Range<int> sizes;
    std::vector<std::byte> data;
    bool sold = false;
    friend bool operator==(const Item&, const Item&) = default;
};

/// The types that are written in binary as parameters, and in a composite as text.
struct Everything {
    std::int16_t small = 0;
    std::uint64_t large = 0;
    float single = 0;
    double twice = 0;
    db::Uuid uuid;
    db::Timestamp at;
    std::chrono::local_time<std::chrono::microseconds> local;
    db::Date day;
    std::vector<std::vector<int>> matrix;
    db::Multirange<db::Date> days;
    db::Json document;
    db::Oid oid = db::Oid::unspecified;
    friend bool operator==(const Everything&, const Everything&) = default;
};

struct Swapped {
    double y = 0;
    double x = 0;
};

struct Thin {
    float x = 0;
    float y = 0;
};

struct Ages {
    int first = 0;
    std::optional<int> second;
};

struct Tour {
    db::Range<double> first;
    db::Multirange<double> rest;
    friend bool operator==(const Tour&, const Tour&) = default;
};

struct Host {
    std::string name;
    std::string address;
};

constexpr const char* schema =
    "create schema other;"
    "create type other.mood as enum ('sad', 'ok');"
    "create domain other.age as int check (value >= 0);"
    "create type other.point as (x float8, y float8);"
    "create type other.item as (id int8, label varchar(40), price numeric, mood other.mood, age other.age, tags text[],"
    " path other.point[], sizes int4range, data bytea, sold bool);"
    "create type other.everything as (small int2, large int8, single float4, twice float8, uuid uuid, at timestamptz,"
    " local timestamp, day date, matrix int[], days datemultirange, document jsonb, oid oid)";

Item full_item() {
    Item item;
    item.id = -5;
    item.label = R"(a "quoted", \ (word) ü)";
    item.price = db::Numeric("12.50");
    item.mood = Mood::ok;
    item.age = 7;
    item.tags = {"", "NULL", std::nullopt, "{x,\"y\"}\\", "a b"};
    item.path = {{1.5, -0.0}, {std::numeric_limits<double>::infinity(), 5e-324}};
    item.sizes = db::Range<int>(1, std::nullopt);
    item.data = {std::byte{0}, std::byte{'\\'}, std::byte{255}};
    item.sold = true;
    return item;
}

template <class T>
std::string problem_of(const db::Rows& rows) {
    try {
        (void)rows.as<T>();
    } catch (const db::ConversionError& error) {
        return error.what();
    }
    return "no error";
}

}  // namespace

template <>
struct coaio::db::Codec<Mood> : coaio::db::EnumCodec<Mood> {
    static constexpr std::string_view name = "Mood";
    static constexpr std::pair<Mood, std::string_view> labels[] = {{Mood::sad, "sad"}, {Mood::ok, "ok"}};
};
template <>
struct coaio::db::Codec<Tour> : coaio::db::CompositeCodec<Tour> {
    static constexpr std::string_view name = "Tour";
};
template <>
struct coaio::db::Codec<Point> : coaio::db::CompositeCodec<Point> {
    static constexpr std::string_view name = "Point";
};
template <>
struct coaio::db::Describe<Point> {
    static constexpr auto fields = std::make_tuple(coaio::db::field("x", &Point::x), coaio::db::field("y", &Point::y));
};
template <>
struct coaio::db::Codec<Item> : coaio::db::CompositeCodec<Item> {
    static constexpr std::string_view name = "Item";
};
template <>
struct coaio::db::Codec<Everything> : coaio::db::CompositeCodec<Everything> {
    static constexpr std::string_view name = "Everything";
};
template <>
struct coaio::db::Codec<Swapped> : coaio::db::CompositeCodec<Swapped> {
    static constexpr std::string_view name = "Swapped";
};
template <>
struct coaio::db::Describe<Swapped> {
    static constexpr auto fields =
        std::make_tuple(coaio::db::field("y", &Swapped::y), coaio::db::field("x", &Swapped::x));
};
template <>
struct coaio::db::Codec<Thin> : coaio::db::CompositeCodec<Thin> {
    static constexpr std::string_view name = "Thin";
};
template <>
struct coaio::db::Codec<Ages> : coaio::db::CompositeCodec<Ages> {
    static constexpr std::string_view name = "Ages";
};
template <>
struct coaio::db::Codec<Host> : coaio::db::CompositeCodec<Host> {
    static constexpr std::string_view name = "Host";
};

namespace {

/// What the server makes of it, read in binary by one connection and as text by the other.
template <class T>
Coro<> both_ways(std::string url, T value, std::string type) {
    const db::Connection binary = co_await db::Connection::connect(url);
    const db::Connection text = co_await db::Connection::connect(url, db::ConnectOptions().statement_cache(0));
    const std::string sql = "select $1::" + type;
    const db::Rows in_binary = co_await binary.query(sql, value);
    const db::Rows in_text = co_await text.query(sql, value);
    CHECK(in_binary.column(0).format == db::Format::binary);
    CHECK(in_text.column(0).format == db::Format::text);
    CHECK(in_binary.value<T>() == value);
    CHECK(in_text.value<T>() == value);
    // The server sees no difference either.
    const auto shown = co_await text.query_value<std::string>(sql + "::text", value);
    const auto again = co_await binary.query_value<std::string>(sql + "::text", in_binary.value<T>());
    CHECK(again == shown);
}

Coro<> every_field(std::string url) {
    Everything all;
    all.small = -32768;
    all.large = 9'223'372'036'854'775'807U;
    all.single = 0.1F;
    all.twice = -std::numeric_limits<double>::infinity();
    all.uuid = db::Uuid::parse("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
    all.oid = static_cast<db::Oid>(4'294'967'295U);
    all.matrix = {{1, 2}, {3, -4}};
    all.document = db::Json(R"({"a": "\"x\\"})");
    using Local = std::chrono::local_time<std::chrono::microseconds>;
    // The first and the last of each, and what lies around an era, a leap day and the epochs.
    for (const std::int64_t micros :
         {-211'813'488'000'000'000, 9'223'371'331'199'999'999, -63'082'281'600'000'001,
          std::int64_t{-946'684'800'000'001}, std::int64_t{-1}, std::int64_t{5'097'600'000'000},
          std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
        all.at = db::Timestamp::from_micros_since_2000(micros);
        if (all.at.is_finite()) all.local = Local(std::chrono::microseconds(micros / 2));
        co_await both_ways(url, all, "other.everything");
    }
    for (const std::int32_t days : {-2'451'545, 2'145'031'948, -730'486, -730'120, -730'121, 59, 60, -1, 0,
                                    std::numeric_limits<std::int32_t>::max()}) {
        all.day = db::Date::from_days_since_2000(days);
        all.days = db::Multirange<db::Date>({db::Range<db::Date>(std::nullopt, all.day)});
        co_await both_ways(url, all, "other.everything");
    }
}

Coro<> read_anywhere(std::string url) {
    const auto connection = co_await db::Connection::connect(url);
    const Item item = full_item();
    co_await connection.execute("create table shelf (at other.point, item other.item, moods other.mood[])");
    const std::vector<Mood> moods = {Mood::ok, Mood::sad};
    co_await connection.execute("insert into shelf values ($1, $2, $3)", Point{1, 2}, item, moods);
    auto shelf = co_await connection.query("select item, at, moods, item is null from shelf");
    CHECK(shelf.column(0).format == db::Format::binary);
    auto [read, at, read_moods, null] = shelf.one<Item, std::optional<Point>, std::vector<Mood>, bool>();
    CHECK(read == item);
    CHECK(at == Point{1, 2});
    CHECK(read_moods == moods);
    CHECK_FALSE(null);
    const auto price = co_await connection.query_value<std::optional<db::Numeric>>("select (item).price from shelf");
    CHECK(price == item.price);
    auto rows = connection.stream<Item>("select item from shelf");
    const auto streamed = co_await rows.next();
    CHECK(streamed == item);
    co_await rows.close();
    db::Batch batch;
    batch.add("select item from shelf");
    batch.add("select array_agg(at) from shelf where at = $1::other.point", Point{1, 2});
    auto answers = co_await connection.batch(std::move(batch));
    CHECK(answers[0].value<Item>() == item);
    CHECK(answers[1].value<std::vector<Point>>() == std::vector<Point>{{1, 2}});
    // The row type of a table, and what has no name.
    const auto ages = co_await connection.query_value<Ages>("select row(1, null)");
    CHECK((ages.first == 1 && !ages.second));
    const auto labels = co_await connection.query("select (item).mood, (item).tags, (item).mood from shelf");
    CHECK(labels.front()[0].as<std::string>() == "ok");
    CHECK(labels.front()[2].as<Mood>() == Mood::ok);
}

Coro<> domains(std::string url) {
    const auto connection = co_await db::Connection::connect(url);
    co_await connection.execute("create domain older as other.age check (value > 10)");
    co_await connection.execute("create type ages as (first older, second other.age)");
    const auto ages = co_await connection.query("select row(11, null)::ages, array[11, 12]::older[], 13::older");
    CHECK(ages.column(0).format == db::Format::binary);
    auto [both, list, one] = ages.one<Ages, std::vector<int>, int>();
    CHECK((both.first == 11 && !both.second));
    CHECK(list == std::vector<int>{11, 12});
    CHECK(one == 13);
    const Ages young{5, 5};
    const bool refused = co_await tests::throws<db::Error>(connection.query("select $1::ages", young));
    CHECK(refused);
}

Coro<> refuse(std::string url) {
    const auto connection = co_await db::Connection::connect(url);
    const auto points = co_await connection.query("select row(1, 2)::other.point as p where false");
    CHECK(problem_of<Point>(points) == "no error");
    const std::string swapped = problem_of<Swapped>(points);
    CHECK_THAT(swapped, tests::contains("\"p\"") && tests::contains("other.point (x float8, y float8)"));
    CHECK_THAT(swapped, tests::contains("Swapped"));
    CHECK_THAT(problem_of<Ages>(points), tests::contains("Ages"));
    CHECK_THAT(problem_of<Item>(points), tests::contains("Item"));
    CHECK_THAT(problem_of<Mood>(points), tests::contains("Mood"));
    CHECK_THAT(problem_of<db::Range<int>>(points), tests::contains("Range"));
    CHECK_THAT(problem_of<std::string>(points), tests::contains("::text"));
    CHECK_THAT(problem_of<std::vector<Point>>(points), tests::contains("std::vector<Point>"));
    const auto moods = co_await connection.query("select 'ok'::other.mood as m where false");
    CHECK_THAT(problem_of<Point>(moods), tests::contains("other.mood"));
    const auto nulls = co_await connection.query("select row(1, null)::other.point as p");
    std::string problem;
    try {
        (void)nulls.value<Point>();
    } catch (const db::ConversionError& error) {
        problem = error.what();
    }
    CHECK_THAT(problem, tests::contains("\"p\"") && tests::contains("\"y\"") && tests::contains("NULL"));
}

constexpr const char* point_and_ages = "select row(1, 2)::other.point, array[1, 2]::other.age[]";

void one_meaning(const db::Rows& rows) {
    REQUIRE(rows.size() == 1);
    const db::Field point = rows.front()[0];
    CHECK(point.as<Point>() == Point{1, 2});
    CHECK_THROWS_WITH(point.as<Swapped>(), tests::contains("other.point (x float8, y float8)"));
    CHECK_THROWS_AS(point.as<Thin>(), db::ConversionError);
    CHECK(rows.front()[1].as<std::vector<int>>() == std::vector<int>{1, 2});
}

template <class... Ts>
Coro<std::string> stream_problem(const db::Connection& connection, std::string sql) {
    auto rows = connection.stream<Ts...>(sql);
    std::string problem;
    try {
        static_cast<void>(co_await rows.next());
    } catch (const db::ConversionError& error) {
        problem = error.what();
    }
    co_return problem;
}

// Each road on a session of its own, which has not met the types before.
Coro<> on_each_road(std::string url) {
    const std::string sql = point_and_ages;
    const db::ConnectOptions kept;
    const std::vector<db::ConnectOptions> sessions = {kept, db::ConnectOptions().statement_cache(0)};
    const std::vector<db::Params> no_params(20);
    for (const auto& options : sessions) {
        const auto plain = co_await db::Connection::connect(url, options);
        one_meaning(co_await plain.query(sql));
        const auto batching = co_await db::Connection::connect(url, options);
        db::Batch batch;
        batch.add(sql);
        batch.add("select 1");
        const auto answers = co_await batching.batch(std::move(batch));
        one_meaning(answers[0]);
        one_meaning(co_await batching.query(sql));
        const auto hasty = co_await db::Connection::connect(url, options);
        one_meaning(co_await hasty.within(std::chrono::seconds(10)).query(sql));
        const auto repeating = co_await db::Connection::connect(url, options);
        const auto runs = co_await repeating.query_each(sql, no_params);
        for (const db::Rows& each : runs) one_meaning(each);
        const auto commented = co_await db::Connection::connect(url, options);
        one_meaning(co_await commented.query(sql + " /*traceparent='00'*/"));
        const auto streaming = co_await db::Connection::connect(url, options);
        const std::string refused = co_await stream_problem<Swapped, std::vector<int>>(streaming, sql);
        CHECK_THAT(refused, tests::contains("other.point (x float8, y float8)"));
        const std::string read = co_await stream_problem<Point, std::vector<int>>(streaming, sql);
        CHECK(read.empty());
        const bool failed = co_await tests::throws<db::Error>(
            stream_problem<int>(streaming, "select no_such_column /*traceparent='00'*/"));
        CHECK(failed);
        const int fine = co_await streaming.query_value<int>("select 3");
        CHECK(fine == 3);
    }
    // Over a shared connection that has not met them.
    for (const bool shared_sync : {false, true}) {
        const auto options = db::PoolOptions().max_size(1).pipelining(16).shared_sync(shared_sync);
        auto pool = co_await db::Pool::connect(url, options);
        for (int i = 0; i < 2; ++i) one_meaning(co_await pool.query(sql));
        pool.expire();
        std::vector<Coro<db::Rows>> all;
        for (int i = 0; i < 6; ++i) all.push_back(pool.query(sql));
        const auto asked = co_await coaio::gather(std::move(all));
        for (const db::Rows& each : asked) one_meaning(each);
        co_await pool.close();
    }
    // In a transaction that was failed by the next statement nothing can be looked up.
    const auto failing = co_await db::Connection::connect(url);
    auto body = [&sql](db::Transaction& tx) -> Coro<> {
        db::Batch batch;
        batch.add(sql);
        batch.add("select 1 / 0");
        const auto answers = co_await tx.batch(coaio::return_exceptions, std::move(batch));
        CHECK(answers[0].has_value());
        CHECK_FALSE(answers[1].has_value());
        throw std::runtime_error("enough");
    };
    const bool enough = co_await tests::throws<std::runtime_error>(failing.transaction(body));
    CHECK(enough);
}

Coro<> make_again(std::string url) {
    const auto connection = co_await db::Connection::connect(url);
    co_await connection.execute("create type spot as (x float8, y float8)");
    co_await connection.execute("create type temper as enum ('ok')");
    co_await connection.execute("create table spots (at spot, mood temper)");
    const std::string insert = "insert into spots values ($1, $2)";
    const std::string select = "select at, array[at], mood from spots";
    for (int i = 0; i < 3; ++i) {
        co_await connection.execute(insert, Point{1, 2}, Mood::ok);
        const auto rows = co_await connection.query(select);
        CHECK(rows.column(0).format == db::Format::binary);
        auto [point, points, mood] = rows.one<Point, std::vector<Point>, Mood>();
        CHECK(point == Point{1, 2});
        CHECK(points.size() == 1);
        CHECK(mood == Mood::ok);
        co_await connection.execute("drop table spots");
        co_await connection.execute("drop type spot");
        co_await connection.execute("drop type temper");
        // Of other parts than before, so that whoever goes by what was gets it wrong.
        const char* const parts =
            i == 0 ? "create type spot as (x float4, y float8)" : "create type spot as (x float8, y float4)";
        co_await connection.execute(parts);
        co_await connection.execute("create type temper as enum ('bad', 'ok')");
        co_await connection.execute("create table spots (at spot, mood temper)");
    }
}

// What is known of types is forgotten with the statement that shows it to be old.
Coro<> leave_the_others(std::string url) {
    const auto connection = co_await db::Connection::connect(url);
    const std::string of_points = "select row(1, 2)::other.point";
    const std::string of_spots = "select row(3, 4)::spot";
    for (int i = 0; i < 2; ++i) {
        co_await connection.execute("create type spot as (x float8, y float8)");
        const auto spot = co_await connection.query_value<Point>(of_spots);
        CHECK(spot == Point{3, 4});
        const auto point = co_await connection.query_value<Point>(of_points);
        CHECK(point == Point{1, 2});
        co_await connection.execute("drop type spot");
    }
}

Coro<> unknown_inside(std::string url) {
    const auto connection = co_await db::Connection::connect(url);
    co_await connection.execute("create type host as (name text, address inet)");
    const Host host{"a", "10.0.0.1/8"};
    for (int i = 0; i < 2; ++i) {
        const auto hosts = co_await connection.query("select $1::host", host);
        CHECK(hosts.column(0).format == db::Format::text);
        CHECK(hosts.value<Host>().address == "10.0.0.1/8");
        CHECK(hosts.value<std::string>() == "(a,10.0.0.1/8)");
    }
}

Coro<> other_delimiters(std::string url) {
    const auto connection = co_await db::Connection::connect(url);
    co_await connection.execute("create type shape");
    co_await connection.execute(
        "create function shape_in(cstring) returns shape as 'textin' language internal immutable strict");
    co_await connection.execute(
        "create function shape_out(shape) returns cstring as 'textout' language internal immutable strict");
    co_await connection.execute(
        "create type shape (input = shape_in, output = shape_out, like = text, delimiter = ':')");
    const std::string shapes = "select array['a,b'::shape, 'c:d', null]";
    const auto read = co_await connection.query_value<std::vector<std::optional<std::string>>>(shapes);
    CHECK(read == std::vector<std::optional<std::string>>{"a,b", "c:d", std::nullopt});
    const std::string boxes = "select array['(1,1),(0,0)'::box, '(3,3),(2,2)']";
    const auto corners = co_await connection.query_value<std::vector<std::string>>(boxes);
    CHECK(corners == std::vector<std::string>{"(1,1),(0,0)", "(3,3),(2,2)"});
}

Coro<> shared_connections(std::string url) {
    const auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(2).pipelining(8));
    const Item item = full_item();
    for (int round = 0; round < 3; ++round) {
        std::vector<coaio::Task<Item>> tasks;
        tasks.reserve(12);
        for (int i = 0; i < 12; ++i) {
            tasks.push_back(coaio::create_task(pool.query_value<Item>("select $1::other.item", item)));
        }
        for (auto& each : tasks) {
            const Item read = co_await each;
            CHECK(read == item);
        }
    }
    co_await pool.close();
}

Coro<> user_ranges(std::string url) {
    const auto connection = co_await db::Connection::connect(url);
    co_await connection.execute("create type other.span as range (subtype = float8)");
    const db::Range<double> span(0.1, std::nullopt);
    const auto rows = co_await connection.query("select $1::other.span, other.span_multirange($1), array[$1]", span);
    CHECK(rows.column(0).format == db::Format::binary);
    auto [one, many, list] = rows.one<db::Range<double>, db::Multirange<double>, std::vector<db::Range<double>>>();
    CHECK(one == span);
    CHECK(many.ranges() == std::vector<db::Range<double>>{span});
    CHECK(list == many.ranges());
    const auto empty = co_await connection.query("select 'empty'::other.span as s");
    CHECK(empty.value<db::Range<double>>().is_empty());
    CHECK_THAT(problem_of<db::Range<int>>(empty), tests::contains("other.span"));
    // Inside of others.
    co_await connection.execute("create type other.tour as (first other.span, rest other.span_multirange)");
    const std::vector<db::Range<double>> spans{db::Range<double>::empty(), span};
    const Tour tour{span, db::Multirange<double>({span})};
    const auto inside = co_await connection.query("select $1::other.span[], $2::other.tour", spans, tour);
    auto [read_spans, read_tour] = inside.one<std::vector<db::Range<double>>, Tour>();
    CHECK(read_spans == spans);
    CHECK(read_tour == tour);
}

}  // namespace

TEST_CASE("TYP-12 TYP-14 TYP-23: a composite of all kinds of fields goes both ways, in binary and as text",
          "[pgtest]") {
    tests::Database database;
    database.sql(schema);
    const Item item = full_item();
    coaio::run(both_ways(database.conninfo(), item, "other.item"));
    coaio::run(both_ways(database.conninfo(), Item(), "other.item"));
    coaio::run(both_ways(database.conninfo(), std::vector<Item>{item, Item(), item}, "other.item[]"));
    const std::vector<std::vector<std::optional<Point>>> grid = {{Point{1, 2}, std::nullopt}, {Point{3, 4}, Point()}};
    coaio::run(both_ways(database.conninfo(), grid, "other.point[]"));
}

TEST_CASE("TYP-23: every type that has a binary form has the same value as text, inside of a composite", "[pgtest]") {
    tests::Database database;
    database.sql(schema);
    coaio::run(every_field(database.conninfo()));
}

TEST_CASE("TYP-12 TYP-14: composites and arrays of enums stand in rows, streams and batches", "[pgtest]") {
    tests::Database database;
    database.sql(schema);
    coaio::run(read_anywhere(database.conninfo()));
}

TEST_CASE("TYP-12: arrays whose elements have another delimiter than the comma are read", "[pgtest]") {
    tests::Database database;
    coaio::run(other_delimiters(database.conninfo()));
}

TEST_CASE("TYP-14: composites come right over connections that are shared", "[pgtest]") {
    tests::Database database;
    database.sql(schema);
    coaio::run(shared_connections(database.conninfo()));
}

TEST_CASE("TYP-15: domains decode as their base, also in composites, arrays and over each other", "[pgtest]") {
    tests::Database database;
    database.sql(schema);
    coaio::run(domains(database.conninfo()));
}

TEST_CASE("TYP-18: a composite that does not match is refused before any row, naming both types", "[pgtest]") {
    tests::Database database;
    database.sql(schema);
    coaio::run(refuse(database.conninfo()));
}

TEST_CASE("TYP-18: a composite or an array of a domain is read alike, whichever way its statement went", "[pgtest]") {
    tests::Database database;
    database.sql(schema);
    coaio::run(on_each_road(database.conninfo()));
}

TEST_CASE("TYP-14 STM-06: a type that was dropped and made again is looked up again", "[pgtest]") {
    tests::Database database;
    coaio::run(make_again(database.conninfo()));
}

TEST_CASE("TYP-14 STM-06: when a type was made again, statements of other types are read as before", "[pgtest]") {
    tests::Database database;
    database.sql(schema);
    coaio::run(leave_the_others(database.conninfo()));
}

TEST_CASE("TYP-17: a composite with a field that has no binary form here comes as text", "[pgtest]") {
    tests::Database database;
    coaio::run(unknown_inside(database.conninfo()));
}

TEST_CASE("TYP-14: a range type of the user's, its multirange and its arrays", "[pgtest]") {
    tests::Database database;
    database.sql(schema);
    coaio::run(user_ranges(database.conninfo()));
}
