// SPDX-License-Identifier: MIT
// What debug mode sees: steps that take long, and use from another thread than the loop's.
#include <coaio/core/loop.hpp>

#include <coaio/core/condition.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/event.hpp>
#include <coaio/core/lock.hpp>
#include <coaio/core/queue.hpp>
#include <coaio/core/semaphore.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/wait.hpp>

#include "core/reports.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;
using coaio::Future;
using coaio::Loop;
using tests::Reports;

namespace {

void spin() {
    const auto until = std::chrono::steady_clock::now() + 3ms;
    while (std::chrono::steady_clock::now() < until) {}
}

std::string at(int line) { return "debug_test.cpp:" + std::to_string(line) + ") kept"; }

template <class F>
int refused(F function) {
    try {
        function();
    } catch (const coaio::RuntimeError& error) {
        CHECK_THAT(error.what(), tests::contains("another thread"));
        return 1;
    }
    return 0;
}

// What tasks wait for, and the tasks that do.
struct Waited {
    Future<int> future;
    Future<int> other;
    coaio::Queue<int> queue;
    coaio::Queue<int> full{1};
    coaio::Event event;
    coaio::Lock lock;
    coaio::Condition condition;
    coaio::Semaphore semaphore{0};
    std::vector<coaio::Task<>> tasks;

    Coro<> start() {
        full.put_nowait(1);
        co_await lock.acquire();
        tasks.push_back(create_task([](Waited& my) -> Coro<> { co_await my.future; }(*this)));
        tasks.push_back(create_task([](Waited& my) -> Coro<> { static_cast<void>(co_await my.queue.get()); }(*this)));
        tasks.push_back(create_task([](Waited& my) -> Coro<> { co_await my.full.put(2); }(*this)));
        tasks.push_back(create_task([](Waited& my) -> Coro<> { co_await my.full.join(); }(*this)));
        tasks.push_back(create_task([](Waited& my) -> Coro<> { co_await my.event.wait(); }(*this)));
        tasks.push_back(create_task([](Waited& my) -> Coro<> { co_await my.lock.acquire(); }(*this)));
        tasks.push_back(create_task([](Waited& my) -> Coro<> { co_await my.semaphore.acquire(); }(*this)));
        tasks.push_back(create_task([](Waited& my) -> Coro<> {
            const auto guard = co_await my.condition.scoped();
            co_await my.condition.wait();
        }(*this)));
        for (int i = 0; i < 3; ++i) co_await coaio::sleep(0s);
        co_await condition.acquire();
    }
    Coro<> end() {
        condition.release();
        for (auto& task : tasks) task.cancel();
        co_await coaio::wait(tasks);
    }
};

}  // namespace

TEST_CASE("DBG-01: in debug mode a step that takes long is reported, with the task and the place before it") {
    Loop loop;
    Reports reports(loop);
    loop.set_debug(true);
    loop.set_slow_step_limit(2ms);
    int first = 0;
    int second = 0;
    auto busy = [](int& before, int& after) -> Coro<> {
        before = __LINE__ + 1;
        co_await coaio::sleep(0s);
        spin();
        after = __LINE__ + 1;
        co_await coaio::sleep(0s);
    };
    loop.run_until_complete(loop.create_task(busy(first, second), {.name = "busy one"}));
    CHECK(first != second);
    CHECK(reports.any_has("busy one ("));
    CHECK(reports.any_has(at(first)));
    CHECK(loop.stats().longest_step >= 3ms);
}

TEST_CASE("DBG-01: a slow first step is reported with the coroutine's definition") {
    Loop loop;
    Reports reports(loop);
    loop.set_debug(true);
    loop.set_slow_step_limit(2ms);
    const int first = __LINE__ + 1;
    auto busy = []() -> Coro<> {
        spin();
        co_await coaio::sleep(0s);
    };
    const int last = __LINE__ - 1;
    loop.run_until_complete(loop.create_task(busy(), {.name = "busy one"}));
    CHECK(reports.any_has("busy one ("));
    CHECK((reports.any_has(at(first)) || reports.any_has(at(last))));  // clang says where it begins, gcc where it ends
}

