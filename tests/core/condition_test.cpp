// SPDX-License-Identifier: MIT
#include <coaio/core/condition.hpp>

#include <coaio/core/dump.hpp>

#include "sync_support.hpp"

#include <memory>

using namespace tests;
using coaio::Condition;
using coaio::Coro;
using coaio::Lock;

namespace {

Coro<> wait_and_log(Condition& condition, Log& log, std::string name) {
    co_await condition.acquire();
    const bool value = co_await condition.wait();
    if (value) log.push_back(name);
    condition.release();
}

Coro<> notify(Condition& condition, std::size_t n) {
    co_await condition.acquire();
    condition.notify(n);
    condition.release();
}

// Waits, and says with which text it was cancelled and whether it holds the lock then.
Coro<> wait_until_cancelled(Condition& condition, Log& log, std::string name) {
    co_await condition.acquire();
    try {
        co_await condition.wait();
        log.push_back(name + " notified");
    } catch (const coaio::CancelledError& error) {
        log.push_back(name + " cancelled " + error.message().value_or("") + (condition.locked() ? " locked" : " free"));
    }
    condition.release();
}

}  // namespace

TEST_CASE("CND-01: notified waiters return one at a time, in order, each with the lock") {
    run([]() -> Coro<> {
        Condition condition;
        Log log;
        auto a = coaio::create_task(wait_and_log(condition, log, "a"));
        auto b = coaio::create_task(wait_and_log(condition, log, "b"));
        auto c = coaio::create_task(wait_and_log(condition, log, "c"));
        co_await turn();
        CHECK_FALSE(condition.locked());
        co_await condition.acquire();
        condition.notify(2);
        co_await turns(3);
        CHECK(log.empty());  // the lock is held here
        condition.release();
        co_await turns(4);
        CHECK(log == Log{"a", "b"});
        CHECK_FALSE(c.done());
        co_await notify(condition, 1);
        co_await c;
        CHECK(log == Log{"a", "b", "c"});
        co_await a;
        co_await b;
    });
}

TEST_CASE("CND-01: notify_all wakes everyone") {
    run([]() -> Coro<> {
        Condition condition;
        Log log;
        std::vector<coaio::Task<>> tasks;
        for (int i = 0; i < 4; ++i)
            tasks.push_back(coaio::create_task(wait_and_log(condition, log, std::to_string(i))));
        co_await turn();
        co_await condition.acquire();
        condition.notify_all();
        condition.release();
        for (auto& task : tasks) co_await task;
        CHECK(log == Log{"0", "1", "2", "3"});
    });
}

TEST_CASE("CND-03: wait and notify without the lock throw RuntimeError") {
    run([]() -> Coro<> {
        Condition condition;
        bool refused = false;
        try {
            co_await condition.wait();
        } catch (const coaio::RuntimeError&) {
            refused = true;
        }
        CHECK(refused);
        CHECK_THROWS_AS(condition.notify(), coaio::RuntimeError);
        CHECK_THROWS_AS(condition.notify_all(), coaio::RuntimeError);
    });
}

TEST_CASE("CND-04: wait_for checks again after each wake-up and gives the predicate's value") {
    run([]() -> Coro<> {
        Condition condition;
        Log log;
        int presents = 0;
        auto task = coaio::create_task([](Condition& mine, int& count, Log& into) -> Coro<int> {
            const auto guard = co_await mine.scoped();
            const int value = co_await mine.wait_for([&] {
                into.push_back("asked");
                return count >= 2 ? count : 0;
            });
            co_return value;
        }(condition, presents, log));
        co_await turn();
        presents = 1;
        co_await notify(condition, 1);
        co_await turns(3);
        CHECK_FALSE(task.done());
        presents = 7;
        co_await notify(condition, 1);
        const int value = co_await task;
        CHECK(value == 7);
        CHECK(log == Log{"asked", "asked", "asked"});
    });
}

