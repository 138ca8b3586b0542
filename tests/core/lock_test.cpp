// SPDX-License-Identifier: MIT
#include <coaio/core/lock.hpp>

#include <coaio/core/dump.hpp>
#include <coaio/core/event.hpp>

#include "sync_support.hpp"

#include <memory>

using namespace tests;
using coaio::Coro;
using coaio::Lock;

namespace {

Coro<> enter(Lock& lock, Log& log, std::string name) {
    co_await lock.acquire();
    log.push_back(name);
}

Coro<> enter_and_leave(Lock& lock, Log& log, std::string name) {
    co_await lock.acquire();
    log.push_back(name);
    lock.release();
}

Coro<> hold(Lock& lock, Log& log, std::string name, std::size_t for_turns) {
    const auto guard = co_await lock.scoped();
    log.push_back(name + " in");
    co_await turns(for_turns);
    log.push_back(name + " out");
}

}  // namespace

TEST_CASE("LCK-02: a cancelled waiter leaves nothing behind in the queue") {
    run([]() -> Coro<> {
        Lock lock;
        Log log;
        co_await lock.acquire();
        auto waiter = coaio::create_task(enter(lock, log, "a"));
        co_await turn();
        waiter.cancel();
        const auto how = co_await outcome(waiter);
        CHECK(how == "cancelled");
        CHECK(log.empty());
        lock.release();
        CHECK_FALSE(lock.locked());
        co_await lock.acquire();
        CHECK(lock.locked());
    });
}

TEST_CASE("LCK-03: a waiter cancelled as the owner releases is skipped, the next one gets the lock") {
    run([]() -> Coro<> {
        Lock lock;
        Log log;
        co_await lock.acquire();
        auto b = coaio::create_task(enter(lock, log, "b"));
        auto c = coaio::create_task(enter(lock, log, "c"));
        co_await turn();
        b.cancel();
        lock.release();
        co_await turns(3);
        CHECK(b.cancelled());
        CHECK(c.done());
        CHECK(log == Log{"c"});
        CHECK(lock.locked());
    });
}

TEST_CASE("LCK-04: the first waiter cancelled and a release in one callback give the lock to one waiter only") {
    run([]() -> Coro<> {
        Lock lock;
        Log log;
        co_await lock.acquire();
        auto t1 = coaio::create_task(enter(lock, log, "1"));
        auto t2 = coaio::create_task(enter(lock, log, "2"));
        auto t3 = coaio::create_task(enter(lock, log, "3"));
        co_await turn();
        coaio::get_running_loop().call_soon([&] {
            t1.cancel();
            lock.release();
        });
        const auto how = co_await outcome(t1);
        CHECK(how == "cancelled");
        CHECK(log == Log{"2"});
        CHECK_FALSE(t3.done());
        CHECK(lock.locked());
        lock.release();
        co_await t3;
        CHECK(log == Log{"2", "3"});
    });
}

TEST_CASE("LCK-05: a waiter that was chosen and then cancelled passes the lock on") {
    run([]() -> Coro<> {
        Lock lock;
        Log log;
        co_await lock.acquire();
        auto a = coaio::create_task(enter(lock, log, "a"));
        auto b = coaio::create_task(enter(lock, log, "b"));
        co_await turn();
        lock.release();
        a.cancel();
        co_await turn();
        CHECK(log.empty());  // a has unwound and woken b, which runs on the next turn
        CHECK(a.cancelled());
        co_await turn();
        CHECK(log == Log{"b"});
        CHECK(lock.locked());
    });
}

TEST_CASE("LCK-06: between release and resume the lock is free, yet a newcomer queues behind the chosen one") {
    run([]() -> Coro<> {
        Lock lock;
        Log log;
        co_await lock.acquire();
        auto chosen = coaio::create_task(enter_and_leave(lock, log, "chosen"));
        co_await turn();
        lock.release();
        CHECK_FALSE(lock.locked());
        co_await lock.acquire();
        log.push_back("newcomer");
        CHECK(log == Log{"chosen", "newcomer"});
        co_await chosen;
    });
}

