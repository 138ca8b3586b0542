// SPDX-License-Identifier: MIT
#include "pool_state.hpp"

#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>

#include "db/fake_link.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"

namespace db = coaio::db;
using coaio::Coro;
using db::detail::Lease;
using db::detail::PoolState;
using tests::FakeServer;
using namespace std::chrono_literals;

namespace {

struct World {
    explicit World(db::PoolOptions options)
        : pool(std::make_shared<PoolState>(std::make_unique<tests::FakeConnector>(server), options.pool_values(), 2s)) {
    }
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    ~World() { pool->abandon(); }

    std::shared_ptr<FakeServer> server = std::make_shared<FakeServer>();
    std::shared_ptr<PoolState> pool;
};

void require_whole(const World& world) {
    const auto stats = world.pool->statistics();
    REQUIRE(stats.in_use == 0);
    REQUIRE(stats.waiting == 0);
    REQUIRE(stats.idle + stats.opening + stats.cleaning == stats.size);
    REQUIRE(world.server->mixed_up == 0);
    REQUIRE(world.server->sessions <= stats.size);
}

Coro<> use_once(World& world, coaio::Duration time = 1ms) {
    Lease lease = co_await world.pool->acquire();
    co_await coaio::sleep(time);
    co_await lease.link().run("select", db::Params());
}

Coro<> in_transaction(World& world) {
    Lease lease = co_await world.pool->acquire();
    co_await lease.link().command("begin", db::detail::OnCancel::wait);
    co_await coaio::sleep(1ms);
    co_await lease.link().command("commit", db::detail::OnCancel::wait);
}

Coro<> note_turn(World& world, int number, std::vector<int>& order) {
    Lease lease = co_await world.pool->acquire();
    order.push_back(number);
    co_await coaio::sleep(1ms);
}

Coro<> serve_in_order(World& world) {
    std::vector<int> order;
    std::vector<coaio::Task<>> tasks;
    for (int i = 0; i < 20; ++i) tasks.push_back(coaio::create_task(note_turn(world, i, order)));
    co_await coaio::sleep(0s);
    tasks[7].cancel();
    for (auto& task : tasks) {
        try {
            co_await task;
        } catch (const coaio::CancelledError&) {}
    }
    std::vector<int> wanted;
    for (int i = 0; i < 20; ++i) {
        if (i != 7) wanted.push_back(i);
    }
    CHECK(order == wanted);
    CHECK(world.server->most_sessions == 2);
    require_whole(world);
}

Coro<> hand_over(World& world) {
    Lease first = co_await world.pool->acquire();
    auto waiter = coaio::create_task(use_once(world));
    co_await coaio::sleep(0s);
    CHECK(world.pool->statistics().waiting == 1);
    first.give_back();
    CHECK(world.pool->statistics().idle == 0);
    CHECK(world.pool->statistics().in_use == 1);
    waiter.cancel();
    const bool cancelled =
        co_await tests::throws<coaio::CancelledError>([](coaio::Task<> task) -> Coro<> { co_await task; }(waiter));
    CHECK(cancelled);
    CHECK(world.pool->statistics().idle == 1);
    require_whole(world);
}

Coro<std::string> problem_of(World& world) {
    try {
        Lease lease = co_await world.pool->acquire();
    } catch (const db::PoolTimeout& error) {
        co_return std::string("timeout ") + error.what();
    } catch (const db::PoolFull&) {
        co_return "full";
    } catch (const db::PoolClosed&) {
        co_return "closed";
    } catch (const db::Error& error) {
        co_return "error " + error.sqlstate();
    }
    co_return "none";
}

Coro<> run_out(World& world) {
    Lease held = co_await world.pool->acquire(std::source_location::current());
    auto waiting = coaio::create_task(problem_of(world));
    co_await coaio::sleep(0s);
    const std::string full = co_await problem_of(world);
    CHECK(full == "full");
    const std::string late = co_await waiting;
    CHECK_THAT(late, tests::contains("timeout"));
    CHECK_THAT(late, tests::contains("1 of 1 connections, 1 in use"));
    CHECK_THAT(late, tests::contains("for 3000 ms, by <Task pending name='Task-1'"));
    CHECK_THAT(late, tests::contains("it was taken at"));
    CHECK_THAT(late, tests::contains("pool_state_test.cpp:"));
    held.give_back();
    require_whole(world);
}

// Who comes later waits longer, each for as long as it may.
Coro<> never_come_up(World& world) {
    world.server->down = true;
    std::vector<coaio::Task<std::string>> tasks;
    for (int i = 0; i < 3; ++i) {
        tasks.push_back(coaio::create_task(problem_of(world)));
        co_await coaio::sleep(1s);
    }
    const std::string others[] = {"2 other tasks wait", "1 other tasks wait", "0 other tasks wait"};
    const auto began = coaio::Clock::now() - 3s;
    for (int i = 0; i < 3; ++i) {
        const std::string late = co_await tasks[static_cast<std::size_t>(i)];
        CHECK(coaio::Clock::now() - began == 5s + i * 1s);
        CHECK_THAT(late, tests::contains("timeout"));
        CHECK_THAT(late, tests::contains(others[i]));
        CHECK_THAT(late, tests::contains("the last attempt to connect failed: it is down"));
    }
    CHECK(world.server->most_attempts_now <= 2);
    world.server->down = false;
    co_await use_once(world);
    require_whole(world);
}

Coro<> many_impatient(World& world) {
    Lease held = co_await world.pool->acquire();
    for (int i = 0; i < 1000; ++i) {
        bool late = false;
        try {
            co_await coaio::wait_for(use_once(world), 1us);
        } catch (const coaio::TimeoutError&) {
            late = true;
        }
        REQUIRE(late);
    }
    held.give_back();
    co_await use_once(world);
    require_whole(world);
}

Coro<> be_down_for_a_while(World& world) {
    world.server->down = true;
    std::vector<coaio::Task<>> tasks;
    for (int i = 0; i < 8; ++i) tasks.push_back(coaio::create_task(use_once(world)));
    co_await coaio::sleep(10s);
    CHECK(world.server->attempts >= 10);
    CHECK(world.server->attempts <= 30);
    // The first attempts were begun before it was known to be down.
    world.server->most_attempts_now = 0;
    co_await coaio::sleep(3s);
    CHECK(world.server->most_attempts_now == 1);
    world.server->down = false;
    for (auto& task : tasks) co_await task;
    require_whole(world);
    CHECK(world.pool->statistics().connect_errors > 0);
}

Coro<> be_refused(World& world) {
    world.server->down = true;
    world.server->refusal = "28P01";
    const std::string problem = co_await problem_of(world);
    CHECK(problem == "error 28P01");
    CHECK(world.server->attempts <= 2);
}

Coro<> die_while_idle(World& world) {
    {
        Lease lease = co_await world.pool->acquire();
        static_cast<tests::FakeLink&>(lease.link()).vanish();
    }
    CHECK(world.pool->statistics().idle == 1);
    co_await use_once(world);
    CHECK(world.pool->statistics().opened == 2);
    CHECK(world.pool->statistics().closed == 1);
    co_await coaio::sleep(2s);
    co_await use_once(world);
    CHECK(world.server->pings == 1);
    co_await coaio::sleep(2s);
    world.server->silent = true;
    auto task = coaio::create_task(use_once(world));
    co_await coaio::sleep(1s);
    world.server->silent = false;
    co_await task;
    CHECK(world.pool->statistics().opened == 3);
    require_whole(world);
}

Coro<> cancel_ping(World& world) {
    co_await use_once(world);
    co_await coaio::sleep(2s);
    auto task = coaio::create_task(use_once(world));
    co_await coaio::sleep(500us);  // a ping takes a millisecond
    CHECK(world.server->pings == 1);
    task.cancel();
    const bool cancelled =
        co_await tests::throws<coaio::CancelledError>([](coaio::Task<> it) -> Coro<> { co_await it; }(task));
    CHECK(cancelled);
    CHECK(world.pool->statistics().closed == 0);
    require_whole(world);
}

Coro<> grow_old(World& world) {
    co_await use_once(world);
    co_await coaio::sleep(40min);
    CHECK(world.pool->statistics().size == 0);
    co_await use_once(world);
    world.pool->expire();
    CHECK(world.pool->statistics().size == 0);
    Lease lease = co_await world.pool->acquire();
    world.pool->expire();
    lease.give_back();
    CHECK(world.pool->statistics().size == 0);
    CHECK(world.server->sessions == 0);
}

Coro<> recover(World& world) {
    world.server->connect_time = 100ms;
    world.server->down = true;
    std::vector<coaio::Task<>> tasks;
    for (int i = 0; i < 16; ++i) tasks.push_back(coaio::create_task(use_once(world, 1h)));
    co_await coaio::sleep(10s);
    world.server->down = false;
    world.server->begun.clear();
    for (auto& task : tasks) co_await task;
    std::vector<std::size_t> begun;
    begun.reserve(world.server->begun.size());
    for (const auto& [when, count] : world.server->begun) begun.push_back(count);
    CHECK(begun == std::vector<std::size_t>{1, 2, 4, 8, 1});
}

Coro<> hold_all(World& world, int count) {
    std::vector<Lease> all;
    for (int i = 0; i < count; ++i) all.push_back(co_await world.pool->acquire());
}

Coro<> age_apart(World& world) {
    co_await hold_all(world, 20);
    co_await coaio::sleep(89min);
    CHECK(world.server->sessions == 20);
    std::size_t steps = 0;
    for (int i = 0; i < 11; ++i) {
        const std::size_t before = world.server->sessions;
        co_await coaio::sleep(1min);
        if (world.server->sessions < before) ++steps;
    }
    CHECK(world.server->sessions == 0);
    CHECK(steps > 3);
}

Coro<> never_age(World& world) {
    co_await hold_all(world, 20);
    for (int i = 0; i < 20; ++i) {
        co_await coaio::sleep(1000h);
        co_await hold_all(world, 20);
    }
    CHECK(world.pool->statistics().opened == 20);
    CHECK(world.pool->statistics().closed == 0);
    CHECK(world.server->sessions == 20);
}

Coro<> look_for_better(World& world) {
    world.server->second_best = true;
    co_await hold_all(world, 3);
    co_await coaio::sleep(10s);
    co_await hold_all(world, 3);
    CHECK(world.pool->statistics().opened == 3);
    co_await coaio::sleep(25s);
    world.server->second_best = false;
    co_await hold_all(world, 3);
    CHECK(world.pool->statistics().opened == 6);
    co_await coaio::sleep(5min);
    co_await hold_all(world, 3);
    CHECK(world.pool->statistics().opened == 6);
}

Coro<> be_misplaced(World& world) {
    co_await hold_all(world, 3);
    Lease kept = co_await world.pool->acquire();
    {
        Lease changed = co_await world.pool->acquire();
        static_cast<tests::FakeLink&>(changed.link()).change();
    }
    CHECK(world.pool->statistics().size == 1);
    // What was held meanwhile goes too, and says nothing new.
    Lease fresh = co_await world.pool->acquire();
    static_cast<tests::FakeLink&>(kept.link()).change();
    kept.give_back();
    fresh.give_back();
    CHECK(world.pool->statistics().idle == 1);
    CHECK(world.pool->statistics().closed == 3);
    // One that is idle when it changes is not handed out.
    Lease again = co_await world.pool->acquire();
    auto& idle = static_cast<tests::FakeLink&>(again.link());
    again.give_back();
    idle.change();
    const auto opened = world.pool->statistics().opened;
    co_await use_once(world);
    CHECK(world.pool->statistics().opened == opened + 1);
    require_whole(world);
}

Coro<> close_for_each_reason(World& world) {
    {
        Lease lease = co_await world.pool->acquire();
        static_cast<tests::FakeLink&>(lease.link()).vanish();
    }
    co_await use_once(world);
    co_await coaio::sleep(11min);
    CHECK(world.pool->statistics().closed_by.idle == 1);
    for (int i = 0; i < 40; ++i) {
        co_await use_once(world);
        co_await coaio::sleep(1min);
    }
    world.pool->expire();
    {
        Lease lease = co_await world.pool->acquire();
        co_await lease.link().command("begin", db::detail::OnCancel::wait);
        world.server->silent = true;
    }
    co_await coaio::sleep(3s);
    world.server->silent = false;
    co_await use_once(world);
    co_await world.pool->close();
    const db::PoolStats stats = world.pool->statistics();
    CHECK(stats.closed_by.lost == 1);
    CHECK(stats.closed_by.idle == 1);
    CHECK(stats.closed_by.lifetime == 1);
    CHECK(stats.closed_by.expired == 1);
    CHECK(stats.closed_by.unclean == 1);
    CHECK(stats.closed_by.shut == 1);
    CHECK(stats.closed == 6);
    CHECK(stats.opened == 6);
}

Coro<> keep_some(World& world) {
    co_await use_once(world);
    co_await coaio::sleep(1s);
    CHECK(world.pool->statistics().idle == 3);
    co_await coaio::sleep(2h);
    CHECK(world.pool->statistics().idle == 3);
    world.pool->expire();
    CHECK(world.pool->statistics().idle == 0);
    co_await coaio::sleep(1s);
    CHECK(world.pool->statistics().idle == 3);
}

Coro<> return_dirty(World& world) {
    {
        Lease lease = co_await world.pool->acquire();
        co_await lease.link().command("begin", db::detail::OnCancel::wait);
    }
    CHECK(world.pool->statistics().cleaning == 1);
    co_await use_once(world);
    CHECK(world.server->rollbacks == 1);
    CHECK(world.pool->statistics().opened == 1);
    require_whole(world);
}

Coro<> serve_by_release(World& world) {
    Lease first = co_await world.pool->acquire();
    world.server->connect_time = 10s;
    auto waiter = coaio::create_task(use_once(world));
    co_await coaio::sleep(1s);
    CHECK(world.pool->statistics().opening == 1);
    first.give_back();
    co_await waiter;
    CHECK(world.pool->statistics().opening == 1);
    co_await coaio::sleep(20s);
    CHECK(world.pool->statistics().idle == 2);
    require_whole(world);
}

Coro<std::string> take_two(World& world) {
    Lease one = co_await world.pool->acquire();
    co_await coaio::sleep(1s);
    try {
        Lease two = co_await world.pool->acquire();
    } catch (const db::UsageError& error) {
        co_return std::string("refused: ") + error.what();
    } catch (const db::PoolTimeout& error) {
        co_return std::string("timeout: ") + error.what();
    }
    co_return "both";
}

Coro<> wait_in_a_circle(World& world) {
    auto other = coaio::create_task(take_two(world));
    const std::string first = co_await take_two(world);
    const std::string second = co_await other;
    CHECK_THAT(first, tests::contains("timeout: "));
    CHECK_THAT(first, tests::contains("a deadlock: every task that holds one waits for another"));
    CHECK((second == "both" || second.find("timeout: ") == 0));

    coaio::get_running_loop().set_debug(true);
    auto again = coaio::create_task(take_two(world));
    const std::string third = co_await take_two(world);
    const std::string fourth = co_await again;
    const std::string& refused = third == "both" ? fourth : third;
    CHECK((third == "both" || fourth == "both"));
    CHECK_THAT(refused, tests::contains("refused: a deadlock"));
    CHECK_THAT(refused, tests::contains("take_two"));
    // One task with two is none, where there is one more.
    auto held = coaio::create_task(use_once(world, 2s));
    co_await coaio::sleep(1ms);
    const std::string fine = co_await take_two(world);
    CHECK(fine == "both");
    co_await held;
    require_whole(world);
}

Coro<> close_it(World& world) {
    auto busy = coaio::create_task(use_once(world, 5s));
    co_await coaio::sleep(1s);
    auto waiting = coaio::create_task(problem_of(world));
    co_await coaio::sleep(1s);
    auto closing = coaio::create_task(world.pool->close());
    const std::string problem = co_await waiting;
    CHECK(problem == "closed");
    CHECK_FALSE(closing.done());
    co_await busy;
    co_await closing;
    CHECK(world.pool->statistics().size == 0);
    CHECK(world.server->sessions == 0);
    const std::string after = co_await problem_of(world);
    CHECK(after == "closed");
}

// The task that opens the connection has not begun.
Coro<> close_at_once(World& world) {
    auto waiting = coaio::create_task(problem_of(world));
    co_await coaio::sleep(0s);
    CHECK(world.pool->statistics().opening == 1);
    co_await world.pool->close();
    CHECK(world.pool->statistics().size == 0);
    const std::string problem = co_await waiting;
    CHECK(problem == "closed");
    CHECK(world.server->attempts == 0);
}

template <class F>
void in(db::PoolOptions options, F body) {
    coaio::testing::run([](db::PoolOptions given, F function) -> Coro<> {
        World world(given);
        co_await function(world);
    }(std::move(options), body));
}

}  // namespace