TEST_CASE("CND-04: true at once needs no lock, false without the lock is a RuntimeError") {
    run([]() -> Coro<> {
        Condition condition;
        const bool value = co_await condition.wait_for([] { return true; });
        CHECK(value);
        bool refused = false;
        try {
            co_await condition.wait_for([] { return false; });
        } catch (const coaio::RuntimeError&) {
            refused = true;
        }
        CHECK(refused);
    });
}

TEST_CASE("CND-05: a cancelled waiter throws with the lock held again, and leaves nothing behind") {
    run([]() -> Coro<> {
        Condition condition;
        Log log;
        auto task = coaio::create_task(wait_until_cancelled(condition, log, "a"));
        co_await turn();
        task.cancel("stop");
        co_await task;
        CHECK(log == Log{"a cancelled stop locked"});
        CHECK_FALSE(condition.locked());
        co_await condition.acquire();
        condition.notify();
        condition.release();
    });
}

TEST_CASE("CND-06: notified, then cancelled while the lock is contested: it ends with the lock held") {
    run([]() -> Coro<> {
        Condition condition;
        Log log;
        auto task = coaio::create_task(wait_until_cancelled(condition, log, "a"));
        co_await turn();
        co_await condition.acquire();
        condition.notify();
        co_await turn();  // it is notified and waits for the lock
        task.cancel();
        condition.release();
        co_await task;
        CHECK(log == Log{"a cancelled  locked"});
        CHECK_FALSE(condition.locked());
    });
}

TEST_CASE("CND-07: cancelled while it takes the lock again it keeps trying, and throws the latest request") {
    run([]() -> Coro<> {
        Condition condition;
        Log log;
        auto task = coaio::create_task(wait_until_cancelled(condition, log, "a"));
        co_await turn();
        co_await condition.acquire();
        task.cancel("first");
        co_await turn();
        task.cancel("second");
        co_await turns(2);
        task.cancel("third");
        co_await turns(3);
        CHECK(log.empty());
        CHECK_FALSE(task.done());
        condition.release();
        co_await task;
        CHECK(log == Log{"a cancelled third locked"});
        CHECK(task.cancelling() == 3);
    });
}

TEST_CASE("CND-08: the CancelledError that comes out is the one that was delivered") {
    run([]() -> Coro<> {
        Condition condition;
        Log log;
        auto waiting = coaio::create_task(wait_until_cancelled(condition, log, "waiting"));
        co_await turn();
        waiting.cancel("while waiting");
        co_await waiting;
        auto again = coaio::create_task(wait_until_cancelled(condition, log, "again"));
        co_await turn();
        co_await condition.acquire();
        condition.notify();
        co_await turns(2);
        again.cancel("while locking");
        co_await turn();
        condition.release();
        co_await again;
        CHECK(log == Log{"waiting cancelled while waiting locked", "again cancelled while locking locked"});
    });
}

TEST_CASE("CND-09: a notified waiter cancelled before it runs passes the notification on") {
    run([]() -> Coro<> {
        Condition condition;
        Log log;
        auto a = coaio::create_task(wait_until_cancelled(condition, log, "a"));
        auto b = coaio::create_task(wait_until_cancelled(condition, log, "b"));
        co_await turn();
        co_await condition.acquire();
        condition.notify(1);
        a.cancel();
        condition.release();
        co_await a;
        co_await b;
        CHECK(log == Log{"a cancelled  locked", "b notified"});
    });
}

TEST_CASE("CND-10: the same while it is taking the lock again") {
    run([]() -> Coro<> {
        Condition condition;
        Log log;
        auto a = coaio::create_task(wait_until_cancelled(condition, log, "a"));
        auto b = coaio::create_task(wait_until_cancelled(condition, log, "b"));
        co_await turn();
        co_await condition.acquire();
        condition.notify(1);
        co_await turns(2);
        a.cancel();
        co_await turn();
        condition.release();
        co_await a;
        co_await b;
        CHECK(log == Log{"a cancelled  locked", "b notified"});
    });
}

