// SPDX-License-Identifier: MIT
#include <coaio/db/row.hpp>

#include "db/fake_rows.hpp"
#include "support/catch.hpp"

namespace db = coaio::db;
using tests::fake_rows;

namespace {

struct User {
    int id = 0;
    std::string name;
    std::optional<double> score;
};

struct Named {
    std::string name;
    int id = 0;
};

db::Rows users() {
    return fake_rows({{"id", db::Oid::int4}, {"name", db::Oid::text}, {"score", db::Oid::float8}},
                     {{"1", "ann", "1.5"}, {"2", "bob", std::nullopt}}, "SELECT 2");
}

template <class F>
std::string problem_of(F&& call) {
    try {
        call();
    } catch (const db::ConversionError& error) {
        return error.what();
    }
    return "no error";
}

}  // namespace

template <>
struct coaio::db::Describe<Named> {
    static constexpr auto fields =
        std::make_tuple(coaio::db::field("name", &Named::name), coaio::db::field("id", &Named::id));
};

TEST_CASE("rows are read as tuples") {
    auto rows = users();
    std::string all;
    for (auto [id, name, score] : rows.as<int, std::string, std::optional<double>>()) {
        all += std::to_string(id) + name + (score ? "+" : "-");
    }
    CHECK(all == "1ann+2bob-");
    CHECK(rows.size() == 2);
    CHECK(rows.affected() == 2);
    CHECK(rows.command() == "SELECT 2");
}

TEST_CASE("rows are read as aggregates by position and as described structs by name") {
    auto rows = users();
    auto list = rows.as<User>().to_vector();
    REQUIRE(list.size() == 2);
    CHECK(list[0].name == "ann");
    CHECK(list[0].score == 1.5);
    CHECK(list[1].id == 2);
    CHECK_FALSE(list[1].score);
    auto named = rows.as<Named>().to_vector();
    CHECK(named[1].name == "bob");
    CHECK(named[1].id == 2);
}

TEST_CASE("a single column is read as its values, and one row by itself") {
    auto numbers = fake_rows({{"n", db::Oid::int8}}, {{"1"}, {"2"}, {"3"}});
    std::int64_t sum = 0;
    for (auto n : numbers.as<std::int64_t>()) sum += n;
    CHECK(sum == 6);
    auto one = fake_rows({{"n", db::Oid::int8}}, {{"7"}});
    CHECK(one.value<int>() == 7);
    CHECK(one.one<int>() == 7);
    CHECK(one.optional<int>() == 7);
    CHECK(users()[1].at("name").as<std::string>() == "bob");
    CHECK(users().front()[1].as<std::string_view>().size() == 3);
    auto [id, name, score] = users().front().as<int, std::string, double>();
    CHECK(id == 1);
    CHECK(name == "ann");
    CHECK(score == 1.5);
}

TEST_CASE("the rows outlive the variable they were in while they are gone through") {
    std::string all;
    auto mapped = users().as<int, std::string, std::optional<double>>();
    for (const auto& row : mapped) all += std::get<1>(row);
    CHECK(all == "annbob");
}

TEST_CASE("CUR-07: no row, one row, too many rows") {
    auto none = fake_rows({{"n", db::Oid::int4}});
    auto two = fake_rows({{"n", db::Oid::int4}}, {{"1"}, {"2"}});
    CHECK_FALSE(none.optional<int>());
    CHECK_FALSE(none.value<std::optional<int>>());
    CHECK_THROWS_AS(none.value<int>(), db::ConversionError);
    CHECK_THROWS_AS(none.one<int>(), db::ConversionError);
    CHECK_THAT(problem_of([&] { (void)two.value<int>(); }), tests::contains("2 rows"));
    CHECK_THROWS_AS(two.optional<int>(), db::ConversionError);
    CHECK_THROWS_AS(two.at(2), db::ConversionError);
    CHECK_THROWS_AS(two.front().at(1), db::ConversionError);
    CHECK_THROWS_AS(two.column(1), db::ConversionError);
    db::Rows empty;
    CHECK(empty.empty());
    CHECK(empty.column_count() == 0);
    CHECK(empty.affected() == 0);
}

