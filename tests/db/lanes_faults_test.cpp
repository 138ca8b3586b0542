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

#include <memory>
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

void cancel_pumps() {
    for (const coaio::AnyTask& each : coaio::all_tasks()) {
        if (each.name() == "db lane") each.cancel();
    }
}

Coro<> note(std::vector<std::string>& order, Coro<> step, std::string name) {
    co_await std::move(step);
    order.push_back(std::move(name));
}

Coro<> send_in_turn() {
    LaneWorld world(of_size(1));
    co_await warm_up(world);
    std::vector<std::string> order;
    std::vector<Task<>> tasks;
    tasks.push_back(coaio::create_task(note(order, hold(world, 5ms), "first")));
    co_await yield(2);
    tasks.push_back(coaio::create_task(note(order, ask(world, 1), "ask")));
    co_await yield(2);
    for (int i = 0; i < 3; ++i) tasks.push_back(coaio::create_task(note(order, hold(world, 1ms), "later")));
    for (Task<>& each : tasks) co_await each;
    const std::vector<std::string> wanted{"first", "ask", "later", "later", "later"};
    CHECK(order == wanted);
    co_await require_whole(world);
}

Coro<> run_out_of_time() {
    // The late one's time is over at the instant at which the first one is answered and makes room for it.
    LaneWorld world(of_size(1).pipelining(2).acquire_timeout(7ms));
    world.server->statement_time = 8ms;
    co_await warm_up(world);
    const std::size_t before = world.server->statements;
    auto holder = coaio::create_task(hold(world, 1ms));
    co_await yield(1);
    std::vector<Task<>> tasks;
    for (int i = 0; i < 2; ++i) tasks.push_back(coaio::create_task(ask(world, i)));
    while (world.server->laned < 2) co_await coaio::sleep(1ms);
    co_await yield(3);
    auto late = coaio::create_task(ask(world, 3));
    const bool timed_out = co_await tests::throws<db::PoolTimeout>(late);
    for (Task<>& each : tasks) co_await each;
    co_await holder;
    REQUIRE(world.server->statements == before + (timed_out ? 2 : 3));
    world.server->statement_time = 1ms;
    co_await require_whole(world);
}

Coro<> go_on_in_shut_down() {
    LaneWorld world(of_size(1));
    co_await warm_up(world);
    auto holder = coaio::create_task(hold(world, 2ms));
    co_await yield(1);
    std::vector<Task<>> tasks;
    for (int i = 0; i < 6; ++i) tasks.push_back(coaio::create_task(ask(world, i)));
    const auto turns = coaio::get_running_loop().random() % 8;
    for (std::uint64_t i = 0; i < turns; ++i) co_await coaio::sleep(i % 2 == 0 ? 0ms : 1ms);
    if (world.server->laned > 0) co_await yield(1);  // its task has begun
    cancel_pumps();
    for (Task<>& each : tasks) co_await each;
    co_await holder;
    CHECK(world.server->cancels == 0);
    co_await require_whole(world);
}

// What opens a connection for statements knows of them last, and is cancelled as the loop ends.
Coro<> outlive_the_pool() {
    auto world = std::make_unique<LaneWorld>(of_size(2));
    const auto server = world->server;
    co_await warm_up(*world);
    auto holder = coaio::create_task(hold(*world, 1h));
    co_await yield(1);
    server->connect_time = 1h;
    auto asking = coaio::create_task(ask(*world, 1));
    co_await yield(2);
    asking.cancel();
    const bool cancelled = co_await tests::throws<coaio::CancelledError>(std::move(asking));
    CHECK(cancelled);
    const std::weak_ptr<db::detail::Lanes> lanes = world->lanes;
    world = nullptr;
    CHECK_FALSE(lanes.expired());
    cancel_pumps();
    holder.cancel();
    co_await yield(3);
    CHECK(lanes.expired());
    CHECK(server->sessions == 0);
}

Coro<> drop_before_begin() {
    LaneWorld world(of_size(2));
    co_await warm_up(world);
    auto holder = coaio::create_task(hold(world, 2ms));
    co_await yield(1);
    auto pending = coaio::create_task(ask(world, 1));
    co_await yield(1);
    cancel_pumps();
    co_await coaio::wait_for(pending, 1s);
    co_await holder;
    // And one on which a statement was sent already.
    auto first = coaio::create_task(hold(world, 2ms));
    co_await yield(1);
    while (world.server->sessions < 2) co_await coaio::sleep(1ms);
    auto sent = coaio::create_task(ask(world, 2));
    co_await coaio::sleep(0s);
    cancel_pumps();
    bool lost = false;
    try {
        co_await coaio::wait_for(sent, 1s);
    } catch (const db::ConnectionError&) {
        lost = true;
    }
    CHECK((lost || sent.done()));
    co_await first;
    co_await require_whole(world);
}

