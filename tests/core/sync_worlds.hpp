// SPDX-License-Identifier: MIT
#pragma once

// Worlds around what tasks wait for: locks, events, barriers and queues, the library's or a copy with a bug.

#include "core/world.hpp"

#include <coaio/core/finally.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <set>
#include <vector>

namespace tests {

template <class Lock>
class LockWorld final : public World {
public:
    Coro<> victim() override {
        for (int i = 0; i < 3; ++i) fragile(work());
        co_await work();
    }
    Coro<> settle() override {
        co_await all_over();
        expect(!lock_.locked(), "the lock is held, and nobody is there");
        co_await lock_.acquire();
        lock_.release();
    }

private:
    Coro<> work() {
        for (int round = 0; round < 2; ++round) {
            co_await linger();
            const auto guard = co_await lock_.scoped();
            const Inside inside(inside_);
            expect(inside_ == 1, "two tasks hold the lock");
            co_await linger();
        }
    }

    Lock lock_;
    int inside_ = 0;
};

template <class Semaphore, int Units>
class SemaphoreWorld final : public World {
public:
    Coro<> victim() override {
        for (int i = 0; i < 4; ++i) fragile(work());
        co_await work();
    }
    Coro<> settle() override {
        co_await all_over();
        expect(units_.value() == Units, "a unit was lost or made");
        for (int i = 0; i < Units; ++i) co_await units_.acquire();
        expect(units_.locked(), "there is one unit too many");
    }

private:
    Coro<> work() {
        for (int round = 0; round < 2; ++round) {
            co_await linger();
            const auto guard = co_await units_.scoped();
            const Inside inside(inside_);
            expect(inside_ <= Units, "more tasks have a unit than there are");
            co_await linger();
        }
    }

    Semaphore units_{Units};
    int inside_ = 0;
};

/// A pool of things, as a user writes one.
template <class Condition, int Things>
class ConditionWorld final : public World {
public:
    Coro<> victim() override {
        for (int i = 0; i < 4; ++i) fragile(work());
        co_await work();
    }
    Coro<> settle() override {
        co_await all_over();
        expect(free_ == Things, "a thing was not given back");
        expect(!changed_.locked(), "the lock is held, and nobody is there");
    }

private:
    Coro<> take() {
        const auto guard = co_await changed_.scoped();
        co_await changed_.wait_for([this] { return free_ > 0; });
        --free_;
    }
    Coro<> give() {
        const auto guard = co_await changed_.scoped();
        ++free_;
        changed_.notify();
    }
    Coro<> work() {
        auto use = [](coaio::Scope&) -> Coro<> { co_await linger(); };
        auto give_back = [this](coaio::Scope&) -> Coro<> { co_await give(); };
        co_await linger();
        co_await take();
        co_await coaio::finally(use, give_back);
    }

    Condition changed_;
    int free_ = Things;
};

template <class Event>
class EventWorld final : public World {
public:
    Coro<> victim() override {
        for (int i = 0; i < 3; ++i) fragile(wait());
        beside(set());
        co_await wait();
    }
    Coro<> settle() override {
        co_await all_over();
        event_.set();
        co_await event_.wait();
        event_.clear();
        expect(!event_.is_set(), "a cleared event is set");
    }

private:
    Coro<> wait() {
        co_await linger();
        co_await event_.wait();
        expect(event_.is_set(), "woken before the event");
    }
    Coro<> set() {
        co_await linger();
        co_await linger();
        event_.set();
    }

    Event event_;
};

/// Rounds of three, reset now and then, and broken in the end.
template <class Barrier>
class BarrierWorld final : public World {
public:
    Coro<> victim() override {
        beside(upset());
        for (int i = 0; i < 4; ++i) fragile(work());
        co_await work();
    }
    Coro<> settle() override {
        co_await all_over();
        expect(barrier_.n_waiting() == 0, "somebody waits in the barrier, and nobody is there");
        co_await barrier_.reset();
        expect(!barrier_.broken(), "a reset barrier is broken");
        for (int i = 0; i < 3; ++i) beside(meet());
        co_await all_over();
        expect(met_ == std::set<std::size_t>{0, 1, 2}, "three did not get through the barrier in three places");
    }

private:
    Coro<> work() {
        for (int round = 0; round < 3; ++round) {
            co_await linger();
            try {
                const std::size_t place = co_await barrier_.wait();
                expect(place < 3, "a fourth task in a round of three");
            } catch (const coaio::BrokenBarrierError&) {  // it was reset or aborted
                if (barrier_.broken()) break;
            }
        }
    }
    Coro<> meet() {
        const std::size_t place = co_await barrier_.wait();
        met_.insert(place);
    }
    Coro<> upset() {
        co_await linger();
        if (draw(2) == 0) co_await barrier_.reset();
        co_await linger();
        co_await linger();
        co_await barrier_.abort();
    }

