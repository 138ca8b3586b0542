// SPDX-License-Identifier: MIT
#include <coaio/core/gather.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>

#include "db/fake_lanes.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"

#include <string>
#include <utility>
#include <vector>

namespace db = coaio::db;
using coaio::Coro;
using coaio::Task;
using db::detail::Lanes;
using db::detail::Lease;
using tests::ask;
using tests::ask_slowly;
using tests::hold;
using tests::LaneWorld;
using tests::of_size;
using tests::require_whole;
using tests::warm_up;
using tests::yield;
using namespace std::chrono_literals;

namespace {

Coro<> ask_often(LaneWorld& world, int first, int count) {
    auto& loop = coaio::get_running_loop();
    for (int i = 0; i < count; ++i) {
        co_await yield(static_cast<int>(loop.random() % 3));
        bool lost = false;
        try {
            co_await ask(world, first + i);
        } catch (const db::ConnectionError&) {
            lost = true;
        }
        if (lost) REQUIRE(world.server->attempts > 0);
    }
}

Coro<> hold_often(LaneWorld& world) {
    for (int i = 0; i < 5; ++i) {
        co_await hold(world, 2ms);
        co_await coaio::sleep(1ms);
    }
}

Coro<> storm(bool shared_sync) {
    LaneWorld world(of_size(3).shared_sync(shared_sync));
    co_await warm_up(world);
    auto& loop = coaio::get_running_loop();
    world.server->undo = loop.random() % 4;
    std::vector<Task<>> tasks;
    for (int i = 0; i < 20; ++i) tasks.push_back(coaio::create_task(ask_often(world, i * 100, 5)));
    for (int i = 0; i < 4; ++i) tasks.push_back(coaio::create_task(hold_often(world)));
    world.server->lose = loop.random() % 3;
    for (int i = 0; i < 4; ++i) tasks.push_back(coaio::create_task(ask_slowly(world)));
    for (int i = 0; i < 12; ++i) {
        co_await yield(static_cast<int>(loop.random() % 4));
        tasks[loop.random() % tasks.size()].cancel();
        if (loop.random() % 2 == 0) co_await coaio::sleep(1ms);
    }
    for (std::size_t i = 24; i < tasks.size(); ++i) tasks[i].cancel();
    for (Task<>& each : tasks) {
        try {
            co_await each;
        } catch (const coaio::CancelledError&) {
        } catch (const db::ConnectionError&) {}
    }
    co_await require_whole(world);
}

// One of three statements on one connection, and what becomes of its neighbours.
struct Trio {
    bool shared_sync = false;
    bool undone = false;
    std::unique_ptr<LaneWorld> world;
    std::vector<Task<>> neighbours;
};

Coro<> cut_between(Trio& trio, const char* sql) {
    trio.world = std::make_unique<LaneWorld>(of_size(1).shared_sync(trio.shared_sync));
    trio.neighbours.clear();
    LaneWorld& world = *trio.world;
    co_await warm_up(world);
    world.server->undo = trio.undone ? 2 : 0;
    auto holder = coaio::create_task(hold(world, 1ms));
    co_await yield(1);
    trio.neighbours.push_back(coaio::create_task(ask(world, 1)));
    co_await yield(1);
    auto last = [](LaneWorld& of) -> Coro<> {
        co_await yield(1);
        co_await ask(of, 3);
    };
    trio.neighbours.push_back(coaio::create_task(last(world)));
    static_cast<void>(co_await Lanes::run(world.lanes, sql, db::Params::of(2)));
    co_await holder;
}

Coro<> neighbours_are_well(Trio& trio, std::size_t turn, std::size_t cancels) {
    INFO("cut before turn " << turn);
    if (!trio.world) co_return;
    for (Task<>& each : trio.neighbours) co_await each;
    co_await require_whole(*trio.world);
    REQUIRE(trio.world->server->cancels <= cancels);
    trio.world.reset();
}

// Each is asked twice: with the one that fails, the first, and without it.
Coro<> run_again_without() {
    LaneWorld world(of_size(1).shared_sync(true));
    co_await warm_up(world);
    auto holder = coaio::create_task(hold(world, 1ms));
    co_await yield(1);
    world.server->undo = 1;
    const std::size_t laned = world.server->laned;
    const std::size_t statements = world.server->statements;
    std::vector<Coro<>> all;
    world.server->slow_time = 1ms;
    all.push_back(ask_slowly(world));
    for (int i = 0; i < 3; ++i) all.push_back(ask(world, i));
    co_await coaio::gather(std::move(all));
    co_await holder;
    CHECK(world.server->undo == 0);
    CHECK(world.server->statements == statements + 8);
    CHECK(world.server->laned > laned + 4);
    CHECK(world.server->laned < laned + 8);  // the one that failed was by itself
    co_await require_whole(world);
}

Coro<> wait_for_the_last() {
    LaneWorld world(of_size(1).shared_sync(true));
    co_await warm_up(world);
    world.server->slow_time = 8ms;
    auto holder = coaio::create_task(hold(world, 1ms));
    co_await yield(1);
    const std::size_t laned = world.server->laned;
    auto quick = coaio::create_task(ask(world, 1));
    auto late = coaio::create_task(ask_slowly(world));
    co_await holder;
    const auto began = coaio::Clock::now();
    co_await quick;
    CHECK(coaio::Clock::now() - began >= 7ms);
    co_await late;
    CHECK(world.server->laned == laned + 2);
    co_await require_whole(world);
}

// The whole takes as long as one may not.
Coro<> take_their_time() {
    LaneWorld world(of_size(1).pipelining(64).shared_sync(true));
    co_await warm_up(world);
    for (int round = 0; round < 3; ++round) {
        auto holder = coaio::create_task(hold(world, 1ms));
        co_await yield(1);
        const std::size_t laned = world.server->laned;
        std::vector<Coro<>> all;
        for (int i = 0; i < 60; ++i) all.push_back(ask(world, i));
        co_await coaio::gather(std::move(all));
        co_await holder;
        CHECK(world.server->laned == laned + 60);
    }
    CHECK(world.server->cancels == 0);
    co_await require_whole(world);
}

// It was quick when it was alone.
Coro<> hold_the_others_up() {
    LaneWorld world(of_size(1).pipelining(64).shared_sync(true));
    co_await warm_up(world);
    world.server->slow_time = 40ms;
    const auto together = [](LaneWorld& of) -> Coro<std::size_t> {
        auto holder = coaio::create_task(hold(of, 1ms));
        co_await yield(1);
        const std::size_t before = of.server->laned;
        std::vector<Coro<>> all;
        for (int i = 0; i < 4; ++i) all.push_back(ask(of, i));
        all.push_back(ask_slowly(of));
        for (int i = 4; i < 8; ++i) all.push_back(ask(of, i));
        co_await coaio::gather(std::move(all));
        co_await holder;
        co_return of.server->laned - before;
    };
    const std::size_t first = co_await together(world);
    CHECK(first == 9);
    co_await ask(world, 1);  // which has shown by itself again that it is quick
    for (int round = 0; round < 2; ++round) {
        const std::size_t later = co_await together(world);
        CHECK(later == 8);
    }
    co_await require_whole(world);
}

Coro<> keep_their_places() {
    LaneWorld world(of_size(1).shared_sync(true).max_waiting(3));
    co_await warm_up(world);
    world.server->slow_time = 1ms;
    world.server->undo = 1;
    auto holder = coaio::create_task(hold(world, 1ms));
    co_await yield(1);
    const std::size_t laned = world.server->laned;
    std::vector<Task<>> tasks;
    tasks.push_back(coaio::create_task(ask_slowly(world)));  // which fails
    for (int i = 0; i < 2; ++i) tasks.push_back(coaio::create_task(ask(world, i)));
    while (world.server->laned < laned + 3) co_await coaio::sleep(100us);
    tasks.push_back(coaio::create_task(hold(world, 1ms)));  // which nobody overtakes
    for (int i = 2; i < 5; ++i) tasks.push_back(coaio::create_task(ask(world, i)));
    for (Task<>& each : tasks) co_await each;
    co_await holder;
    CHECK(world.server->undo == 0);
    co_await require_whole(world);
}

// One that takes for ever is among them, and nobody knows which.
Coro<> leave_a_slow_one() {
    LaneWorld world(of_size(2).shared_sync(true));
    co_await warm_up(world);
    auto holder = coaio::create_task(hold(world, 1ms));
    auto other = coaio::create_task(hold(world, 1ms));
    co_await yield(1);
    std::vector<Task<>> tasks;
    for (int i = 0; i < 3; ++i) tasks.push_back(coaio::create_task(ask(world, i)));
    auto stuck = coaio::create_task(ask_slowly(world));
    for (int i = 3; i < 6; ++i) tasks.push_back(coaio::create_task(ask(world, i)));
    const auto began = coaio::Clock::now();
    for (Task<>& each : tasks) co_await each;
    CHECK(coaio::Clock::now() - began < 300ms);
    CHECK_FALSE(stuck.done());
    stuck.cancel();
    const bool cancelled = co_await tests::throws<coaio::CancelledError>(stuck);
    CHECK(cancelled);
    co_await holder;
    co_await other;
    co_await require_whole(world);
}

Coro<> keep_apart_from_own() {
    LaneWorld world(of_size(2));
    co_await warm_up(world);
    std::vector<Task<>> others;
    Lease held = co_await world.pool->acquire();
    for (int i = 0; i < 3; ++i) others.push_back(coaio::create_task(ask_often(world, i * 10, 8)));
    while (world.server->laned == 0) co_await coaio::sleep(1ms);
    const std::size_t before = world.server->statements - world.server->laned;
    co_await ask(world, 1000);
    CHECK(world.server->statements - world.server->laned > before);
    held.give_back();
    for (Task<>& each : others) co_await each;
    co_await require_whole(world);
}

Coro<> ask_until(LaneWorld& world, coaio::TimePoint end) {
    while (coaio::Clock::now() < end) co_await ask(world, 1);
}

Coro<> grow_old() {
    LaneWorld world(of_size(1).max_lifetime(100ms));
    co_await warm_up(world);
    const auto end = coaio::Clock::now() + 1s;
    std::vector<Coro<>> all;
    for (int i = 0; i < 3; ++i) all.push_back(ask_until(world, end));
    co_await coaio::gather(std::move(all));
    CHECK(world.pool->statistics().opened >= 8);
    CHECK(world.server->most_sessions == 1);
    co_await require_whole(world);
}

Coro<> share_the_only_one() {
    LaneWorld world(of_size(0));
    co_await warm_up(world);
    const std::size_t before = world.server->laned;
    std::vector<Coro<>> all;
    for (int i = 0; i < 3; ++i) all.push_back(ask(world, i));
    const auto began = coaio::Clock::now();
    co_await coaio::gather(std::move(all));
    CHECK(coaio::Clock::now() - began < 1s);
    CHECK(world.server->laned == before + 3);
    CHECK(world.server->most_sessions == 1);
    co_await require_whole(world);
}

Coro<> send_much() {
    LaneWorld world(of_size(1).pipelining(32));
    const std::string sixty_kb(60 * 1024, 'x');
    const auto send = [](LaneWorld& of, std::string text) -> Coro<> {
        const db::Rows rows = co_await Lanes::run(of.lanes, "select lower($1)", db::Params::of(text));
        REQUIRE(rows.value<std::string>() == text);
    };
    co_await send(world, sixty_kb);
    auto holder = coaio::create_task(hold(world, 1ms));
    co_await yield(1);
    std::vector<Coro<>> all;
    for (int i = 0; i < 12; ++i) all.push_back(send(world, sixty_kb));
    all.push_back(send(world, std::string(65 * 1024, 'y')));  // which is too large to share
    co_await coaio::gather(std::move(all));
    co_await holder;
    CHECK(world.server->laned == 12);
    CHECK(world.server->most_laned_bytes > 200 * 1024);
    CHECK(world.server->most_laned_bytes <= 256 * 1024);
}

}  // namespace

