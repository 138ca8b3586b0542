// SPDX-License-Identifier: MIT
// The listings of docs/types.md, compiled and run.
#include <coaio/core.hpp>
#include <coaio/db.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace {

// [enum]
enum class Size { small, large };
// [/enum]

// [composite]
struct Part {
    std::string name;
    std::optional<coaio::db::Numeric> price;
    Size size = Size::small;
};
// [/composite]

}  // namespace

// [enum_codec]
template <>
struct coaio::db::Codec<Size> : coaio::db::EnumCodec<Size> {
    static constexpr std::string_view name = "Size";
    static constexpr std::pair<Size, std::string_view> labels[] = {{Size::small, "small"}, {Size::large, "large"}};
};
// [/enum_codec]

// [composite_codec]
template <>
struct coaio::db::Codec<Part> : coaio::db::CompositeCodec<Part> {
    static constexpr std::string_view name = "Part";
};
// [/composite_codec]

namespace {

// [use]
coaio::Coro<std::size_t> parts_of(coaio::db::Pool pool, std::vector<Part> parts) {
    co_await pool.execute("insert into boxes (label, parts) values ($1, $2)", "first", parts);
    auto rows = co_await pool.query("select label, parts from boxes");
    std::size_t large = 0;
    for (auto [label, found] : rows.as<std::string, std::vector<Part>>()) {
        for (const Part& each : found) large += each.size == Size::large ? 1 : 0;
    }
    co_return large;
}
// [/use]

// [range]
using Days = coaio::db::Range<std::chrono::sys_days>;

coaio::Coro<bool> book(coaio::db::Pool pool, int room, Days days) {
    try {
        co_await pool.execute("insert into bookings (room, days) values ($1, $2)", room, days);
    } catch (const coaio::db::Error& error) {
        if (error.sqlstate() != "23P01") throw;
        co_return false;  // the room is taken then: bookings has an exclusion constraint
    }
    co_return true;
}
// [/range]

coaio::Coro<> use_types(std::string url) {
    auto pool = co_await coaio::db::Pool::connect(url);
    std::vector<Part> parts(2);
    parts[0].name = "a \"bolt\", large";
    parts[0].size = Size::large;
    const auto large = co_await parts_of(pool, parts);
    CHECK(large == 1);
    const std::chrono::sys_days day(std::chrono::year(2026) / 11 / 22);
    const Days few(day, day + std::chrono::days(3));
    const Days later(day + std::chrono::days(3), std::nullopt);
    const bool first = co_await book(pool, 1, few);
    const bool second = co_await book(pool, 1, few);
    const bool third = co_await book(pool, 1, later);
    CHECK(first);
    CHECK_FALSE(second);
    CHECK(third);
    co_await pool.close();
}

}  // namespace

TEST_CASE("the listings of docs/types.md do what the page says", "[pgtest]") {
    tests::Database database;
    database.sql(
        "create type size as enum ('small', 'large');"
        "create type part as (name text, price numeric, size size);"
        "create table boxes (label text, parts part[]);"
        "create table bookings (room int, days daterange, exclude using gist (int4range(room, room, '[]') with &&,"
        " days with &&))");
    coaio::run(use_types(database.conninfo()));
}
