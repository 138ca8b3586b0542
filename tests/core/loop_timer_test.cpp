// SPDX-License-Identifier: MIT
#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::Loop;

namespace {

using Log = std::vector<std::string>;

Coro<> nap(std::chrono::duration<double> delay) { co_await coaio::sleep(delay); }

}  // namespace

TEST_CASE("LOOP-13: a cancelled timer at the head is dropped, and the loop waits for the live one") {
    coaio::testing::TestLoop test;
    Loop& loop = test.loop();
    auto dead = loop.call_later(1s, [] {});
    loop.call_later(10s, [&loop] { loop.stop(); });
    dead.cancel();
    REQUIRE(loop.stats().timers == 1);
    std::vector<coaio::Duration> times;
    test.on_turn([&](std::size_t) { times.push_back(loop.time().time_since_epoch()); });
    loop.run_forever();
    REQUIRE(times.size() == 1);  // one wait, straight to the tenth second
    REQUIRE(loop.time().time_since_epoch() == 10s);
}

TEST_CASE("LOOP-14: cancelled timers, and those of time-outs that were not needed, do not pile up") {
    auto main = []() -> Coro<> {
        auto& loop = coaio::get_running_loop();
        auto live = loop.call_later(1s, [] {});
        for (int i = 0; i < 10'000; ++i) loop.call_later(1h, [] {}).cancel();
        REQUIRE(loop.stats().timers == 1);
        for (int i = 0; i < 1'000; ++i) co_await coaio::wait_for(nap(0s), 1h);
        REQUIRE(loop.stats().timers == 1);
        live.cancel();
    };
    coaio::testing::run(main());
}

TEST_CASE("LOOP-15: the shortest sleeps do not make the loop spin") {
    auto main = []() -> Coro<> {
        for (const double delay : {1e-2, 1e-4, 1e-6, 1e-8, 1e-10}) co_await nap(std::chrono::duration<double>(delay));
    };
    Loop loop;
    loop.run_until_complete(main());
    REQUIRE(loop.stats().turns <= 20);
}

TEST_CASE("LOOP-16: on the real clock no timer fires before its time") {
    Loop loop;
    int late = 0;
    for (const std::chrono::microseconds delay : {2000us, 2001us, 7001us, 20000us}) {
        const auto when = loop.time() + delay;
        loop.call_at(when, [&, when] {
            if (loop.time() >= when) ++late;
            if (late == 4) loop.stop();
        });
    }
    loop.call_later(5s, [&loop] { loop.stop(); });
    loop.run_forever();
    REQUIRE(late == 4);
}

TEST_CASE("LOOP-29: a threadsafe call from the loop's own thread queues as call_soon does") {
    coaio::testing::TestLoop test;
    Loop& loop = test.loop();
    Log log;
    loop.call_soon([&] {
        loop.call_soon([&] { log.emplace_back("a"); });
        loop.call_soon_threadsafe([&] { log.emplace_back("b"); });
        loop.call_soon([&] { log.emplace_back("c"); });
        loop.call_soon_threadsafe([&] { loop.stop(); });
        loop.call_soon([&] { log.emplace_back("d"); });
    });
    loop.run_forever();
    REQUIRE(log == Log{"a", "b", "c", "d"});
}
