// SPDX-License-Identifier: MIT
#include <coaio/core/barrier.hpp>

#include <coaio/core/dump.hpp>
#include <coaio/core/event.hpp>

#include "sync_support.hpp"

#include <algorithm>
#include <memory>

using namespace tests;
using coaio::Barrier;
using coaio::Coro;

namespace {

Coro<> arrive(Barrier& barrier, Log& log, std::string name = "") {
    std::string text;
    try {
        const auto index = co_await barrier.wait();
        text = std::to_string(index);
    } catch (const coaio::BrokenBarrierError&) {
        text = "broken";
    }
    log.push_back(name + text);
}

// Arrives, and comes back at once when it was thrown out.
Coro<> arrive_twice(Barrier& barrier, Log& log) {
    bool broken = false;
    try {
        co_await barrier.wait();
    } catch (const coaio::BrokenBarrierError&) {
        broken = true;
    }
    log.push_back(broken ? "broken" : "passed");
    const auto index = co_await barrier.wait();
    log.push_back("then " + std::to_string(index));
}

}  // namespace

TEST_CASE("BAR-01: fewer than one party is a ValueError") {
    CHECK_THROWS_AS(Barrier(0), coaio::ValueError);
    CHECK_THROWS_AS(Barrier(-5), coaio::ValueError);
    CHECK(Barrier(3).parties() == 3);
}

TEST_CASE("BAR-02: all pass with their arrival order as index, and the last does not suspend") {
    run([]() -> Coro<> {
        Barrier barrier(3);
        Log log;
        auto a = coaio::create_task(arrive(barrier, log));
        auto b = coaio::create_task(arrive(barrier, log));
        co_await turn();
        auto other = coaio::create_task(arrive(barrier, log, "next round "));
        const auto index = co_await barrier.wait();
        CHECK(index == 2);
        CHECK(log.empty());
        co_await a;
        co_await b;
        CHECK(log == Log{"0", "1"});
        co_await turns(3);
        CHECK(barrier.n_waiting() == 1);
        other.cancel();
        const auto how = co_await outcome(other);
        CHECK(how == "cancelled");
        CHECK(barrier.n_waiting() == 0);
    });
}

TEST_CASE("A barrier of one party lets everyone pass at once") {
    run([]() -> Coro<> {
        Barrier barrier(1);
        for (int i = 0; i < 3; ++i) {
            const auto index = co_await barrier.wait();
            CHECK(index == 0);
        }
    });
}

TEST_CASE("BAR-04: n_waiting counts up while it fills, and is 0 otherwise") {
    run([]() -> Coro<> {
        Barrier barrier(3);
        Log log;
        CHECK(barrier.n_waiting() == 0);
        auto a = coaio::create_task(arrive(barrier, log));
        co_await turn();
        CHECK(barrier.n_waiting() == 1);
        auto b = coaio::create_task(arrive(barrier, log));
        co_await turn();
        CHECK(barrier.n_waiting() == 2);
        CHECK_FALSE(barrier.broken());
        co_await barrier.wait();
        CHECK(barrier.n_waiting() == 0);
        co_await a;
        co_await b;
        CHECK(barrier.n_waiting() == 0);
    });
}

TEST_CASE("BAR-05: it can be used again at once, with fresh indices") {
    run([]() -> Coro<> {
        Barrier barrier(2);
        Log log;
        for (int round = 0; round < 3; ++round) {
            log.clear();
            auto a = coaio::create_task(arrive(barrier, log));
            auto b = coaio::create_task(arrive(barrier, log));
            co_await a;
            co_await b;
            std::sort(log.begin(), log.end());
            CHECK(log == Log{"0", "1"});
        }
    });
}

TEST_CASE("BAR-06, BAR-07: who comes while the others leave waits for the next round") {
    run([]() -> Coro<> {
        Barrier barrier(3);
        Log log;
        auto a = coaio::create_task(arrive(barrier, log, "a"));
        auto b = coaio::create_task(arrive(barrier, log, "b"));
        co_await turn();
        const auto mine = co_await barrier.wait();
        CHECK(mine == 2);
        // Draining now: the two have not resumed.
        auto c = coaio::create_task(arrive(barrier, log, "c"));
        auto d = coaio::create_task(arrive(barrier, log, "d"));
        co_await turns(6);
        CHECK(log == Log{"a0", "b1"});
        CHECK(barrier.n_waiting() == 2);
        co_await barrier.wait();
        co_await c;
        co_await d;
        CHECK(log == Log{"a0", "b1", "c0", "d1"});
        co_await a;
        co_await b;
    });
}

TEST_CASE("A reset of an empty barrier changes nothing; of a filling one throws out those inside") {
    run([]() -> Coro<> {
        Barrier barrier(3);
        Log log;
        co_await barrier.reset();
        CHECK_FALSE(barrier.broken());
        auto a = coaio::create_task(arrive(barrier, log, "a "));
        auto b = coaio::create_task(arrive(barrier, log, "b "));
        co_await turn();
        co_await barrier.reset();
        co_await a;
        co_await b;
        CHECK(log == Log{"a broken", "b broken"});
        CHECK_FALSE(barrier.broken());
        CHECK(barrier.n_waiting() == 0);
    });
}

