// SPDX-License-Identifier: MIT
// Minutes of churn on a pool over a server that exists only here, on a virtual clock.
#include "pool_state.hpp"

#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task_group.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>

#include "db/fake_link.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <cstdint>

namespace db = coaio::db;
using coaio::Coro;
using db::detail::Lease;
using db::detail::PoolState;
using namespace std::chrono_literals;

namespace {

struct Churn {
    std::uint64_t came = 0;
    std::uint64_t last_served = 0;
    std::size_t served = 0;
    std::size_t gave_up = 0;
    std::size_t overtook = 0;
    std::size_t most_waiting = 0;
};

coaio::Duration some_milliseconds(std::uint64_t below) {
    return std::chrono::milliseconds(coaio::get_running_loop().random() % below);
}

/// Comes, waits for its turn and works; each tenth time it does not wait for long.
Coro<> come_once(PoolState& pool, Churn& churn) {
    const std::uint64_t ticket = ++churn.came;
    const coaio::Duration patience = ticket % 10 == 0 ? some_milliseconds(300) : coaio::Duration(1h);
    try {
        const Lease lease = co_await coaio::wait_for(pool.acquire(), patience);
        ++churn.served;
        if (ticket < churn.last_served) ++churn.overtook;
        churn.last_served = ticket;
        churn.most_waiting = std::max(churn.most_waiting, pool.statistics().waiting);
        co_await coaio::sleep(some_milliseconds(40));
    } catch (const coaio::TimeoutError&) {
        ++churn.gave_up;
    }
}

Coro<> come_again_and_again(PoolState& pool, Churn& churn, coaio::TimePoint end) {
    while (coaio::Clock::now() < end) {
        co_await come_once(pool, churn);
        co_await coaio::sleep(some_milliseconds(5));
    }
}

Coro<> churn_for_minutes() {
    const auto server = std::make_shared<tests::FakeServer>();
    const auto pool = std::make_shared<PoolState>(std::make_unique<tests::FakeConnector>(server),
                                                  db::PoolOptions().max_size(10).acquire_timeout(2h).pool_values(), 2s);
    Churn churn;
    const coaio::TimePoint end = coaio::Clock::now() + 3min;
    auto body = [&](coaio::TaskGroup& group) -> Coro<> {
        for (int i = 0; i < 100; ++i) group.create_task(come_again_and_again(*pool, churn, end));
        co_return;
    };
    co_await coaio::task_group(body);
    CHECK(churn.overtook == 0);
    CHECK(churn.served > 50'000);
    CHECK(churn.gave_up > 1'000);
    CHECK(churn.most_waiting > 80);
    CHECK(server->most_sessions == 10);
    CHECK(server->mixed_up == 0);
    CHECK(pool->statistics().in_use == 0);
    co_await pool->close();
}

}  // namespace

TEST_CASE("POL-03: a hundred on ten connections are served for minutes in the order in which they came") {
    coaio::testing::run(churn_for_minutes());
}
