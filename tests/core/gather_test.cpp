// SPDX-License-Identifier: MIT
#include <coaio/core/gather.hpp>

#include <coaio/core/as_completed.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/shield.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/wait.hpp>

#include "core/delayed.hpp"
#include "support/catch.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <variant>
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

Coro<> nap(coaio::Duration delay) { co_await coaio::sleep(delay); }

// Cleans up for `delay` after its cancellation.
Coro<int> slow_to_cancel(coaio::Duration delay, bool& clean) {
    try {
        co_await coaio::sleep(1h);
    } catch (const coaio::CancelledError&) {}
    co_await coaio::sleep(delay);
    clean = true;
    throw coaio::CancelledError();
}

template <class T>
Coro<std::string> outcome(Future<T> future) {
    std::string text = "value";
    try {
        co_await future;
    } catch (const coaio::CancelledError& error) {
        text = "cancelled" + (error.message() ? " " + *error.message() : std::string());
    } catch (const std::exception& error) {
        text = error.what();
    }
    co_return text;
}

}  // namespace

TEST_CASE("GAT-01: values stand in the order of the arguments, void as monostate, whoever is done first") {
    auto main = []() -> Coro<> {
        auto [a, b, c] = co_await coaio::gather(value_after(3s, 1), nap(1s), value_after(2s, 3));
        REQUIRE(a == 1);
        static_assert(std::is_same_v<decltype(b), std::monostate>);
        REQUIRE(c == 3);
        REQUIRE(now() == 3s);
    };
    coaio::testing::run(main());
}

TEST_CASE("GAT-01: a range gives a vector, an empty one at once") {
    auto main = []() -> Coro<> {
        std::vector<Coro<int>> coros;
        for (int i = 0; i < 5; ++i) coros.push_back(value_after((5 - i) * 1s, i));
        const std::vector<int> values = co_await coaio::gather(std::move(coros));
        REQUIRE(values == std::vector<int>{0, 1, 2, 3, 4});
        const auto none = coaio::gather(std::vector<Coro<int>>());
        REQUIRE(none.done());
        REQUIRE(none.result().empty());
    };
    coaio::testing::run(main());
}

TEST_CASE("GAT-03: the same task several times runs once and stands in every slot") {
    auto main = []() -> Coro<> {
        auto task = create_task(value_after(1s, 4));
        auto [a, b] = co_await coaio::gather(task, task);
        REQUIRE(a + b == 8);
        std::vector<Task<int>> tasks{task, task, task};
        const auto values = co_await coaio::gather(tasks);
        REQUIRE(values == std::vector<int>{4, 4, 4});
        REQUIRE(task.result() == 4);
    };
    coaio::testing::run(main());
}

TEST_CASE("gather moves values out of handles that are given up, and says so to who asks later") {
    auto make = []() -> Coro<std::unique_ptr<int>> { co_return std::make_unique<int>(6); };
    auto main = [](auto body) -> Coro<> {
        auto task = create_task(body());
        const auto copy = task;
        auto [value] = co_await coaio::gather(std::move(task));
        REQUIRE(*value == 6);
        REQUIRE_THROWS_AS(copy.result(), coaio::InvalidStateError);
    };
    coaio::testing::run(main(make));
}

TEST_CASE("GAT-05: of two failures the earlier in time wins") {
    auto main = []() -> Coro<std::string> {
        co_return co_await outcome(coaio::gather(fail_after<int>(2s, "late"), fail_after<int>(1s, "early")));
    };
    REQUIRE(coaio::testing::run(main()) == "early");
}

TEST_CASE(
    "GAT-07, GAT-09: with return_exceptions all are waited for, and failures and cancellations sit in their slots") {
    auto main = []() -> Coro<> {
        auto victim = create_task(nap(1h));
        coaio::get_running_loop().call_later(1s, [victim] { victim.cancel(); });
        auto [a, b, c] =
            co_await coaio::gather(coaio::return_exceptions, value_after(3s, 1), fail_after<int>(1s, "x"), victim);
        REQUIRE(a.value() == 1);
        REQUIRE_FALSE(b.has_value());
        REQUIRE_THROWS_AS(b.value(), std::runtime_error);
        REQUIRE_THROWS_AS(c.value(), coaio::CancelledError);
        REQUIRE(now() == 3s);
    };
    coaio::testing::run(main());
}

