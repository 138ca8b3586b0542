// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>
#include <coaio/db/detail/user_types.hpp>
#include <coaio/db/json.hpp>

#include <coaio/core/run.hpp>

#include "db/fake_rows.hpp"
#include "db/wire.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"

#include <nlohmann/json.hpp>

#include <clocale>

namespace db = coaio::db;
using nlohmann::json;
using tests::Wire;

TEST_CASE("rows become JSON, whatever form they came in", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    wire.query("set time zone 'Asia/Kolkata'");
    constexpr const char* sql =
        "select true as yes, 7::int2 as small, -9223372036854775808 as large, '18446744073709551615'::xid8 as huge, "
        "0.1::float4 as real, 2.5::float8 as double, 'NaN'::float8 as nan, '-infinity'::float4 as least, "
        "12.50::numeric as price, null::text as nothing, 'a \"word\"' as word, '{\"a\": [1, null]}'::jsonb as doc, "
        "array[[1, 2], [3, null]] as matrix, '{}'::text[] as none, array['x', null] as texts, "
        "array['{\"b\": 1}'::json] as docs, '\\x00ff'::bytea as bytes, "
        "'b3b7ff29-5c0d-4a3b-8a6c-0d5f3b9d2a11'::uuid as id, date '2024-02-29' as day, "
        "timestamptz '2024-02-29 23:59:59.5+00' as at, timestamptz 'infinity' as never, int4range(1, 3) as range";
    const json expected = {{"yes", true},
                           {"small", 7},
                           {"large", std::numeric_limits<std::int64_t>::min()},
                           {"huge", std::numeric_limits<std::uint64_t>::max()},
                           {"real", 0.1},
                           {"double", 2.5},
                           {"nan", "NaN"},
                           {"least", "-Infinity"},
                           {"price", "12.50"},
                           {"nothing", nullptr},
                           {"word", "a \"word\""},
                           {"doc", {{"a", {1, nullptr}}}},
                           {"matrix", {{1, 2}, {3, nullptr}}},
                           {"none", json::array()},
                           {"texts", {"x", nullptr}},
                           {"docs", json::array({{{"b", 1}}})},
                           {"bytes", "\\x00ff"},
                           {"id", "b3b7ff29-5c0d-4a3b-8a6c-0d5f3b9d2a11"},
                           {"day", "2024-02-29"},
                           {"at", "2024-02-29T23:59:59.500000+00:00"},
                           {"never", "infinity"},
                           {"range", "[1,3)"}};
    for (const auto format : {db::Format::binary, db::Format::text}) {
        const db::Rows rows = wire.query(sql, {}, format);
        CHECK(db::to_json(rows.front()) == expected);
        CHECK(db::to_json(rows) == json::array({expected}));
        CHECK(db::to_json(rows.front().at("price")) == "12.50");
    }
    CHECK(db::to_json(wire.query("select 1 where false")) == json::array());
}

TEST_CASE("what JSON cannot tell apart or has no form for is an error", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    CHECK_THROWS_AS(db::to_json(wire.query("select 1 as a, 2 as a")), db::ConversionError);
    const db::Rows composite = wire.query("select row(1, 'x') as pair", {}, db::Format::binary);
    CHECK_THROWS_AS(db::to_json(composite), db::ConversionError);
    const db::Rows cast = wire.query("select to_json(row(1, 'x')) as pair");
    CHECK(db::to_json(cast) == json::array({{{"pair", {{"f1", 1}, {"f2", "x"}}}}}));
}