TEST_CASE("BAR-11: a reset while they leave breaks it for those inside, and those blocked outside wait on") {
    run([]() -> Coro<> {
        Barrier barrier(3);
        Log log;
        auto a = coaio::create_task(arrive(barrier, log, "a "));
        auto b = coaio::create_task(arrive(barrier, log, "b "));
        co_await turn();
        auto c = coaio::create_task(arrive(barrier, log, "c "));
        auto outside = coaio::create_task(arrive(barrier, log, "outside "));
        co_await barrier.wait();
        co_await barrier.reset();
        co_await turns(10);
        CHECK(log == Log{"a broken", "b broken"});
        CHECK(barrier.n_waiting() == 2);
        CHECK_FALSE(outside.done());
        co_await barrier.wait();
        co_await c;
        co_await outside;
        CHECK(log == Log{"a broken", "b broken", "c 0", "outside 1"});
        co_await a;
        co_await b;
    });
}

TEST_CASE("BAR-12: thrown out by a reset and waiting again joins the next round") {
    run([]() -> Coro<> {
        Barrier barrier(3);
        Log log;
        auto a = coaio::create_task(arrive_twice(barrier, log));
        auto b = coaio::create_task(arrive_twice(barrier, log));
        co_await turn();
        co_await barrier.reset();
        co_await turns(6);
        CHECK(log == Log{"broken", "broken"});
        CHECK(barrier.n_waiting() == 2);
        co_await barrier.wait();
        co_await a;
        co_await b;
        std::sort(log.begin() + 2, log.end());
        CHECK(log == Log{"broken", "broken", "then 0", "then 1"});
    });
}

TEST_CASE("BAR-13: after abort every wait, present or future, throws until it is reset") {
    run([]() -> Coro<> {
        Barrier barrier(3);
        Log log;
        auto a = coaio::create_task(arrive(barrier, log, "a "));
        co_await turn();
        co_await barrier.abort();
        CHECK(barrier.broken());
        co_await a;
        auto late = coaio::create_task(arrive(barrier, log, "late "));
        co_await late;
        CHECK(log == Log{"a broken", "late broken"});
        CHECK(barrier.broken());
        co_await barrier.reset();
        CHECK_FALSE(barrier.broken());
        auto b = coaio::create_task(arrive(barrier, log));
        auto c = coaio::create_task(arrive(barrier, log));
        co_await turn();
        const auto index = co_await barrier.wait();
        CHECK(index == 2);
        co_await b;
        co_await c;
    });
}

TEST_CASE("BAR-14: abort while they leave breaks it for those inside and those blocked outside") {
    run([]() -> Coro<> {
        Barrier barrier(3);
        Log log;
        auto a = coaio::create_task(arrive(barrier, log, "a "));
        auto b = coaio::create_task(arrive(barrier, log, "b "));
        co_await turn();
        auto outside = coaio::create_task(arrive(barrier, log, "outside "));
        co_await barrier.wait();
        co_await barrier.abort();
        co_await turns(10);
        CHECK(barrier.broken());
        std::sort(log.begin(), log.end());
        CHECK(log == Log{"a broken", "b broken", "outside broken"});
        co_await a;
        co_await b;
        co_await outside;
    });
}

TEST_CASE("A task dump says that a task waits in a barrier") {
    run([]() -> Coro<> {
        Barrier barrier(2);
        Log log;
        auto a = coaio::create_task(arrive(barrier, log));
        co_await turn();
        CHECK_THAT(coaio::dump_tasks(), contains("waits for barrier"));
        co_await barrier.wait();
        co_await a;
    });
}

TEST_CASE("A barrier cut at any turn still works") {
    std::shared_ptr<Barrier> barrier;
    std::shared_ptr<Log> log;
    const auto body = [](std::shared_ptr<Barrier> mine, std::shared_ptr<Log> into) -> Coro<> {
        auto other = coaio::create_task(arrive(*mine, *into));
        co_await turn();
        co_await turn();
        co_await mine->wait();
        co_await mine->wait();
        co_await other;
    };
    const auto partner = [](std::shared_ptr<Barrier> mine, std::shared_ptr<Log> into) -> Coro<> {
        co_await turns(6);
        co_await arrive(*mine, *into);
    };
    const auto check = [](std::shared_ptr<Barrier> mine) -> Coro<> {
        co_await turns(20);
        co_await mine->reset();
        co_await turns(20);
        CHECK(mine->n_waiting() == 0);
        CHECK_FALSE(mine->broken());
        CHECK(coaio::all_tasks().size() == 1);
    };
    coaio::testing::cut(
        [&] {
            barrier = std::make_shared<Barrier>(2);
            log = std::make_shared<Log>();
            coaio::create_task(partner(barrier, log));
            return body(barrier, log);
        },
        [&](std::size_t) { return check(barrier); });
}
