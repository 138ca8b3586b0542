// SPDX-License-Identifier: MIT
#include <coaio/core.hpp>  // lint-ok: include the examples of a user

#include "support/catch.hpp"

#include <iostream>
#include <string>
#include <tuple>
#include <vector>

// What the documents show, as it stands there.
using namespace std::chrono_literals;

namespace {

std::string output;

coaio::Coro<int> nested() { co_return 42; }

coaio::Coro<> say_after(coaio::Duration delay, std::string what) {
    co_await coaio::sleep(delay);
    output += what + "\n";
}

coaio::Coro<int> amain() {
    auto hello = coaio::create_task(say_after(1s, "hello"), {.name = "hello"});
    auto world = coaio::create_task(say_after(2s, "world"));
    co_await hello;
    co_await world;
    co_return co_await nested();
}

coaio::Coro<std::string> load_user(int id) { co_return "user " + std::to_string(id); }
coaio::Coro<std::vector<int>> load_orders(int id) { co_return std::vector<int>(2, id); }
coaio::Coro<> eternity() { co_await coaio::sleep(1h); }
coaio::Coro<> save(int& saved) {
    co_await coaio::sleep(1s);
    ++saved;
}
coaio::Coro<> fetch(std::string url, int& fetched) {
    co_await coaio::sleep(1s);
    fetched += static_cast<int>(url.size());
}

}  // namespace

TEST_CASE("the first program: two greetings in two seconds, not three") {
    output.clear();
    coaio::testing::TestLoop loop;
    REQUIRE(loop.run(amain()) == 42);
    REQUIRE(output == "hello\nworld\n");
    REQUIRE(loop.loop().time().time_since_epoch() == 2s);
}

TEST_CASE("the combinators as they are shown") {
    auto main = []() -> coaio::Coro<> {
        const int id = 7;
        auto [user, orders] = co_await coaio::gather(load_user(id), load_orders(id));
        REQUIRE(user == "user 7");
        REQUIRE(orders.size() == 2);

        bool late = false;
        try {
            co_await coaio::wait_for(eternity(), 1s);
        } catch (const coaio::TimeoutError&) {
            late = true;
        }
        REQUIRE(late);

        int saved = 0;
        co_await coaio::shield(save(saved));
        REQUIRE(saved == 1);

        const std::vector<std::string> urls{"a", "bc"};
        int fetched = 0;
        co_await coaio::task_group([&](coaio::TaskGroup& group) -> coaio::Coro<> {
            for (auto& url : urls) group.create_task(fetch(url, fetched));
            co_return;
        });
        REQUIRE(fetched == 3);

        const int slept = co_await coaio::sleep(1s, 5);
        REQUIRE(slept == 5);
        coaio::Lock lock;
        auto guard = co_await lock.scoped();
        REQUIRE(lock.locked());
        REQUIRE(coaio::all_tasks().size() == 1);
        REQUIRE_FALSE(coaio::dump_tasks().empty());
        REQUIRE_FALSE(coaio::dump_tasks(coaio::all_loops).empty());
        co_await coaio::masked(eternity(), {.deadline = 2h});
    };
    coaio::testing::run(main(), {.seed = 7});
    coaio::testing::explore(main, {.seeds = 3});
}

TEST_CASE("CancelledError and the like are no std::exception, every other error is a coaio::Error") {
    STATIC_REQUIRE_FALSE(std::is_base_of_v<std::exception, coaio::CancelledError>);
    STATIC_REQUIRE_FALSE(std::is_base_of_v<std::exception, coaio::KeyboardInterrupt>);
    STATIC_REQUIRE_FALSE(std::is_base_of_v<std::exception, coaio::SystemExit>);
    STATIC_REQUIRE(std::is_base_of_v<coaio::Error, coaio::TimeoutError>);
    STATIC_REQUIRE(std::is_base_of_v<coaio::Error, coaio::InvalidStateError>);
    STATIC_REQUIRE(std::is_base_of_v<std::runtime_error, coaio::Error>);
    STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<coaio::Coro<int>>);
    STATIC_REQUIRE(std::is_copy_constructible_v<coaio::Task<int>>);
}
