// SPDX-License-Identifier: MIT
#include <coaio/core/timeout.hpp>

#include <coaio/core/condition.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/lock.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/queue.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/testing.hpp>

#include "core/delayed.hpp"
#include "support/catch.hpp"

#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;
using coaio::Future;
using coaio::Timeout;
using tests::now;

namespace {

// Ignores cancellation until `delay` has passed since the first.
Coro<> ignores_cancellation(coaio::Duration delay) {
    std::optional<coaio::TimePoint> end;
    while (!end || coaio::Clock::now() < *end) {
        try {
            co_await coaio::sleep(end ? *end - coaio::Clock::now() : 1h);
        } catch (const coaio::CancelledError&) {
            if (!end) end = coaio::Clock::now() + delay;
        }
    }
    throw coaio::CancelledError();
}

template <class A>
Coro<bool> times_out(A awaitable, coaio::Duration delay) {
    bool late = false;
    try {
        co_await coaio::wait_for(std::move(awaitable), delay);
    } catch (const coaio::TimeoutError&) {
        late = true;
    }
    co_return late;
}

// A callback that runs, with whatever else is due then, in the very turn in which a time-out after `delay` strikes, and
// before it.
template <class F>
void just_before_timeout(coaio::Duration delay, F function) {
    coaio::get_running_loop().call_later(delay, std::move(function));
}

}  // namespace

TEST_CASE("WFR-09: an inner that ignores its cancellation for a while holds wait_for up, timed out or cancelled") {
    auto main = []() -> Coro<> {
        const bool late = co_await times_out(ignores_cancellation(2s), 1s);
        REQUIRE(late);
        REQUIRE(now() == 3s);
        auto task = create_task(times_out(ignores_cancellation(2s), 1h));
        co_await coaio::sleep(1s);
        task.cancel();
        co_await coaio::sleep(1s);
        task.cancel();
        REQUIRE_FALSE(task.done());
        co_await coaio::sleep(2s);
        REQUIRE(task.cancelled());
    };
    coaio::testing::run(main());
}

TEST_CASE("WFR-10: a result set by a callback that was queued already is returned") {
    auto main = []() -> Coro<int> {
        const Future<int> future;
        coaio::get_running_loop().call_soon([future] { future.set_result(4); });
        co_return co_await coaio::wait_for(future, 1s);
    };
    REQUIRE(coaio::testing::run(main()) == 4);
}

TEST_CASE("WFR-15: a result that comes in the turn of the time-out, but after it, finds the future cancelled") {
    auto main = []() -> Coro<> {
        const Future<int> future;
        bool refused = false;
        auto waits = [](Future<int> awaited) -> Coro<bool> { co_return co_await times_out(awaited, 1s); };
        auto task = create_task(waits(future));
        co_await coaio::sleep(0s);  // its timer is armed before the one that follows
        coaio::get_running_loop().call_at(coaio::TimePoint(1s), [&] {
            try {
                future.set_result(1);
            } catch (const coaio::InvalidStateError&) {
                refused = true;
            }
        });
        const bool late = co_await task;
        REQUIRE(late);
        REQUIRE(refused);
        REQUIRE(future.cancelled());
        REQUIRE(now() == 1s);
    };
    coaio::testing::run(main());
}

TEST_CASE("WFR-22: an item that comes in the turn of the time-out stays in the queue, and no getter stays behind") {
    auto main = []() -> Coro<> {
        coaio::Queue<int> queue;
        just_before_timeout(1s, [&queue] { queue.put_nowait(5); });
        const bool late = co_await times_out(queue.get(), 1s);
        REQUIRE(late);
        REQUIRE(queue.get_nowait() == 5);
        auto getter = create_task([](coaio::Queue<int>& mine) -> Coro<int> { co_return co_await mine.get(); }(queue));
        co_await coaio::sleep(0s);
        queue.put_nowait(6);
        const int value = co_await getter;
        REQUIRE(value == 6);
    };
    coaio::testing::run(main());
}

