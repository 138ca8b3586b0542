// SPDX-License-Identifier: MIT
// Futures that take over another's outcome, across threads too, and what a future may hold.
#include <coaio/core/error.hpp>
#include <coaio/core/future.hpp>
#include <coaio/core/generator.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/shield.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/threadsafe.hpp>

#include "core/loop_thread.hpp"
#include "support/catch.hpp"

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;
using coaio::Future;
using tests::LoopThread;

namespace {

Coro<std::unique_ptr<int>> boxed(int value) {
    co_await coaio::sleep(1ms);
    co_return std::make_unique<int>(value);
}

Coro<> fails_there() {
    co_await coaio::sleep(1ms);
    throw std::runtime_error("over there");
}

Coro<int> hangs_there(std::shared_ptr<int> held) {
    co_await coaio::sleep(1h);
    co_return *held;
}

Coro<> throws_stop(std::string& said) {
    const Future<> future;
    try {
        throw coaio::GeneratorExit();
    } catch (...) {
        try {
            future.set_exception(std::current_exception());
        } catch (const coaio::ValueError& error) {
            said = error.what();
        }
    }
    REQUIRE_FALSE(future.done());
    co_return;
}

/// Does as it likes when it goes.
struct Meddler {
    Meddler(coaio::Loop& where, const Future<int>& what, int& times) : loop(&where), future(what), count(&times) {}
    Meddler(Meddler&& other) noexcept
        : loop(std::exchange(other.loop, nullptr)), future(other.future), count(other.count) {}
    Meddler& operator=(Meddler&&) = delete;
    ~Meddler() {
        if (loop == nullptr) return;
        loop->call_soon([times = count] { ++*times; });
        create_task([](int& times) -> Coro<> {
            ++times;
            co_return;
        }(*count));
        if (!future.done()) future.set_result(1);
        const Future<Meddler> another;
        static_cast<void>(another.cancel());
    }
    coaio::Loop* loop;
    Future<int> future;
    int* count;
};

}  // namespace

TEST_CASE(
    "FUT-07: what ends a generator is no error that a future could carry, and the end of an iteration is no error") {
    auto main = []() -> Coro<std::string> {
        std::string said;
        co_await throws_stop(said);
        co_return said;
    };
    REQUIRE_THAT(coaio::testing::run(main()), tests::contains("GeneratorExit"));
}

TEST_CASE("FUT-24: a shield takes over result, error or cancellation, and is left alone when it was cancelled before") {
    auto main = []() -> Coro<> {
        const Future<int> inner[4];
        Future<int> outer[4] = {coaio::shield(inner[0]), coaio::shield(inner[1]), coaio::shield(inner[2]),
                                coaio::shield(inner[3])};
        outer[3].cancel();
        inner[0].set_result(1);
        inner[1].set_exception(std::runtime_error("x"));
        inner[2].cancel();
        inner[3].set_result(1);
        co_await coaio::sleep(0s);
        REQUIRE(outer[0].result() == 1);
        REQUIRE_THROWS_AS(outer[1].result(), std::runtime_error);
        REQUIRE(outer[2].cancelled());
        REQUIRE(outer[3].cancelled());
    };
    coaio::testing::run(main());
}

TEST_CASE("FUT-25: cancelling the loop's side of a thread's future cancels the task on the other loop", "[threads]") {
    LoopThread there;
    coaio::Loop here;
    auto held = std::make_shared<int>(1);
    const std::weak_ptr<int> watch = held;
    const auto far = coaio::run_coroutine_threadsafe(hangs_there(std::move(held)), there.loop());
    auto main = [](coaio::ThreadsafeFuture<int> future) -> Coro<> {
        auto near = coaio::wrap_future(future);
        auto task = create_task([](Future<int> mine) -> Coro<int> { co_return co_await mine; }(near));
        co_await coaio::sleep(0s);
        task.cancel();
        REQUIRE(near.cancelled());
        co_await coaio::sleep(0s);
        REQUIRE(task.cancelled());
    };
    here.run_until_complete(main(far));
    CHECK_THROWS_AS(far.result(10s), coaio::CancelledError);
    // The frame goes a moment after the outcome is known: that loop's next answer comes later.
    const auto left = []() -> Coro<std::size_t> { co_return coaio::all_tasks().size(); };
    CHECK(coaio::run_coroutine_threadsafe(left(), there.loop()).result(10s) == 1);
    CHECK(watch.expired());
}

TEST_CASE("FUT-27: result, error and cancellation cross from another thread's loop into a future of this one",
          "[threads]") {
    LoopThread there;
    auto main = [](coaio::Loop& other) -> Coro<> {
        const auto value = co_await coaio::wrap_future(coaio::run_coroutine_threadsafe(boxed(6), other));
        REQUIRE(*value == 6);
        auto done = coaio::run_coroutine_threadsafe(boxed(7), other);
        while (!done.done()) co_await coaio::sleep(1ms);
        const auto late = co_await coaio::wrap_future(done);
        REQUIRE(*late == 7);
        std::string text;
        try {
            co_await coaio::wrap_future(coaio::run_coroutine_threadsafe(fails_there(), other));
        } catch (const std::runtime_error& error) {
            text = error.what();
        }
        REQUIRE(text == "over there");
        auto far = coaio::run_coroutine_threadsafe(hangs_there(std::make_shared<int>(1)), other);
        auto near = coaio::wrap_future(far);
        far.cancel();
        bool cancelled = false;
        try {
            co_await near;
        } catch (const coaio::CancelledError&) {
            cancelled = true;
        }
        REQUIRE(cancelled);
        REQUIRE(near.cancelled());
        const Future<int> own;
        REQUIRE(coaio::wrap_future(own).same_as(own));
    };
    coaio::Loop here;
    here.run_until_complete(main(there.loop()));
}

TEST_CASE("FUT-27: a loop that closes before the result comes forgets it", "[threads]") {
    LoopThread there;
    std::optional<coaio::ThreadsafeFuture<int>> far;
    {
        coaio::Loop here;
        far = coaio::run_coroutine_threadsafe(hangs_there(std::make_shared<int>(1)), there.loop());
        auto main = [](coaio::ThreadsafeFuture<int> future) -> Coro<> {
            const auto kept = coaio::wrap_future(future);
            REQUIRE_FALSE(kept.done());
            co_return;
        };
        here.run_until_complete(main(*far));
    }
    CHECK_THROWS_AS(far->result(10s), coaio::CancelledError);
}

TEST_CASE("FUT-29: the destructor of a stored value may schedule, create, settle and cancel") {
    int count = 0;
    auto main = [](int& times) -> Coro<> {
        auto& loop = coaio::get_running_loop();
        const Future<int> other;
        {
            Future<Meddler> future;
            future.set_result(Meddler(loop, other, times));
        }
        REQUIRE(other.done());
        co_await coaio::sleep(0s);
        REQUIRE(times == 2);
        {
            auto make = [](coaio::Loop& where, Future<int> what, int& number) -> Coro<Meddler> {
                co_return Meddler(where, what, number);
            };
            auto task = create_task(make(loop, other, times));
            co_await coaio::sleep(0s);
            REQUIRE(task.done());
        }
        co_await coaio::sleep(0s);
        REQUIRE(times == 4);
    };
    coaio::testing::run(main(count));
}
