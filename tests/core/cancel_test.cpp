// SPDX-License-Identifier: MIT
#include <coaio/core/error.hpp>
#include <coaio/core/gather.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>

#include "core/delayed.hpp"
#include "support/catch.hpp"

#include <optional>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;
using coaio::Future;
using coaio::Task;
using tests::value_after;

namespace {

using Log = std::vector<std::string>;

// The message of the cancellation that ends it, "value" if none does.
template <class T>
Coro<std::string> message_of(Future<T> future) {
    std::string text = "value";
    try {
        co_await future;
    } catch (const coaio::CancelledError& error) {
        text = error.message().value_or("no message");
    }
    co_return text;
}

Coro<> eternity() { co_await coaio::sleep(1h); }

}  // namespace

TEST_CASE("CXL-18: a second cancel interrupts the clean-up after the first") {
    auto body = [](Log& log) -> Coro<> {
        try {
            co_await coaio::sleep(1h);
        } catch (const coaio::CancelledError& error) {
            log.push_back(error.message().value_or("none"));
        }
        try {
            co_await coaio::sleep(1h);  // cleaning up
        } catch (const coaio::CancelledError& error) {
            log.push_back(error.message().value_or("none"));
        }
        log.push_back(std::to_string(coaio::current_task()->cancelling()));
    };
    auto main = [](auto make) -> Coro<> {
        Log log;
        auto task = create_task(make(log));
        co_await coaio::sleep(1s);
        task.cancel("one");
        co_await coaio::sleep(1s);
        REQUIRE_FALSE(task.done());
        task.cancel("two");
        co_await task;
        REQUIRE(log == Log{"one", "two", "2"});
        REQUIRE(coaio::Clock::now().time_since_epoch() == 2s);
    };
    coaio::testing::run(main(body));
}

TEST_CASE("CXL-20: a scope that cancels its task and takes its own request back leaves the code after it alone") {
    auto body = []() -> Coro<std::string> {
        const coaio::AnyTask me = *coaio::current_task();
        bool own = false;
        auto timer = coaio::get_running_loop().call_later(1s, [&own, me] {
            own = true;
            me.cancel();
        });
        std::string text = "none";
        try {
            co_await coaio::sleep(1h);
        } catch (const coaio::CancelledError&) {
            if (own && me.uncancel() == 0) text = "timed out";
        }
        timer.cancel();
        co_await coaio::sleep(1s);
        co_return text + " " + std::to_string(me.cancelling());
    };
    auto main = [](auto make) -> Coro<std::string> { co_return co_await create_task(make()); };
    REQUIRE(coaio::testing::run(main(body)) == "timed out 0");
}

TEST_CASE("CXL-26: a cancel between bare yields strikes at the next resume") {
    auto body = [](int& turns) -> Coro<> {
        for (;;) {
            ++turns;
            co_await coaio::sleep(0s);
        }
    };
    auto main = [](auto make) -> Coro<> {
        int turns = 0;
        auto task = create_task(make(turns));
        for (int i = 0; i < 3; ++i) co_await coaio::sleep(0s);
        REQUIRE(turns == 3);
        task.cancel();
        co_await coaio::sleep(0s);
        REQUIRE(task.cancelled());
        REQUIRE(turns == 3);
    };
    coaio::testing::run(main(body));
}

TEST_CASE("CXL-28: a task that answers its cancellation with SystemExit ends the run, and has failed with it") {
    coaio::testing::TestLoop test;
    test.fail_on_reports();
    auto body = []() -> Coro<> {
        bool asked = false;
        try {
            co_await coaio::sleep(1h);
        } catch (const coaio::CancelledError&) {
            asked = true;
        }
        if (asked) throw coaio::SystemExit(3);
    };
    auto& loop = test.loop();
    auto task = loop.create_task(body());
    loop.call_later(1s, [task] { task.cancel(); });
    REQUIRE_THROWS_AS(loop.run_until_complete(task), coaio::SystemExit);
    REQUIRE(task.done());
    REQUIRE_FALSE(task.cancelled());
    REQUIRE_THROWS_AS(std::rethrow_exception(task.exception()), coaio::SystemExit);
}