TEST_CASE("DBG-01: a slow step after an item of a queue is the task's, not some callback's") {
    Loop loop;
    Reports reports(loop);
    loop.set_debug(true);
    loop.set_slow_step_limit(2ms);
    int line = 0;
    auto gets = [](coaio::Queue<int>& queue, int& before) -> Coro<> {
        before = __LINE__ + 1;
        static_cast<void>(co_await queue.get());
        spin();
    };
    auto main = [](auto make, int& before) -> Coro<> {
        coaio::Queue<int> queue;
        auto getter = create_task(make(queue, before), {.name = "getter"});
        co_await coaio::sleep(0s);
        queue.put_nowait(1);
        co_await getter;
    };
    loop.run_until_complete(main(gets, line));
    CHECK(reports.any_has("getter ("));
    CHECK(reports.any_has(at(line)));
}

TEST_CASE("DBG-02: in debug mode use from another thread is refused, before it changes anything") {
    Loop loop;
    loop.set_debug(true);
    int count = 0;
    auto main = [](Loop& mine, int& refusals) -> Coro<> {
        Waited waited;
        co_await waited.start();
        std::thread other([&] {
            auto nothing = []() -> Coro<> { co_return; };
            refusals += refused([&] { mine.call_soon([] {}); });
            refusals += refused([&] { mine.call_later(1s, [] {}); });
            refusals += refused([&] { mine.call_at(coaio::TimePoint(), [] {}); });
            refusals += refused([&] { mine.create_task(nothing()); });
            refusals += refused([&] { mine.stop(); });
            refusals += refused([&] { waited.tasks[0].cancel(); });
            refusals += refused([&] { coaio::AnyTask(waited.tasks[0]).cancel(); });
            refusals += refused([&] { waited.future.cancel(); });
            refusals += refused([&] { waited.future.set_result(1); });
            refusals += refused([&] { waited.future.set_exception(std::runtime_error("x")); });
            refusals += refused([&] { waited.future.add_done_callback([](const auto&) {}); });
            refusals += refused([&] { waited.queue.put_nowait(1); });
            refusals += refused([&] { static_cast<void>(waited.full.get_nowait()); });
            refusals += refused([&] { waited.full.task_done(); });
            refusals += refused([&] { waited.queue.shutdown(); });
            refusals += refused([&] { waited.event.set(); });
            refusals += refused([&] { waited.lock.release(); });
            refusals += refused([&] { waited.semaphore.release(); });
            refusals += refused([&] { waited.condition.notify(); });
            refusals += refused([&] { waited.condition.notify_all(); });
        });
        other.join();
        CHECK_FALSE(waited.future.done());
        CHECK(waited.queue.empty());
        CHECK(waited.full.qsize() == 1);
        CHECK_FALSE(waited.event.is_set());
        CHECK(waited.lock.locked());
        CHECK(waited.semaphore.value() == 0);
        co_await coaio::sleep(0s);
        CHECK(std::ranges::none_of(waited.tasks, [](const auto& task) { return task.done(); }));
        co_await waited.end();
    };
    loop.run_until_complete(main(loop, count));
    REQUIRE(count == 20);
}

TEST_CASE("DBG-02: without debug mode, and of a loop that does not run, nothing is checked") {
    auto use = [](Loop& mine, Waited& waited) {
        mine.call_soon([] {});
        mine.call_later(1h, [] {});
        mine.call_at(coaio::TimePoint(), [] {});
        waited.tasks[2].cancel();
        waited.future.set_result(1);
        waited.queue.put_nowait(1);
        waited.event.set();
    };
    auto main = [](auto uses, Loop& mine) -> Coro<> {
        Waited waited;
        co_await waited.start();
        std::thread([&] { uses(mine, waited); }).join();
        for (int i = 0; i < 2; ++i) co_await coaio::sleep(0s);
        co_await waited.end();
        CHECK_FALSE(waited.tasks[0].cancelled());
        CHECK_FALSE(waited.tasks[1].cancelled());
        CHECK(waited.tasks[2].cancelled());
    };
    Loop loop;
    loop.set_debug(false);
    loop.run_until_complete(main(use, loop));

    Loop idle;
    idle.set_debug(true);
    const Future<int> future = [&idle] {
        const coaio::detail::CoreGuard guard(idle.core());
        return Future<int>();
    }();
    std::thread([&future] { future.set_result(1); }).join();
    CHECK(future.result() == 1);
}
