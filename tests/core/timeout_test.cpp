// SPDX-License-Identifier: MIT
#include <coaio/core/timeout.hpp>

#include <coaio/core/error.hpp>
#include <coaio/core/gather.hpp>
#include <coaio/core/shield.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task_group.hpp>
#include <coaio/core/testing.hpp>

#include "core/delayed.hpp"
#include "support/catch.hpp"

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;
using coaio::Timeout;
using tests::value_after;

namespace {

Coro<> fall_asleep(coaio::Duration delay) { co_await coaio::sleep(delay); }

// Swallows its cancellation, works for another `delay` and returns.
Coro<int> stubborn(coaio::Duration delay, int value) {
    try {
        co_await coaio::sleep(1h);
    } catch (const coaio::CancelledError&) {}
    co_await coaio::sleep(delay);
    co_return value;
}

Coro<int> answers_with(std::string what) {
    try {
        co_await coaio::sleep(1h);
    } catch (const coaio::CancelledError&) {
        throw std::runtime_error(what);
    }
    co_return 0;
}

// "7" or "timeout", "cancelled", the error's text.
Coro<std::string> outcome(Coro<int> coro) {
    std::string text;
    try {
        const int value = co_await std::move(coro);
        text = std::to_string(value);
    } catch (const coaio::TimeoutError&) {
        text = "timeout";
    } catch (const coaio::CancelledError&) {
        text = "cancelled";
    } catch (const std::exception& error) {
        text = error.what();
    }
    co_return text;
}

Coro<std::string> outcome(Coro<> coro) {
    auto with_value = [](Coro<> inner) -> Coro<int> {
        co_await std::move(inner);
        co_return 0;
    };
    co_return co_await outcome(with_value(std::move(coro)));
}

std::size_t requests() { return coaio::current_task()->cancelling(); }

Coro<bool> struck() {
    bool thrown = false;
    try {
        co_await coaio::sleep(0s);
    } catch (const coaio::CancelledError&) {
        thrown = true;
    }
    co_return thrown;
}

// Keeps the loop from turning until both deadlines have passed, as a slow callback would.
void jump(coaio::Duration delay) {
    auto& loop = coaio::get_running_loop();
    loop.core().now += delay.count();
}

}  // namespace

TEST_CASE("WFR-01: without a time-out wait_for is a plain await") {
    auto main = []() -> Coro<int> { co_return co_await coaio::wait_for(value_after(1h, 3), std::nullopt); };
    REQUIRE(coaio::testing::run(main()) == 3);
}

TEST_CASE("WFR-04: a time-out of zero or less cancels a running task, awaits its end, then throws TimeoutError") {
    auto main = [](coaio::Duration limit) -> Coro<std::string> {
        auto task = create_task(value_after(1h, 1));
        co_await coaio::sleep(0s);
        std::string text = co_await outcome(coaio::wait_for(task, limit));
        REQUIRE(task.cancelled());
        REQUIRE(requests() == 0);
        co_return text;
    };
    REQUIRE(coaio::testing::run(main(0s)) == "timeout");
    REQUIRE(coaio::testing::run(main(-1s)) == "timeout");
}

TEST_CASE("WFR-04: a gather that is given no time at all gives TimeoutError too") {
    auto main = []() -> Coro<std::string> {
        std::string text = "value";
        try {
            co_await coaio::wait_for(coaio::gather(value_after(1s, 1), value_after(2s, 2)), 0s);
        } catch (const coaio::TimeoutError&) {
            text = "timeout";
        } catch (const coaio::CancelledError&) {
            text = "cancelled";
        }
        co_return text;
    };
    REQUIRE(coaio::testing::run(main()) == "timeout");
}

TEST_CASE("WFR-05: what is awaited is cancelled and done before TimeoutError is thrown") {
    auto main = []() -> Coro<> {
        auto task = create_task(value_after(1h, 1));
        const std::string text = co_await outcome(coaio::wait_for(task, 2s));
        REQUIRE(text == "timeout");
        REQUIRE(task.cancelled());
        REQUIRE(coaio::Clock::now().time_since_epoch() == 2s);
    };
    coaio::testing::run(main());
}

TEST_CASE("WFR-06, WFR-08: an inner that swallows the time-out's cancellation gives its value, later") {
    auto main = [](coaio::Duration limit) -> Coro<std::string> {
        auto task = create_task(stubborn(3s, 42));
        co_await coaio::sleep(0s);
        const auto start = coaio::Clock::now();
        std::string text = co_await outcome(coaio::wait_for(std::move(task), limit));
        REQUIRE(coaio::Clock::now() - start == 3s + std::max<coaio::Duration>(limit, 0s));
        co_return text;
    };
    REQUIRE(coaio::testing::run(main(1s)) == "42");
    REQUIRE(coaio::testing::run(main(0s)) == "42");
    REQUIRE(coaio::testing::run(main(-1s)) == "42");
}

