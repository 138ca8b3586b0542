// SPDX-License-Identifier: MIT
#include <coaio/core/future.hpp>

#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/shield.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/testing.hpp>

#include "support/catch.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;
using coaio::Future;

namespace {

using Log = std::vector<std::string>;

// Runs `body(loop, reports)` as a task and gives what was reported.
template <class F>
Log reports_of(F body) {
    coaio::testing::TestLoop loop;
    Log reports;
    loop.loop().set_exception_handler(
        [&](coaio::Loop&, const coaio::ExceptionContext& context) { reports.push_back(context.message); });
    loop.run(body());
    return reports;
}

Coro<> waits(Future<int> future, Log& log) {
    const int value = co_await future;
    log.push_back(std::to_string(value));
}

}  // namespace

TEST_CASE("FUT-02, FUT-03, FUT-04, FUT-31: a future is settled once") {
    auto main = []() -> Coro<> {
        const Future<int> cancelled;
        REQUIRE_THROWS_AS(cancelled.result(), coaio::InvalidStateError);
        REQUIRE(cancelled.cancel());
        REQUIRE(cancelled.done());
        REQUIRE(cancelled.cancelled());
        REQUIRE_THROWS_AS(cancelled.result(), coaio::CancelledError);
        REQUIRE_THROWS_AS(cancelled.exception(), coaio::CancelledError);
        REQUIRE_THROWS_AS(cancelled.set_result(1), coaio::InvalidStateError);
        REQUIRE_FALSE(cancelled.cancel());
        const Future<int> done;
        done.set_result(3);
        REQUIRE(done.result() == 3);
        REQUIRE(done.exception() == nullptr);
        REQUIRE_FALSE(done.cancel());
        REQUIRE_THROWS_AS(done.set_result(4), coaio::InvalidStateError);
        REQUIRE_THROWS_AS(done.set_exception(std::runtime_error("x")), coaio::InvalidStateError);
        const Future<int> failed;
        failed.set_exception(std::runtime_error("boom"));
        REQUIRE_THROWS_AS(failed.result(), std::runtime_error);
        REQUIRE(failed.exception() != nullptr);
        co_return;
    };
    coaio::testing::run(main());
}

TEST_CASE("FUT-10, FUT-11: callbacks of a done future are scheduled, not called; the same one twice is called twice") {
    auto main = []() -> Coro<> {
        Log log;
        const Future<int> future;
        future.set_result(1);
        const auto add = [&log](const Future<int>& done) {
            log.emplace_back("x");
            if (log.size() == 1) done.add_done_callback([&log](const Future<int>&) { log.emplace_back("later"); });
        };
        future.add_done_callback(add);
        future.add_done_callback(add);
        REQUIRE(log.empty());
        co_await coaio::sleep(0s);
        REQUIRE(log == Log{"x", "x"});
        co_await coaio::sleep(0s);
        REQUIRE(log == Log{"x", "x", "later"});
    };
    coaio::testing::run(main());
}

TEST_CASE("FUT-12, FUT-13: a callback is removed by its token from any place, and the others keep their order") {
    auto main = []() -> Coro<> {
        for (std::size_t victim = 0; victim < 3; ++victim) {
            Log log;
            const Future<int> future;
            std::vector<coaio::DoneCallbackToken> tokens;
            for (const char* name : {"a", "b", "c"}) {
                tokens.push_back(
                    future.add_done_callback([&log, name](const Future<int>&) { log.emplace_back(name); }));
            }
            REQUIRE(future.remove_done_callback(tokens[victim]) == 1);
            REQUIRE(future.remove_done_callback(tokens[victim]) == 0);
            REQUIRE(future.remove_done_callback(coaio::DoneCallbackToken()) == 0);
            future.set_result(1);
            co_await coaio::sleep(0s);
            Log expected{"a", "b", "c"};
            expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(victim));
            REQUIRE(log == expected);
        }
    };
    coaio::testing::run(main());
}