TEST_CASE("GAT-08: a child cancelled on its own fails the gather, which is not cancelled, and siblings go on") {
    auto main = []() -> Coro<> {
        auto victim = create_task(nap(1h));
        auto sibling = create_task(value_after(2s, 1));
        auto outer = coaio::gather(victim, sibling);
        co_await coaio::sleep(1s);
        victim.cancel();
        co_await coaio::sleep(0s);
        co_await coaio::sleep(0s);
        REQUIRE(outer.done());
        REQUIRE_FALSE(outer.cancelled());
        REQUIRE_THROWS_AS(outer.result(), coaio::CancelledError);
        REQUIRE_FALSE(sibling.done());
        co_await sibling;
    };
    coaio::testing::run(main());
}

TEST_CASE("GAT-10, GAT-16: cancelling a gather cancels every child that is pending; finished results are lost") {
    auto main = []() -> Coro<> {
        const Future<int> a;
        const Future<int> b;
        const Future<int> c;
        auto outer = coaio::gather(a, b, c);
        a.set_result(1);
        REQUIRE(outer.cancel("why"));
        REQUIRE_FALSE(outer.cancel());
        REQUIRE(b.cancelled());
        REQUIRE(c.cancelled());
        REQUIRE_FALSE(outer.done());
        const std::string text = co_await outcome(outer);
        REQUIRE(text == "cancelled why");
    };
    coaio::testing::run(main());
}

TEST_CASE("GAT-10: cancelling the task that awaits a gather cancels its children, and the gather itself only once") {
    auto awaits = [](Future<std::tuple<int, int>> both) -> Coro<> { co_await both; };
    auto main = [](auto make) -> Coro<> {
        const Future<int> a;
        const Future<int> b;
        const auto outer = coaio::gather(a, b);
        auto task = create_task(make(outer));
        co_await coaio::sleep(0s);
        REQUIRE(task.cancel());
        REQUIRE(a.cancelled());
        REQUIRE(b.cancelled());
        REQUIRE_FALSE(outer.cancel());
        const std::string text = co_await outcome(task);
        REQUIRE(text == "cancelled");
        REQUIRE_FALSE(outer.cancel());
    };
    coaio::testing::run(main(awaits));
}

TEST_CASE("GAT-11: a cancelled gather ends with its first child, and a slow one goes on cleaning up") {
    auto waits = [](bool& quick, bool& slow) -> Coro<> {
        co_await coaio::gather(slow_to_cancel(1s, quick), slow_to_cancel(5s, slow));
    };
    auto main = [](auto make) -> Coro<> {
        bool quick = false;
        bool slow = false;
        auto task = create_task(make(quick, slow));
        co_await coaio::sleep(1s);
        task.cancel();
        const std::string text = co_await outcome(task);
        REQUIRE(text == "cancelled");
        REQUIRE(now() == 2s);
        REQUIRE(quick);
        REQUIRE_FALSE(slow);
        co_await coaio::sleep(10s);
        REQUIRE(slow);
    };
    coaio::testing::run(main(waits));
}

TEST_CASE("GAT-15: all children done and the end still queued, a cancel is refused and the result arrives") {
    auto main = []() -> Coro<> {
        const Future<int> a;
        auto outer = coaio::gather(a);
        a.set_result(3);
        REQUIRE_FALSE(outer.done());
        REQUIRE_FALSE(outer.cancel());
        auto [value] = co_await outer;
        REQUIRE(value == 3);
    };
    coaio::testing::run(main());
}

