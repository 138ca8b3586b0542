// SPDX-License-Identifier: MIT
#include <coaio/core/semaphore.hpp>

#include <coaio/core/dump.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>

#include "sync_support.hpp"

#include <memory>
#include <optional>

using namespace tests;
using coaio::BoundedSemaphore;
using coaio::Coro;
using coaio::Semaphore;

namespace {

Coro<> take(Semaphore& semaphore, Log& log, std::string name) {
    co_await semaphore.acquire();
    log.push_back(name);
}

Coro<> take_for(Semaphore& semaphore, Log& log, std::string name, std::size_t for_turns) {
    const auto guard = co_await semaphore.scoped();
    log.push_back(name);
    co_await turns(for_turns);
}

}  // namespace

TEST_CASE("SEM-01: it counts down, blocks at 0, and a release hands units on") {
    run([]() -> Coro<> {
        Semaphore semaphore(3);
        Log log;
        for (int i = 0; i < 3; ++i) {
            CHECK_FALSE(semaphore.locked());
            const bool got = co_await semaphore.acquire();
            CHECK(got);
        }
        CHECK(semaphore.locked());
        CHECK(semaphore.value() == 0);
        auto a = coaio::create_task(take(semaphore, log, "a"));
        auto b = coaio::create_task(take(semaphore, log, "b"));
        co_await turn();
        CHECK(log.empty());
        semaphore.release();
        co_await turn();
        CHECK(log == Log{"a"});
        semaphore.release();
        co_await turn();
        CHECK(log == Log{"a", "b"});
        CHECK(semaphore.locked());
        semaphore.release();
        CHECK_FALSE(semaphore.locked());
        CHECK(semaphore.value() == 1);
    });
}

TEST_CASE("SEM-02: a negative start is a ValueError, 0 starts locked") {
    CHECK_THROWS_AS(Semaphore(-1), coaio::ValueError);
    CHECK_THROWS_AS(BoundedSemaphore(-1), coaio::ValueError);
    CHECK(Semaphore(0).locked());
    CHECK(Semaphore().value() == 1);
}

TEST_CASE("SEM-04: with the first two of four waiters cancelled, one release goes to the third only") {
    run([]() -> Coro<> {
        Semaphore semaphore(0);
        Log log;
        auto t1 = coaio::create_task(take(semaphore, log, "1"));
        auto t2 = coaio::create_task(take(semaphore, log, "2"));
        auto t3 = coaio::create_task(take(semaphore, log, "3"));
        auto t4 = coaio::create_task(take(semaphore, log, "4"));
        co_await turn();
        t1.cancel();
        t2.cancel();
        semaphore.release();
        co_await turns(4);
        CHECK(t1.cancelled());
        CHECK(t2.cancelled());
        CHECK(log == Log{"3"});
        CHECK_FALSE(t4.done());
        semaphore.release();
        co_await t4;
    });
}

TEST_CASE("SEM-05: the first waiter cancelled and a release in one turn give the unit to the second") {
    run([]() -> Coro<> {
        Semaphore semaphore(0);
        Log log;
        auto t1 = coaio::create_task(take(semaphore, log, "1"));
        auto t2 = coaio::create_task(take(semaphore, log, "2"));
        co_await turn();
        t1.cancel();
        semaphore.release();
        co_await turn();
        CHECK(log == Log{"2"});
        CHECK(t1.cancelled());
        co_await t2;
    });
}

TEST_CASE("SEM-05: a waiter that had its unit and is cancelled hands it to the next") {
    run([]() -> Coro<> {
        Semaphore semaphore(0);
        Log log;
        auto t1 = coaio::create_task(take(semaphore, log, "1"));
        auto t2 = coaio::create_task(take(semaphore, log, "2"));
        co_await turn();
        semaphore.release();
        t1.cancel();
        co_await turns(2);
        CHECK(t1.cancelled());
        CHECK(log == Log{"2"});
        CHECK(semaphore.value() == 0);
        co_await t2;
    });
}

TEST_CASE("SEM-06: a waiter cancelled as the holder leaves does not spoil the semaphore") {
    run([]() -> Coro<> {
        Semaphore semaphore(1);
        Log log;
        std::optional<coaio::Task<>> waiter;
        auto holder = coaio::create_task([](Semaphore& mine, std::optional<coaio::Task<>>& victim) -> Coro<> {
            {
                const auto guard = co_await mine.scoped();
                co_await turn();
            }
            victim->cancel();
        }(semaphore, waiter));
        waiter = coaio::create_task(take(semaphore, log, "waiter"));
        co_await holder;
        const auto how = co_await outcome(*waiter);
        CHECK(how == "cancelled");
        CHECK(log.empty());
        CHECK_FALSE(semaphore.locked());
        co_await semaphore.acquire();
        CHECK(semaphore.locked());
    });
}

