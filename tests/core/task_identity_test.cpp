// SPDX-License-Identifier: MIT
#include <coaio/core/context.hpp>
#include <coaio/core/ensure_future.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/threadsafe.hpp>

#include "support/catch.hpp"

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;
using coaio::Future;
using coaio::Task;

namespace {

using Log = std::vector<std::string>;

Coro<int> answer() { co_return 42; }
Coro<> nap(coaio::Duration delay) { co_await coaio::sleep(delay); }

coaio::ContextVar<std::string> locale;

Coro<std::string> sets_locale(std::string value) {
    std::string before = locale.get_or("none");
    co_await coaio::sleep(0s);
    locale.set(std::move(value));
    co_return before;
}

/// Says when it goes.
struct Local {
    Local(Log& where, std::string what) : log(&where), text(std::move(what)) {}
    Local(const Local&) = delete;
    Local& operator=(const Local&) = delete;
    ~Local() { log->push_back(text); }
    Log* log;
    std::string text;
};

template <class A>
concept Schedulable = requires(A a) { coaio::create_task(std::move(a)); };

}  // namespace

TEST_CASE("TSK-03: a new task that is awaited runs a turn later, and its awaiter exactly a turn after it ended") {
    auto child = [](std::vector<std::uint64_t>& turns) -> Coro<> {
        turns.push_back(coaio::get_running_loop().stats().turns);
        co_return;
    };
    auto main = [](auto make) -> Coro<> {
        std::vector<std::uint64_t> turns;
        const auto& loop = coaio::get_running_loop();
        const auto start = loop.stats().turns;
        co_await create_task(make(turns));
        REQUIRE(turns == std::vector<std::uint64_t>{start + 1});
        REQUIRE(loop.stats().turns == start + 2);
    };
    coaio::testing::run(main(child));
}

TEST_CASE("TSK-06: a coroutine that returns a future makes a task of that future, not of its value") {
    auto make = [](Future<int> future) -> Coro<Future<int>> { co_return future; };
    auto main = [](auto body) -> Coro<> {
        const Future<int> future;
        auto task = create_task(body(future));
        static_assert(std::is_same_v<decltype(task), Task<Future<int>>>);
        const Future<int> result = co_await task;
        REQUIRE(result.same_as(future));
        REQUIRE_FALSE(result.done());
    };
    coaio::testing::run(main(make));
}

TEST_CASE("TSK-08: a future of another loop is refused where it is awaited") {
    coaio::testing::TestLoop other;
    std::optional<Future<int>> foreign;
    auto make = []() -> Coro<Future<int>> { co_return Future<int>(); };
    foreign = other.run(make());
    auto main = [](Future<int> future) -> Coro<std::string> {
        std::string text;
        try {
            co_await future;
        } catch (const coaio::RuntimeError& error) {
            text = error.what();
        }
        co_return text;
    };
    REQUIRE_THAT(coaio::testing::run(main(*foreign)), tests::contains("another event loop"));
}

TEST_CASE("TSK-09: current_task is the running one, however tasks interleave") {
    auto child = [](Log& log) -> Coro<> {
        for (int i = 0; i < 3; ++i) {
            log.push_back(coaio::current_task()->name());
            co_await coaio::sleep(0s);
        }
    };
    auto main = [](auto make) -> Coro<> {
        Log log;
        const std::string me = coaio::current_task()->name();
        auto a = create_task(make(log), {.name = "a"});
        auto b = create_task(make(log), {.name = "b"});
        co_await a;
        co_await b;
        REQUIRE(log == Log{"a", "b", "a", "b", "a", "b"});
        REQUIRE(coaio::current_task()->name() == me);
    };
    coaio::testing::run(main(child));
}

