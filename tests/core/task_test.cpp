// SPDX-License-Identifier: MIT
#include <coaio/core/task.hpp>

#include <coaio/core/coro.hpp>
#include <coaio/core/dump.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/testing.hpp>

#include "support/catch.hpp"

#include <memory>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;

namespace {

Coro<int> answer() { co_return 42; }

Coro<> log_name(std::vector<std::string>& log, std::string name) {
    log.push_back(std::move(name));
    co_return;
}

Coro<> eternity() { co_await coaio::sleep(1h); }

Coro<int> fails() {
    co_await coaio::sleep(0s);
    throw std::runtime_error("boom");
}

Coro<> descend(int depth) {
    if (depth > 0) {
        co_await descend(depth - 1);
    } else {
        co_await coaio::sleep(0s);
    }
}

}  // namespace

TEST_CASE("a coroutine runs nothing until it is awaited, then gives its value") {
    auto main = []() -> Coro<int> {
        auto later = answer();
        const int value = co_await std::move(later);
        co_return value;
    };
    REQUIRE(coaio::testing::run(main()) == 42);
}

TEST_CASE("TSK-01: tasks start on the next turn in the order of creation") {
    std::vector<std::string> log;
    auto main = [](std::vector<std::string>& names) -> Coro<> {
        create_task(log_name(names, "a"));
        create_task(log_name(names, "b"));
        create_task(log_name(names, "c"));
        names.emplace_back("created");
        co_await coaio::sleep(0s);
    };
    coaio::testing::run(main(log));
    REQUIRE(log == std::vector<std::string>{"created", "a", "b", "c"});
}

TEST_CASE("TSK-07: a task that awaits itself is told so") {
    auto self = [](std::shared_ptr<std::optional<coaio::Task<>>> me) -> Coro<> {
        const coaio::Task<> handle = **me;
        co_await handle;
    };
    auto main = [](auto body) -> Coro<> {
        auto me = std::make_shared<std::optional<coaio::Task<>>>();
        *me = create_task(body(me));
        co_await coaio::sleep(0s);
        REQUIRE_THROWS_AS((*me)->result(), coaio::RuntimeError);
        me->reset();
    };
    coaio::testing::run(main(self));
}

TEST_CASE("TSK-14, TSK-15: unnamed tasks have distinct names with rising numbers; a name can be given, and changed") {
    auto main = []() -> Coro<> {
        auto first = create_task(answer());
        auto second = create_task(answer(), {.name = "own"});
        auto third = create_task(answer());
        REQUIRE(first.name().starts_with("Task-"));
        REQUIRE(std::stoi(first.name().substr(5)) < std::stoi(third.name().substr(5)));
        REQUIRE(second.name() == "own");
        second.set_name("other");
        REQUIRE(second.name() == "other");
        co_await first;
    };
    coaio::testing::run(main());
}

TEST_CASE("TSK-22: a coroutine that ran already cannot be awaited again") {
    auto main = []() -> Coro<bool> {
        auto coro = answer();
        co_await std::move(coro);
        bool refused = false;
        try {
            co_await std::move(coro);
        } catch (const coaio::RuntimeError&) {
            refused = true;
        }
        co_return refused;
    };
    REQUIRE(coaio::testing::run(main()));
}

TEST_CASE("TSK-23: a failure that nobody looked at is reported when the last handle goes") {
    coaio::testing::TestLoop loop;
    std::vector<std::string> reports;
    loop.loop().set_exception_handler(
        [&](coaio::Loop&, const coaio::ExceptionContext& context) { reports.push_back(context.message); });
    auto main = []() -> Coro<> {
        { auto task = create_task(fails(), {.name = "unread"}); }
        co_await coaio::sleep(1s);
    };
    loop.run(main());
    REQUIRE(reports.size() == 1);
    REQUIRE_THAT(reports.front(), tests::contains("never retrieved"));
    REQUIRE_THAT(reports.front(), tests::contains("unread"));
}

TEST_CASE("an exception passes through every coroutine to whoever awaits the task") {
    auto middle = []() -> Coro<int> { co_return co_await fails(); };
    auto main = [](auto body) -> Coro<std::string> {
        auto task = create_task(body());
        std::string text;
        try {
            co_await task;
        } catch (const std::runtime_error& error) {
            text = error.what();
        }
        co_return text;
    };
    REQUIRE(coaio::testing::run(main(middle)) == "boom");
}

