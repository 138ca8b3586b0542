// SPDX-License-Identifier: MIT
// What tasks wait for, under seeds and every cut. The same worlds find the bugs of planted_sync_test.cpp.
#include <coaio/core/barrier.hpp>
#include <coaio/core/condition.hpp>
#include <coaio/core/event.hpp>
#include <coaio/core/lock.hpp>
#include <coaio/core/queue.hpp>
#include <coaio/core/semaphore.hpp>

#include "core/sync_worlds.hpp"

#include "support/catch.hpp"

using tests::prove;

TEST_CASE("a lock under seeds and every cut: one holder, and it is free at the end") {
    prove<tests::LockWorld<coaio::Lock>>();
}

TEST_CASE("a semaphore under seeds and every cut: no unit is lost or made") {
    prove<tests::SemaphoreWorld<coaio::Semaphore, 1>>();
    prove<tests::SemaphoreWorld<coaio::Semaphore, 2>>();
    prove<tests::SemaphoreWorld<coaio::BoundedSemaphore, 2>>();
}

TEST_CASE("a pool made of a condition, under seeds and every cut: nothing is lost, nobody waits for nothing") {
    prove<tests::ConditionWorld<coaio::Condition, 1>>();
    prove<tests::ConditionWorld<coaio::Condition, 2>>();
}

TEST_CASE("an event under seeds and every cut: nobody misses it") { prove<tests::EventWorld<coaio::Event>>(); }

TEST_CASE("a barrier under seeds and every cut: it breaks for all, and works again after a reset") {
    prove<tests::BarrierWorld<coaio::Barrier>>();
}

TEST_CASE("queues under seeds and every cut: what is put arrives, once") {
    prove<tests::QueueWorld<coaio::Queue<int>, 1, true>>();
    prove<tests::QueueWorld<coaio::Queue<int>, 2, true>>();
    prove<tests::QueueWorld<coaio::PriorityQueue<int>, 2>>();
    prove<tests::QueueWorld<coaio::LifoQueue<int>, 2>>();
}

TEST_CASE("queues that are shut down, under seeds and every cut: all are woken, nothing is lost") {
    prove<tests::ShutdownWorld<coaio::Queue<int>>>();
    prove<tests::ShutdownWorld<coaio::PriorityQueue<int>>>();
    prove<tests::ShutdownWorld<coaio::LifoQueue<int>>>();
}
