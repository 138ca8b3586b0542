// SPDX-License-Identifier: MIT
#include <coaio/net/resolve.hpp>
#include <coaio/net/testing.hpp>

#include "support/catch.hpp"

#include <coaio/core/loop.hpp>
#include <coaio/core/testing.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <set>
#include <string>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::Duration;
using coaio::net::Address;
using coaio::net::testing::Network;

TEST_CASE("with jitter a look-up takes its time, and gives its addresses, as the seed has it") {
    struct Answer {
        std::string order;
        Duration took = Duration::zero();
    };
    const auto answer_of = [](std::uint64_t seed) {
        return coaio::testing::run([](std::uint64_t drawn_from) -> Coro<Answer> {
            Network network({.seed = drawn_from, .latency = 10ms, .jitter = 30ms});
            for (int i = 1; i <= 4; ++i) network.host("many.example", "10.0.0." + std::to_string(i));
            const auto start = coaio::get_running_loop().time();
            const auto found = co_await coaio::net::resolve("many.example", 80);
            Answer answer;
            answer.took = coaio::get_running_loop().time() - start;
            for (const Address& each : found) answer.order += each.host().back();
            co_return answer;
        }(seed));
    };
    std::set<std::string> orders;
    std::set<Duration> times;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        CAPTURE(seed);
        const Answer once = answer_of(seed);
        const Answer again = answer_of(seed);
        CHECK(once.order == again.order);
        CHECK(once.took == again.took);
        CHECK(once.took >= 20ms);
        CHECK(once.took <= 80ms);
        CHECK(std::is_permutation(once.order.begin(), once.order.end(), "1234"));
        orders.insert(once.order);
        times.insert(once.took);
    }
    CHECK(orders.size() > 5);
    CHECK(times.size() == 20);
}
