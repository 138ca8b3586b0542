// SPDX-License-Identifier: MIT
#include <coaio/db/json.hpp>
#include <coaio/db/params.hpp>

#include "db/round_trip.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>

namespace db = coaio::db;
using namespace std::chrono_literals;
using tests::round_trip;
using tests::Wire;

namespace {

enum class Mood { sad, ok };

}  // namespace

template <>
struct coaio::db::Codec<Mood> : coaio::db::EnumCodec<Mood> {
    static constexpr std::string_view name = "Mood";
    static constexpr std::pair<Mood, std::string_view> labels[] = {{Mood::sad, "sad"}, {Mood::ok, "ok"}};
};

TEST_CASE("TYP-01 TYP-02: integers travel at both limits", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    round_trip<std::int16_t>(wire, -32768, "(-32768)", "int2");
    round_trip<std::int16_t>(wire, 32767, "32767", "int2");
    round_trip<int>(wire, std::numeric_limits<int>::min(), "(-2147483648)", "int4");
    round_trip<int>(wire, std::numeric_limits<int>::max(), "2147483647", "int4");
    round_trip<std::int64_t>(wire, std::numeric_limits<std::int64_t>::min(), "(-9223372036854775808)", "int8");
    round_trip<std::int64_t>(wire, std::numeric_limits<std::int64_t>::max(), "9223372036854775807", "int8");
    round_trip<std::uint64_t>(wire, 9223372036854775807U, "9223372036854775807", "int8");
    round_trip<db::Oid>(wire, static_cast<db::Oid>(4294967295U), "4294967295", "oid");
    round_trip<bool>(wire, true, "true", "bool");
    round_trip<bool>(wire, false, "false", "bool");
    CHECK(wire.value<std::uint64_t>("select '18446744073709551615'::xid8") == 18446744073709551615U);
    CHECK(wire.value<unsigned>("select '4294967295'::xid") == 4294967295U);
    CHECK_THROWS_AS(wire.value<int>("select 2147483648"), db::ConversionError);
    CHECK_THROWS_AS(wire.value<std::int16_t>("select 32768"), db::ConversionError);
    CHECK_THROWS_AS(wire.value<std::int8_t>("select (-129)::int2"), db::ConversionError);
    CHECK_THROWS_AS(wire.value<unsigned>("select -1"), db::ConversionError);
    CHECK_THROWS_AS(wire.value<std::int64_t>("select '18446744073709551615'::xid8"), db::ConversionError);
    CHECK_THROWS_AS(db::Params::of(std::uint64_t{9223372036854775808U}), db::ParameterError);
}

TEST_CASE("an int finds its way into columns of other widths", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    wire.query("create table t (a int2, b int4, c int8, d numeric, e float8, f text)");
    wire.query("insert into t values ($1, $2, $3, $4, $5, $6)", db::Params::of(18, 18L, 18, 18, 18, "x"));
    for (const char* column : {"a", "b", "c", "d", "e"}) {
        INFO(column);
        std::string sql = std::string("select count(*) from t where ") + column + " > $1";
        CHECK(wire.value<int>(sql, db::Params::of(17)) == 1);
        CHECK(wire.value<int>(sql, db::Params::of(17L)) == 1);
        CHECK(wire.value<int>(sql, db::Params::of(std::int16_t{17})) == 1);
    }
    CHECK(wire.value<int>("select count(*) from t limit $1", db::Params::of(1)) == 1);
    CHECK_THROWS_AS(wire.query("insert into t (a) values ($1)", db::Params::of(40000)), db::Error);
}