TEST_CASE("SEM-07: a released unit is the first waiter's before it resumes, and a newcomer queues") {
    run([]() -> Coro<> {
        Semaphore semaphore(0);
        Log log;
        auto waiter = coaio::create_task(take(semaphore, log, "waiter"));
        co_await turn();
        semaphore.release();
        CHECK(semaphore.locked());
        CHECK(semaphore.value() == 0);
        auto newcomer = coaio::create_task(take(semaphore, log, "newcomer"));
        co_await turns(3);
        CHECK(log == Log{"waiter"});
        semaphore.release();
        co_await newcomer;
        co_await waiter;
    });
}

TEST_CASE("SEM-10: who releases twice and acquires again goes behind those who wait") {
    run([]() -> Coro<> {
        Semaphore semaphore(1);
        Log log;
        co_await semaphore.acquire();
        auto a = coaio::create_task(take(semaphore, log, "a"));
        auto b = coaio::create_task(take(semaphore, log, "b"));
        co_await turn();
        semaphore.release();
        semaphore.release();
        auto c = coaio::create_task(take(semaphore, log, "c"));
        auto again = coaio::create_task([](Semaphore& mine, Log& into) -> Coro<> {
            mine.release();
            co_await mine.acquire();
            into.push_back("again");
        }(semaphore, log));
        co_await turns(3);
        CHECK(log == Log{"a", "b", "c"});
        semaphore.release();
        co_await again;
        co_await c;
        co_await b;
        co_await a;
    });
}

TEST_CASE("SEM-11: with the head cancelled, two later releases go to the second and the third") {
    run([]() -> Coro<> {
        Semaphore semaphore(0);
        Log log;
        auto t1 = coaio::create_task(take(semaphore, log, "1"));
        auto t2 = coaio::create_task(take(semaphore, log, "2"));
        auto t3 = coaio::create_task(take(semaphore, log, "3"));
        co_await turn();
        t1.cancel();
        co_await turn();
        semaphore.release();
        semaphore.release();
        co_await turns(2);
        CHECK(log == Log{"2", "3"});
        CHECK(t1.cancelled());
        co_await t2;
        co_await t3;
    });
}

TEST_CASE("SEM-12: a woken acquirer wakes the others that are allowed, in order") {
    run([]() -> Coro<> {
        Semaphore semaphore(0);
        Log log;
        auto t1 = coaio::create_task(take(semaphore, log, "1"));
        co_await turn();
        semaphore.release();
        semaphore.release();
        semaphore.release();
        CHECK(semaphore.value() == 2);
        CHECK(semaphore.locked());  // the first has not resumed yet
        auto t2 = coaio::create_task(take(semaphore, log, "2"));
        auto t3 = coaio::create_task(take(semaphore, log, "3"));
        auto t4 = coaio::create_task(take(semaphore, log, "4"));
        co_await turn();
        CHECK(log.size() == 4 - 1);
        co_await turns(2);
        CHECK(log == Log{"1", "2", "3"});
        CHECK(semaphore.value() == 0);
        CHECK_FALSE(t4.done());
        semaphore.release();
        co_await t4;
        co_await t3;
        co_await t2;
        co_await t1;
    });
}

TEST_CASE("SEM-12: newcomers that queued behind a woken one are woken by it") {
    run([]() -> Coro<> {
        Semaphore semaphore(0);
        Log log;
        auto t2 = coaio::create_task([](Semaphore& mine, Log& into) -> Coro<> {
            co_await turn();
            co_await mine.acquire();  // before the woken one resumes
            into.push_back("2");
        }(semaphore, log));
        auto t1 = coaio::create_task(take(semaphore, log, "1"));
        co_await turn();
        semaphore.release();
        semaphore.release();
        co_await turn();
        CHECK(log == Log{"1"});
        co_await turn();
        CHECK(log == Log{"1", "2"});
        co_await t1;
        co_await t2;
    });
}