TEST_CASE("WFR-07: an inner that answers the cancellation with an error of its own gives that") {
    auto main = []() -> Coro<std::string> { co_return co_await outcome(coaio::wait_for(answers_with("own"), 1s)); };
    REQUIRE(coaio::testing::run(main()) == "own");
}

TEST_CASE("WFR-11: cancelling the caller cancels what it waits for") {
    auto waits = [](coaio::Task<int> task, std::optional<coaio::Duration> limit) -> Coro<int> {
        co_return co_await coaio::wait_for(task, limit);
    };
    auto main = [](auto make, std::optional<coaio::Duration> limit) -> Coro<> {
        auto inner = create_task(value_after(1h, 1));
        auto task = create_task(make(inner, limit));
        co_await coaio::sleep(1s);
        task.cancel();
        co_await coaio::sleep(1s);
        REQUIRE(task.cancelled());
        REQUIRE(inner.cancelled());
    };
    coaio::testing::run(main(waits, std::nullopt));
    coaio::testing::run(main(waits, 10s));
}

TEST_CASE("WFR-13: the future's result and then the time-out in one turn give TimeoutError, the future keeps it") {
    auto main = []() -> Coro<std::string> {
        const coaio::Future<int> future;
        coaio::get_running_loop().call_later(1s, [future] { future.set_result(5); });
        std::string text = co_await outcome(coaio::wait_for(future, 1s));
        REQUIRE(future.result() == 5);
        co_return text;
    };
    REQUIRE(coaio::testing::run(main()) == "timeout");
}

TEST_CASE("WFR-14: a wake-up that was queued a turn before the time-out wins, and the timer is taken out") {
    auto main = []() -> Coro<std::string> {
        const coaio::Future<int> future;
        coaio::get_running_loop().call_later(1s, [future] {
            future.set_result(5);
            jump(10s);  // the time-out is due on the next turn
        });
        std::string text = co_await outcome(coaio::wait_for(future, 5s));
        REQUIRE(coaio::get_running_loop().stats().timers == 0);
        co_return text;
    };
    REQUIRE(coaio::testing::run(main()) == "5");
}

TEST_CASE("WFR-16, TMO-15: an outside cancel and the time-out before the resume give CancelledError, and count 1") {
    auto body = []() -> Coro<std::string> {
        std::string text = co_await outcome(coaio::wait_for(value_after(1h, 1), 1s));
        co_return text + " " + std::to_string(requests());
    };
    auto main = [](auto make) -> Coro<std::string> {
        auto task = create_task(make());
        coaio::get_running_loop().call_later(1s, [task] { task.cancel(); });
        co_return co_await task;
    };
    REQUIRE(coaio::testing::run(main(body)) == "cancelled 1");
}

TEST_CASE("WFR-17: an inner cancelled by a third party gives CancelledError, never TimeoutError") {
    auto main = []() -> Coro<std::string> {
        auto inner = create_task(value_after(1h, 1));
        coaio::get_running_loop().call_later(1s, [inner] { inner.cancel(); });
        std::string text = co_await outcome(coaio::wait_for(inner, 5s));
        co_return text + " " + std::to_string(requests());
    };
    REQUIRE(coaio::testing::run(main()) == "cancelled 0");
}

TEST_CASE("WFR-18: a coroutine runs inside the caller's own task") {
    auto inner = [](coaio::AnyTask caller) -> Coro<bool> { co_return *coaio::current_task() == caller; };
    auto main = [](auto make) -> Coro<bool> { co_return co_await coaio::wait_for(make(*coaio::current_task()), 1s); };
    REQUIRE(coaio::testing::run(main(inner)));
}

TEST_CASE("WFR-19: a caller whose inner coroutine swallows the cancellation gets the value") {
    auto body = []() -> Coro<std::string> {
        std::string text = co_await outcome(coaio::wait_for(stubborn(1s, 42), 1h));
        co_return text + " " + std::to_string(requests());
    };
    auto main = [](auto make) -> Coro<std::string> {
        auto task = create_task(make());
        co_await coaio::sleep(1s);
        task.cancel();
        co_return co_await task;
    };
    REQUIRE(coaio::testing::run(main(body)) == "42 1");
}