TEST_CASE("GAT-18, GAT-19: of inputs that are done a gather is born done, and born failed if one was cancelled") {
    auto main = []() -> Coro<> {
        const Future<int> done;
        done.set_result(1);
        auto all = coaio::gather(done, done);
        REQUIRE(all.done());
        const Future<int> gone;
        const Future<int> live;
        gone.cancel();
        auto failed = coaio::gather(live, gone);
        REQUIRE(failed.done());
        REQUIRE_FALSE(failed.cancelled());
        REQUIRE_THROWS_AS(failed.result(), coaio::CancelledError);
        REQUIRE_FALSE(live.done());
        live.set_result(1);
        co_await coaio::sleep(0s);
    };
    coaio::testing::run(main());
}

TEST_CASE("GAT-20: two gathers that share a child fail together when one is cancelled, and nothing is reported") {
    coaio::testing::TestLoop loop;
    loop.fail_on_reports();
    auto main = []() -> Coro<> {
        const Future<int> shared;
        auto second = coaio::gather(shared);
        {
            auto first = coaio::gather(shared);
            first.cancel();
        }
        const std::string text = co_await outcome(second);
        REQUIRE(text == "cancelled");
    };
    loop.run(main());
}

TEST_CASE("GAT-23: a shielded gather goes on when its awaiter is cancelled") {
    auto waits = [](Future<std::tuple<int>> inner) -> Coro<> { co_await coaio::shield(inner); };
    auto main = [](auto make) -> Coro<> {
        auto inner = coaio::gather(value_after(2s, 8));
        auto task = create_task(make(inner));
        co_await coaio::sleep(1s);
        task.cancel();
        auto [value] = co_await inner;
        REQUIRE(value == 8);
        REQUIRE(task.cancelled());
    };
    coaio::testing::run(main(waits));
}

TEST_CASE("GAT-24: a gather of shields that is cancelled cancels the shields and not what is inside") {
    auto main = []() -> Coro<> {
        const Future<int> a;
        const Future<int> b;
        auto outer = coaio::gather(coaio::shield(a), coaio::shield(b));
        REQUIRE(outer.cancel());
        const std::string text = co_await outcome(outer);
        REQUIRE(text == "cancelled");
        REQUIRE_FALSE(a.done());
        REQUIRE_FALSE(b.done());
    };
    coaio::testing::run(main());
}

TEST_CASE("GAT-26: the first cancelled child in argument order speaks for a cancelled gather") {
    auto main = []() -> Coro<> {
        const Future<int> a;
        const Future<int> b;
        auto outer = coaio::gather(coaio::return_exceptions, a, b);
        b.cancel("b");
        a.cancel("a");
        auto third = Future<int>();
        auto both = coaio::gather(coaio::return_exceptions, a, third);
        both.cancel("outer");
        const std::string text = co_await outcome(both);
        REQUIRE(text == "cancelled a");
        co_await outer;
    };
    coaio::testing::run(main());
}

TEST_CASE("SHD-02: a cancelled inner future cancels the shield, it does not fail it") {
    auto main = []() -> Coro<> {
        const Future<int> inner;
        auto outer = coaio::shield(inner);
        inner.cancel();
        co_await coaio::sleep(0s);
        REQUIRE(outer.cancelled());
    };
    coaio::testing::run(main());
}

TEST_CASE("SHD-03, SHD-12: a cancelled awaiter leaves the inner task to its end, and can await it again") {
    auto waits = [](Task<int> inner) -> Coro<int> {
        int value = 0;
        try {
            co_await coaio::shield(inner);
        } catch (const coaio::CancelledError&) {
            value = 100;
        }
        const int got = co_await inner;
        co_return value + got;
    };
    auto main = [](auto make) -> Coro<int> {
        auto inner = create_task(value_after(5s, 1));
        auto task = create_task(make(inner));
        co_await coaio::sleep(1s);
        task.cancel();
        co_return co_await task;
    };
    REQUIRE(coaio::testing::run(main(waits)) == 101);
}