    Barrier barrier_{3};
    std::set<std::size_t> met_;
};

/// Several putters and getters, of which one each is safe: whatever was put has to arrive.
template <class Queue, int Room, bool InOrder = false>
class QueueWorld final : public World {
public:
    Coro<> victim() override {
        beside(get());
        beside(put(100));
        fragile(get());
        fragile(put(200));
        fragile(put(400));
        for (int i = 0; i < 2; ++i) fragile(join());
        beside(close());
        if (draw(2) == 0) {
            co_await get();
        } else {
            co_await put(300);
        }
    }
    Coro<> settle() override {
        co_await all_over();
        std::vector<int> sorted = got_;
        std::sort(sorted.begin(), sorted.end());
        expect(sorted == std::vector<int>(put_.begin(), put_.end()), "what was put is not what was got");
    }

private:
    Coro<> get() {
        try {
            while (true) {
                const int item = co_await queue_.get();
                took(item);
                struct Done {
                    Queue& queue;
                    ~Done() { queue.task_done(); }
                } const done{queue_};
                co_await linger();
            }
        } catch (const coaio::QueueShutDown&) {  // the end
        }
    }
    Coro<> put(int first) { return put_all(first, Crowd::Member(putting_)); }
    Coro<> put_all(int first, [[maybe_unused]] Crowd::Member member) {
        for (int item = first; item < first + 5; ++item) {
            co_await linger();
            co_await queue_.put(item);
            put_.insert(item);
        }
    }
    Coro<> join() {
        co_await linger();
        co_await queue_.join();
    }
    Coro<> close() {
        co_await putting_.gone();
        co_await queue_.join();
        expect(queue_.empty(), "an item stays in the queue, and getters wait");
        queue_.shutdown();
    }
    void took(int item) {
        if (InOrder) expect(last_[item / 100] < item, "two items of one putter came out in the wrong order");
        last_[item / 100] = item;
        got_.push_back(item);
    }

    Queue queue_{Room};
    Crowd putting_;
    std::set<int> put_;
    std::vector<int> got_;
    std::map<int, int> last_;
};

/// The same, shut down while all are at it.
template <class Queue>
class ShutdownWorld final : public World {
public:
    Coro<> victim() override {
        beside(shut_down());
        for (int i = 0; i < 2; ++i) fragile(get());
        beside(get());
        for (int i = 0; i < 2; ++i) fragile(put(i * 100));
        beside(join());
        if (draw(2) == 0) {
            co_await get();
        } else {
            co_await put(300);
        }
    }
    Coro<> settle() override {
        while (!shut_) co_await next_moment();
        while (!queue_.empty()) {
            take(queue_.get_nowait());
            queue_.task_done();
        }
        co_await all_over();
        co_await queue_.join();
        if (!dropped_) expect(got_ == put_, "what was put is not what was got");
        expect(std::includes(put_.begin(), put_.end(), got_.begin(), got_.end()), "something was got that was not put");
    }

private:
    Coro<> next_moment() {
        if (!begun_) shut_ = true;  // it was cut before its first step
        co_await coaio::sleep(std::chrono::milliseconds(1));
    }
    void take(int item) { expect(got_.insert(item).second, "an item was got twice"); }
    Coro<> get() {
        begun_ = true;
        try {
            while (true) {
                const int item = co_await queue_.get();
                take(item);
                queue_.task_done();
                co_await linger();
            }
        } catch (const coaio::QueueShutDown&) {  // as it should
        }
    }
    Coro<> put(int first) {
        for (int item = first; item < first + 5; ++item) {
            co_await linger();
            try {
                co_await queue_.put(item);
            } catch (const coaio::QueueShutDown&) {
                break;
            }
            put_.insert(item);
        }
    }
    Coro<> join() {
        co_await linger();
        co_await queue_.join();
    }
    Coro<> shut_down() {
        begun_ = true;
        for (int i = 0; i < 3; ++i) co_await linger();
        dropped_ = draw(2) == 0;
        queue_.shutdown(dropped_);
        shut_ = true;
    }

    Queue queue_{2};
    std::set<int> put_;
    std::set<int> got_;
    bool begun_ = false;
    bool shut_ = false;
    bool dropped_ = false;
};

}  // namespace tests