TEST_CASE("TSK-10: in a plain callback there is no current task, and without a running loop asking is an error") {
    REQUIRE_THROWS_AS(coaio::current_task(), coaio::RuntimeError);
    auto main = []() -> Coro<> {
        std::optional<bool> none;
        coaio::get_running_loop().call_soon([&none] { none = !coaio::current_task().has_value(); });
        co_await coaio::sleep(0s);
        REQUIRE(none == true);
    };
    coaio::testing::run(main());
    REQUIRE_THROWS_AS(coaio::current_task(), coaio::RuntimeError);
}

TEST_CASE("TSK-13: the tasks of a loop in another thread are asked for through that loop, and none is missed",
          "[threads]") {
    coaio::Loop loop;
    std::thread thread([&loop] { loop.run_forever(); });
    auto spawn = []() -> Coro<> {
        for (int i = 0; i < 10; ++i) create_task(nap(1h), {.name = "left"});
        co_return;
    };
    auto count = []() -> Coro<std::size_t> {
        const auto all = coaio::all_tasks();
        for (const auto& each : all) {
            if (each.name() == "left") each.cancel();
        }
        co_return all.size();
    };
    coaio::run_coroutine_threadsafe(spawn(), loop).result(10s);
    REQUIRE(coaio::run_coroutine_threadsafe(count(), loop).result(10s) == 11);
    REQUIRE(coaio::run_coroutine_threadsafe(count(), loop).result(10s) == 1);
    loop.call_soon_threadsafe([&loop] { loop.stop(); });
    thread.join();
}

TEST_CASE("TSK-18: a task whose handle was dropped still completes") {
    auto child = [](bool& done) -> Coro<> {
        co_await coaio::sleep(1s);
        done = true;
    };
    auto main = [](auto make) -> Coro<> {
        bool done = false;
        { const auto dropped = create_task(make(done)); }
        co_await coaio::sleep(2s);
        REQUIRE(done);
    };
    coaio::testing::TestLoop loop;
    loop.fail_on_reports();
    loop.run(main(child));
}

TEST_CASE("TSK-20: create_task takes coroutines only") {
    STATIC_REQUIRE(Schedulable<Coro<int>>);
    STATIC_REQUIRE_FALSE(Schedulable<int>);
    STATIC_REQUIRE_FALSE(Schedulable<Future<int>>);
    STATIC_REQUIRE_FALSE(Schedulable<Coro<int> (*)()>);
}

TEST_CASE("TSK-21: the locals of a finished coroutine are gone before a callback or an awaiter hears of its end") {
    auto child = [](Log& log, std::shared_ptr<int> value, std::shared_ptr<int>) -> Coro<std::shared_ptr<int>> {
        const Local local(log, "local");
        co_await coaio::sleep(1s);
        co_return value;
    };
    auto main = [](auto make) -> Coro<> {
        Log log;
        auto value = std::make_shared<int>(1);
        auto task = create_task(make(log, value, value));
        task.add_done_callback([&log](const auto&) { log.emplace_back("callback"); });
        const auto& result = co_await task;
        log.emplace_back("awaiter");
        REQUIRE(log == Log{"local", "callback", "awaiter"});
        REQUIRE(result.use_count() == 2);  // its parameters went with the frame
    };
    coaio::testing::run(main(child));
    auto eager = [](auto make) -> Coro<> {
        Log log;
        auto quick = [](Log& where) -> Coro<> {
            const Local local(where, "local");
            co_return;
        };
        auto task = create_task(quick(log), {.eager_start = true});
        REQUIRE(log == Log{"local"});
        static_cast<void>(make);
        co_await task;
    };
    coaio::testing::run(eager(child));
}

TEST_CASE("TSK-25: an explicit context is used in place, and a later task given the same one sees what was set") {
    auto main = []() -> Coro<> {
        locale.set("mine");
        const coaio::Context context = coaio::copy_context();
        locale.set("later");
        const auto first = co_await create_task(sets_locale("a"), {.context = &context});
        REQUIRE(first == "mine");
        REQUIRE(context.get(locale) == "a");
        const auto second = co_await create_task(sets_locale("b"), {.context = &context, .eager_start = true});
        REQUIRE(second == "a");
        REQUIRE(context.get(locale) == "b");
        REQUIRE(locale.get() == "later");
        const coaio::Context empty;
        const auto third = co_await create_task(sets_locale("c"), {.context = &empty});
        REQUIRE(third == "none");
    };
    coaio::testing::run(main());
}

