// SPDX-License-Identifier: MIT
// The listings of docs/observing.md, compiled and run.
#include <coaio/core.hpp>
#include <coaio/db.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace {

// [observer]
class Totals final : public coaio::db::Observer {
public:
    void observe(const coaio::db::Observation& it) noexcept override {
        if (it.operation == coaio::db::Operation::query) time_in_queries += it.took;
        if (it.error) ++errors;
    }
    coaio::Duration time_in_queries{};
    int errors = 0;
};
// [/observer]

// [options]
coaio::db::PoolOptions options(std::shared_ptr<Totals> totals, std::function<void(std::string_view)> log) {
    using namespace std::chrono_literals;
    return coaio::db::PoolOptions()
        .observer(std::move(totals))
        .observer(std::make_shared<coaio::db::SlowQueryLog>(200ms, std::move(log)));
}
// [/options]

coaio::Coro<> look(std::string url) {
    const auto totals = std::make_shared<Totals>();
    std::string lines;
    const coaio::db::Pool pool(url, options(totals, [&lines](std::string_view line) { lines += line; }));
    co_await pool.query("select pg_sleep(0.25)");
    CHECK(totals->time_in_queries >= std::chrono::milliseconds(250));
    CHECK(totals->errors == 0);
    CHECK_THAT(lines, tests::contains("select pg_sleep(?)"));
}

}  // namespace

TEST_CASE("the listings of docs/observing.md", "[pgtest]") {
    tests::Database database;
    coaio::run(look(database.conninfo()));
}