TEST_CASE("POL-03: those who wait are served in the order of arrival") {
    in(db::PoolOptions().max_size(2), serve_in_order);
}

TEST_CASE("POL-04 POL-07: a connection goes straight to the next waiter, or back when that one is cancelled") {
    in(db::PoolOptions().max_size(1), hand_over);
}

TEST_CASE("POL-05 POL-06: the timeout says who holds what, and a full queue refuses at once") {
    in(db::PoolOptions().max_size(1).max_waiting(1).acquire_timeout(3s), run_out);
}

TEST_CASE("POL-05 POL-10: where no connection can be opened each waiter fails at its own time, and says why") {
    in(db::PoolOptions().max_size(2).acquire_timeout(5s), never_come_up);
}

TEST_CASE("POL-08: a thousand who gave up leave nothing behind") { in(db::PoolOptions().max_size(1), many_impatient); }

TEST_CASE("POL-10 POL-11: while the server is down one attempt at a time is made, and nobody fails for it") {
    in(db::PoolOptions().max_size(8), be_down_for_a_while);
}

TEST_CASE("POL-11: a server that has come back is sent one session first, then twice as many each time") {
    in(db::PoolOptions().max_size(16).acquire_timeout(1h), recover);
}

TEST_CASE("POL-13: connections of one age do not all go at once") {
    in(db::PoolOptions().max_size(20).max_lifetime(100min).max_idle(0s), age_apart);
}

