// SPDX-License-Identifier: MIT
#include <coaio/core/to_thread.hpp>

#include <coaio/core/context.hpp>
#include <coaio/core/executor.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <future>
#include <latch>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using coaio::Coro;

/// Runs the body on a loop, then ends the executor's threads as `run` does.
template <class F>
void in_loop(F body) {
    coaio::Loop loop;
    loop.run_until_complete(body());
    loop.run_until_complete(loop.shutdown_default_executor());
}

template <class T>
Coro<bool> is_cancelled(coaio::Future<T> future) {
    try {
        co_await future;
    } catch (const coaio::CancelledError&) {
        co_return true;
    }
    co_return false;
}

/// A gate that a job waits at, so that a test decides when it goes on.
struct Gate {
    std::promise<void> opener;
    std::shared_future<void> opened{opener.get_future()};
};

}  // namespace

TEST_CASE("EXE-01: a function runs on another thread and its result comes back to the loop", "[threads]") {
    in_loop([]() -> Coro<> {
        const auto here = std::this_thread::get_id();
        const auto there = co_await coaio::to_thread([] { return std::this_thread::get_id(); });
        CHECK(there != here);
        const int sum = co_await coaio::to_thread([](int a, int b) { return a + b; }, 2, 3);
        CHECK(sum == 5);
        int called = 0;
        co_await coaio::to_thread([](int* count) { ++*count; }, &called);
        CHECK(called == 1);
        const int seven = co_await coaio::get_running_loop().run_in_executor(nullptr, [] { return 7; });
        CHECK(seven == 7);
    });
}

TEST_CASE("results and arguments may be move-only", "[threads]") {
    in_loop([]() -> Coro<> {
        auto argument = std::make_unique<int>(20);
        const std::unique_ptr<int> result = co_await coaio::to_thread(
            [](std::unique_ptr<int> value) { return std::make_unique<int>(*value + 1); }, std::move(argument));
        CHECK(*result == 21);
    });
}

TEST_CASE("what the function throws comes out of the await", "[threads]") {
    in_loop([]() -> Coro<> {
        std::string what;
        try {
            co_await coaio::to_thread([] { throw std::runtime_error("over there"); });
        } catch (const std::runtime_error& error) {
            what = error.what();
        }
        CHECK(what == "over there");
    });
}

TEST_CASE("EXE-03: jobs run once each, at the same time on several threads", "[threads]") {
    in_loop([]() -> Coro<> {
        auto& loop = coaio::get_running_loop();
        loop.set_default_executor(std::make_shared<coaio::ThreadPoolExecutor>(10));
        std::latch together(10);
        std::atomic<int> calls = 0;
        std::vector<coaio::Future<std::thread::id>> jobs;
        for (int i = 0; i < 10; ++i) {
            jobs.push_back(loop.run_in_executor([&together, &calls] {
                ++calls;
                together.arrive_and_wait();  // ends only when all ten are inside
                return std::this_thread::get_id();
            }));
        }
        std::set<std::thread::id> threads;
        for (auto& job : jobs) threads.insert(co_await job);
        CHECK(threads.size() == 10);
        CHECK(calls == 10);
    });
}

TEST_CASE("EXE-05: a cancelled awaiter goes on at once while its job runs to the end, owning what it uses",
          "[threads]") {
    coaio::Loop loop;
    auto owned = std::make_shared<int>(7);
    const std::weak_ptr<int> watch = owned;
    std::promise<void> entered;
    Gate gate;
    std::atomic<int> seen = 0;
    loop.run_until_complete(
        [](std::shared_ptr<int> value, std::promise<void>& in, Gate& open, std::atomic<int>& out) -> Coro<> {
            auto job = [value = std::move(value), &in, wait = open.opened, &out] {
                in.set_value();
                wait.wait();
                out = *value;
            };
            auto task = coaio::create_task(coaio::to_thread(std::move(job)));
            co_await coaio::sleep(coaio::Duration::zero());
            in.get_future().wait();
            task.cancel();
            const bool cancelled = co_await is_cancelled<void>(task);
            CHECK(cancelled);
            CHECK(out == 0);
        }(std::move(owned), entered, gate, seen));
    CHECK_FALSE(watch.expired());
    gate.opener.set_value();
    loop.run_until_complete(loop.shutdown_default_executor());
    CHECK(seen == 7);
    CHECK(watch.expired());
}

TEST_CASE("EXE-06: a job that is cancelled while it waits for a thread never runs, and lets go of what it holds",
          "[threads]") {
    coaio::Loop loop;
    loop.set_default_executor(std::make_shared<coaio::ThreadPoolExecutor>(1));
    Gate gate;
    std::atomic<bool> ran = false;
    auto held = std::make_shared<int>(0);
    const std::weak_ptr<int> watch = held;
    loop.run_until_complete(
        [](Gate& open, std::atomic<bool>& flag, std::shared_ptr<int> value, std::weak_ptr<int> released) -> Coro<> {
            auto& running = coaio::get_running_loop();
            auto first = running.run_in_executor([wait = open.opened] { wait.wait(); });
            auto second = running.run_in_executor([value = std::move(value), &flag] { flag = true; });
            CHECK(second.cancel());
            const bool cancelled = co_await is_cancelled(second);
            CHECK(cancelled);
            co_await coaio::sleep(coaio::Duration::zero());
            CHECK(released.expired());
            open.opener.set_value();
            co_await first;
        }(gate, ran, std::move(held), watch));
    loop.run_until_complete(loop.shutdown_default_executor());
    CHECK_FALSE(ran);
}

