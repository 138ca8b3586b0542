// SPDX-License-Identifier: MIT
#include <coaio/core/threadsafe.hpp>

#include <coaio/core/context.hpp>
#include <coaio/core/generator.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>

#include "core/loop_thread.hpp"
#include "support/catch.hpp"

#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace {

using coaio::Coro;
using tests::LoopThread;
using namespace std::chrono_literals;

Coro<std::unique_ptr<int>> boxed(int value) {
    co_await coaio::sleep(coaio::Duration::zero());
    co_return std::make_unique<int>(value);
}

Coro<> fail() {
    co_await coaio::sleep(coaio::Duration::zero());
    throw std::runtime_error("on the loop");
}

Coro<int> wait_for_ever(std::shared_ptr<int> held) {
    co_await coaio::sleep(1h);
    co_return *held;
}

}  // namespace

TEST_CASE("a thread gets the result of a coroutine that it hands to a loop", "[threads]") {
    LoopThread thread;
    const auto future = coaio::run_coroutine_threadsafe(boxed(42), thread.loop());
    const auto result = future.result(10s);
    CHECK(*result == 42);
    CHECK(future.done());
    CHECK_FALSE(future.cancelled());
    CHECK_FALSE(future.cancel());
}

TEST_CASE("EXE-13: a thread gets what the coroutine throws", "[threads]") {
    LoopThread thread;
    const auto future = coaio::run_coroutine_threadsafe(fail(), thread.loop());
    CHECK_THROWS_WITH(future.result(10s), tests::contains("on the loop"));
    CHECK(future.exception() != nullptr);
}

TEST_CASE("EXE-14, EXE-15: a thread that gives up cancels the task on its loop", "[threads]") {
    LoopThread thread;
    auto held = std::make_shared<int>(1);
    const std::weak_ptr<int> watch = held;
    const auto future = coaio::run_coroutine_threadsafe(wait_for_ever(std::move(held)), thread.loop());
    CHECK_THROWS_AS(future.result(1ms), coaio::TimeoutError);
    CHECK(future.cancel());
    CHECK_THROWS_AS(future.result(10s), coaio::CancelledError);
    CHECK(future.cancelled());
    const auto left = coaio::run_coroutine_threadsafe(
        []() -> Coro<std::size_t> { co_return coaio::all_tasks().size(); }(), thread.loop());
    CHECK(left.result(10s) == 1);
    CHECK(watch.expired());
}

TEST_CASE("cancelling before the task was ever started ends the wait too", "[threads]") {
    coaio::Loop loop;
    const auto future = coaio::run_coroutine_threadsafe(boxed(1), loop);
    CHECK(future.cancel());
    loop.call_soon_threadsafe([&loop] { loop.stop(); });
    loop.run_forever();
    loop.stop();
    loop.run_forever();
    CHECK_THROWS_AS(future.result(0s), coaio::CancelledError);
}

TEST_CASE("EXE-17: a closed loop refuses the coroutine, which is dropped where it was made", "[threads]") {
    coaio::Loop loop;
    loop.close();
    auto held = std::make_shared<int>(1);
    const std::weak_ptr<int> watch = held;
    CHECK_THROWS_AS(coaio::run_coroutine_threadsafe(wait_for_ever(std::move(held)), loop), coaio::RuntimeError);
    CHECK(watch.expired());
}

TEST_CASE("a loop that closes ends the wait of whoever waits for it", "[threads]") {
    std::optional<coaio::ThreadsafeFuture<int>> begun;
    std::optional<coaio::ThreadsafeFuture<int>> posted;
    {
        coaio::Loop loop;
        loop.set_exception_handler([](coaio::Loop&, const coaio::ExceptionContext&) {});
        begun = coaio::run_coroutine_threadsafe(wait_for_ever(std::make_shared<int>(1)), loop);
        loop.stop();
        loop.run_forever();
        loop.stop();
        loop.run_forever();
        posted = coaio::run_coroutine_threadsafe(wait_for_ever(std::make_shared<int>(1)), loop);
    }
    CHECK_THROWS_AS(begun->result(0s), coaio::CancelledError);
    CHECK_THROWS_AS(posted->result(0s), coaio::CancelledError);
    CHECK_FALSE(begun->cancel());
}