TEST_CASE("WFR-20: a bare future that times out is cancelled, a shielded one is not") {
    auto main = []() -> Coro<> {
        const coaio::Future<int> bare;
        const coaio::Future<int> kept;
        const std::string first = co_await outcome(coaio::wait_for(bare, 1s));
        const std::string second = co_await outcome(coaio::wait_for(coaio::shield(kept), 1s));
        REQUIRE(first == "timeout");
        REQUIRE(second == "timeout");
        REQUIRE(bare.cancelled());
        REQUIRE_FALSE(kept.done());
    };
    coaio::testing::run(main());
}

TEST_CASE("a time-out as long as can be said is no overflow") {
    auto main = []() -> Coro<int> {
        const auto handle = coaio::get_running_loop().call_later(coaio::Duration::max(), [] {});
        const int value = co_await coaio::wait_for(value_after(1s, 4), coaio::Duration::max());
        handle.cancel();
        co_return value;
    };
    REQUIRE(coaio::testing::run(main()) == 4);
}

TEST_CASE("TMO-01: a body that overruns sees CancelledError inside, and TimeoutError comes out") {
    auto main = []() -> Coro<> {
        bool inside = false;
        bool expired = false;
        const auto deadline = coaio::Clock::now() + 2s;
        auto body = [&](Timeout& scope) -> Coro<> {
            try {
                co_await coaio::sleep(1h);
            } catch (const coaio::CancelledError&) {
                inside = true;
                expired = scope.expired() && scope.when() == deadline;
                throw;
            }
        };
        const std::string text = co_await outcome(coaio::timeout(2s, body));
        REQUIRE(text == "timeout");
        REQUIRE(inside);
        REQUIRE(expired);
        REQUIRE(requests() == 0);
        const std::string at = co_await outcome(coaio::timeout_at(coaio::Clock::now() + 1s, body));
        REQUIRE(at == "timeout");
    };
    coaio::testing::run(main());
}

TEST_CASE("TMO-03: no deadline never passes") {
    auto main = []() -> Coro<bool> {
        auto body = [](Timeout& scope) -> Coro<bool> {
            co_await coaio::sleep(1000h);
            co_return !scope.when().has_value() && !scope.expired();
        };
        const bool first = co_await coaio::timeout(std::nullopt, body);
        const bool second = co_await coaio::timeout_at(std::nullopt, body);
        co_return first&& second;
    };
    REQUIRE(coaio::testing::run(main()));
}

TEST_CASE("TMO-04: no time at all interrupts the first suspension, even sleep(0)") {
    auto main = [](coaio::Duration delay, coaio::Duration nap) -> Coro<std::string> {
        auto body = [&](Timeout&) -> Coro<> { co_await coaio::sleep(nap); };
        std::string text = co_await outcome(coaio::timeout(delay, body));
        co_return text + " " + std::to_string(requests());
    };
    REQUIRE(coaio::testing::run(main(0s, 0s)) == "timeout 0");
    REQUIRE(coaio::testing::run(main(-5s, 0s)) == "timeout 0");
    REQUIRE(coaio::testing::run(main(0s, 10s)) == "timeout 0");
}

TEST_CASE("TMO-06: a body that never suspends leaves normally, and nothing strikes afterwards") {
    auto main = []() -> Coro<bool> {
        auto body = [](Timeout& scope) -> Coro<bool> { co_return scope.expired(); };
        const bool expired = co_await coaio::timeout(0s, body);
        const bool thrown = co_await struck();
        co_return expired || thrown;
    };
    REQUIRE_FALSE(coaio::testing::run(main()));
}

TEST_CASE("TMO-07, TMO-08: an error of the body's own comes out, before the deadline or in answer to it") {
    auto main = []() -> Coro<std::string> {
        auto early = [](Timeout&) -> Coro<> {
            co_await coaio::sleep(1s);
            throw std::runtime_error("early");
        };
        auto answer = [](Timeout&) -> Coro<int> { co_return co_await answers_with("answer"); };
        std::string text = co_await outcome(coaio::timeout(2s, early));
        text += " " + co_await outcome(coaio::timeout(2s, answer));
        co_return text + " " + std::to_string(requests());
    };
    REQUIRE(coaio::testing::run(main()) == "early answer 0");
}