Coro<> retire_what_is_left() {
    LaneWorld world(of_size(1));
    world.server->statement_time = 4ms;
    co_await warm_up(world);
    auto holder = coaio::create_task(hold(world, 1ms));
    co_await yield(1);
    auto in_front = coaio::create_task(ask(world, 1));
    auto left = coaio::create_task(ask_slowly(world));
    while (world.server->laned < 2) co_await coaio::sleep(1ms);
    left.cancel();
    const bool cancelled = co_await tests::throws<coaio::CancelledError>(left);
    CHECK(cancelled);
    co_await in_front;
    co_await holder;
    co_await coaio::wait_for(ask(world, 2), 1s);
    CHECK(world.server->cancels == 1);
    CHECK(world.pool->statistics().opened == 1);
    co_await require_whole(world);
}

Coro<> overtake_what_is_slow() {
    LaneWorld world(of_size(2));
    co_await warm_up(world);
    auto holder = coaio::create_task(hold(world, 1ms));
    co_await yield(1);
    auto long_one = coaio::create_task(ask_slowly(world));
    co_await yield(1);
    std::vector<Coro<>> behind;
    for (int i = 0; i < 3; ++i) behind.push_back(ask(world, i));
    co_await coaio::wait_for(coaio::gather(std::move(behind)), 1s);
    CHECK_FALSE(long_one.done());
    long_one.cancel();
    const bool cancelled = co_await tests::throws<coaio::CancelledError>(long_one);
    CHECK(cancelled);
    co_await holder;
    co_await require_whole(world);
}

Coro<> take_two(LaneWorld& world) {
    Lease one = co_await world.pool->acquire();
    co_await coaio::sleep(5ms);
    const Lease two = co_await world.pool->acquire();
    co_await coaio::sleep(1ms);
}

Coro<> ask_and_take(LaneWorld& world) {
    co_await ask(world, 1);
    co_await hold(world, 1ms);
}

Coro<> hold_for_nobody() {
    LaneWorld world(of_size(2));
    world.server->statement_time = 6ms;
    co_await warm_up(world);
    {
        Lease one = co_await world.pool->acquire();
        const Lease two = co_await world.pool->acquire();
    }
    auto greedy = coaio::create_task(take_two(world));
    co_await yield(2);
    auto asker = coaio::create_task(ask_and_take(world));
    co_await yield(1);
    auto neighbour = coaio::create_task(ask(world, 2));
    co_await greedy;
    co_await asker;
    co_await neighbour;
    CHECK(world.server->laned == 2);
    co_await require_whole(world);
}

Coro<> ask_while_it_ends() {
    LaneWorld world(of_size(1));
    world.server->statement_time = 4ms;
    co_await warm_up(world);
    auto holder = coaio::create_task(hold(world, 1ms));
    co_await yield(2);
    auto first = coaio::create_task(ask(world, 1));
    while (world.server->laned == 0) co_await coaio::sleep(1ms);
    world.server->lose = 1;
    while (world.server->sessions == 1) co_await coaio::sleep(1ms);
    co_await ask(world, 2);
    const bool lost = co_await tests::throws<db::ConnectionError>(first);
    CHECK(lost);
    co_await holder;
    co_await require_whole(world);
}

Coro<> refuse_when_closed() {
    LaneWorld world(of_size(1));
    world.server->statement_time = 4ms;
    co_await warm_up(world);
    auto holder = coaio::create_task(hold(world, 1ms));
    co_await yield(1);
    std::vector<Task<>> tasks;
    for (int i = 0; i < 2; ++i) tasks.push_back(coaio::create_task(ask(world, i)));
    while (world.server->laned < 2) co_await coaio::sleep(1ms);
    world.lanes->close();
    auto closing = coaio::create_task(world.pool->close());
    co_await yield(2);
    const bool refused = co_await tests::throws<db::PoolClosed>(ask(world, 9));
    CHECK(refused);
    for (Task<>& each : tasks) co_await each;
    co_await holder;
    co_await closing;
    CHECK(world.server->laned == 2);
    CHECK(world.server->sessions == 0);
}

}  // namespace

TEST_CASE("POL-03 PIP-07: statements that wait for a connection use it when it is their turn") {
    coaio::testing::explore(send_in_turn);
}

TEST_CASE("POL-05: a statement whose time to wait is over when it is sent counts as sent") {
    coaio::testing::explore(run_out_of_time);
}

TEST_CASE("CAN-15: statements that cannot be cancelled are answered while the loop shuts down") {
    coaio::testing::explore(go_on_in_shut_down);
}

TEST_CASE("CAN-15: what opens a connection for statements may outlive all that asked for it") {
    coaio::testing::run(outlive_the_pool());
}

TEST_CASE("CAN-15: a connection whose task ends before it began holds up nobody") {
    coaio::testing::explore(drop_before_begin);
}

TEST_CASE("CAN-10: a disowned statement that outlasts those in front of it is cancelled") {
    coaio::testing::explore(retire_what_is_left);
}

TEST_CASE("CAN-11: nobody waits behind a statement that turns out to take long") {
    coaio::testing::explore(overtake_what_is_slow);
}

TEST_CASE("POL-28: a connection that statements share is held by none of their tasks") {
    coaio::testing::run(hold_for_nobody(), {.debug = true});
}

TEST_CASE("PIP-07: a pool that is closed takes no statement on a connection that is still in use") {
    coaio::testing::explore(refuse_when_closed);
}

TEST_CASE("PIP-08: nothing is sent on a connection that is being given up") {
    coaio::testing::explore(ask_while_it_ends);
}