TEST_CASE("FUT-14, FUT-15: once the future is done its callbacks cannot be removed any more") {
    auto main = []() -> Coro<> {
        Log log;
        const Future<int> future;
        std::vector<coaio::DoneCallbackToken> tokens;
        tokens.push_back(future.add_done_callback([&](const Future<int>& done) {
            log.emplace_back("first");
            REQUIRE(done.remove_done_callback(tokens[1]) == 0);
        }));
        tokens.push_back(future.add_done_callback([&log](const Future<int>&) { log.emplace_back("second"); }));
        future.set_result(1);
        REQUIRE(future.remove_done_callback(tokens[0]) == 0);
        co_await coaio::sleep(0s);
        REQUIRE(log == Log{"first", "second"});
    };
    coaio::testing::run(main());
}

TEST_CASE("FUT-16: the destructor of a removed callback may add and remove others") {
    auto main = []() -> Coro<> {
        Log log;
        const Future<int> future;
        coaio::DoneCallbackToken other =
            future.add_done_callback([&log](const Future<int>&) { log.emplace_back("o"); });
        struct Reenter {
            const Future<int>* future;
            Log* log;
            coaio::DoneCallbackToken* other;
            Reenter(const Future<int>& f, Log& l, coaio::DoneCallbackToken& o) : future(&f), log(&l), other(&o) {}
            Reenter(Reenter&& from) noexcept
                : future(std::exchange(from.future, nullptr)), log(from.log), other(from.other) {}
            ~Reenter() {
                if (future == nullptr) return;
                future->remove_done_callback(*other);
                future->add_done_callback([mine = log](const Future<int>&) { mine->emplace_back("added"); });
            }
            void operator()(const Future<int>&) const { log->emplace_back("never"); }
        };
        const auto token = future.add_done_callback(Reenter(future, log, other));
        REQUIRE(future.remove_done_callback(token) == 1);
        future.set_result(1);
        co_await coaio::sleep(0s);
        REQUIRE(log == Log{"added"});
    };
    coaio::testing::run(main());
}

TEST_CASE("FUT-17, FUT-18: a failing callback and a failure that nobody read are reported") {
    auto main = []() -> Coro<> {
        bool after = false;
        {
            const Future<int> future;
            future.add_done_callback([](const Future<int>&) { throw std::runtime_error("callback"); });
            future.add_done_callback([&after](const Future<int>&) { after = true; });
            future.set_exception(std::runtime_error("unread"));
        }
        co_await coaio::sleep(0s);
        REQUIRE(after);
    };
    const Log reports = reports_of(main);
    REQUIRE(reports.size() == 2);
    REQUIRE_THAT(reports[0], tests::contains("done callback"));
    REQUIRE_THAT(reports[1], tests::contains("never retrieved"));
}

TEST_CASE("FUT-19, FUT-20, FUT-21: no report for what was read, cancelled after it failed, pending or a plain value") {
    auto main = []() -> Coro<> {
        const auto failed = [] {
            const Future<int> future;
            future.set_exception(std::runtime_error("x"));
            return future;
        };
        static_cast<void>(failed().exception());
        REQUIRE_THROWS_AS(failed().result(), std::runtime_error);
        REQUIRE_FALSE(failed().cancel());
        const Future<int> pending;
        const Future<int> plain;
        plain.set_result(1);
        co_return;
    };
    const Log reports = reports_of(main);
    REQUIRE(reports.empty());
}

TEST_CASE("FUT-22, FUT-23: a done future can be awaited many times, and no turn passes") {
    auto main = []() -> Coro<> {
        bool turned = false;
        coaio::get_running_loop().call_soon([&turned] { turned = true; });
        Future<std::unique_ptr<int>> future;
        future.set_result(std::make_unique<int>(1));
        const auto& first = co_await future;
        const auto& second = co_await future;
        REQUIRE(&first == &second);
        const std::unique_ptr<int> taken = co_await Future<std::unique_ptr<int>>(future);
        REQUIRE(*taken == 1);
        REQUIRE_FALSE(turned);
        bool refused = false;
        try {
            co_await future;
        } catch (const coaio::InvalidStateError&) {
            refused = true;
        }
        REQUIRE(refused);
        co_await coaio::sleep(0s);
    };
    coaio::testing::run(main());
}