namespace {

coaio::Coro<> users_ranges(std::string url) {
    const auto connection = co_await db::Connection::connect(url);
    co_await connection.execute("create type mood as enum ('sad', 'so so', 'ok')");
    co_await connection.execute("create type moods as range (subtype = mood)");
    co_await connection.execute("create domain weight as float8");
    co_await connection.execute("create type span as range (subtype = weight)");
    const db::Rows rows = co_await connection.query("select span(0.5, 2) as span, 'empty'::span as none, "
                                                    "array[span(null, 1)] as spans, span_multirange(span(1, 2)) "
                                                    "as many, moods('sad', 'so so') as moods");
    CHECK(rows.column(0).format == db::Format::binary);
    const json expected = {
        {"span", "[0.5,2)"}, {"none", "empty"}, {"spans", {"(,1)"}}, {"many", "{[1,2)}"}, {"moods", "[sad,\"so so\")"}};
    CHECK(db::to_json(rows) == json::array({expected}));
}

}  // namespace

TEST_CASE("ranges of users become JSON in their binary form too", "[pgtest]") {
    tests::Database database;
    coaio::run(users_ranges(database.conninfo()));
}

TEST_CASE("a document with a number that no double holds says so") {
    const db::Rows rows = tests::fake_rows({{"doc", db::Oid::jsonb}}, {{"[1e400]"}});
    CHECK_THROWS_WITH(db::to_json(rows), tests::contains("range of double"));
    const db::Rows broken = tests::fake_rows({{"doc", db::Oid::jsonb}}, {{"[1e40"}});
    CHECK_THROWS_WITH(db::to_json(broken), tests::contains("not a JSON document"));
}

TEST_CASE("a float becomes JSON whatever the locale's decimal point is") {
    const std::string before = std::setlocale(LC_NUMERIC, nullptr);
    static_cast<void>(std::setlocale(LC_NUMERIC, "de_DE.UTF-8"));  // where there is one
    const json read = db::to_json(tests::fake_rows({{"x", db::Oid::float4}}, {{"0.25"}}).front());
    std::setlocale(LC_NUMERIC, before.c_str());
    CHECK(read == json{{"x", 0.25}});
}

TEST_CASE("TYP-22: an array that holds itself, as a hostile catalog has it, becomes no JSON, and nothing worse") {
    constexpr auto nest = static_cast<db::Oid>(20001);
    constexpr auto range = static_cast<db::Oid>(20002);
    auto types = std::make_shared<db::detail::UserTypes>();
    types->add(nest, {"nest[]", db::detail::UserKind::array, nest});
    types->add(range, {"range", db::detail::UserKind::range, range});
    const auto json_of = [&types](db::Oid type, const std::string& bytes) {
        auto data =
            std::make_shared<tests::FakeRows>(std::vector<tests::FakeRows::FakeColumn>{{"x", type, db::Format::binary}},
                                              std::vector<std::vector<tests::FakeRows::Cell>>{{bytes}});
        data->set_types(types);
        return db::to_json(db::Rows(data));
    };
    const auto wrapped = [](int levels, bool in_array) {
        std::string bytes(12, '\0');  // an array of no dimensions, or nothing of a range
        if (!in_array) bytes = "\1";
        if (in_array) {
            bytes.clear();
            db::Encoder out(bytes);
            for (const auto each : {0, 0, static_cast<int>(nest)}) out.put_int32(each);
        }
        for (int i = 0; i < levels; ++i) {
            std::string outer;
            db::Encoder out(outer);
            if (in_array) {
                for (const auto each : {1, 0, static_cast<int>(nest), 1, 1}) out.put_int32(each);
            } else {
                out.put_bytes("\x10");
            }
            out.put_int32(static_cast<std::int32_t>(bytes.size()));
            out.put_bytes(bytes);
            bytes = std::move(outer);
        }
        return bytes;
    };
    CHECK(json_of(nest, wrapped(2, true)) == json::array({{{"x", json::array({json::array({json::array()})})}}}));
    CHECK(json_of(range, wrapped(1, false)) == json::array({{{"x", "(empty,)"}}}));
    for (const int levels : {100, 4000}) {
        CHECK_THROWS_AS(json_of(nest, wrapped(levels, true)), db::ConversionError);
        CHECK_THROWS_AS(json_of(range, wrapped(levels, false)), db::ConversionError);
    }
}