namespace {

struct Cleanup {
    std::thread::id ran_on;
    bool awaited = false;
};

coaio::AsyncGenerator<int> cleans_up(std::shared_ptr<Cleanup> cleanup) {
    try {
        co_yield 1;
    } catch (const coaio::GeneratorExit&) {
        cleanup->ran_on = std::this_thread::get_id();
    }
    co_await coaio::sleep(1ms);
    cleanup->awaited = true;
}

Coro<> consumes(std::shared_ptr<Cleanup> cleanup, std::promise<std::thread::id>& begun) {
    auto generator = cleans_up(std::move(cleanup));
    static_cast<void>(co_await generator.next());
    begun.set_value(std::this_thread::get_id());
    co_await coaio::sleep(1h);
}

}  // namespace

TEST_CASE("AGN-13: a generator that goes because another thread let go of its task is closed on its own loop",
          "[threads]") {
    const auto cleanup = std::make_shared<Cleanup>();
    std::promise<std::thread::id> begun;
    std::thread::id loop_thread;
    {
        LoopThread thread;
        {
            const auto future = coaio::run_coroutine_threadsafe(consumes(cleanup, begun), thread.loop());
            loop_thread = begun.get_future().get();
            future.cancel();
        }
        const auto settled = []() -> Coro<> {
            while (coaio::all_tasks().size() > 1) co_await coaio::sleep(1ms);
        };
        coaio::run_coroutine_threadsafe(settled(), thread.loop()).result(10s);
    }
    CHECK(cleanup->ran_on == loop_thread);
    CHECK(cleanup->awaited);
}

TEST_CASE("what a loop's own thread posts comes after what other threads posted before", "[threads]") {
    auto main = []() -> Coro<std::string> {
        coaio::Loop& loop = coaio::get_running_loop();
        std::string order;
        std::optional<coaio::ThreadsafeFuture<int>> future;
        std::thread([&] {
            future.emplace(coaio::run_coroutine_threadsafe(wait_for_ever(std::make_shared<int>(1)), loop));
            loop.call_soon_threadsafe([&] { order += "theirs "; });
        }).join();
        loop.call_soon_threadsafe([&] { order += "ours "; });
        CHECK(future->cancel());
        while (!future->done()) co_await coaio::sleep(coaio::Duration::zero());
        CHECK(future->cancelled());
        co_return order;
    };
    coaio::Loop loop;
    CHECK(loop.run_until_complete(main()) == "theirs ours ");
}

TEST_CASE("a result of another loop that is wrapped twice is fetched by one, and the other hears of it", "[threads]") {
    auto main = [](coaio::Loop& other) -> Coro<> {
        const auto future = coaio::run_coroutine_threadsafe(boxed(42), other);
        auto first = coaio::wrap_future(future);
        auto second = coaio::wrap_future(future);
        const auto value = co_await std::move(first);
        CHECK(*value == 42);
        bool refused = false;
        try {
            co_await second;
        } catch (const coaio::InvalidStateError&) {
            refused = true;
        }
        CHECK(refused);
    };
    LoopThread thread;
    coaio::Loop loop;
    loop.run_until_complete(main(thread.loop()));
}

TEST_CASE("a callback that wraps a result that is there keeps its context", "[threads]") {
    static const coaio::ContextVar<int> variable;
    auto main = [](coaio::Loop& other) -> Coro<std::pair<int, int>> {
        const auto future = coaio::run_coroutine_threadsafe(boxed(42), other);
        while (!future.done()) co_await coaio::sleep(coaio::Duration::zero());
        variable.set(7);
        std::pair<int, int> seen;
        std::optional<coaio::Future<std::unique_ptr<int>>> wrapped;
        coaio::get_running_loop().call_soon([&] {
            seen.first = variable.get_or(0);
            wrapped.emplace(coaio::wrap_future(future));
            seen.second = variable.get_or(0);
        });
        while (!wrapped) co_await coaio::sleep(coaio::Duration::zero());
        const auto value = co_await std::move(*wrapped);
        co_return seen;
    };
    LoopThread thread;
    coaio::Loop loop;
    CHECK(loop.run_until_complete(main(thread.loop())) == std::pair(7, 7));
}