TEST_CASE("TYP-18: a wrong type is refused before any row is handed out, naming both types") {
    auto rows = users();
    CHECK_THAT(problem_of([&] { (void)rows.as<std::string, std::string, double>(); }),
               tests::contains("\"id\"") && tests::contains("int4") && tests::contains("std::string"));
    auto none = fake_rows({{"t", db::Oid::timestamp}});
    CHECK_THAT(problem_of([&] { (void)none.as<std::chrono::sys_seconds>(); }), tests::contains("local_time"));
    auto inet = fake_rows({{"a", static_cast<db::Oid>(869), db::Format::binary}});
    CHECK_THAT(problem_of([&] { (void)inet.as<std::string>(); }),
               tests::contains("type 869") && tests::contains("::text"));
}

TEST_CASE("TYP-18: missing and surplus columns are refused") {
    auto rows = users();
    CHECK_THAT(problem_of([&] { (void)rows.as<int, std::string>(); }), tests::contains("3 columns"));
    CHECK_THAT(problem_of([&] { (void)rows.as<int, std::string, double, int>(); }), tests::contains("read as 4"));
    auto unnamed = fake_rows({{"id", db::Oid::int4}, {"Name", db::Oid::text}});
    CHECK_THAT(problem_of([&] { (void)unnamed.as<Named>(); }),
               tests::contains("\"name\"") && tests::contains("\"Name\""));
    auto twice = fake_rows({{"id", db::Oid::int4}, {"id", db::Oid::int4}}, {{"1", "2"}});
    CHECK_THAT(problem_of([&] { (void)twice.front().at("id"); }), tests::contains("two columns"));
}

TEST_CASE("TYP-16: NULL in a plain type names the column and the row") {
    auto rows = users();
    auto mapped = rows.as<int, std::string, double>();
    auto at = mapped.begin();
    CHECK_NOTHROW(*at);
    ++at;
    try {
        (void)*at;
        FAIL("accepted");
    } catch (const db::ConversionError& error) {
        CHECK(error.at_row() == 1);
        CHECK(error.outcome() == db::Outcome::committed);
        CHECK(error.at_column() == "score");
        CHECK_THAT(error.what(), tests::contains("NULL") && tests::contains("std::optional<double>"));
    }
    CHECK(users()[1][2].is_null());
    CHECK(users()[1][2].bytes().empty());
}

TEST_CASE("TYP-01: a number out of range is an error and no wrap") {
    auto rows = fake_rows({{"n", db::Oid::int8}}, {{"2147483648"}, {"-1"}, {"300"}});
    CHECK_THAT(problem_of([&] { (void)rows[0][0].as<int>(); }),
               tests::contains("2147483648") && tests::contains("int8"));
    CHECK(rows[0][0].as<unsigned>() == 2147483648U);
    CHECK_THROWS_AS(rows[1][0].as<unsigned>(), db::ConversionError);
    CHECK_THROWS_AS(rows[2][0].as<std::uint8_t>(), db::ConversionError);
    CHECK_THROWS_AS(rows[2][0].as<std::int8_t>(), db::ConversionError);
    CHECK(rows[2][0].as<std::int16_t>() == 300);
}

TEST_CASE("the number of affected rows comes from the command tag, whatever it says") {
    CHECK(fake_rows({}, {}, "INSERT 0 5").affected() == 5);
    CHECK(fake_rows({}, {}, "CREATE TABLE").affected() == 0);
    CHECK(fake_rows({}, {}, "UPDATE 99999999999999999999999").affected() == 0);
    CHECK(fake_rows({}, {}, "UPDATE ").affected() == 0);
}
