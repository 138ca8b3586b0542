// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/pool.hpp>

#include <coaio/core/testing.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

namespace tests {

/// What a step that is cut works on: a pool of one connection that it opens anew, and what it was told.
struct Bench {
    explicit Bench(const Database& database) : url(database.conninfo()) {}

    coaio::db::Pool open() {
        pool.emplace(url, coaio::db::PoolOptions().max_size(1).cancel_timeout(std::chrono::seconds(10)));
        return *pool;
    }

    std::string url;
    std::optional<coaio::db::Pool> pool;
    /// Counted before a write is asked for, and when it is answered.
    int begun = 0, acknowledged = 0;
};

template <class Check>
coaio::Coro<> look_after(Bench& bench, std::size_t turn, Check check) {
    INFO("cut before turn " << turn);
    coaio::db::Pool pool = bench.pool ? *bench.pool : coaio::db::Pool(bench.url);
    // Whatever is still being opened or cleaned up ends by itself.
    co_await check(bench, pool);
    const auto stats = pool.statistics();
    REQUIRE(stats.size == 1);
    REQUIRE(stats.idle == 1);
    REQUIRE(stats.in_use == 0);
    REQUIRE(stats.waiting == 0);
    co_await pool.close();
    bench.pool.reset();
    bench.begun = bench.acknowledged = 0;
}

/// Cuts a step before each of its turns; each time `check(bench, pool)` must find right what was left, the pool must be
/// whole, and in the end no session is left at the server.
template <class Step, class Check>
void cut_at_every_turn(Database& database, Step step, Check check) {
    Bench bench(database);
    coaio::testing::cut([&] { return step(bench); }, [&](std::size_t turn) { return look_after(bench, turn, check); });
    CHECK(database.server().await_sessions(database.name(), 0));
}

}  // namespace tests