TEST_CASE("a recursion of a hundred thousand coroutines needs no native stack") {
    coaio::testing::run(descend(100'000));
}

TEST_CASE("a loop over coroutines that never suspend needs no native stack") {
    auto main = []() -> Coro<int> {
        int sum = 0;
        for (int i = 0; i < 300'000; ++i) sum += co_await answer() - 41;
        co_return sum;
    };
    REQUIRE(coaio::testing::run(main()) == 300'000);
}

TEST_CASE("CXL-02: a task cancelled before its first step never runs, and its parameters go") {
    auto body = [](std::shared_ptr<int> ran) -> Coro<> {
        *ran = 1;
        co_return;
    };
    auto main = [](auto make) -> Coro<> {
        auto ran = std::make_shared<int>(0);
        auto task = create_task(make(ran));
        task.cancel("no");
        co_await coaio::sleep(0s);
        REQUIRE(task.cancelled());
        REQUIRE(*ran == 0);
        REQUIRE(ran.use_count() == 1);
    };
    coaio::testing::run(main(body));
}

TEST_CASE("CXL-03: cancel and uncancel before the first step leave the task alone") {
    auto main = []() -> Coro<int> {
        auto task = create_task(answer());
        task.cancel();
        task.uncancel();
        co_return co_await task;
    };
    REQUIRE(coaio::testing::run(main()) == 42);
}

TEST_CASE("CXL-06: a body that catches the cancellation and returns is not cancelled") {
    auto body = []() -> Coro<int> {
        try {
            co_await coaio::sleep(1h);
        } catch (const coaio::CancelledError&) {}
        co_return 42;
    };
    auto main = [](auto stubborn) -> Coro<int> {
        auto task = create_task(stubborn());
        co_await coaio::sleep(0s);
        REQUIRE(task.cancel());
        co_return co_await task;
    };
    REQUIRE(coaio::testing::run(main(body)) == 42);
}

TEST_CASE("CXL-08: a task that cancels itself is stopped at its next suspension, in no time") {
    auto main = []() -> Coro<> {
        const auto start = coaio::Clock::now();
        coaio::current_task()->cancel("me");
        std::string message;
        try {
            co_await coaio::sleep(100s);
        } catch (const coaio::CancelledError& error) {
            message = *error.message();
        }
        REQUIRE(message == "me");
        REQUIRE(coaio::Clock::now() == start);
    };
    coaio::testing::run(main());
}

TEST_CASE("CXL-09: a task that cancels itself and then returns is cancelled, and its value is gone") {
    auto body = [](std::shared_ptr<int> value) -> Coro<std::shared_ptr<int>> {
        coaio::current_task()->cancel();
        co_return value;
    };
    auto main = [](auto make) -> Coro<> {
        auto value = std::make_shared<int>(1);
        auto task = create_task(make(value));
        co_await coaio::sleep(0s);
        REQUIRE(task.cancelled());
        REQUIRE(value.use_count() == 1);
    };
    coaio::testing::run(main(body));
}

TEST_CASE("CXL-11: after a self-cancel, awaits that do not suspend go on") {
    auto main = []() -> Coro<bool> {
        coaio::Future<int> done;
        done.set_result(1);
        coaio::current_task()->cancel();
        co_await done;
        co_await answer();
        bool thrown = false;
        try {
            co_await coaio::sleep(0s);
        } catch (const coaio::CancelledError&) {
            thrown = true;
        }
        co_return thrown;
    };
    REQUIRE(coaio::testing::run(main()));
}

TEST_CASE("CXL-13: a task about to resume with a value gets the cancellation instead, the future keeps the value") {
    auto waits = [](coaio::Future<int> future) -> Coro<> { co_await future; };
    auto main = [](auto make) -> Coro<> {
        coaio::Future<int> future;
        auto task = create_task(make(future));
        co_await coaio::sleep(0s);
        future.set_result(5);
        REQUIRE(task.cancel());
        co_await coaio::sleep(0s);
        REQUIRE(task.cancelled());
        REQUIRE(future.result() == 5);
    };
    coaio::testing::run(main(waits));
}

TEST_CASE("CXL-16: cancel then uncancel of a task on a live future comes too late") {
    auto waits = [](coaio::Future<int> future) -> Coro<> { co_await future; };
    auto main = [](auto make) -> Coro<> {
        coaio::Future<int> future;
        auto task = create_task(make(future));
        co_await coaio::sleep(0s);
        task.cancel();
        task.uncancel();
        co_await coaio::sleep(0s);
        REQUIRE(task.cancelled());
        REQUIRE(task.cancelling() == 0);
    };
    coaio::testing::run(main(waits));
}

TEST_CASE("CXL-17: two cancels in one turn are one CancelledError, with the first message") {
    auto body = [](std::vector<std::string>& seen) -> Coro<> {
        try {
            co_await coaio::sleep(1h);
        } catch (const coaio::CancelledError& error) {
            seen.push_back(*error.message());
        }
        co_await coaio::sleep(1s);
    };
    std::vector<std::string> seen;
    auto main = [](auto make, std::vector<std::string>& messages) -> Coro<> {
        auto task = create_task(make(messages));
        co_await coaio::sleep(0s);
        REQUIRE(task.cancel("m1"));
        REQUIRE(task.cancel("m2"));
        REQUIRE(task.cancelling() == 2);
        co_await task;
    };
    coaio::testing::run(main(body, seen));
    REQUIRE(seen == std::vector<std::string>{"m1"});
}

TEST_CASE("CXL-21: a parent cancelled while its child swallows the cancellation gets the child's value") {
    auto child = []() -> Coro<int> {
        try {
            co_await coaio::sleep(1h);
        } catch (const coaio::CancelledError&) {}
        co_return 7;
    };
    auto parent = [](auto make) -> Coro<int> { co_return co_await create_task(make()); };
    auto main = [](auto make_parent, auto make_child) -> Coro<> {
        auto task = create_task(make_parent(make_child));
        co_await coaio::sleep(0s);
        co_await coaio::sleep(0s);
        task.cancel();
        const int value = co_await task;
        REQUIRE(value == 7);
        REQUIRE(task.cancelling() == 1);
    };
    coaio::testing::run(main(parent, child));
}

TEST_CASE("CXL-24: cancelling one awaiter of a shared task cancels it for the other too") {
    auto waits = [](coaio::Task<> shared) -> Coro<> { co_await shared; };
    auto main = [](auto make) -> Coro<> {
        auto shared = create_task(eternity());
        auto a = create_task(make(shared));
        auto b = create_task(make(shared));
        co_await coaio::sleep(0s);
        co_await coaio::sleep(0s);
        a.cancel();
        co_await coaio::sleep(1s);
        REQUIRE(shared.cancelled());
        REQUIRE(a.cancelled());
        REQUIRE(b.cancelled());
        REQUIRE(b.cancelling() == 0);
    };
    coaio::testing::run(main(waits));
}

TEST_CASE("awaiting a temporary task moves the value out, a named one gives a reference") {
    auto make = []() -> Coro<std::unique_ptr<int>> { co_return std::make_unique<int>(3); };
    auto main = [](auto body) -> Coro<> {
        const std::unique_ptr<int> value = co_await create_task(body());
        REQUIRE(*value == 3);
        auto task = create_task(body());
        const auto& kept = co_await task;
        REQUIRE(*kept == 3);
        REQUIRE(task.result().get() == kept.get());
    };
    coaio::testing::run(main(make));
}

TEST_CASE("the dump shows the stack of every task, with function, file, line and what it waits for") {
    auto inner = [](std::string) -> Coro<> { co_await coaio::sleep(5s); };
    auto main = [](auto make) -> Coro<std::string> {
        auto task = create_task(make("x"), {.name = "sleeper"});
        co_await coaio::sleep(1s);
        co_return coaio::dump_tasks();
    };
    const std::string tree = coaio::testing::run(main(inner));
    REQUIRE_THAT(tree, tests::contains("sleeper waiting, age 1.0 s, created at"));
    REQUIRE_THAT(tree, tests::contains("task_test.cpp:"));
    REQUIRE_THAT(tree, tests::contains("waits for sleep, 4.0 s to go, for 1.0 s"));
    REQUIRE_THAT(tree, tests::contains("running"));
}
