// SPDX-License-Identifier: MIT
#pragma once

#include "lanes.hpp"

#include <coaio/core/sleep.hpp>

#include "db/fake_link.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <memory>
#include <utility>

/// For tests of statements that share connections to a server which exists only in the test.
namespace tests {

inline constexpr const char* echo = "select $1";
inline constexpr const char* slow = "select slow from t";

struct LaneWorld {
    explicit LaneWorld(const coaio::db::PoolOptions& options)
        : pool(std::make_shared<coaio::db::detail::PoolState>(std::make_unique<FakeConnector>(server),
                                                              options.pool_values(), std::chrono::seconds(2))),
          lanes(std::make_shared<coaio::db::detail::Lanes>(pool, options.pool_values(), 16)) {}
    LaneWorld(const LaneWorld&) = delete;
    LaneWorld& operator=(const LaneWorld&) = delete;
    ~LaneWorld() { pool->abandon(); }

    std::shared_ptr<FakeServer> server = std::make_shared<FakeServer>();
    std::shared_ptr<coaio::db::detail::PoolState> pool;
    std::shared_ptr<coaio::db::detail::Lanes> lanes;
};

inline coaio::db::PoolOptions of_size(std::size_t size) {
    return coaio::db::PoolOptions().max_size(size).pipelining(4);
}

inline coaio::Coro<> ask(LaneWorld& world, int value) {
    const coaio::db::Rows rows =
        co_await coaio::db::detail::Lanes::run(world.lanes, echo, coaio::db::Params::of(value));
    REQUIRE(rows.value<int>() == value);
}

inline coaio::Coro<> ask_slowly(LaneWorld& world) {
    static_cast<void>(co_await coaio::db::detail::Lanes::run(world.lanes, slow, coaio::db::Params()));
}

/// After this both statements are known to be quick.
inline coaio::Coro<> warm_up(LaneWorld& world) {
    co_await ask(world, 0);
    const auto slow_time = std::exchange(world.server->slow_time, std::chrono::milliseconds(1));
    co_await ask_slowly(world);
    world.server->slow_time = slow_time;
}

inline coaio::Coro<> hold(LaneWorld& world, coaio::Duration time) {
    const coaio::db::detail::Lease lease = co_await world.pool->acquire();
    co_await coaio::sleep(time);
}

inline coaio::Coro<> yield(int turns) {
    for (int i = 0; i < turns; ++i) co_await coaio::sleep(coaio::Duration::zero());
}

inline coaio::Coro<> require_whole(LaneWorld& world) {
    co_await coaio::sleep(std::chrono::seconds(1));  // what was disowned is cancelled
    const auto stats = world.pool->statistics();
    REQUIRE(stats.in_use == 0);
    REQUIRE(stats.waiting == 0);
    REQUIRE(world.lanes->waiting() == 0);
    REQUIRE(world.server->mixed_up == 0);
    REQUIRE(world.server->sessions == stats.size);
    co_await ask(world, 5);
    world.lanes->close();
    co_await world.pool->close();
    REQUIRE(world.server->sessions == 0);
}

}  // namespace tests