TEST_CASE("TYP-03: floating point numbers keep every bit", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    round_trip<double>(wire, std::numeric_limits<double>::infinity(), "'Infinity'", "float8");
    round_trip<double>(wire, -std::numeric_limits<double>::infinity(), "'-Infinity'", "float8");
    round_trip<double>(wire, std::numeric_limits<double>::denorm_min(), "5e-324", "float8");
    round_trip<double>(wire, std::numeric_limits<double>::max(), "1.7976931348623157e308", "float8");
    round_trip<double>(wire, 0.1, "0.1", "float8");
    round_trip<float>(wire, 0.1F, "0.1", "float4");
    round_trip<float>(wire, std::numeric_limits<float>::denorm_min(), "'1e-45'", "float4");
    for (auto format : {db::Format::binary, db::Format::text}) {
        CHECK(std::isnan(wire.value<double>("select 'NaN'::float8", {}, format)));
        CHECK(std::signbit(wire.value<double>("select '-0'::float8", {}, format)));
        CHECK(wire.value<double>("select 0.1::float4", {}, format) == static_cast<double>(0.1F));
    }
    CHECK(wire.value<bool>("select $1 = 'NaN'::float8", db::Params::of(std::nan(""))));
    CHECK_THROWS_AS(wire.value<float>("select 0.1::float8"), db::ConversionError);
}

TEST_CASE("TYP-04: a numeric is its digits, never a double", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    std::string many(131072, '7');
    for (std::string text :
         {std::string("0"), std::string("0.00"), std::string("-0.0001"), std::string("10000"), std::string("99999999"),
          std::string("-12.50"), std::string("NaN"), std::string("Infinity"), std::string("-Infinity"),
          std::string("1") + std::string(1000, '0'), "0." + std::string(999, '0') + "1", std::string("1234.56780000"),
          many, std::string("0.") + std::string(16383, '3')}) {
        round_trip<db::Numeric>(wire, db::Numeric(text), "'" + text + "'", "numeric");
    }
    CHECK(wire.value<db::Numeric>("select $1::numeric", db::Params::of(db::Numeric("1e3"))).to_string() == "1000");
    for (const char* bad : {"", "-", ".", "1.2.3", "0x10", "1e", "nan", "1 ", "1;drop"}) {
        INFO(bad);
        CHECK_THROWS_AS(db::Numeric(bad), coaio::ValueError);
    }
}

TEST_CASE("TYP-05: text of any length and character, and never a NUL", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    round_trip<std::string>(wire, "", "''", "text");
    round_trip<std::string>(wire, "grüße 𝄞 \\ \" '", "'grüße 𝄞 \\ \" '''", "text");
    std::string large(1 << 20, 'x');
    CHECK(wire.value<std::string>("select $1::text", db::Params::of(large)) == large);
    CHECK(wire.value<std::string>("select $1::varchar", db::Params::of("abc")) == "abc");
    CHECK(wire.value<std::string>("select 'abc'::char(5)") == "abc  ");
    CHECK(wire.value<std::string>("select 'abc'::name") == "abc");
    CHECK(wire.value<std::string>("select $1", db::Params::of("inferred")) == "inferred");
    CHECK_THROWS_AS(db::Params::of(std::string("a\0b", 3)), db::ParameterError);
    CHECK_THROWS_AS(db::Params::of(std::vector<std::string>{std::string("a\0b", 3)}), db::ParameterError);
    try {
        wire.query("select $1::text", db::Params::of("\xff\xfe"));
        FAIL("accepted");
    } catch (const db::Error& error) {
        CHECK(error.is(db::sqlstate::character_not_in_repertoire));
        CHECK(error.connection_good());
    }
    CHECK(wire.value<int>("select 1") == 1);
}

TEST_CASE("TYP-06: bytea is bytes", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    using Bytes = std::vector<std::byte>;
    round_trip<Bytes>(wire, {}, "''", "bytea");
    Bytes all(256);
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::byte>(i);
    CHECK(wire.value<Bytes>("select $1", db::Params::of(all)) == all);
    CHECK(wire.value<Bytes>("select $1", db::Params::of(all), db::Format::text) == all);
    wire.query("set bytea_output = escape");
    CHECK(wire.value<Bytes>("select $1", db::Params::of(std::span<const std::byte>(all)), db::Format::text) == all);
    Bytes large(64U << 20U, std::byte{0x5a});
    CHECK(wire.value<Bytes>("select $1", db::Params::of(large)) == large);
}

