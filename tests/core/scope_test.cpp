// SPDX-License-Identifier: MIT
#include <coaio/core/scope.hpp>

#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task_group.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>

#include "support/catch.hpp"

#include <memory>
#include <string>
#include <utility>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::Scope;

namespace {

coaio::Task<std::size_t> start_sizing(std::shared_ptr<std::string> kept) {
    auto body = [kept = std::move(kept)](Scope&) -> Coro<std::size_t> {
        co_await coaio::sleep(1s);
        co_return kept->size();
    };
    return coaio::create_task(body, {.name = "sizes"});
}

}  // namespace

TEST_CASE("a task of a lambda keeps its captures until it is done, and no longer") {
    auto main = []() -> Coro<> {
        auto kept = std::make_shared<std::string>("kept");
        const std::weak_ptr<std::string> watch = kept;
        auto task = start_sizing(std::move(kept));
        REQUIRE(task.name() == "sizes");
        co_await coaio::sleep(0s);
        REQUIRE_FALSE(watch.expired());
        const std::size_t size = co_await task;
        REQUIRE(size == 4);
        REQUIRE(watch.expired());
    };
    coaio::testing::run(main());
}

TEST_CASE("a task group takes a lambda with captures, too") {
    auto main = []() -> Coro<int> {
        int sum = 0;
        co_await coaio::task_group([&sum](coaio::TaskGroup& group) -> Coro<> {
            for (int i = 1; i <= 3; ++i) {
                auto body = [&sum, i](Scope&) -> Coro<> {
                    co_await coaio::sleep(i * 1s);
                    sum += i;
                };
                group.create_task(body);
            }
            co_return;
        });
        co_return sum;
    };
    REQUIRE(coaio::testing::run(main()) == 6);
}

TEST_CASE("delays may be counted in floating point") {
    auto main = []() -> Coro<coaio::TimePoint> {
        const int value = co_await coaio::sleep(0.5s, 7);
        REQUIRE(value == 7);
        bool late = false;
        try {
            co_await coaio::wait_for(coaio::sleep(1s), 0.25s);
        } catch (const coaio::TimeoutError&) {
            late = true;
        }
        REQUIRE(late);
        late = false;
        try {
            co_await coaio::timeout(0.25s, [](coaio::Timeout&) -> Coro<> { co_await coaio::sleep(1s); });
        } catch (const coaio::TimeoutError&) {
            late = true;
        }
        REQUIRE(late);
        bool called = false;
        auto call = coaio::get_running_loop().call_later(0.5s, [&called] { called = true; });
        co_await coaio::sleep(1s);
        REQUIRE(called);
        co_return coaio::Clock::now();
    };
    REQUIRE(coaio::testing::run(main()).time_since_epoch() == 2s);
}

TEST_CASE("run_until_complete gives what a task or future gives, and throws what it fails with") {
    coaio::Loop loop;
    auto value = [](int number) -> Coro<int> {
        if (number < 0) throw coaio::ValueError("negative");
        co_return number;
    };
    auto task = loop.create_task(value(3));
    const int& three = loop.run_until_complete(task);
    REQUIRE(three == 3);
    REQUIRE(&three == &task.result());
    REQUIRE(loop.run_until_complete(loop.create_task(value(4))) == 4);
    REQUIRE_THROWS_AS(loop.run_until_complete(loop.create_task(value(-1))), coaio::ValueError);
    task = loop.create_task(value(-2));
    REQUIRE_THROWS_AS(loop.run_until_complete(task), coaio::ValueError);
}