TEST_CASE("CXL-29: the message travels to the task, to the future it awaits, and to those who await the task") {
    auto main = []() -> Coro<> {
        auto inner = create_task(eternity());
        auto middle = create_task(message_of<void>(inner));
        auto outer = create_task(message_of<std::string>(middle));
        co_await coaio::sleep(1s);
        outer.cancel("from above");
        const std::string at_middle = co_await middle;
        REQUIRE(at_middle == "from above");
        REQUIRE_THROWS_AS(inner.result(), coaio::CancelledError);
        const std::string of_inner = co_await message_of<void>(inner);
        REQUIRE(of_inner == "from above");
        const Future<> future;
        future.cancel("future");
        const std::string of_future = co_await message_of<void>(future);
        REQUIRE(of_future == "future");
        auto unstarted = create_task(eternity());
        unstarted.cancel("before");
        const std::string of_unstarted = co_await message_of<void>(unstarted);
        REQUIRE(of_unstarted == "before");
        auto silent = create_task(eternity());
        co_await coaio::sleep(0s);
        silent.cancel();
        const std::string none = co_await message_of<void>(silent);
        REQUIRE(none == "no message");
    };
    coaio::testing::run(main());
}

TEST_CASE("CXL-32: a task whose gather has all children done but has not resumed is cancelled all the same") {
    auto body = [](Future<int> a, Future<int> b, Log& log) -> Coro<> {
        try {
            co_await coaio::gather(a, b);
            log.emplace_back("values");
        } catch (const coaio::CancelledError&) {
            log.emplace_back("cancelled");
            throw;
        }
    };
    auto main = [](auto make) -> Coro<> {
        Log log;
        const Future<int> a;
        const Future<int> b;
        auto task = create_task(make(a, b, log));
        co_await coaio::sleep(0s);
        a.set_result(1);
        b.set_result(2);
        REQUIRE(task.cancel());
        co_await coaio::sleep(1s);
        REQUIRE(task.cancelled());
        REQUIRE(log == Log{"cancelled"});
    };
    coaio::testing::run(main(body));
}

TEST_CASE("CXL-33: a task whose sleep is over but which has not resumed can still be cancelled") {
    auto first = [](std::optional<Task<int>>& victim) -> Coro<> {
        co_await coaio::sleep(1s);
        REQUIRE(victim->cancel("late"));
    };
    auto main = [](auto make) -> Coro<> {
        std::optional<Task<int>> victim;
        auto killer = create_task(make(victim));
        victim = create_task(value_after(1s, 5));
        const std::string text = co_await message_of<int>(*victim);
        REQUIRE(text == "late");
        REQUIRE(coaio::Clock::now().time_since_epoch() == 1s);
        co_await killer;
    };
    coaio::testing::run(main(first));
}

TEST_CASE("CXL-35: an awaiter of a cancelled task sees the very CancelledError that the task died of") {
    auto body = [](const void*& thrown) -> Coro<> {
        try {
            co_await coaio::sleep(1h);
        } catch (const coaio::CancelledError& error) {
            thrown = &error;
            throw;
        }
    };
    auto seen_by = [](Task<> task) -> Coro<const void*> {
        const void* seen = nullptr;
        try {
            co_await task;
        } catch (const coaio::CancelledError& error) {
            seen = &error;
        }
        co_return seen;
    };
    auto main = [](auto make, auto look) -> Coro<> {
        const void* thrown = nullptr;
        auto task = create_task(make(thrown));
        auto a = create_task(look(task));
        auto b = create_task(look(task));
        co_await coaio::sleep(1s);
        task.cancel();
        const void* const by_a = co_await a;
        const void* const by_b = co_await b;
        REQUIRE(thrown != nullptr);
        REQUIRE(by_a == thrown);
        REQUIRE(by_b == thrown);
    };
    coaio::testing::run(main(body, seen_by));
}

TEST_CASE("CXL-36: cancelling a finished task is refused, and its result can still be awaited") {
    auto main = []() -> Coro<int> {
        auto task = create_task(value_after(1s, 6));
        co_await coaio::sleep(2s);
        REQUIRE_FALSE(task.cancel());
        REQUIRE(task.cancelling() == 0);
        REQUIRE_FALSE(task.cancelled());
        co_return co_await task;
    };
    REQUIRE(coaio::testing::run(main()) == 6);
}