TEST_CASE("WFR-23: a lock released in the turn of the time-out is free afterwards") {
    auto main = []() -> Coro<> {
        coaio::Lock lock;
        co_await lock.acquire();
        just_before_timeout(1s, [&lock] { lock.release(); });
        const bool late = co_await times_out(lock.acquire(), 1s);
        REQUIRE(late);
        REQUIRE_FALSE(lock.locked());
        co_await lock.acquire();
        lock.release();
    };
    coaio::testing::run(main());
}

TEST_CASE("WFR-24: a wait for a condition that times out holds the lock again when TimeoutError appears") {
    auto main = []() -> Coro<> {
        coaio::Condition condition;
        bool late = false;
        bool held = false;
        {
            const auto guard = co_await condition.scoped();
            try {
                co_await coaio::wait_for(condition.wait(), 1s);
            } catch (const coaio::TimeoutError&) {
                late = true;
                held = condition.locked();
            }
        }
        REQUIRE(late);
        REQUIRE(held);
        REQUIRE_FALSE(condition.locked());
    };
    coaio::testing::run(main());
}

TEST_CASE(
    "TMO-09: the cancellation becomes TimeoutError also when it is thrown on out of the handling of another error") {
    auto main = []() -> Coro<> {
        std::string text;
        try {
            co_await coaio::timeout(1s, [](Timeout&) -> Coro<> {
                std::exception_ptr cancellation;
                try {
                    co_await coaio::sleep(1h);
                } catch (const coaio::CancelledError&) {
                    cancellation = std::current_exception();
                }
                try {
                    throw std::runtime_error("while cleaning up");
                } catch (const std::runtime_error&) {
                    std::rethrow_exception(cancellation);
                }
            });
        } catch (const coaio::TimeoutError& error) {
            text = error.what();
        }
        REQUIRE_FALSE(text.empty());
    };
    coaio::testing::run(main());
}

TEST_CASE("TMO-23: a scope belongs to one block: it cannot be copied or moved, and each call has its own") {
    STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<Timeout>);
    STATIC_REQUIRE_FALSE(std::is_move_constructible_v<Timeout>);
    STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<Timeout>);
    auto main = []() -> Coro<> {
        auto body = [](Timeout& scope) -> Coro<const Timeout*> {
            co_await coaio::sleep(2s);
            co_return &scope;
        };
        for (int i = 0; i < 2; ++i) {  // the same body again is a new block with all of its time
            const Timeout* const scope = co_await coaio::timeout(3s, body);
            REQUIRE(scope != nullptr);
        }
        REQUIRE(now() == 4s);
    };
    coaio::testing::run(main());
}

TEST_CASE("TMO-28: a scope says whether it is active, expiring, expired or finished") {
    auto main = []() -> Coro<> {
        std::vector<Timeout::State> seen;
        {
            Timeout scope(coaio::Clock::now() + 1s);
            seen.push_back(scope.state());
            scope.leave();
            seen.push_back(scope.state());
        }
        Timeout late(coaio::Clock::now() + 1s);
        try {
            try {
                co_await coaio::sleep(1h);
            } catch (...) {
                seen.push_back(late.state());
                late.leave_by_exception();
            }
        } catch (const coaio::TimeoutError&) {
            seen.push_back(late.state());
        }
        using enum Timeout::State;
        REQUIRE(seen == std::vector{active, finished, expiring, expired});
        REQUIRE(late.expired());
        REQUIRE(late.when() == coaio::TimePoint(1s));
    };
    coaio::testing::run(main());
}