TEST_CASE("LCK-07: with every waiter cancelled but not yet unwound, a newcomer takes the free lock at once") {
    run([]() -> Coro<> {
        Lock lock;
        Log log;
        co_await lock.acquire();
        auto a = coaio::create_task(enter(lock, log, "a"));
        auto b = coaio::create_task(enter(lock, log, "b"));
        co_await turn();
        a.cancel();
        b.cancel();
        lock.release();
        co_await lock.acquire();
        CHECK(lock.locked());
        CHECK_FALSE(a.done());  // no turn has passed
        co_await turns(2);
        CHECK(a.cancelled());
        CHECK(b.cancelled());
        CHECK(lock.locked());
        lock.release();
        CHECK_FALSE(lock.locked());
    });
}

TEST_CASE("LCK-03: the chosen one after a cancelled head is woken when the head unwinds, one turn later") {
    run([]() -> Coro<> {
        Lock lock;
        Log log;
        co_await lock.acquire();
        auto b = coaio::create_task(enter(lock, log, "b"));
        auto c = coaio::create_task(enter(lock, log, "c"));
        co_await turn();
        b.cancel();
        lock.release();
        co_await turn();
        CHECK(b.done());
        CHECK(log.empty());
        co_await turn();
        CHECK(log == Log{"c"});
    });
}

TEST_CASE("LCK-08: a release of a free lock throws RuntimeError") {
    Lock lock;
    CHECK_THROWS_AS(lock.release(), coaio::RuntimeError);
}

TEST_CASE("LCK-09: an acquire of a free lock does not suspend") {
    run([]() -> Coro<> {
        Lock lock;
        Log log;
        auto other = coaio::create_task(enter(lock, log, "other"));
        const bool got = co_await lock.acquire();
        CHECK(got);
        CHECK(log.empty());
        lock.release();
        co_await other;
    });
}

TEST_CASE("LCK-10: a guard releases on every exit, once, and moves") {
    run([]() -> Coro<> {
        Lock lock;
        {
            const auto guard = co_await lock.scoped();
            CHECK(lock.locked());
        }
        CHECK_FALSE(lock.locked());
        try {
            const auto guard = co_await lock.scoped();
            throw coaio::ValueError("out");
        } catch (const coaio::ValueError&) {
            CHECK_FALSE(lock.locked());
        }
        auto first = co_await lock.scoped();
        {
            const auto second = std::move(first);
            CHECK(lock.locked());
        }
        CHECK_FALSE(lock.locked());
        auto early = co_await lock.scoped();
        early.release();
        CHECK_FALSE(lock.locked());
        co_await lock.acquire();
        early.release();  // no effect any more
        CHECK(lock.locked());
    });
}

TEST_CASE("A lock serves its waiters in the order in which they came, one at a time") {
    run([]() -> Coro<> {
        Lock lock;
        Log log;
        auto a = coaio::create_task(hold(lock, log, "a", 2));
        auto b = coaio::create_task(hold(lock, log, "b", 1));
        auto c = coaio::create_task(hold(lock, log, "c", 0));
        co_await a;
        co_await b;
        co_await c;
        CHECK(log == Log{"a in", "a out", "b in", "b out", "c in", "c out"});
    });
}

TEST_CASE("CXL-11: a pending cancellation lets a free lock be taken and strikes where it really suspends") {
    run([]() -> Coro<> {
        Lock free;
        Lock held;
        co_await held.acquire();
        coaio::current_task()->cancel();
        co_await free.acquire();
        CHECK(free.locked());
        bool struck = false;
        try {
            co_await held.acquire();
        } catch (const coaio::CancelledError&) {
            struck = true;
        }
        CHECK(struck);
        CHECK(coaio::current_task()->uncancel() == 0);
        held.release();
        co_await held.acquire();
        CHECK(held.locked());
    });
}

