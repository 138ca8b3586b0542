// SPDX-License-Identifier: MIT
#include <coaio/db/range.hpp>

#include "db/round_trip.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"

#include <cstdint>

namespace db = coaio::db;
using tests::round_trip;
using tests::Wire;

namespace {

using Ints = db::Range<int>;

}  // namespace

TEST_CASE("a range holds what lies between its bounds") {
    const Ints few(1, 4);
    CHECK(few.contains(1));
    CHECK(few.contains(3));
    CHECK_FALSE(few.contains(0));
    CHECK_FALSE(few.contains(4));
    const Ints closed(1, 4, Ints::Bound::exclusive, Ints::Bound::inclusive);
    CHECK_FALSE(closed.contains(1));
    CHECK(closed.contains(4));
    CHECK_FALSE(closed.contains(5));
    CHECK(Ints().contains(7));
    CHECK_FALSE(Ints::empty().contains(7));
    CHECK(Ints(std::nullopt, 4).contains(-100));
    CHECK_FALSE(Ints(std::nullopt, 4, Ints::Bound::inclusive).lower_inclusive());
    CHECK(Ints(1, 4) != closed);
    CHECK(Ints(4, 4) != Ints::empty());
}

TEST_CASE("TYP-14 TYP-23: ranges go both ways, with any bounds, in both formats", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    round_trip(wire, Ints(1, 4), "'[1,3]'", "int4range");
    round_trip(wire, Ints(), "'(,)'", "int4range");
    round_trip(wire, Ints::empty(), "'empty'", "int4range");
    round_trip(wire, Ints(std::nullopt, -4), "'(,-4)'", "int4range");
    round_trip(wire, db::Range<std::int64_t>(-9'000'000'000, std::nullopt), "'[-9000000000,)'", "int8range");
    using Decimals = db::Range<db::Numeric>;
    const Decimals decimals(db::Numeric("-1.50"), db::Numeric("2"), Decimals::Bound::exclusive,
                            Decimals::Bound::inclusive);
    round_trip(wire, decimals, "'(-1.50,2]'", "numrange");
    round_trip(wire, Decimals(std::nullopt, db::Numeric("Infinity")), "'(,Infinity)'", "numrange");
    const std::chrono::sys_days day(std::chrono::year(2024) / 2 / 28);
    round_trip(wire, db::Range<std::chrono::sys_days>(day, day + std::chrono::days(2)), "'[2024-02-28,2024-02-29]'",
               "daterange");
    round_trip(wire, db::Range<db::Date>(db::Date(day), db::Date::infinity()), "'[2024-02-28,infinity)'", "daterange");
    using Micros = std::chrono::microseconds;
    using Locals = db::Range<std::chrono::local_time<Micros>>;
    const std::chrono::local_time<Micros> noon(day.time_since_epoch() + std::chrono::hours(12));
    round_trip(wire, Locals(noon, noon + Micros(1), Locals::Bound::inclusive, Locals::Bound::inclusive),
               "'[2024-02-28 12:00,2024-02-28 12:00:00.000001]'", "tsrange");
    using Times = db::Range<db::Timestamp>;
    round_trip(wire, Times(db::Timestamp::minus_infinity(), db::Timestamp(std::chrono::sys_seconds(day))),
               "'[-infinity,2024-02-28 00:00+00)'", "tstzrange");
    round_trip(wire, std::vector<Ints>{Ints(1, 4), Ints::empty(), Ints()}, "'{\"[1,4)\",empty,\"(,)\"}'",
               "int4range[]");

    // What is no normal form is brought into it by the server.
    CHECK(wire.value<Ints>("select $1", db::Params::of(Ints(1, 3, Ints::Bound::exclusive, Ints::Bound::inclusive))) ==
          Ints(2, 4));
    CHECK(wire.value<Ints>("select $1", db::Params::of(Ints(4, 4))) == Ints::empty());
    CHECK(wire.value<bool>("select 3 <@ $1", db::Params::of(Ints(1, 4))));
    CHECK_FALSE(wire.value<std::optional<Ints>>("select null::int4range"));
    CHECK_THROWS_AS(wire.query("select $1", db::Params::of(Ints(4, 1))), db::Error);
    for (auto format : {db::Format::binary, db::Format::text}) {
        CHECK_THROWS_AS(wire.value<db::Range<std::int16_t>>("select '[1,70000)'::int4range", {}, format),
                        db::ConversionError);
        CHECK_THROWS_AS(wire.value<Ints>("select '[2024-01-01,)'::daterange", {}, format), db::ConversionError);
        CHECK_THROWS_AS(wire.value<Ints>("select 1", {}, format), db::ConversionError);
        CHECK_THROWS_AS(wire.value<int>("select '[1,2)'::int4range", {}, format), db::ConversionError);
    }
}

TEST_CASE("TYP-14 TYP-23: multiranges go both ways, in both formats", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    using Many = db::Multirange<int>;
    round_trip(wire, Many(), "'{}'", "int4multirange");
    round_trip(wire, Many({Ints(std::nullopt, 1), Ints(3, 5), Ints(9, std::nullopt)}), "'{(,1),[3,5),[9,)}'",
               "int4multirange");
    using Decimals = db::Multirange<db::Numeric>;
    round_trip(wire, Decimals({db::Range<db::Numeric>(db::Numeric("1.0"), db::Numeric("2.5"))}), "'{[1.0,2.5)}'",
               "nummultirange");
    const std::chrono::sys_days day(std::chrono::year(2024) / 2 / 28);
    round_trip(wire, db::Multirange<std::chrono::sys_days>({{day, day + std::chrono::days(1)}}),
               "'{[2024-02-28,2024-02-29)}'", "datemultirange");
    round_trip(wire, db::Multirange<std::chrono::sys_seconds>({{day, day + std::chrono::hours(1)}}),
               "'{[2024-02-28 00:00+00,2024-02-28 01:00+00)}'", "tstzmultirange");
    round_trip(wire, std::vector<Many>{Many(), Many({Ints(1, 2)})}, "'{\"{}\",\"{[1,2)}\"}'", "int4multirange[]");
    CHECK(wire.value<Many>("select $1", db::Params::of(Many({Ints(3, 5), Ints(1, 3), Ints::empty()}))) ==
          Many({Ints(1, 5)}));
}