TEST_CASE("POL-13: without limits of age and of idleness connections stay") {
    in(db::PoolOptions().max_size(20).max_lifetime(0s).max_idle(0s), never_age);
}

TEST_CASE("FLT-10: a connection that was taken for want of a better one is given up after a while") {
    in(db::PoolOptions().max_size(3), look_for_better);
}

TEST_CASE("FLT-08: where one connection leads to the wrong server, all that are as old are replaced") {
    in(db::PoolOptions().max_size(3), be_misplaced);
}

TEST_CASE("AUT-05: a refusal that will not change fails those who wait") { in(db::PoolOptions(), be_refused); }

TEST_CASE("POL-14 POL-15: what died or went silent while idle is not handed out") {
    in(db::PoolOptions().max_size(1), die_while_idle);
}

TEST_CASE("POL-07: who is cancelled while its connection is pinged costs no connection") {
    in(db::PoolOptions().max_size(1), cancel_ping);
}

TEST_CASE("POL-26: closed connections are counted by the reason for it") {
    World world{db::PoolOptions()};
    coaio::testing::run(close_for_each_reason(world));
}

TEST_CASE("POL-13 POL-24: connections go when idle or old for too long, or expired") {
    in(db::PoolOptions(), grow_old);
}

TEST_CASE("POL-09: who waits is served by whichever comes first, and what is opened too many is kept") {
    in(db::PoolOptions().max_size(2), serve_by_release);
}