TEST_CASE("TSK-25: what a task in an explicit context makes gets a copy of it") {
    auto parent = []() -> Coro<> {
        locale.set("parent");
        auto child = create_task(sets_locale("child"));
        std::string seen;
        coaio::get_running_loop().call_soon([&seen] { seen = locale.get_or("none"); });
        locale.set("moved on");
        const auto before = co_await child;
        REQUIRE(before == "parent");
        REQUIRE(seen == "parent");
        REQUIRE(locale.get() == "moved on");
    };
    auto main = [](auto make) -> Coro<> {
        coaio::Context context;
        coaio::Context same = context;
        co_await create_task(make(), {.context = &same});
        REQUIRE(context.get(locale) == "moved on");
        same = coaio::Context();
        REQUIRE_FALSE(same.get(locale).has_value());
        REQUIRE_FALSE(locale.get().has_value());
    };
    coaio::testing::run(main(parent));
}

TEST_CASE("ENS-01: a coroutine becomes a task of the running loop, and without one it is refused") {
    REQUIRE_THROWS_AS(coaio::ensure_future(answer()), coaio::RuntimeError);
    auto main = []() -> Coro<int> {
        auto task = coaio::ensure_future(answer());
        static_assert(std::is_same_v<decltype(task), Task<int>>);
        REQUIRE(coaio::all_tasks().size() == 2);
        co_return co_await task;
    };
    REQUIRE(coaio::testing::run(main()) == 42);
}

TEST_CASE("ENS-02: a future or task is returned unchanged") {
    auto main = []() -> Coro<> {
        const Future<int> future;
        REQUIRE(coaio::ensure_future(future).same_as(future));
        auto task = create_task(answer());
        REQUIRE(coaio::ensure_future(task).same_as(task));
        static_assert(std::is_same_v<decltype(coaio::ensure_future(task)), Task<int>>);
        co_await task;
    };
    coaio::testing::run(main());
}

TEST_CASE("ENS-02: with a loop named, a future or task of another one is a ValueError, and a coroutine becomes a task "
          "there") {
    coaio::Loop other;
    auto main = [](coaio::Loop& elsewhere) -> Coro<> {
        coaio::Loop& own = coaio::get_running_loop();
        const Future<int> future;
        REQUIRE(coaio::ensure_future(future, own).same_as(future));
        REQUIRE_THROWS_AS(coaio::ensure_future(future, elsewhere), coaio::ValueError);
        auto task = coaio::ensure_future(answer(), own);
        REQUIRE(coaio::ensure_future(task, own).same_as(task));
        REQUIRE_THROWS_AS(coaio::ensure_future(task, elsewhere), coaio::ValueError);
        auto slept = coaio::ensure_future(coaio::sleep(1s, 3), own);
        const int forty_two = co_await task;
        const int three = co_await slept;
        REQUIRE(forty_two + three == 45);
    };
    coaio::testing::run(main(other));
    const Task<int> there = coaio::ensure_future(answer(), other);
    REQUIRE(other.run_until_complete(there) == 42);
}

TEST_CASE("ENS-03: any other awaitable, one of a program's own too, is wrapped in a task") {
    struct Seven {
        [[nodiscard]] bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> self) const { self.resume(); }
        [[nodiscard]] int await_resume() const noexcept { return 7; }
    };
    auto main = []() -> Coro<> {
        auto slept = coaio::ensure_future(coaio::sleep(1s, 3));
        auto own = coaio::ensure_future(Seven());
        static_assert(std::is_same_v<decltype(own), Task<int>>);
        const int three = co_await slept;
        const int seven = co_await own;
        REQUIRE(three + seven == 10);
    };
    coaio::testing::run(main());
}