TEST_CASE("SEM-13: two releases in one turn resume two waiters on the next") {
    run([]() -> Coro<> {
        Semaphore semaphore(0);
        Log log;
        auto t1 = coaio::create_task(take(semaphore, log, "1"));
        auto t2 = coaio::create_task(take(semaphore, log, "2"));
        co_await turn();
        semaphore.release();
        semaphore.release();
        co_await turn();
        CHECK(log == Log{"1", "2"});
        co_await t1;
        co_await t2;
    });
}

TEST_CASE("SEM-14: a bounded semaphore refuses a release beyond its start") {
    run([]() -> Coro<> {
        BoundedSemaphore semaphore(1);
        CHECK_THROWS_AS(semaphore.release(), coaio::ValueError);
        co_await semaphore.acquire();
        semaphore.release();
        CHECK_THROWS_AS(semaphore.release(), coaio::ValueError);
    });
}

TEST_CASE("SEM-14: a guard whose unit somebody gave back beside it says so: by an error, and as it goes by a report") {
    coaio::testing::TestLoop test;
    std::vector<std::string> reports;
    test.loop().set_exception_handler([&](coaio::Loop&, const coaio::ExceptionContext& context) {
        reports.push_back(context.message + ": " + coaio::describe_exception(context.exception));
    });
    auto main = [](std::vector<std::string>& seen) -> Coro<> {
        BoundedSemaphore semaphore(1);
        {
            auto guard = co_await semaphore.scoped();
            semaphore.release();
            CHECK_THROWS_AS(guard.release(), coaio::ValueError);
        }
        CHECK(seen.empty());
        {
            const auto guard = co_await semaphore.scoped();
            semaphore.release();
        }
        CHECK(seen.size() == 1);
        CHECK(semaphore.value() == 1);
    };
    test.run(main(reports));
    REQUIRE(reports.size() == 1);
    CHECK_THAT(reports[0], contains("released too often"));
}

TEST_CASE("SEM-16: a release with nobody waiting counts up, beyond the start too") {
    Semaphore semaphore(1);
    semaphore.release();
    semaphore.release();
    CHECK(semaphore.value() == 3);
}

TEST_CASE("A guard gives its unit back, once, and moves") {
    run([]() -> Coro<> {
        Semaphore semaphore(2);
        auto first = co_await semaphore.scoped();
        {
            const auto second = co_await semaphore.scoped();
            CHECK(semaphore.value() == 0);
        }
        CHECK(semaphore.value() == 1);
        auto moved = std::move(first);
        moved.release();
        moved.release();
        CHECK(semaphore.value() == 2);
    });
}

TEST_CASE("A semaphore that goes away tells those who wait for it") {
    run([]() -> Coro<> {
        Log log;
        auto semaphore = std::make_unique<Semaphore>(0);
        auto woken = coaio::create_task(take(*semaphore, log, "woken"));
        auto waiting = coaio::create_task(take(*semaphore, log, "waiting"));
        auto cancelled = coaio::create_task(take(*semaphore, log, "cancelled"));
        co_await turn();
        CHECK_THAT(coaio::dump_tasks(), contains("waits for semaphore (0 units free, 3 waiting)"));
        semaphore->release();
        cancelled.cancel();
        semaphore.reset();
        const auto first = co_await outcome(woken);
        CHECK_THAT(first, contains("destroyed"));
        const auto second = co_await outcome(waiting);
        CHECK_THAT(second, contains("destroyed"));
        const auto third = co_await outcome(cancelled);
        CHECK(third == "cancelled");
    });
}

TEST_CASE("A semaphore cut at any turn keeps all of its units") {
    std::shared_ptr<Semaphore> semaphore;
    std::shared_ptr<Log> log;
    const auto body = [](std::shared_ptr<Semaphore> mine, std::shared_ptr<Log> into) -> Coro<> {
        auto a = coaio::create_task(take_for(*mine, *into, "a", 2));
        auto b = coaio::create_task(take_for(*mine, *into, "b", 1));
        co_await turn();
        auto c = coaio::create_task(take_for(*mine, *into, "c", 1));
        const auto guard = co_await mine->scoped();
        co_await turn();
        co_await c;
        co_await b;
        co_await a;
    };
    const auto check = [](std::shared_ptr<Semaphore> mine) -> Coro<> {
        co_await turns(20);
        CHECK(mine->value() == 2);
        CHECK_FALSE(mine->locked());
    };
    coaio::testing::cut(
        [&] {
            semaphore = std::make_shared<Semaphore>(2);
            log = std::make_shared<Log>();
            return body(semaphore, log);
        },
        [&](std::size_t) { return check(semaphore); });
}
