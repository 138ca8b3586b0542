// SPDX-License-Identifier: MIT
#include "bench.hpp"

#include <coaio/db.hpp>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace db = coaio::db;
using coaio::Coro;

namespace bench {

namespace {

constexpr std::string_view select_world = "select id, randomnumber from world where id = $1";
constexpr std::string_view select_rows = "select i, 'row ' || i from generate_series(1, 1000) as i";
constexpr long rows_per_query = 1000;

std::int64_t sink;

std::string env(const char* name, const char* fallback) {
    const char* const value = std::getenv(name);
    return value != nullptr && *value != '\0' ? value : fallback;
}

std::string url() {
    return "host=" + env("PGHOST", "127.0.0.1") + " port=" + env("PGPORT", "5432") + " user=" + env("PGUSER", "bench") +
           " dbname=" + env("PGDATABASE", "bench") + " sslmode=disable";
}

std::int32_t random_id() { return static_cast<std::int32_t>(coaio::get_running_loop().random() % 10'000) + 1; }

struct World {
    std::int32_t id;
    std::int32_t random_number;
};

Coro<> select_points(db::Pool pool, long n) {
    for (long i = 0; i < n; ++i) {
        const auto world = co_await pool.query_one<World>(select_world, random_id());
        if (world) sink += world->random_number;
    }
}

Coro<db::Pool> open_pool(db::PoolOptions options) {
    const std::string where = url();
    co_return co_await db::Pool::connect(where, options);
}

// One connection, N prepared point selects one after another.
Coro<> pg_point(long n) {
    const db::Pool pool = co_await open_pool(db::PoolOptions().max_size(1));
    begin();
    co_await select_points(pool, n);
    co_await pool.close();
}

Coro<> select_from_tasks(long n, bool shared_sync) {
    constexpr long tasks = 64;
    const db::Pool pool = co_await open_pool(db::PoolOptions().max_size(4).pipelining(64).shared_sync(shared_sync));
    begin();
    std::vector<Coro<>> all;
    all.reserve(tasks);
    for (long i = 0; i < tasks; ++i) all.push_back(select_points(pool, n / tasks));
    co_await coaio::gather(std::move(all));
    co_await pool.close();
}

// 64 tasks on 4 connections; what goes together shares a Sync, as in the floor.
Coro<> pg_conc(long n) { return select_from_tasks(n, true); }

// The same with a Sync for each.
Coro<> pg_conc_own_sync(long n) { return select_from_tasks(n, false); }

// One connection, N rows of (int, text), a thousand a query, each decoded and summed.
Coro<> pg_rows(long n) {
    const db::Pool pool = co_await open_pool(db::PoolOptions().max_size(1));
    begin();
    for (long done = 0; done < n; done += rows_per_query) {
        const db::Rows rows = co_await pool.query(select_rows);
        for (const auto& [number, text] : rows.as<std::int32_t, std::string_view>()) {
            sink += number + static_cast<std::int64_t>(text.size());
        }
    }
    co_await pool.close();
}

}  // namespace

std::span<const Bench> database_benches() {
    static constexpr std::array all{Bench{"pg_point", pg_point}, Bench{"pg_conc", pg_conc},
                                    Bench{"pg_conc_own_sync", pg_conc_own_sync}, Bench{"pg_rows", pg_rows}};
    return all;
}

}  // namespace bench
