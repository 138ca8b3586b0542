// SPDX-License-Identifier: MIT
#include <coaio/core/wait.hpp>

#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/testing.hpp>

#include "core/delayed.hpp"
#include "support/catch.hpp"

#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;
using coaio::Future;
using coaio::Task;
using tests::fail_after;
using tests::now;
using tests::value_after;

namespace {

// How many would be told of the future's end.
struct Hooks : coaio::detail::FutureBase {
    static std::size_t on(const Future<int>& future) {
        const coaio::detail::DoneNode* const first = (*future.state()).*(&Hooks::waiters_);
        std::size_t count = 0;
        for (const auto* each = first; each != nullptr; each = each->next != first ? each->next : nullptr) ++count;
        return count;
    }
};

}  // namespace

TEST_CASE("WAI-01, WAI-02: all are done, in the order of the input, duplicates once, and again at no cost") {
    auto main = []() -> Coro<> {
        auto a = create_task(value_after(2s, 1));
        auto b = create_task(value_after(1s, 2));
        const std::vector<Task<int>> tasks{a, b, a};
        auto first = co_await coaio::wait(tasks);
        REQUIRE(first.done.size() == 2);
        REQUIRE(first.done[0].same_as(a));
        REQUIRE(first.pending.empty());
        REQUIRE(now() == 2s);
        auto again = co_await coaio::wait(tasks);
        REQUIRE(again.done.size() == 2);
        REQUIRE(now() == 2s);
    };
    coaio::testing::run(main());
}

TEST_CASE("WAI-03: nothing to wait for is a ValueError") {
    auto main = []() -> Coro<> {
        const std::vector<Task<int>> none;
        REQUIRE_THROWS_AS(coaio::wait(none), coaio::ValueError);
        co_return;
    };
    coaio::testing::run(main());
}

TEST_CASE("WAI-05, WAI-07, WAI-09: when wait returns") {
    auto main = []() -> Coro<> {
        std::vector<Task<int>> tasks;
        tasks.push_back(create_task(value_after(1s, 1)));
        tasks.push_back(create_task(fail_after<int>(2s, "x")));
        tasks.push_back(create_task(value_after(3s, 3)));
        auto first = co_await coaio::wait(tasks, coaio::FIRST_COMPLETED);
        REQUIRE(now() == 1s);
        REQUIRE(first.done.size() == 1);
        REQUIRE(first.pending.size() == 2);
        auto failed = co_await coaio::wait(tasks, coaio::FIRST_EXCEPTION);
        REQUIRE(now() == 2s);
        REQUIRE(failed.done.size() == 2);
        auto all = co_await coaio::wait(tasks);
        REQUIRE(now() == 3s);
        REQUIRE(all.done.size() == 3);
        REQUIRE(tasks[1].exception() != nullptr);
    };
    coaio::testing::run(main());
}

TEST_CASE("WAI-10, WAI-11, WAI-12: a time-out throws nothing, cancels nothing, and counts what ends with it as done") {
    auto main = []() -> Coro<> {
        std::vector<Task<int>> tasks;
        tasks.push_back(create_task(value_after(1s, 1)));
        tasks.push_back(create_task(value_after(5s, 2)));
        co_await coaio::sleep(0s);
        auto none = co_await coaio::wait(tasks, coaio::ALL_COMPLETED, 0s);
        REQUIRE(none.done.empty());
        auto result = co_await coaio::wait(tasks, coaio::ALL_COMPLETED, 1s);
        REQUIRE(now() == 1s);
        REQUIRE(result.done.size() == 1);
        REQUIRE(result.pending.size() == 1);
        REQUIRE_FALSE(tasks[1].cancelled());
        co_await tasks[1];
    };
    coaio::testing::run(main());
}

TEST_CASE("WAI-13: a cancelled wait leaves the tasks alone") {
    auto waits = [](std::vector<Task<int>> tasks) -> Coro<> { static_cast<void>(co_await coaio::wait(tasks)); };
    auto main = [](auto make) -> Coro<> {
        std::vector<Task<int>> tasks;
        tasks.push_back(create_task(value_after(5s, 1)));
        auto task = create_task(make(tasks));
        co_await coaio::sleep(1s);
        task.cancel();
        co_await coaio::sleep(1s);
        REQUIRE(task.cancelled());
        const int value = co_await tasks[0];
        REQUIRE(value == 1);
    };
    coaio::testing::run(main(waits));
}

TEST_CASE("WAI-14: with every input done wait still lets a turn pass") {
    auto main = []() -> Coro<> {
        const Future<int> done;
        done.set_result(1);
        bool turned = false;
        coaio::get_running_loop().call_soon([&turned] { turned = true; });
        const std::vector<Future<int>> one{done};
        static_cast<void>(co_await coaio::wait(one));
        REQUIRE(turned);
    };
    coaio::testing::run(main());
}

TEST_CASE("WAI-16: no hook is left on what was waited for, however often and however the wait ended") {
    auto main = []() -> Coro<> {
        const Future<int> slow;
        auto waits = [](std::vector<Future<int>> futures) -> Coro<> {
            static_cast<void>(co_await coaio::wait(futures, coaio::FIRST_COMPLETED));
        };
        for (int i = 0; i < 5; ++i) {
            const Future<int> quick;
            const std::vector<Future<int>> both{slow, quick};
            auto task = create_task(waits(both));
            co_await coaio::sleep(0s);
            REQUIRE(Hooks::on(slow) == 1);
            REQUIRE(Hooks::on(quick) == 1);
            if (i % 2 == 0) {
                quick.set_result(i);
            } else {
                task.cancel();
            }
            co_await coaio::sleep(1s);
            REQUIRE(task.done());
            REQUIRE(Hooks::on(slow) == 0);
            REQUIRE(Hooks::on(quick) == 0);
        }
        const std::vector<Future<int>> one{slow};
        static_cast<void>(co_await coaio::wait(one, coaio::ALL_COMPLETED, 1s));
        REQUIRE(Hooks::on(slow) == 0);
    };
    coaio::testing::run(main());
}