TEST_CASE("TMO-12: two nested deadlines that pass together give one TimeoutError, from the outer") {
    auto main = []() -> Coro<std::string> {
        std::string seen;
        const auto deadline = coaio::Clock::now() + 1s;
        auto nap = [](Timeout&) -> Coro<> { co_await coaio::sleep(1h); };
        auto nested = [&](Timeout& scope) -> Coro<> {
            seen = co_await outcome(coaio::timeout_at(deadline, nap));
            seen += scope.expired() ? " expired" : "";
            throw coaio::CancelledError();
        };
        std::string text = co_await outcome(coaio::timeout_at(deadline, nested));
        co_return seen + " / " + text + " " + std::to_string(requests());
    };
    REQUIRE(coaio::testing::run(main()) == "cancelled expired / timeout 0");
}

TEST_CASE("TMO-13: the outer deadline passes while the inner one is far off") {
    auto main = []() -> Coro<std::string> {
        std::string seen;
        auto nap = [](Timeout&) -> Coro<> { co_await coaio::sleep(1h); };
        auto nested = [&](Timeout&) -> Coro<> {
            seen = co_await outcome(coaio::timeout(10s, nap));
            throw coaio::CancelledError();
        };
        std::string text = co_await outcome(coaio::timeout(1s, nested));
        co_return seen + " / " + text + " " + std::to_string(requests());
    };
    REQUIRE(coaio::testing::run(main()) == "cancelled / timeout 0");
}

TEST_CASE("TMO-14: the inner deadline passes first, is handled, and the outer one strikes later") {
    auto main = []() -> Coro<std::string> {
        std::string seen;
        auto nap = [](Timeout&) -> Coro<> { co_await coaio::sleep(1h); };
        auto nested = [&](Timeout&) -> Coro<> {
            seen = co_await outcome(coaio::timeout(1s, nap));
            co_await coaio::sleep(1h);
        };
        std::string text = co_await outcome(coaio::timeout(2s, nested));
        co_return seen + " / " + text;
    };
    REQUIRE(coaio::testing::run(main()) == "timeout / timeout");
}

TEST_CASE("TMO-16: a body that swallows the cancellation keeps its value, and the count is restored") {
    auto main = []() -> Coro<std::string> {
        auto body = [](Timeout& scope) -> Coro<int> {
            const int value = co_await stubborn(1s, 5);
            co_return scope.expired() ? value : 0;
        };
        std::string text = co_await outcome(coaio::timeout(1s, body));
        co_return text + " " + std::to_string(requests());
    };
    REQUIRE(coaio::testing::run(main()) == "5 0");
}

TEST_CASE("TMO-17: a cancel that was pending at the entry comes out as CancelledError, whatever the time") {
    auto main = [](coaio::Duration delay) -> Coro<std::string> {
        auto body = [](Timeout&) -> Coro<> { co_await coaio::sleep(1h); };
        coaio::current_task()->cancel();
        std::string text = co_await outcome(coaio::timeout(delay, body));
        co_return text + " " + std::to_string(requests());
    };
    REQUIRE(coaio::testing::run(main(0s)) == "cancelled 1");
    REQUIRE(coaio::testing::run(main(5s)) == "cancelled 1");
}

TEST_CASE("TMO-17: one that was pending at the entry and then swallowed inside does not hide the time-out") {
    auto main = []() -> Coro<std::string> {
        auto body = [](Timeout&) -> Coro<> {
            static_cast<void>(co_await struck());
            co_await coaio::sleep(1h);
        };
        coaio::current_task()->cancel();
        co_return co_await outcome(coaio::timeout(5s, body));
    };
    REQUIRE(coaio::testing::run(main()) == "timeout");
}

TEST_CASE("TMO-18, TMO-19: the requests at the entry are the reference, not zero") {
    auto body = [](coaio::Duration limit) -> Coro<std::string> {
        static_cast<void>(co_await struck());
        auto nap = [](Timeout&) -> Coro<> { co_await coaio::sleep(1h); };
        std::string text = co_await outcome(coaio::timeout(limit, nap));
        co_return text + " " + std::to_string(requests());
    };
    auto main = [](auto make, bool again) -> Coro<std::string> {
        auto task = create_task(make(5s));
        co_await coaio::sleep(0s);
        task.cancel();
        co_await coaio::sleep(1s);
        if (again) task.cancel();
        co_return co_await task;
    };
    REQUIRE(coaio::testing::run(main(body, false)) == "timeout 1");
    REQUIRE(coaio::testing::run(main(body, true)) == "cancelled 2");
}