TEST_CASE("CND-11: waiter 0 cancelled and one notification wake waiters 1 and 2") {
    run([]() -> Coro<> {
        Condition condition;
        Log log;
        auto t0 = coaio::create_task(wait_until_cancelled(condition, log, "0"));
        auto t1 = coaio::create_task(wait_until_cancelled(condition, log, "1"));
        auto t2 = coaio::create_task(wait_until_cancelled(condition, log, "2"));
        co_await turn();
        co_await condition.acquire();
        t0.cancel();
        condition.notify(1);
        condition.release();
        co_await t0;
        co_await t1;
        co_await t2;
        CHECK(log == Log{"0 cancelled  locked", "1 notified", "2 notified"});
    });
}

TEST_CASE("CND-12: conditions that share a lock agree on it") {
    run([]() -> Coro<> {
        Lock lock;
        Condition one(lock);
        Condition two(lock);
        co_await one.acquire();
        CHECK(lock.locked());
        CHECK(two.locked());
        two.notify();
        lock.release();
        CHECK_FALSE(one.locked());
    });
}

TEST_CASE("CND-13: scoped use locks and unlocks") {
    run([]() -> Coro<> {
        Condition condition;
        {
            const auto guard = co_await condition.scoped();
            CHECK(condition.locked());
        }
        CHECK_FALSE(condition.locked());
    });
}

TEST_CASE("CND-14: a condition of another loop cannot be waited for, and the lock stays held") {
    Condition condition;
    Log log;
    const auto use = [](Condition& mine, Log& into) -> Coro<> {
        auto waiter = coaio::create_task(wait_and_log(mine, into, "a"));
        co_await turn();
        co_await notify(mine, 1);
        co_await waiter;
    };
    coaio::testing::run(use(condition, log));
    CHECK(log == Log{"a"});
    const auto fail = [](Condition& mine) -> Coro<> {
        const auto guard = co_await mine.scoped();
        std::string what;
        try {
            co_await mine.wait();
        } catch (const coaio::RuntimeError& error) {
            what = error.what();
        }
        CHECK_THAT(what, contains("different event loop"));
        CHECK(mine.locked());
    };
    coaio::testing::run(fail(condition));
}

TEST_CASE("A task dump says that a task waits for a condition, and later for its lock") {
    run([]() -> Coro<> {
        Condition condition;
        Log log;
        auto a = coaio::create_task(wait_and_log(condition, log, "a"));
        co_await turn();
        CHECK_THAT(coaio::dump_tasks(), contains("waits for condition"));
        co_await condition.acquire();
        condition.notify();
        co_await turn();
        CHECK_THAT(coaio::dump_tasks(), contains("waits for lock held by Task-1"));
        condition.release();
        co_await a;
    });
}

TEST_CASE("A condition cut at any turn loses neither its lock nor a notification") {
    struct Shared {
        Condition condition;
        Log log;
        int ready = 0;
    };
    std::shared_ptr<Shared> shared;
    const auto consume = [](std::shared_ptr<Shared> mine) -> Coro<> {
        const auto guard = co_await mine->condition.scoped();
        co_await mine->condition.wait_for([&] { return mine->ready > 0; });
        --mine->ready;
    };
    const auto body = [](std::shared_ptr<Shared> mine, auto other_consumer) -> Coro<> {
        auto other = coaio::create_task(other_consumer(mine));
        auto producer = coaio::create_task([](std::shared_ptr<Shared> my) -> Coro<> {
            for (int i = 0; i < 2; ++i) {
                co_await turns(2);
                const auto guard = co_await my->condition.scoped();
                co_await turn();
                ++my->ready;
                my->condition.notify();
            }
        }(mine));
        {
            const auto guard = co_await mine->condition.scoped();
            co_await mine->condition.wait_for([&] { return mine->ready > 0; });
            --mine->ready;
        }
        co_await other;
        co_await producer;
    };
    const auto check = [](std::shared_ptr<Shared> mine) -> Coro<> {
        co_await turns(30);
        CHECK_FALSE(mine->condition.locked());
        // Whoever of the two consumers was not stopped has got its share.
        CHECK(coaio::all_tasks().size() == 1);
        CHECK(mine->ready <= 2);
    };
    coaio::testing::cut(
        [&] {
            shared = std::make_shared<Shared>();
            return body(shared, consume);
        },
        [&](std::size_t) { return check(shared); });
}