TEST_CASE("TMO-22: the deadline of a block that has finished or expired cannot be moved, and the error says which") {
    auto refusal = [](Timeout& scope) {
        std::string text = "none";
        try {
            scope.reschedule(coaio::Clock::now() + 1s);
        } catch (const coaio::RuntimeError& error) {
            text = error.what();
        }
        return text;
    };
    auto main = [](auto refused) -> Coro<> {
        Timeout finished(coaio::Clock::now() + 1s);
        finished.leave();
        REQUIRE_THAT(refused(finished), tests::contains("finished"));
        Timeout failed(coaio::Clock::now() + 1s);
        try {
            throw std::runtime_error("of the body");
        } catch (const std::runtime_error&) {
            failed.leave_by_exception();
        }
        REQUIRE_THAT(refused(failed), tests::contains("finished"));
        Timeout expired(coaio::Clock::now() + 1s);
        try {
            co_await coaio::sleep(1h);
        } catch (const coaio::CancelledError&) {
            REQUIRE_THAT(refused(expired), tests::contains("expiring"));
            REQUIRE_THROWS_AS(expired.leave_by_exception(), coaio::TimeoutError);
        }
        REQUIRE_THAT(refused(expired), tests::contains("expired"));
        co_await coaio::sleep(5s);
        REQUIRE(now() == 6s);
    };
    coaio::testing::run(main(refusal));
}

TEST_CASE("TMO-30: of two nested deadlines that have passed when a busy loop looks, the outer gives the TimeoutError") {
    auto main = []() -> Coro<> {
        bool inner_timed_out = false;
        bool inner_expired = false;
        bool outer_expired = false;
        bool outer_timed_out = false;
        auto outer_body = [&](Timeout& outer) -> Coro<> {
            auto inner_body = [&](Timeout& inner) -> Coro<> {
                coaio::get_running_loop().call_soon([&outer, &inner] {
                    inner.reschedule(coaio::Clock::now() - 2s);
                    outer.reschedule(coaio::Clock::now() - 1s);
                });
                try {
                    co_await coaio::sleep(1h);
                } catch (const coaio::CancelledError&) {
                    inner_expired = inner.expired();
                    outer_expired = outer.expired();
                    throw;
                }
            };
            try {
                co_await coaio::timeout(1s, inner_body);
            } catch (const coaio::TimeoutError&) {
                inner_timed_out = true;
            }
        };
        try {
            co_await coaio::timeout(1h, outer_body);
        } catch (const coaio::TimeoutError&) {
            outer_timed_out = true;
        }
        REQUIRE(inner_expired);
        REQUIRE(outer_expired);
        REQUIRE_FALSE(inner_timed_out);
        REQUIRE(outer_timed_out);
        REQUIRE(coaio::current_task()->cancelling() == 0);
    };
    coaio::testing::run(main());
}

TEST_CASE("TMO-29: in debug mode a block that another task leaves than entered it is reported") {
    for (const bool debug : {false, true}) {
        coaio::testing::TestLoop test({.debug = debug});
        std::vector<std::string> messages;
        test.loop().set_exception_handler(
            [&messages](coaio::Loop&, const coaio::ExceptionContext& context) { messages.push_back(context.message); });
        auto leaves = [](Timeout& scope) -> Coro<> {
            scope.leave();
            co_return;
        };
        auto main = [](auto make) -> Coro<> {
            Timeout scope(coaio::Clock::now() + 1s);
            co_await create_task(make(scope));
        };
        test.run(main(leaves));
        REQUIRE(messages.size() == (debug ? 1U : 0U));
        if (debug) REQUIRE_THAT(messages[0], tests::contains("another task"));
    }
}

TEST_CASE("TMO-29: blocks with bodies are left innermost first, whichever deadline passes") {
    auto main = []() -> Coro<> {
        for (const auto& [outer, inner] : {std::pair(1s, 5s), {5s, 1s}, {1s, 1s}}) {
            std::vector<std::string> left;
            auto body = [&left](Timeout&, coaio::Duration mine) -> Coro<> {
                try {
                    co_await coaio::timeout(mine, [](Timeout&) -> Coro<> { co_await coaio::sleep(1h); });
                } catch (...) {
                    left.emplace_back("inner");
                    throw;
                }
            };
            const coaio::Duration delay = inner;
            try {
                co_await coaio::timeout(outer, [&](Timeout& scope) -> Coro<> { co_await body(scope, delay); });
            } catch (const coaio::TimeoutError&) {
                left.emplace_back("outer");
            }
            REQUIRE(left == std::vector<std::string>{"inner", "outer"});
        }
    };
    coaio::testing::run(main());
}