TEST_CASE("A lock that tasks waited for on one loop cannot be waited for on another") {
    Lock lock;
    Log log;
    const auto contend = [](Lock& mine, Log& into) -> Coro<> {
        co_await mine.acquire();
        auto waiter = coaio::create_task(enter_and_leave(mine, into, "waiter"));
        co_await turn();
        mine.release();
        co_await waiter;
    };
    coaio::testing::run(contend(lock, log));
    CHECK(log == Log{"waiter"});
    const auto fail = [](Lock& mine, Log& into) -> Coro<> {
        co_await mine.acquire();
        const auto how = co_await outcome(coaio::create_task(enter_and_leave(mine, into, "waiter")));
        CHECK_THAT(how, contains("different event loop"));
        mine.release();
    };
    coaio::testing::run(fail(lock, log));
}

TEST_CASE("A lock that goes away tells those who wait for it") {
    run([]() -> Coro<> {
        Log log;
        auto lock = std::make_unique<Lock>();
        co_await lock->acquire();
        auto waiting = coaio::create_task(enter(*lock, log, "waiting"));
        co_await turn();
        lock.reset();
        const auto first = co_await outcome(waiting);
        CHECK_THAT(first, contains("destroyed"));

        lock = std::make_unique<Lock>();
        co_await lock->acquire();
        auto chosen = coaio::create_task(enter(*lock, log, "chosen"));
        auto cancelled = coaio::create_task(enter(*lock, log, "cancelled"));
        co_await turn();
        lock->release();
        cancelled.cancel();
        lock.reset();
        const auto second = co_await outcome(chosen);
        CHECK_THAT(second, contains("destroyed"));
        const auto third = co_await outcome(cancelled);
        CHECK(third == "cancelled");
        CHECK(log.empty());
    });
}

TEST_CASE("A loop that closes with waiters of a lock in any order leaves no trace") {
    Log log;
    coaio::Loop loop;
    Lock lock;
    loop.set_exception_handler([](coaio::Loop&, const coaio::ExceptionContext&) {});
    for (int i = 0; i < 3; ++i) loop.create_task(hold(lock, log, std::to_string(i), 100));
    loop.run_until_complete(turns(2));
    CHECK(lock.locked());
    loop.close();
    CHECK_FALSE(lock.locked());
}

TEST_CASE("A task dump says who holds a lock") {
    run([]() -> Coro<> {
        Lock lock;
        Log log;
        auto holder = coaio::create_task(hold(lock, log, "holder", 5), {.name = "keeper"});
        auto waiter = coaio::create_task(enter(lock, log, "waiter"));
        co_await turn();
        CHECK_THAT(coaio::dump_tasks(), contains("waits for lock held by keeper"));
        co_await holder;
        co_await waiter;
    });
}

TEST_CASE("A lock cut at any turn is never lost and never held twice") {
    std::shared_ptr<Lock> lock;
    std::shared_ptr<Log> log;
    const auto fight = [](std::shared_ptr<Lock> mine, std::shared_ptr<Log> into) -> Coro<> {
        auto a = coaio::create_task(hold(*mine, *into, "a", 2));
        auto b = coaio::create_task(hold(*mine, *into, "b", 1));
        co_await turn();
        {
            const auto guard = co_await mine->scoped();
            co_await turn();
        }
        co_await b;
        co_await a;
    };
    const auto still_works = [](std::shared_ptr<Lock> mine) -> Coro<> {
        co_await turns(20);
        CHECK_FALSE(mine->locked());
        co_await mine->acquire();
        mine->release();
    };
    coaio::testing::cut(
        [&] {
            lock = std::make_shared<Lock>();
            log = std::make_shared<Log>();
            return fight(lock, log);
        },
        [&](std::size_t) { return still_works(lock); });
}
