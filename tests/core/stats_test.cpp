// SPDX-License-Identifier: MIT
// What a loop says of itself.
#include <coaio/core/handle.hpp>
#include <coaio/core/loop.hpp>

#include "sync_support.hpp"

#include "support/catch.hpp"

#include <chrono>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;
using coaio::Loop;
using coaio::LoopStats;
using tests::turn;
using tests::turns;

namespace {

LoopStats stats() { return coaio::get_running_loop().stats(); }

Coro<> nap(coaio::Duration delay) { co_await coaio::sleep(delay); }

void burn(std::chrono::milliseconds time) {
    const auto until = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < until) {}
}

}  // namespace

TEST_CASE("A loop counts its turns: one for each round of what is ready") {
    coaio::testing::run([]() -> Coro<> {
        const auto before = stats().turns;
        co_await turns(7);
        CHECK(stats().turns == before + 7);
    }());
}

TEST_CASE("A loop tells how much is ready: tasks and callbacks that the next turn will run") {
    coaio::testing::run([]() -> Coro<> {
        CHECK(stats().ready == 0);
        auto task = create_task(nap(1s));
        coaio::get_running_loop().call_soon([] {});
        CHECK(stats().ready == 2);
        co_await turn();
        CHECK(stats().ready == 0);
        co_await task;
    }());
}

TEST_CASE("A loop tells how many timers are armed, of which a cancelled one is none") {
    coaio::testing::run([]() -> Coro<> {
        CHECK(stats().timers == 0);
        auto handle = coaio::get_running_loop().call_later(5s, [] {});
        auto task = create_task(nap(1s));
        co_await turn();
        CHECK(stats().timers == 2);
        handle.cancel();
        CHECK(stats().timers == 1);
        co_await task;
        CHECK(stats().timers == 0);
    }());
}

TEST_CASE("A loop tells how many tasks are alive: from when they are made until they are done") {
    coaio::testing::run([]() -> Coro<> {
        CHECK(stats().tasks == 1);
        std::vector<coaio::Task<>> tasks;
        for (int i = 0; i < 5; ++i) tasks.push_back(create_task(nap(1s)));
        CHECK(stats().tasks == 6);
        tasks[0].cancel();
        co_await turn();
        CHECK(stats().tasks == 5);
        co_await coaio::sleep(2s);
        CHECK(stats().tasks == 1);  // the handles still have the others, but they are done
    }());
}

TEST_CASE("A loop knows its longest step, also the one that it is in, or that was its last") {
    Loop loop;
    loop.run_until_complete([]() -> Coro<> {
        co_await turn();
        burn(5ms);
        CHECK(stats().longest_step >= 5ms);
        co_await turn();
        burn(10ms);
    }());
    CHECK(loop.stats().longest_step >= 10ms);
}

TEST_CASE("The longest step is exact in debug mode; otherwise it is no longer than what is told") {
    const auto measure = [](bool debug) {
        Loop loop;
        loop.set_debug(debug);
        loop.set_slow_step_limit(1h);
        const auto began = std::chrono::steady_clock::now();
        loop.run_until_complete([]() -> Coro<> {
            burn(20ms);
            co_await turn();
            burn(20ms);
        }());
        const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - began;
        CHECK(loop.stats().longest_step >= 20ms);
        return std::pair(loop.stats().longest_step, took);
    };
    const auto [exact, whole] = measure(true);
    CHECK(exact <= whole - 20ms);
    const auto [bound, unused] = measure(false);
    CHECK(bound >= 20ms);
}

TEST_CASE("Neither waiting nor what the thread does between two runs is a step") {
    Loop loop;
    burn(50ms);
    loop.run_until_complete(nap(50ms));
    burn(50ms);
    loop.run_until_complete(nap(50ms));
    CHECK(loop.stats().longest_step < 50ms);
}

TEST_CASE("A loop tells what the frames of its thread take, which are used again") {
    coaio::testing::run([]() -> Coro<> {
        const std::size_t before = stats().frame_pool_bytes;
        if (before == 0) co_return;  // this build takes each frame from the heap
        std::vector<coaio::Task<>> tasks;
        const std::size_t many = before / 100 + 1'000;  // of more than 100 bytes each
        for (std::size_t i = 0; i < many; ++i) tasks.push_back(create_task(nap(1s)));
        co_await turn();
        const std::size_t grown = stats().frame_pool_bytes;
        CHECK(grown >= many * 100);
        co_await coaio::sleep(2s);
        tasks.clear();
        for (std::size_t i = 0; i < many; ++i) tasks.push_back(create_task(nap(1s)));
        co_await turn();
        CHECK(stats().frame_pool_bytes == grown);
        co_await coaio::sleep(2s);
    }());
}
