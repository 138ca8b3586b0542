// SPDX-License-Identifier: MIT
#include <coaio/core/context.hpp>

#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/testing.hpp>

#include "support/catch.hpp"

#include <string>
#include <vector>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;

namespace {

coaio::ContextVar<std::string> name;

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

TEST_CASE("a context variable has no value and cannot be set outside a task") {
    REQUIRE_FALSE(name.get().has_value());
    REQUIRE_THROWS_AS(name.set("x"), coaio::RuntimeError);
}