TEST_CASE("TSK-04: an awaiter has run before the setter, having yielded once, goes on") {
    auto main = []() -> Coro<> {
        Log log;
        const Future<int> future;
        auto task = create_task(waits(future, log));
        co_await coaio::sleep(0s);
        future.set_result(7);
        co_await coaio::sleep(0s);
        REQUIRE(log == Log{"7"});
        REQUIRE(task.done());
    };
    coaio::testing::run(main());
}

TEST_CASE("CXL-04, CXL-05: cancelling the awaited future, alone or with the task, is one CancelledError") {
    auto main = [](bool both) -> Coro<> {
        Log log;
        const Future<int> future;
        auto task = create_task(waits(future, log));
        co_await coaio::sleep(0s);
        future.cancel();
        if (both) REQUIRE(task.cancel());
        co_await coaio::sleep(0s);
        REQUIRE(task.cancelled());
        REQUIRE(task.cancelling() == (both ? 1U : 0U));
    };
    coaio::testing::run(main(false));
    coaio::testing::run(main(true));
}

TEST_CASE("CXL-07: cancellation is thrown once per request") {
    auto body = []() -> Coro<int> {
        try {
            co_await coaio::sleep(1h);
        } catch (const coaio::CancelledError&) {}
        co_await coaio::sleep(5s);
        co_return 1;
    };
    auto main = [](auto make) -> Coro<int> {
        auto task = create_task(make());
        co_await coaio::sleep(1s);
        task.cancel();
        co_return co_await task;
    };
    REQUIRE(coaio::testing::run(main(body)) == 1);
}

TEST_CASE("CXL-12: a self-cancel is passed on to the child the moment the parent blocks on it") {
    auto child = [](bool& cancelled) -> Coro<> {
        try {
            co_await coaio::sleep(1h);
        } catch (const coaio::CancelledError&) {
            cancelled = true;
            throw;
        }
    };
    auto parent = [](auto make, bool& cancelled) -> Coro<> {
        auto inner = create_task(make(cancelled));
        co_await coaio::sleep(0s);
        coaio::current_task()->cancel();
        co_await inner;
    };
    auto main = [](auto run, auto make) -> Coro<> {
        bool cancelled = false;
        auto task = create_task(run(make, cancelled));
        for (int i = 0; i < 5; ++i) co_await coaio::sleep(0s);
        REQUIRE(cancelled);
        REQUIRE(task.cancelled());
    };
    coaio::testing::run(main(parent, child));
}

TEST_CASE("CXL-14: an exception that a cancellation replaces counts as read") {
    auto main = []() -> Coro<> {
        Log log;
        {
            const Future<int> future;
            auto task = create_task(waits(future, log));
            co_await coaio::sleep(0s);
            future.set_exception(std::runtime_error("replaced"));
            REQUIRE(task.cancel());
            co_await coaio::sleep(0s);
            REQUIRE(task.cancelled());
        }
    };
    REQUIRE(reports_of(main).empty());
}

TEST_CASE("CXL-22, CXL-23: a child's own answer reaches the parent; cancel() runs no user code; one turn a hop") {
    auto inner = [](Log& log) -> Coro<int> {
        try {
            co_await coaio::sleep(1h);
        } catch (const coaio::CancelledError&) {
            log.emplace_back("inner");
            throw std::runtime_error("answer");
        }
        co_return 0;
    };
    auto outer = [](auto make, Log& log) -> Coro<int> {
        auto task = create_task(make(log));
        try {
            co_await task;
        } catch (const std::runtime_error&) {
            log.emplace_back("outer");
            throw;
        }
        co_return 0;
    };
    auto main = [](auto run, auto make) -> Coro<> {
        Log log;
        auto task = create_task(run(make, log));
        co_await coaio::sleep(1s);
        REQUIRE(task.cancel());
        REQUIRE(log.empty());
        co_await coaio::sleep(0s);
        REQUIRE(log == Log{"inner"});
        co_await coaio::sleep(0s);
        REQUIRE(log == Log{"inner", "outer"});
        REQUIRE_THROWS_AS(task.result(), std::runtime_error);
    };
    coaio::testing::run(main(outer, inner));
}