TEST_CASE("SHD-04: the shield of a done future is that future, unless it is named and has a value to keep") {
    auto main = []() -> Coro<> {
        const Future<> inner;
        inner.set_result();
        REQUIRE(coaio::shield(inner).same_as(inner));
        const Future<int> cancelled;
        cancelled.cancel();
        REQUIRE(coaio::shield(cancelled).same_as(cancelled));
        const Future<int> number;
        number.set_result(1);
        REQUIRE_FALSE(coaio::shield(number).same_as(number));
        REQUIRE(coaio::shield(Future<int>(number)).same_as(number));
        co_return;
    };
    coaio::testing::run(main());
}

TEST_CASE("SHD-05: a shield cancelled before the transfer is cancelled, the inner keeps the result") {
    auto main = []() -> Coro<> {
        const Future<int> inner;
        auto outer = coaio::shield(inner);
        inner.set_result(1);
        REQUIRE(outer.cancel());
        co_await coaio::sleep(0s);
        REQUIRE(outer.cancelled());
        REQUIRE(inner.result() == 1);
    };
    coaio::testing::run(main());
}

TEST_CASE("SHD-06, SHD-09, SHD-10: a failure behind a cancelled shield is reported once, unless somebody reads it") {
    auto main = [](bool same_turn, bool read) -> Coro<> {
        const Future<int> inner;
        auto outer = coaio::shield(inner);
        if (!same_turn) outer.cancel();
        inner.set_exception(std::runtime_error("lost"));
        if (same_turn) outer.cancel();
        co_await coaio::sleep(0s);
        if (read) REQUIRE(inner.exception() != nullptr);
    };
    for (const bool same_turn : {false, true}) {
        for (const bool read : {false, true}) {
            coaio::testing::TestLoop loop;
            std::vector<std::string> reports;
            loop.loop().set_exception_handler(
                [&](coaio::Loop&, const coaio::ExceptionContext& context) { reports.push_back(context.message); });
            loop.run(main(same_turn, read));
            REQUIRE(reports.size() == (read ? 0U : 1U));
        }
    }
}

TEST_CASE(
    "SHD-09: a task's failure behind a cancelled shield is reported when the last handle goes, unless it was read") {
    enum class Reader { none, before_the_handle_goes, another_awaiter };
    auto reads = [](Task<int> inner) -> Coro<> {
        const std::string text = co_await outcome(inner);
        REQUIRE(text == "lost");
    };
    auto main = [](auto make, Reader reader, std::vector<std::string>& reports) -> Coro<> {
        {
            auto inner = create_task(fail_after<int>(1s, "lost"));
            auto outer = coaio::shield(inner);
            if (reader == Reader::another_awaiter) create_task(make(inner));
            co_await coaio::sleep(0s);
            outer.cancel();
            co_await coaio::sleep(2s);
            REQUIRE(inner.done());
            if (reader == Reader::before_the_handle_goes) REQUIRE(inner.exception() != nullptr);
            REQUIRE(reports.empty());  // there is a handle yet
        }
        REQUIRE(reports.size() == (reader == Reader::none ? 1U : 0U));
    };
    for (const Reader reader : {Reader::none, Reader::before_the_handle_goes, Reader::another_awaiter}) {
        coaio::testing::TestLoop loop;
        std::vector<std::string> reports;
        loop.loop().set_exception_handler(
            [&](coaio::Loop&, const coaio::ExceptionContext& context) { reports.push_back(context.message); });
        loop.run(main(reads, reader, reports));
        REQUIRE(reports.size() == (reader == Reader::none ? 1U : 0U));
    }
}

TEST_CASE("SHD-13: a shielded coroutine becomes a task, and needs a running loop") {
    REQUIRE_THROWS_AS(coaio::shield(value_after(1s, 1)), coaio::RuntimeError);
    auto main = []() -> Coro<int> { co_return co_await coaio::shield(value_after(1s, 1)); };
    REQUIRE(coaio::testing::run(main()) == 1);
}

