// SPDX-License-Identifier: MIT
// The listings of docs/rows.md, compiled and run.
#include <coaio/core.hpp>
#include <coaio/db.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace {

// [stream]
coaio::Coro<std::int64_t> sum_of_ages(coaio::db::Pool pool) {
    std::int64_t sum = 0;
    auto users = pool.stream<std::string, int>("select name, age from users where age > $1", 17);
    while (auto user = co_await users.next()) {
        const auto& [name, age] = *user;
        if (name == "the last one") break;  // the rest is cancelled in the server
        sum += age;
    }
    co_return sum;
}
// [/stream]

// [cursor]
coaio::Coro<> make_older(coaio::db::Pool pool) {
    auto body = [](coaio::db::Transaction& tx) -> coaio::Coro<> {
        auto names = tx.stream<std::string>("select name from users");
        while (auto name = co_await names.next()) {
            co_await tx.execute("update users set age = age + 1 where name = $1", *name);
        }
    };
    co_await pool.transaction(body);
}
// [/cursor]

// [copy_in]
coaio::Coro<std::uint64_t> import(coaio::db::Pool pool, std::vector<std::string> names) {
    auto body = [&](coaio::db::CopyRows<std::string, int>& copy) -> coaio::Coro<> {
        for (const auto& name : names) co_await copy.write(name, 20);
    };
    co_return co_await pool.copy_rows<std::string, int>("users (name, age)", body);
}
// [/copy_in]

// [copy_out]
coaio::Coro<std::string> export_csv(coaio::db::Pool pool) {
    std::string csv;
    auto lines = pool.copy_out("copy (select name, age from users order by name) to stdout (format csv)");
    while (auto line = co_await lines.next()) csv += *line;
    co_return csv;
}
// [/copy_out]

// [batch]
coaio::Coro<int> replace(coaio::db::Pool pool, std::string before, std::string after) {
    coaio::db::Batch batch;
    batch.add("delete from users where name = $1", before);
    batch.add("insert into users (name, age) values ($1, $2)", after, 1);
    batch.add("select count(*)::int from users");
    auto answers = co_await pool.batch(std::move(batch));  // one round trip, and all of it or nothing
    co_return answers[2].value<int>();
}
// [/batch]

// [each]
coaio::Coro<int> sum_of(coaio::db::Pool pool, std::vector<std::string> names) {
    const auto found = co_await pool.query_each("select age from users where name = $1", names);
    int sum = 0;
    for (const coaio::db::Rows& rows : found) sum += rows.value<int>();
    co_return sum;
}
// [/each]

coaio::Coro<> use_all(std::string url) {
    auto pool = co_await coaio::db::Pool::connect(url);
    co_await pool.execute("create table users (name text, age int)");
    const std::vector<std::string> names{"ann", "bob"};
    const auto rows = co_await import(pool, names);
    CHECK(rows == 2);
    auto sum = co_await sum_of_ages(pool);
    CHECK(sum == 40);
    co_await make_older(pool);
    sum = co_await sum_of_ages(pool);
    CHECK(sum == 42);
    const auto count = co_await replace(pool, "ann", "zoe");
    CHECK(count == 2);
    const std::vector<std::string> left{"bob", "zoe"};
    sum = co_await sum_of(pool, left);
    CHECK(sum == 22);
    const auto csv = co_await export_csv(pool);
    CHECK(csv == "bob,21\nzoe,1\n");
}

}  // namespace

TEST_CASE("the listings of docs/rows.md do what it says", "[pgtest]") {
    tests::Database database;
    coaio::run(use_all(database.conninfo()));
}
