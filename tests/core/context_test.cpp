// SPDX-License-Identifier: MIT
#include <coaio/core/context.hpp>

#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/to_thread.hpp>

#include "support/catch.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;

namespace {

coaio::ContextVar<std::string> name;
coaio::ContextVar<int> count;

Coro<std::string> sets(std::string value) {
    std::string before = name.get_or("none");
    name.set(std::move(value));
    co_await coaio::sleep(0s);
    co_return before + ">" + name.get_or("none");
}

}  // namespace

TEST_CASE("TSK-24: a task starts with a copy of its creator's context, and what it sets stays its own") {
    auto main = []() -> Coro<std::string> {
        name.set("parent");
        auto child = create_task(sets("child"));
        name.set("later");
        const std::string text = co_await child;
        co_return text + " " + name.get_or("none");
    };
    REQUIRE(coaio::testing::run(main()) == "parent>child later");
}

TEST_CASE("TSK-24: callbacks run in the context in which they were registered") {
    auto main = []() -> Coro<> {
        std::vector<std::string> seen;
        const auto look = [&seen] { seen.push_back(name.get_or("none")); };
        const coaio::Future<> future;
        name.set("first");
        coaio::get_running_loop().call_soon(look);
        coaio::get_running_loop().call_later(1s, look);
        future.add_done_callback([look](const auto&) { look(); });
        name.set("second");
        future.set_result();
        co_await coaio::sleep(2s);
        REQUIRE(seen == std::vector<std::string>{"first", "first", "first"});
    };
    coaio::testing::run(main());
}

TEST_CASE("call_soon, call_later, call_at and add_done_callback call in the context that they are given") {
    auto main = []() -> Coro<> {
        std::vector<std::string> seen;
        const auto look = [&seen] { seen.push_back(name.get_or("none")); };
        const coaio::Future<> future;
        auto task = create_task([]() -> Coro<> { co_return; }());
        auto& loop = coaio::get_running_loop();
        name.set("of the other");
        {
            const coaio::Context other = coaio::copy_context();
            name.set("own");
            loop.call_soon(look, {.context = &other});
            loop.call_later(1s, look, {.context = &other});
            loop.call_later(0.5s, look, {.context = &other});
            loop.call_at(loop.time() + 1s, look, {.context = &other});
            future.add_done_callback([look](const auto&) { look(); }, {.context = &other});
            task.add_done_callback([look](const coaio::Task<>&) { look(); }, {.context = &other});
        }  // they keep it
        future.set_result();
        co_await coaio::sleep(2s);
        REQUIRE(seen == std::vector<std::string>(6, "of the other"));
    };
    coaio::testing::run(main());
}

TEST_CASE("a Runner keeps one context for all its runs, or takes that of the options") {
    auto sets = [](std::string value) -> Coro<std::string> {
        std::string before = name.get_or("none");
        name.set(std::move(value));
        co_return before;
    };
    coaio::Runner runner;
    REQUIRE(runner.run(sets("first")) == "none");
    REQUIRE(runner.run(sets("second")) == "first");
    const coaio::Context other;
    REQUIRE(runner.run(sets("elsewhere"), {.context = &other}) == "none");
    REQUIRE(other.get(name) == "elsewhere");
    REQUIRE(runner.run(sets("third"), {.name = "named"}) == "second");
    REQUIRE(coaio::Runner().run(sets("of another Runner")) == "none");
    REQUIRE_FALSE(name.get().has_value());
}

TEST_CASE("a context variable has no value and cannot be set outside a task") {
    REQUIRE_FALSE(name.get().has_value());
    REQUIRE_THROWS_AS(name.set("x"), coaio::RuntimeError);
}

TEST_CASE("a variable that is set again and again takes the place of one, in a task's context and in a shared one") {
    auto set_often = [](int times) -> Coro<> {
        const coaio::ContextVar<int>& counter = count;
        name.set("kept");
        for (int i = 1; i <= times; ++i) counter.set(i);
        co_return;
    };
    auto main = [](auto body) -> Coro<> {
        const coaio::Context shared = coaio::copy_context();
        co_await create_task(body(300'000), {.context = &shared});
        REQUIRE(shared.get(count) == 300'000);
        REQUIRE(shared.get(name) == "kept");
        co_await body(300'000);
        // A thread gets a copy, which is made node by node.
        auto seen = co_await coaio::to_thread([] { return std::pair(count.get(), name.get()); });
        REQUIRE(seen == std::pair(std::optional(300'000), std::optional<std::string>("kept")));
    };
    coaio::testing::run(main(set_often));
}

TEST_CASE("a token gives a variable back what it was before, once, and to no other variable") {
    auto main = []() -> Coro<> {
        coaio::ContextVar<int>::Token first = count.set(1);
        coaio::ContextVar<int>::Token second = count.set(2);
        count.reset(second);
        REQUIRE(count.get() == 1);
        REQUIRE_THROWS_AS(count.reset(second), coaio::RuntimeError);
        const coaio::ContextVar<int> other("other");
        REQUIRE(std::string(other.name()) == "other");
        REQUIRE_THROWS_AS(other.reset(first), coaio::ValueError);
        auto resets = [](coaio::ContextVar<int>::Token* token) -> Coro<> {
            count.reset(*token);
            co_return;
        };
        auto stranger = create_task(resets(&first));
        co_await coaio::sleep(0s);
        REQUIRE_THROWS_AS(stranger.result(), coaio::ValueError);
        count.reset(first);
        REQUIRE(count.get() == std::nullopt);
        REQUIRE(count.get_or(7) == 7);
        co_return;
    };
    coaio::testing::run(main());
}