TEST_CASE("ASC-01, ASC-02: values come in the order of completion, in both forms, and handles are the very ones") {
    auto main = []() -> Coro<> {
        std::vector<Task<int>> tasks;
        tasks.push_back(create_task(value_after(3s, 3)));
        tasks.push_back(create_task(value_after(1s, 1)));
        tasks.push_back(create_task(value_after(2s, 2)));
        auto finished = coaio::as_completed(tasks);
        auto first = co_await finished.next();
        REQUIRE(first->same_as(tasks[1]));
        std::vector<int> rest;
        while (auto task = co_await finished.next()) rest.push_back(task->result());
        REQUIRE(rest == std::vector<int>{2, 3});
        std::vector<Coro<int>> coros;
        coros.push_back(value_after(2s, 5));
        coros.push_back(value_after(1s, 4));
        std::vector<int> values;
        for (auto next : coaio::as_completed(std::move(coros))) {
            const int value = co_await std::move(next);
            values.push_back(value);
        }
        REQUIRE(values == std::vector<int>{4, 5});
    };
    coaio::testing::run(main());
}

TEST_CASE("ASC-03, ASC-05: the deadline gives TimeoutError once the finished were delivered, and cancels nothing") {
    auto main = []() -> Coro<> {
        std::vector<Task<int>> tasks;
        tasks.push_back(create_task(value_after(1s, 1)));
        tasks.push_back(create_task(value_after(9s, 2)));
        auto finished = coaio::as_completed(tasks, 5s);
        co_await coaio::sleep(6s);
        auto first = co_await finished.next();
        REQUIRE(first->result() == 1);
        bool late = false;
        try {
            co_await finished.next();
        } catch (const coaio::TimeoutError&) {
            late = true;
        }
        REQUIRE(late);
        const int value = co_await tasks[1];
        REQUIRE(value == 2);
        auto done = coaio::as_completed(tasks, 1h);
        while (auto task = co_await done.next()) REQUIRE(task->done());
        REQUIRE(coaio::get_running_loop().stats().timers == 0);
    };
    coaio::testing::run(main());
}

TEST_CASE("ASC-07: several who wait at once each get one, and those for whom nothing is left are told") {
    auto take = [](coaio::AsCompleted<Task<int>>& finished) -> Coro<int> {
        auto task = co_await finished.next();
        co_return task ? task->result() : -1;
    };
    auto main = [](auto make) -> Coro<std::vector<int>> {
        std::vector<Coro<int>> coros;
        coros.push_back(value_after(2s, 2));
        coros.push_back(value_after(1s, 1));
        auto finished = coaio::as_completed(std::move(coros));
        std::vector<Coro<int>> takers;
        for (int i = 0; i < 3; ++i) takers.push_back(make(finished));
        co_return co_await coaio::gather(std::move(takers));
    };
    REQUIRE(coaio::testing::run(main(take)) == std::vector<int>{1, 2, -1});
}

TEST_CASE("as_completed counts a handle that is there twice once") {
    auto main = []() -> Coro<int> {
        auto task = create_task(value_after(1s, 1));
        auto finished = coaio::as_completed(std::vector<Task<int>>{task, task});
        int count = 0;
        while (auto each = co_await finished.next()) ++count;
        co_return count;
    };
    REQUIRE(coaio::testing::run(main()) == 1);
}

TEST_CASE("cut: gather, wait, shield and as_completed leave no timer and no task behind") {
    auto factory = []() -> Coro<> {
        auto [a, b] = co_await coaio::gather(value_after(1s, 1), coaio::shield(value_after(2s, 2)));
        std::vector<Task<int>> tasks;
        tasks.push_back(create_task(value_after(1s, a)));
        tasks.push_back(create_task(value_after(2s, b)));
        static_cast<void>(co_await coaio::wait(tasks, coaio::FIRST_COMPLETED, 5s));
        auto finished = coaio::as_completed(std::move(tasks), 9s);
        while (auto task = co_await finished.next()) REQUIRE(task->done());
    };
    coaio::testing::cut(factory, [](std::size_t) -> Coro<> {
        co_await coaio::sleep(100s);
        REQUIRE(coaio::get_running_loop().stats().timers == 0);
        REQUIRE(coaio::all_tasks().size() == 1);
    });
}
