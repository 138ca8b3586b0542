// SPDX-License-Identifier: MIT
#include <coaio/core/mask.hpp>

#include <coaio/core/error.hpp>
#include <coaio/core/finally.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task_group.hpp>
#include <coaio/core/testing.hpp>

#include "support/catch.hpp"

#include <string>
#include <vector>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;

namespace {

Coro<int> slow_value(coaio::Duration delay) {
    co_await coaio::sleep(delay);
    co_return 7;
}

Coro<int> masked_then_sleep(bool& passed) {
    const int value = co_await coaio::masked(slow_value(2s));
    passed = true;
    co_await coaio::sleep(1s);
    co_return value;
}

}  // namespace

TEST_CASE("a masked stretch runs to its end, and its result is not lost when the task then ends") {
    auto body = []() -> Coro<int> { co_return co_await coaio::masked(slow_value(2s)); };
    auto main = [](auto make) -> Coro<int> {
        auto task = create_task(make());
        co_await coaio::sleep(1s);
        REQUIRE(task.cancel());
        co_return co_await task;
    };
    REQUIRE(coaio::testing::run(main(body)) == 7);
}

TEST_CASE("a cancellation that a masked stretch held off is thrown at the next suspension") {
    bool passed = false;
    auto main = [](bool& flag) -> Coro<> {
        auto task = create_task(masked_then_sleep(flag));
        co_await coaio::sleep(1s);
        task.cancel("late");
        const auto start = coaio::Clock::now();
        std::string message;
        try {
            co_await task;
        } catch (const coaio::CancelledError& error) {
            message = *error.message();
        }
        REQUIRE(message == "late");
        REQUIRE(coaio::Clock::now() - start == 1s);
    };
    coaio::testing::run(main(passed));
    REQUIRE(passed);
}

TEST_CASE("a masked stretch inside a timeout gives its value although the deadline passed") {
    auto main = []() -> Coro<int> { co_return co_await coaio::wait_for(coaio::masked(slow_value(2s)), 1s); };
    REQUIRE(coaio::testing::run(main()) == 7);
}

TEST_CASE("a deadline opened inside a masked stretch strikes there, also while a cancellation is held off") {
    auto stretch = []() -> Coro<std::string> {
        try {
            co_await coaio::wait_for(slow_value(1h), 2s);
        } catch (const coaio::TimeoutError&) {
            co_return "timed out inside";
        }
        co_return "not";
    };
    auto main = [](auto make) -> Coro<std::string> {
        auto task = create_task(coaio::masked(make()));
        co_await coaio::sleep(1s);
        task.cancel();
        co_return co_await task;
    };
    REQUIRE(coaio::testing::run(main(stretch)) == "timed out inside");
}

TEST_CASE("a masked stretch that overstays its own deadline is cancelled and gives TimeoutError") {
    auto main = []() -> Coro<> { co_await coaio::masked(slow_value(1h), {.deadline = 3s}); };
    REQUIRE_THROWS_AS(coaio::testing::run(main()), coaio::TimeoutError);
}

TEST_CASE("a task group inside a masked stretch can still fail and cancel its own body") {
    auto stretch = [](coaio::Scope&) -> Coro<bool> {
        bool failed = false;
        try {
            co_await coaio::task_group([](coaio::TaskGroup& group) -> Coro<> {
                group.create_task([]() -> Coro<> {
                    co_await coaio::sleep(1s);
                    throw std::runtime_error("child");
                }());
                co_await coaio::sleep(1h);
            });
        } catch (const coaio::ExceptionGroup&) {
            failed = true;
        }
        co_return failed;
    };
    auto main = [](auto body) -> Coro<bool> { co_return co_await coaio::masked(body); };
    REQUIRE(coaio::testing::run(main(stretch)));
}

TEST_CASE("cut: finally always runs its cleanup once to the end, whatever turn the cancellation comes in") {
    struct Log {
        int bodies = 0;
        int cleanups = 0;
        int cleaned = 0;
    };
    Log log;
    auto factory = [&log]() {
        log = {};
        return coaio::finally(
            [&log](coaio::Scope&) -> Coro<int> {
                ++log.bodies;
                co_await coaio::sleep(1s);
                co_await coaio::sleep(1s);
                co_return 1;
            },
            [&log](coaio::Scope&) -> Coro<> {
                ++log.cleanups;
                co_await coaio::sleep(1s);
                co_await coaio::sleep(0s);
                ++log.cleaned;
            });
    };
    std::size_t cuts = 0;
    coaio::testing::cut(factory, [&](std::size_t turns) {
        cuts = turns;
        REQUIRE(log.cleanups == log.bodies);
        REQUIRE(log.cleaned == log.bodies);
        if (turns > 1) REQUIRE(log.bodies == 1);
    });
    REQUIRE(cuts > 4);
}
