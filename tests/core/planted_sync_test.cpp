// SPDX-License-Identifier: MIT
// A test of the tests: bugs planted in copies of the library's own code (mutants.py) are found.
#include "mutants/barrier_breaks_by_half.hpp"
#include "mutants/condition_drops_notification.hpp"
#include "mutants/event_is_missed.hpp"
#include "mutants/lock_drops_turn.hpp"
#include "mutants/lock_lets_in_two.hpp"
#include "mutants/queue_drops_item.hpp"
#include "mutants/queue_drops_place.hpp"
#include "mutants/queue_wakes_one_at_shutdown.hpp"
#include "mutants/queue_wakes_one_joiner.hpp"
#include "mutants/semaphore_drops_turn.hpp"
#include "mutants/semaphore_wakes_two.hpp"

#include "core/planted_support.hpp"
#include "core/sync_worlds.hpp"

#include "support/catch.hpp"

using tests::require_cut;
using tests::require_found;

TEST_CASE("planted: a lock that drops the turn of a cancelled waiter is found") {
    using World = tests::LockWorld<coaio::lock_drops_turn::Lock>;
    require_found<World>();
    require_cut<World>();
}

TEST_CASE("planted: a lock that lets a newcomer in before the one whose turn it is is found") {
    require_found<tests::LockWorld<coaio::lock_lets_in_two::Lock>>();
}

TEST_CASE("planted: a semaphore that drops the turn of a cancelled waiter is found") {
    using World = tests::SemaphoreWorld<coaio::semaphore_drops_turn::Semaphore, 1>;
    require_found<World>();
    require_cut<World>();
}

TEST_CASE("planted: a semaphore that wakes two for one unit is found") {
    require_found<tests::SemaphoreWorld<coaio::semaphore_wakes_two::Semaphore, 2>>();
}

TEST_CASE("planted: a condition that loses the notification of a cancelled waiter is found") {
    using World = tests::ConditionWorld<coaio::condition_drops_notification::Condition, 1>;
    require_found<World>();
    require_cut<World>();
}

TEST_CASE("planted: an event that is missed between the check and the wait is found") {
    require_found<tests::EventWorld<coaio::event_is_missed::Event>>();
}

TEST_CASE("planted: a barrier that breaks for one waiter only is found") {
    require_found<tests::BarrierWorld<coaio::barrier_breaks_by_half::Barrier>>();
}

TEST_CASE("planted: a queue that loses the item of a cancelled getter is found") {
    using World = tests::QueueWorld<coaio::queue_drops_item::Queue<int>, 1>;
    require_found<World>();
    require_cut<World>();
}

TEST_CASE("planted: a queue that loses the place of a cancelled putter is found") {
    using World = tests::QueueWorld<coaio::queue_drops_place::Queue<int>, 1>;
    require_found<World>();
    require_cut<World>();
}

TEST_CASE("planted: a queue that wakes one getter only when it is shut down is found") {
    require_found<tests::ShutdownWorld<coaio::queue_wakes_one_at_shutdown::Queue<int>>>();
}

TEST_CASE("planted: a queue that wakes one of those who wait for its end is found") {
    require_found<tests::QueueWorld<coaio::queue_wakes_one_joiner::Queue<int>, 1>>();
}