TEST_CASE("CXL-27: the awaited future is cancelled inside cancel()") {
    auto main = []() -> Coro<> {
        Log log;
        const Future<int> future;
        auto task = create_task(waits(future, log));
        co_await coaio::sleep(0s);
        task.cancel();
        REQUIRE(future.cancelled());
        co_await coaio::sleep(0s);
    };
    coaio::testing::run(main());
}

TEST_CASE("CXL-30, CXL-31: a done callback that cancels the task, registered before its wake-up and after") {
    auto main = [](bool before) -> Coro<bool> {
        Log log;
        const Future<int> future;
        std::optional<coaio::Task<>> task;
        bool accepted = false;
        const auto cancel = [&](const Future<int>&) { accepted = task->cancel(); };
        if (before) future.add_done_callback(cancel);
        task = create_task(waits(future, log));
        co_await coaio::sleep(0s);
        if (!before) future.add_done_callback(cancel);
        future.set_result(1);
        co_await coaio::sleep(0s);
        co_await coaio::sleep(0s);
        REQUIRE(accepted == before);
        co_return task->cancelled();
    };
    REQUIRE(coaio::testing::run(main(true)));
    REQUIRE_FALSE(coaio::testing::run(main(false)));
}

TEST_CASE("SLP-01, SLP-02: no time and negative time are one turn, and the result passes through") {
    auto main = []() -> Coro<> {
        for (const coaio::Duration delay : {coaio::Duration(0), coaio::Duration(-5)}) {
            int turns = 0;
            auto& loop = coaio::get_running_loop();
            loop.call_soon([&] {
                ++turns;
                loop.call_soon([&] { ++turns; });
            });
            const int value = co_await coaio::sleep(delay, 7);
            REQUIRE(value == 7);
            REQUIRE(turns == 1);
            co_await coaio::sleep(0s);
        }
    };
    coaio::testing::run(main());
}

TEST_CASE("SLP-03, SLP-04, SLP-05: NaN is refused, halves add up, a cancelled sleep leaves no timer") {
    REQUIRE_THROWS_AS(coaio::sleep(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN())),
                      coaio::ValueError);
    auto nap = []() -> Coro<> { co_await coaio::sleep(1h); };
    auto main = [](auto make) -> Coro<> {
        co_await coaio::sleep(0.5s);
        co_await coaio::sleep(0.5s);
        REQUIRE(coaio::Clock::now().time_since_epoch() == 1s);
        auto task = create_task(make());
        co_await coaio::sleep(0s);
        REQUIRE(coaio::get_running_loop().stats().timers == 1);
        task.cancel();
        REQUIRE(coaio::get_running_loop().stats().timers == 0);
        co_await coaio::sleep(0s);
    };
    coaio::testing::run(main(nap));
}

TEST_CASE("SHD-11: shielding one long task again and again leaves nothing on it") {
    auto waits_shielded = [](coaio::Task<> task) -> Coro<> { co_await coaio::shield(task); };
    auto main = [](auto make) -> Coro<> {
        auto task = create_task([]() -> Coro<> { co_await coaio::sleep(1h); }());
        for (int i = 0; i < 10'000; ++i) {
            auto shielded = create_task(make(task));
            co_await coaio::sleep(0s);
            shielded.cancel();
            co_await coaio::sleep(0s);
        }
        REQUIRE(task.state()->refs() <= 3);
        task.cancel();
    };
    coaio::testing::run(main(waits_shielded));
}