TEST_CASE("TMO-21: a deadline moves later, away, or into the past") {
    auto main = []() -> Coro<std::string> {
        auto later = [](Timeout& scope) -> Coro<> {
            const auto moment = coaio::Clock::now() + 10s;
            scope.reschedule(moment);
            REQUIRE(scope.when() == moment);
            co_await coaio::sleep(5s);
            scope.reschedule(std::nullopt);
            REQUIRE_FALSE(scope.when().has_value());
            co_await coaio::sleep(100s);
        };
        auto past = [](Timeout& scope) -> Coro<> {
            const auto moment = coaio::Clock::now() - 1s;
            scope.reschedule(moment);
            REQUIRE(scope.when() == moment);
            co_await coaio::sleep(0s);
        };
        std::string text = co_await outcome(coaio::timeout(1s, later));
        co_return text + " " + co_await outcome(coaio::timeout(1s, past));
    };
    REQUIRE(coaio::testing::run(main()) == "0 timeout");
}

TEST_CASE("TMO-21: another task may move a deadline") {
    auto moves = [](Timeout& scope, std::optional<coaio::TimePoint> when) -> Coro<> {
        scope.reschedule(when);
        co_return;
    };
    auto main = [](auto make, std::optional<coaio::Duration> delay) -> Coro<std::string> {
        auto body = [&](Timeout& scope) -> Coro<> {
            auto other = create_task(make(scope, delay ? std::optional(coaio::Clock::now() + *delay) : std::nullopt));
            co_await coaio::sleep(10s);
        };
        std::string text = co_await outcome(coaio::timeout(5s, body));
        const auto seconds = coaio::Clock::now().time_since_epoch() / 1s;
        co_return text + " " + std::to_string(seconds);
    };
    REQUIRE(coaio::testing::run(main(moves, 1s)) == "timeout 1");
    REQUIRE(coaio::testing::run(main(moves, std::nullopt)) == "0 10");
    REQUIRE(coaio::testing::run(main(moves, -1s)) == "timeout 0");
}

TEST_CASE("TMO-22: a deadline that is expiring cannot be moved") {
    auto main = []() -> Coro<std::string> {
        auto body = [](Timeout& scope) -> Coro<> {
            try {
                co_await coaio::sleep(1h);
            } catch (const coaio::CancelledError&) {}
            scope.reschedule(std::nullopt);
        };
        co_return co_await outcome(coaio::timeout(1s, body));
    };
    REQUIRE_THAT(coaio::testing::run(main()), tests::contains("expiring"));
}

TEST_CASE("TMO-25: a deadline round a group cancels its tasks first, and is no group") {
    auto main = []() -> Coro<std::string> {
        bool child_ended = false;
        auto body = [&](Timeout&) -> Coro<> {
            co_await coaio::task_group([&](coaio::TaskGroup& group) -> Coro<> {
                group.create_task([](bool& ended) -> Coro<> {
                    struct Mark {
                        bool& ended;
                        ~Mark() { ended = true; }
                    } const mark{ended};
                    co_await coaio::sleep(1h);
                }(child_ended));
                co_return;
            });
        };
        std::string text = co_await outcome(coaio::timeout(1s, body));
        co_return text + (child_ended ? " ended " : " runs ") + std::to_string(requests());
    };
    REQUIRE(coaio::testing::run(main()) == "timeout ended 0");
}

TEST_CASE("TMO-27: a deadline inside a group's body lets the group's own cancellation through") {
    auto main = []() -> Coro<std::string> {
        std::string seen;
        std::string text;
        auto body = [&](coaio::TaskGroup& group) -> Coro<> {
            group.create_task([]() -> Coro<> {
                co_await coaio::sleep(1s);
                throw std::runtime_error("child");
            }());
            auto nap = [](Timeout&) -> Coro<> { co_await coaio::sleep(1h); };
            seen = co_await outcome(coaio::timeout(10s, nap));
            throw coaio::CancelledError();
        };
        try {
            co_await coaio::task_group(body);
        } catch (const coaio::ExceptionGroup& group) {
            text = "group of " + std::to_string(group.exceptions().size());
        }
        co_return seen + " / " + text + " " + std::to_string(requests());
    };
    REQUIRE(coaio::testing::run(main()) == "cancelled / group of 1 0");
}

TEST_CASE("cut: a wait_for leaves neither timer nor request behind, whatever turn the cancellation comes in") {
    auto factory = [] { return coaio::wait_for(coaio::shield(fall_asleep(1s)), 2s); };
    coaio::testing::cut(factory, [](std::size_t) -> Coro<> {
        co_await coaio::sleep(10s);
        REQUIRE(coaio::get_running_loop().stats().timers == 0);
        REQUIRE(requests() == 0);
    });
}
