// SPDX-License-Identifier: MIT
#include <coaio/core/detail/foreign.hpp>

#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>

#include "support/catch.hpp"

#include <coroutine>
#include <memory>
#include <stdexcept>
#include <thread>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;

namespace {

// An awaiter that knows nothing of coaio: leaves its handle for somebody to resume.
struct Parked {
    std::coroutine_handle<>* place;
    int value = 1;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) const noexcept { *place = handle; }
    [[nodiscard]] int await_resume() const noexcept { return value; }
};

struct InPlace {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) const { handle.resume(); }
    [[nodiscard]] int await_resume() const noexcept { return 2; }
};

struct Declines {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    [[nodiscard]] bool await_suspend(std::coroutine_handle<>) const noexcept { return false; }
    [[nodiscard]] int await_resume() const noexcept { return 3; }
};

struct Symmetric {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<> handle) const noexcept {
        return handle;
    }
    [[nodiscard]] int await_resume() const noexcept { return 4; }
};

struct Throws {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<>) const { throw std::runtime_error("no"); }
    void await_resume() const noexcept {}
};

struct HasMember {
    [[nodiscard]] Symmetric operator co_await() const noexcept { return {}; }
};

Coro<int> parks(std::coroutine_handle<>& place) { co_return co_await Parked{&place}; }

}  // namespace

TEST_CASE("a foreign awaiter's resume() on the same thread wakes the task through its loop") {
    auto main = []() -> Coro<int> {
        std::coroutine_handle<> place;
        auto task = create_task(parks(place));
        co_await coaio::sleep(0s);
        place.resume();
        REQUIRE_FALSE(task.done());
        co_return co_await task;
    };
    REQUIRE(coaio::testing::run(main()) == 1);
}

TEST_CASE("a foreign awaiter's resume() on another thread wakes the task on its own") {
    auto main = []() -> Coro<bool> {
        const auto here = std::this_thread::get_id();
        std::coroutine_handle<> place;
        auto body = [](std::coroutine_handle<>& where) -> Coro<std::thread::id> {
            co_await Parked{&where};
            co_return std::this_thread::get_id();
        };
        auto task = create_task(body(place));
        co_await coaio::sleep(0s);
        std::thread other([&] { place.resume(); });
        other.join();
        const auto there = co_await task;
        co_return here == there;
    };
    REQUIRE(coaio::run(main()));
}

TEST_CASE("foreign awaiters that resume in place, decline, transfer, throw, or come from operator co_await") {
    auto main = []() -> Coro<int> {
        int sum = co_await InPlace{};
        sum += co_await Declines{};
        sum += co_await Symmetric{};
        sum += co_await HasMember{};
        bool thrown = false;
        try {
            co_await Throws{};
        } catch (const std::runtime_error&) {
            thrown = true;
        }
        co_return thrown ? sum : 0;
    };
    REQUIRE(coaio::testing::run(main()) == 13);
}

TEST_CASE("a task cancelled at a foreign awaiter gets CancelledError when that resumes, and its result is dropped") {
    auto main = []() -> Coro<> {
        std::coroutine_handle<> place;
        auto task = create_task(parks(place));
        co_await coaio::sleep(0s);
        REQUIRE(task.cancel());
        co_await coaio::sleep(0s);
        REQUIRE_FALSE(task.done());
        place.resume();
        co_await coaio::sleep(0s);
        REQUIRE(task.cancelled());
    };
    coaio::testing::run(main());
}

TEST_CASE("a foreign awaiter that does not suspend leaves a pending cancellation for the next suspension") {
    auto main = []() -> Coro<bool> {
        coaio::current_task()->cancel();
        const int value = co_await Declines{};
        bool struck = false;
        try {
            co_await coaio::sleep(0s);
        } catch (const coaio::CancelledError&) {
            struck = value == 3;
        }
        co_return struck;
    };
    REQUIRE(coaio::testing::run(main()));
}

TEST_CASE("a handle that is resumed after the loop has closed does nothing") {
    std::coroutine_handle<> place;
    {
        coaio::testing::TestLoop test;
        test.loop().set_exception_handler([](coaio::Loop&, const coaio::ExceptionContext&) {});
        test.loop().create_task(parks(place));
        test.loop().stop();
        test.loop().run_forever();
        REQUIRE(place);
    }
    place.resume();
}

TEST_CASE("a handle that is never resumed is no leak when the loop closes") {
    std::coroutine_handle<> place;
    coaio::testing::TestLoop test;
    test.loop().set_exception_handler([](coaio::Loop&, const coaio::ExceptionContext&) {});
    test.loop().create_task(parks(place));
    test.loop().stop();
    test.loop().run_forever();
    test.loop().close();
}