TEST_CASE("POL-28: tasks that wait for each other's connections are told so, in debug mode at once") {
    in(db::PoolOptions().max_size(2).acquire_timeout(3s), wait_in_a_circle);
}

TEST_CASE("POL-12: min_size is kept in the background") { in(db::PoolOptions().min_size(3), keep_some); }

TEST_CASE("POL-16: what comes back in a transaction is rolled back by the pool") {
    in(db::PoolOptions().max_size(1), return_dirty);
}

TEST_CASE("close waits for what is in use and refuses the rest") { in(db::PoolOptions().max_size(1), close_it); }

TEST_CASE("close does not wait for a connection that is about to be opened") {
    in(db::PoolOptions().max_size(1), close_at_once);
}

TEST_CASE("POL-07: an acquire cut at any turn leaves the pool whole") {
    std::unique_ptr<World> world;
    coaio::testing::cut(
        [&world] {
            world = std::make_unique<World>(db::PoolOptions().max_size(1));
            return [](World& it) -> Coro<> {
                co_await use_once(it);
                co_await in_transaction(it);
            }(*world);
        },
        [&world](std::size_t) {
            return [](World& it) -> Coro<> {
                co_await coaio::sleep(1s);
                require_whole(it);
                co_await use_once(it);
                require_whole(it);
            }(*world);
        });
}