TEST_CASE(
    "PIP-01 PIP-07 CAN-08 CAN-09: statements that share connections get their own answers in any order of events") {
    const bool shared_sync = GENERATE(false, true);
    coaio::testing::explore([shared_sync] { return storm(shared_sync); }, {.seeds = 200});
}

TEST_CASE(
    "CAN-08 CAN-09 CAN-10: a statement cut at any turn takes nothing from its neighbours, and no cancel is sent") {
    Trio trio;
    trio.shared_sync = GENERATE(false, true);
    trio.undone = trio.shared_sync && GENERATE(false, true);
    coaio::testing::cut([&] { return cut_between(trio, tests::echo); },
                        [&](std::size_t turn) { return neighbours_are_well(trio, turn, 0); });
}

TEST_CASE("CAN-09 CAN-10: one that would run for long, cut at any turn, is cancelled when it is alone") {
    Trio trio;
    trio.shared_sync = GENERATE(false, true);
    coaio::testing::cut(
        [&] {
            auto limited = [](Trio& of) -> Coro<> { co_await coaio::wait_for(cut_between(of, tests::slow), 5s); };
            return limited(trio);
        },
        [&](std::size_t turn) { return neighbours_are_well(trio, turn, 1); });
}

TEST_CASE("PIP-09: what shared its Sync with one that failed runs again without it") {
    coaio::testing::explore(run_again_without);
}

TEST_CASE("what shares a Sync is answered together") { coaio::testing::explore(wait_for_the_last); }

TEST_CASE("PIP-07: many quick ones under one Sync take no one by surprise") {
    coaio::testing::explore(take_their_time);
}

TEST_CASE("CAN-11: one that has held up those under its Sync runs by itself from then on") {
    coaio::testing::explore(hold_the_others_up);
}

TEST_CASE("PIP-07: what was undone by another keeps its place where no more may wait") {
    coaio::testing::run(keep_their_places());
}

TEST_CASE("CAN-11: what shares its Sync with one that takes for ever runs again by itself") {
    coaio::testing::explore(leave_a_slow_one);
}

TEST_CASE("POL-13: a connection that statements share is replaced in its time, also when they never end") {
    coaio::testing::explore(grow_old);
}

TEST_CASE("PIP-05: the statements of a pool of one connection all share it, and so do those of one of none") {
    coaio::testing::explore(share_the_only_one);
}

TEST_CASE("PIP-07: what is under way on one connection is limited in bytes") { coaio::testing::explore(send_much); }

TEST_CASE("PIP-04 CAN-11: a task that holds a connection has its statements on one of their own") {
    coaio::testing::explore(keep_apart_from_own);
}
