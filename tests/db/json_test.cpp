// SPDX-License-Identifier: MIT
#include <coaio/db/json.hpp>

#include "db/wire.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"

#include <nlohmann/json.hpp>

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