TEST_CASE("TYP-10 TYP-11: uuid, json, jsonb", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    auto uuid = db::Uuid::parse("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
    round_trip<db::Uuid>(wire, uuid, "'A0EEBC999C0B4EF8BB6D6BB9BD380A11'", "uuid");
    CHECK(uuid.to_string() == "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
    CHECK(db::Uuid::parse("{a0eebc99-9c0b4ef8-bb6d-6bb9bd380a11}") == uuid);
    for (const char* bad : {"", "a0eebc99", "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                            "a0eebc999c0b4ef8bb6d6bb9bd380a1111", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-"}) {
        CHECK_THROWS_AS(db::Uuid::parse(bad), coaio::ValueError);
    }

    std::string text = R"({"b" : [1, 2.50],  "a":"ü"})";
    wire.query("create table docs (j json, jb jsonb)");
    wire.query("insert into docs values ($1, $2)", db::Params::of(db::Json(text), db::Json(text)));
    CHECK(wire.value<db::Json>("select j from docs").text() == text);
    CHECK(wire.value<db::Json>("select jb from docs").text() == R"({"a": "ü", "b": [1, 2.50]})");
    CHECK(wire.value<std::string>("select jb from docs") == R"({"a": "ü", "b": [1, 2.50]})");
    CHECK(wire.value<int>("select count(*) from docs where jb @> $1", db::Params::of(db::Json(R"({"a":"ü"})"))) == 1);
    db::Encoded future{db::Oid::jsonb, db::Format::binary, "\2{}"};
    CHECK_THROWS_AS(db::Codec<db::Json>::decode(future), coaio::ValueError);
}

TEST_CASE("TYP-10 TYP-17: what has no type here travels as its text", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    for (const auto& [type, text] :
         std::vector<std::pair<std::string, std::string>>{{"inet", "10.0.0.1"},
                                                          {"inet", "10.0.0.1/8"},
                                                          {"inet", "::1"},
                                                          {"inet", "fe80::1/64"},
                                                          {"cidr", "10.1.0.0/16"},
                                                          {"cidr", "2001:db8::/32"},
                                                          {"macaddr", "08:00:2b:01:02:03"},
                                                          {"macaddr8", "08:00:2b:01:02:03:04:05"},
                                                          {"bit(3)", "101"},
                                                          {"varbit", ""},
                                                          {"varbit", "1"},
                                                          {"varbit", "101100111"},
                                                          {"money", "-$1,234.50"},
                                                          {"interval", "1 day 02:00:00"},
                                                          {"time", "23:59:59.999999"},
                                                          {"timetz", "12:00:00+02"},
                                                          {"point", "(1,2)"},
                                                          {"tsvector", "'a' 'b'"},
                                                          {"pg_lsn", "16/B374D848"}}) {
        INFO(type << " " << text);
        const std::string sql = "select $1::" + type;
        CHECK(wire.value<std::string>(sql, db::Params::of(text), db::Format::text) == text);
        const db::Rows raw = wire.query(sql, db::Params::of(text), db::Format::binary);
        CHECK_FALSE(raw.value<db::Raw>().bytes().empty());
        CHECK_THROWS_AS(raw.value<std::string>(), db::ConversionError);
    }
    for (auto format : {db::Format::binary, db::Format::text}) {
        CHECK(wire.value<std::string>("select $1::\"char\"", db::Params::of("x"), format) == "x");
        CHECK(wire.value<std::string>("select ''::\"char\"", {}, format).empty());
        CHECK(wire.value<std::string>("select (-1)::\"char\"", {}, format) == "\\377");
        CHECK(wire.value<std::string>("select (-128)::\"char\"", {}, format) == "\\200");
        CHECK(wire.value<std::string>("select $1::name", db::Params::of("a name"), format) == "a name");
        CHECK(wire.value<std::string>("select $1::xml", db::Params::of("<a/>"), format) == "<a/>");
    }
}

TEST_CASE("nlohmann::json goes in and out of json and jsonb", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    nlohmann::json document = {{"a", {1, 2.5, nullptr}}, {"ü", "x"}};
    for (auto format : {db::Format::binary, db::Format::text}) {
        CHECK(wire.value<nlohmann::json>("select $1::jsonb", db::Params::of(document), format) == document);
        CHECK(wire.value<nlohmann::json>("select $1::json", db::Params::of(document), format) == document);
    }
    CHECK_FALSE(wire.value<std::optional<nlohmann::json>>("select null::jsonb"));
    CHECK_THROWS_AS(db::Params::of(nlohmann::json("\xff")), db::ParameterError);
    db::Encoded broken{db::Oid::json, db::Format::text, "{"};
    CHECK_THROWS_AS(db::Codec<nlohmann::json>::decode(broken), coaio::ValueError);
}

TEST_CASE("TYP-07: timestamps and dates from the beginning to the end of time", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    using Micros = std::chrono::sys_time<std::chrono::microseconds>;
    using Local = std::chrono::local_time<std::chrono::microseconds>;
    std::chrono::sys_days day(std::chrono::year(2024) / 2 / 29);
    round_trip<Micros>(wire, day + 23h + 59min + 59s + 123456us, "'2024-02-29 23:59:59.123456+00'", "timestamptz");
    round_trip<Micros>(wire, Micros(-1us), "'1969-12-31 23:59:59.999999+00'", "timestamptz");
    round_trip<std::chrono::sys_seconds>(wire, std::chrono::sys_seconds(0s), "'1970-01-01 00:00+00'", "timestamptz");
    round_trip<Local>(wire, Local(day.time_since_epoch() + 1us), "'2024-02-29 00:00:00.000001'", "timestamp");
    round_trip<std::chrono::sys_days>(wire, day, "'2024-02-29'", "date");
    round_trip<std::chrono::year_month_day>(wire, std::chrono::year(-4712) / 1 / 1, "'4713-01-01 BC'", "date");

    round_trip<db::Timestamp>(wire, db::Timestamp::infinity(), "'infinity'", "timestamptz");
    round_trip<db::Timestamp>(wire, db::Timestamp::minus_infinity(), "'-infinity'", "timestamptz");
    using db::LocalTimestamp;
    round_trip<LocalTimestamp>(wire, LocalTimestamp::infinity(), "'infinity'", "timestamp");
    round_trip<LocalTimestamp>(wire, LocalTimestamp(Local(day.time_since_epoch() + 1us)),
                               "'2024-02-29 00:00:00.000001'", "timestamp");
    round_trip<std::vector<LocalTimestamp>>(wire, {LocalTimestamp::minus_infinity()}, "'{-infinity}'", "timestamp[]");
    CHECK(LocalTimestamp(Local(1us)).to_local() == Local(1us));
    CHECK_THROWS_AS(wire.value<LocalTimestamp>("select 'infinity'::timestamptz"), db::ConversionError);
    CHECK_THROWS_WITH(wire.value<db::Timestamp>("select 'infinity'::timestamp"), tests::contains("LocalTimestamp"));
    CHECK_THROWS_WITH(wire.value<Local>("select 'infinity'::timestamp"), tests::contains("LocalTimestamp"));
    round_trip<db::Date>(wire, db::Date::infinity(), "'infinity'", "date");
    round_trip<db::Date>(wire, db::Date::minus_infinity(), "'-infinity'", "date");
    round_trip<db::Date>(wire, db::Date::from_days_since_2000(2145031948), "'5874897-12-31'", "date");
    std::string first = "'4714-11-24 00:00+00 BC'";
    std::string last = "'294276-12-31 23:59:59.999999+00'";
    round_trip<db::Timestamp>(wire, db::Timestamp::from_micros_since_2000(9223371331199999999), last, "timestamptz");
    CHECK(wire.value<std::chrono::sys_seconds>("select " + first + "::timestamptz").time_since_epoch() ==
          -210866803200s);
    CHECK(wire.value<std::chrono::sys_seconds>("select " + last + "::timestamptz").time_since_epoch() ==
          9224318015999s);
    CHECK_THROWS_AS(wire.value<Micros>("select " + last + "::timestamptz"), db::ConversionError);
    CHECK_THROWS_AS(wire.value<std::chrono::system_clock::time_point>("select '1600-01-01'::timestamptz"),
                    db::ConversionError);
    CHECK_THROWS_AS(wire.value<Micros>("select 'infinity'::timestamptz"), db::ConversionError);
    CHECK_THROWS_AS(wire.value<std::chrono::sys_days>("select 'infinity'::date"), db::ConversionError);
    CHECK_THROWS_AS(wire.value<std::chrono::year_month_day>("select '40000-01-01'::date"), db::ConversionError);
    CHECK_THROWS_AS(db::Params::of(std::chrono::sys_seconds::max()), db::ParameterError);
    CHECK_THROWS_AS(db::Params::of(Micros::min()), db::ParameterError);
    // The first and the last that Postgres holds, and those beyond.
    const std::chrono::sys_seconds first_time(946'684'800s - 211'813'488'000s);
    const std::chrono::sys_seconds end_of_times(946'684'800s + 9'223'371'331'200s);
    round_trip<std::chrono::sys_seconds>(wire, first_time, first, "timestamptz");
    CHECK_THROWS_AS(db::Params::of(first_time - 1us), db::ParameterError);
    CHECK_NOTHROW(db::Params::of(end_of_times - 1s));
    CHECK_THROWS_AS(db::Params::of(end_of_times), db::ParameterError);
    CHECK_THROWS_AS(db::Params::of(Local(first_time.time_since_epoch() - 1us)), db::ParameterError);
    CHECK_THROWS_AS(db::Timestamp(first_time - 1us), coaio::ValueError);
    const std::chrono::sys_days millennium(std::chrono::days(10957));
    CHECK_NOTHROW(db::Date(millennium - std::chrono::days(2'451'545)));
    CHECK_THROWS_AS(db::Date(millennium - std::chrono::days(2'451'546)), coaio::ValueError);
    CHECK_NOTHROW(db::Date(millennium + std::chrono::days(2'145'031'948)));
    CHECK_THROWS_AS(db::Date(millennium + std::chrono::days(2'145'031'949)), coaio::ValueError);
    CHECK_NOTHROW(db::Params::of(std::chrono::system_clock::time_point::max()));

    for (const char* zone : {"Asia/Kolkata", "America/St_Johns", "UTC"}) {
        INFO(zone);
        wire.query(std::string("set timezone = '") + zone + "'");
        for (const char* text : {"'2024-02-29 23:59:59.5+00'", "'1850-06-01 12:00+00'", "'0044-03-15 12:00+00 BC'"}) {
            INFO(text);
            std::string sql = std::string("select ") + text + "::timestamptz";
            CHECK(wire.value<db::Timestamp>(sql, {}, db::Format::text) == wire.value<db::Timestamp>(sql));
        }
    }
}

TEST_CASE("TYP-12: arrays with NULLs, dimensions and other bounds", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    using Ints = std::vector<int>;
    round_trip<Ints>(wire, {1, -2, 3}, "'{1,-2,3}'", "int[]");
    round_trip<Ints>(wire, {}, "'{}'", "int[]");
    round_trip<std::vector<std::optional<int>>>(wire, {1, std::nullopt}, "'{1,NULL}'", "int[]");
    round_trip<std::vector<Ints>>(wire, {{1, 2}, {3, 4}, {5, 6}}, "'{{1,2},{3,4},{5,6}}'", "int[]");
    std::vector<std::vector<std::vector<bool>>> cube = {{{true}, {false}}, {{false}, {true}}};
    round_trip(wire, cube, "'{{{t},{f}},{{f},{t}}}'", "bool[]");
    std::vector<std::string> words = {"", "NULL", "a,b", "{x}", "q\"\\ ", "ü", "null"};
    round_trip(wire, words, R"('{"","NULL","a,b","{x}","q\"\\ ",ü,"null"}')", "text[]");
    std::vector<std::optional<std::string>> some = {"NULL", std::nullopt};
    round_trip(wire, some, R"('{"NULL",NULL}')", "text[]");
    std::vector<db::Numeric> decimals = {db::Numeric("1.50"), db::Numeric("-3")};
    round_trip(wire, decimals, "'{1.50,-3}'", "numeric[]");
    std::vector<db::Uuid> ids(3);
    CHECK(wire.value<std::vector<db::Uuid>>("select $1", db::Params::of(ids)) == ids);
    std::vector<std::vector<std::byte>> blobs = {{}, {std::byte{0}, std::byte{255}}};
    round_trip(wire, blobs, R"('{"","\\x00ff"}')", "bytea[]");
    for (auto format : {db::Format::binary, db::Format::text}) {
        CHECK(wire.value<Ints>("select '[-3:-1]={7,8,9}'::int[]", {}, format) == Ints{7, 8, 9});
        CHECK_THROWS_AS(wire.value<Ints>("select '{{1},{2}}'::int[]", {}, format), db::ConversionError);
        CHECK_THROWS_AS(wire.value<Ints>("select '{1,NULL}'::int[]", {}, format), db::ConversionError);
        CHECK_THROWS_AS(wire.value<Ints>("select 1", {}, format), db::ConversionError);
        CHECK_THROWS_AS(wire.value<std::vector<std::int16_t>>("select '{70000}'::int[]", {}, format),
                        db::ConversionError);
    }
    CHECK(wire.value<int>("select count(*) from unnest($1) u where u = any($2)",
                          db::Params::of(words, std::vector<std::string>{"NULL", "ü"})) == 2);
    std::vector<std::string> large(10, std::string(1 << 20, 'x'));
    CHECK(wire.value<std::vector<std::string>>("select $1", db::Params::of(large)) == large);
    using Six = std::vector<std::vector<std::vector<std::vector<std::vector<Ints>>>>>;
    round_trip(wire, Six{{{{{{1, 2}, {3, 4}}}}}}, "'{{{{{{1,2},{3,4}}}}}}'", "int[]");
    wire.query("create type mood as enum ('sad', 'ok')");
    wire.query("create table moods (m mood[])");
    using Moods = std::vector<std::vector<std::optional<Mood>>>;
    const Moods moods = {{Mood::ok, std::nullopt}, {Mood::sad, Mood::ok}};
    wire.query("insert into moods values ($1)", db::Params::of(moods));
    CHECK(wire.value<Moods>("select m from moods", {}, db::Format::text) == moods);
    CHECK_THROWS_AS(db::Params::of(std::vector<Ints>{{1, 2}, {3}}), db::ParameterError);
    CHECK_THROWS_AS(db::Params::of(std::vector<std::vector<Ints>>{{}, {{1}}}), db::ParameterError);
    CHECK_NOTHROW(db::Params::of(std::vector<std::vector<Ints>>{{}, {}}));
}

TEST_CASE("TYP-14 TYP-15 TYP-17: enums, domains, void, and types this module does not know", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    wire.query("create schema other");
    wire.query("create type other.mood as enum ('sad', 'ok')");
    wire.query("create domain age as int check (value >= 0)");
    for (auto format : {db::Format::binary, db::Format::text}) {
        CHECK(wire.value<Mood>("select $1::other.mood", db::Params::of(Mood::ok), format) == Mood::ok);
        CHECK(wire.value<int>("select 7::age", {}, format) == 7);
        CHECK(wire.query("select from pg_class limit 2", {}, format).size() == 2);
        CHECK(wire.value<std::string>("select pg_sleep(0)", {}, format).empty());
    }
    CHECK(wire.value<db::Raw>("select '10.0.0.1'::inet").bytes().size() == 8);
    CHECK(wire.value<std::vector<std::string>>("select '{sad,ok}'::other.mood[]", {}, db::Format::text).size() == 2);
    CHECK_THROWS_AS(wire.value<std::string>("select '10.0.0.1'::inet"), db::ConversionError);
    CHECK_THROWS_AS(wire.value<std::string>("select 1"), db::ConversionError);
    wire.query("alter type other.mood add value 'new'");
    CHECK_THROWS_AS(wire.value<Mood>("select 'new'::other.mood"), db::ConversionError);
}

namespace {

/// The value, and an array of it with a NULL, read in both formats.
template <class T>
void same_in_both(Wire& wire, const std::string& literal) {
    INFO(literal);
    const std::string sql = "select " + literal;
    CHECK((wire.value<T>(sql) == wire.value<T>(sql, {}, db::Format::text)));
    using Some = std::vector<std::optional<T>>;
    const std::string array = "select array[" + literal + ", null, " + literal + "]";
    const Some read = wire.value<Some>(array);
    CHECK((read == wire.value<Some>(array, {}, db::Format::text)));
    REQUIRE(read.size() == 3);
    CHECK((read[2] == wire.value<T>(sql)));
}

}  // namespace

TEST_CASE("TYP-23: every type has the same value in both formats, by itself and in an array", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    same_in_both<bool>(wire, "true");
    for (const char* number : {"0", "-1", "32767", "-32768"}) {
        same_in_both<std::int16_t>(wire, "(" + std::string(number) + ")::int2");
        same_in_both<int>(wire, "(" + std::string(number) + ")::int4");
        same_in_both<std::int64_t>(wire, "(" + std::string(number) + ")::int8");
        same_in_both<db::Numeric>(wire, "(" + std::string(number) + ")::numeric(12,2)");
    }
    same_in_both<db::Oid>(wire, "4294967295::oid");
    same_in_both<std::uint64_t>(wire, "'18446744073709551615'::xid8");
    for (const char* number : {"'-0'", "'Infinity'", "'-Infinity'", "0.1", "1e-45", "3.4028235e38", "16777217"}) {
        same_in_both<float>(wire, std::string(number) + "::float4");
        same_in_both<double>(wire, std::string(number) + "::float4");
        same_in_both<double>(wire, std::string(number) + "::float8");
    }
    for (const char* type : {"text", "varchar", "char(9)", "name"}) {
        same_in_both<std::string>(wire, R"('a"\,{} ü'::)" + std::string(type));
    }
    same_in_both<std::vector<std::byte>>(wire, R"('\x005cff22'::bytea)");
    same_in_both<db::Uuid>(wire, "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid");
    same_in_both<db::Json>(wire, R"('{"a": [1, "x\"y"]}'::json)");
    same_in_both<nlohmann::json>(wire, R"('{"a": [1, "x\"y", null]}'::jsonb)");
    for (const char* zone : {"UTC", "Asia/Kolkata", "America/St_Johns"}) {
        wire.query(std::string("set timezone = '") + zone + "'");
        for (const char* time : {"'4714-11-24 00:00 BC'", "'0001-12-31 BC'", "'1969-12-31 23:59:59.999999'",
                                 "'2000-02-29 12:00'", "'294276-12-30 23:59:59.999999'", "'infinity'", "'-infinity'"}) {
            same_in_both<db::Timestamp>(wire, std::string(time) + "::timestamp at time zone 'UTC'");
            same_in_both<db::Date>(wire, std::string(time) + "::timestamp::date");
        }
        same_in_both<std::chrono::local_time<std::chrono::microseconds>>(wire, "'2024-02-29 12:00:00.5'::timestamp");
        same_in_both<std::chrono::year_month_day>(wire, "'0044-03-15 BC'::date");
    }
}