TEST_CASE("EXE-11: a closed loop leaves running jobs alone and forgets their outcome", "[threads]") {
    Gate gate;
    std::promise<void> entered;
    std::promise<void> ended;
    auto pool = std::make_shared<coaio::ThreadPoolExecutor>(1);
    {
        coaio::Loop loop;
        loop.set_default_executor(pool);
        loop.run_until_complete([](Gate& open, std::promise<void>& in) -> Coro<> {
            coaio::get_running_loop().run_in_executor([wait = open.opened, &in] {
                in.set_value();
                wait.wait();
                return std::string(100, 'x');
            });
            coaio::get_running_loop().run_in_executor([] { std::abort(); });  // waits behind, never runs
            co_return;
        }(gate, entered));
        entered.get_future().wait();
    }
    gate.opener.set_value();
    pool->shutdown([&ended] { ended.set_value(); });
    ended.get_future().wait();
    SUCCEED();
}

TEST_CASE("EXE-09: shutting down with a limit that passes says so and goes on", "[threads]") {
    coaio::Loop loop;
    Gate gate;
    std::promise<void> begun;
    std::promise<void> gone;
    std::vector<std::string> reports;
    loop.set_exception_handler(
        [&](coaio::Loop&, const coaio::ExceptionContext& context) { reports.push_back(context.message); });
    loop.run_until_complete([](Gate& open, std::promise<void>& start, std::promise<void>& end) -> Coro<> {
        coaio::get_running_loop().run_in_executor([wait = open.opened, &start, &end] {
            start.set_value();
            wait.wait();
            end.set_value();
        });
        start.get_future().wait();  // a job that has not begun would never run
        co_await coaio::get_running_loop().shutdown_default_executor(std::chrono::milliseconds(1));
    }(gate, begun, gone));
    CHECK(reports.size() == 1);
    CHECK_THROWS_AS(loop.run_until_complete(coaio::to_thread([] {})), coaio::RuntimeError);
    loop.close();
    gate.opener.set_value();
    gone.get_future().wait();
}

TEST_CASE("the size of a pool follows the machine unless told otherwise", "[threads]") {
    const auto processors = std::max(1U, std::thread::hardware_concurrency());
    CHECK(coaio::ThreadPoolExecutor().max_threads() == std::min(32U, processors + 4));
    CHECK(coaio::ThreadPoolExecutor(3).max_threads() == 3);
    CHECK(coaio::ThreadPoolExecutor(3).threads() == 0);
}

TEST_CASE("EXE-04: context variables of the caller can be read in the thread", "[threads]") {
    static const coaio::ContextVar<std::string> name;
    in_loop([]() -> Coro<> {
        name.set("caller");
        const std::string there = co_await coaio::to_thread([] { return name.get_or("none"); });
        CHECK(there == "caller");
        const std::string other = co_await coaio::to_thread([] { return std::string("no leftovers"); });
        CHECK(other == "no leftovers");
    });
}

TEST_CASE("LOOP-28, LOOP-33: callbacks posted from another thread run in the order of posting, and wake a waiting loop",
          "[threads]") {
    coaio::Loop loop;
    std::vector<int> order;
    std::thread poster([&] {
        for (int i = 0; i < 500; ++i) loop.call_soon_threadsafe([&order, i] { order.push_back(i); });
        loop.call_soon_threadsafe([&loop] { loop.stop(); });
    });
    loop.run_forever();
    poster.join();
    REQUIRE(order.size() == 500);
    CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("LOOP-28: what a thread posted has its place before what call_soon queues later", "[threads]") {
    coaio::Loop loop;
    std::string order;
    loop.call_soon([&] {
        loop.call_soon([&order] { order += 'a'; });
        std::thread([&] { loop.call_soon_threadsafe([&order] { order += 'b'; }); }).join();
        loop.call_soon([&order] { order += 'c'; });
        std::thread([&] { loop.call_soon_threadsafe([&order] { order += 'd'; }); }).join();
        loop.call_soon_threadsafe([&] {
            order += 'e';
            loop.stop();
        });
    });
    loop.run_forever();
    CHECK(order == "abcde");
}

TEST_CASE("LOOP-30: a posted callback that was cancelled on another thread never runs", "[threads]") {
    coaio::Loop loop;
    bool ran = false;
    auto held = std::make_shared<int>(0);
    const std::weak_ptr<int> watch = held;
    const auto handle = loop.call_soon_threadsafe([&ran, held = std::move(held)] { ran = true; });
    std::thread([&handle] { handle.cancel(); }).join();
    CHECK(watch.expired());
    loop.call_soon_threadsafe([&loop] { loop.stop(); });
    loop.run_forever();
    CHECK_FALSE(ran);
    CHECK(handle.cancelled());
}

TEST_CASE("LOOP-32: a posted callback may cancel its own handle: it runs to its end", "[threads]") {
    coaio::Loop loop;
    std::optional<coaio::ThreadsafeHandle> handle;
    bool ended = false;
    handle = loop.call_soon_threadsafe([&] {
        handle->cancel();
        ended = true;
        loop.stop();
    });
    loop.run_forever();
    CHECK(ended);
    CHECK(handle->cancelled());
}

TEST_CASE("LOOP-34: a callback that posts itself for ever does not starve tasks", "[threads]") {
    coaio::Loop loop;
    std::uint64_t posts = 0;
    bool done = false;
    std::function<void()> again = [&] {
        ++posts;
        if (!done) loop.call_soon_threadsafe(again);
    };
    loop.call_soon_threadsafe(again);
    loop.run_until_complete([]() -> Coro<> {
        for (int i = 0; i < 100; ++i) co_await coaio::sleep(coaio::Duration::zero());
    }());
    done = true;
    CHECK(posts > 10);
}

TEST_CASE("posting to a closed loop is refused", "[threads]") {
    coaio::Loop loop;
    loop.close();
    CHECK_THROWS_AS(loop.call_soon_threadsafe([] {}), coaio::RuntimeError);
}
