// SPDX-License-Identifier: MIT
#include <coaio/core/detail/timer_heap.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <list>
#include <map>
#include <random>
#include <utility>

namespace {

using coaio::detail::Entry;
using coaio::detail::Runnable;
using coaio::detail::Timer;
using coaio::detail::TimerHeap;

Entry nobody() { return Entry(static_cast<Runnable*>(nullptr)); }

// A heap beside a map that does the same: in order of deadlines, equal ones in order of arming.
struct Twins {
    void arm(std::int64_t when) {
        timers.emplace_back(nobody());
        heap.insert(when, timers.back());
        expected.emplace(std::pair(when, armed++), &timers.back());
    }
    void cancel(std::size_t nth) {
        auto it = expected.begin();
        std::advance(it, static_cast<std::ptrdiff_t>(nth));
        heap.remove(*it->second);
        expected.erase(it);
    }
    void take_first() {
        CHECK(heap.earliest() == expected.begin()->first.first);
        CHECK(&heap.pop() == expected.begin()->second);
        expected.erase(expected.begin());
    }
    void take_all() {
        while (!expected.empty()) take_first();
        CHECK(heap.empty());
        CHECK(heap.earliest() == std::numeric_limits<std::int64_t>::max());
    }

    TimerHeap heap;
    std::list<Timer> timers;
    std::map<std::pair<std::int64_t, std::size_t>, Timer*> expected;
    std::size_t armed = 0;
};

}  // namespace

TEST_CASE("timers leave the heap in order of their deadlines, equal ones in order of arming, whatever was cancelled") {
    for (unsigned seed = 1; seed <= 40; ++seed) {
        std::mt19937 random(seed);
        Twins twins;
        // Few different deadlines, so that many are equal; more cancels than arms now and then, so that holes prevail.
        for (int i = 0; i < 3000; ++i) {
            const auto what = random() % 100;
            const unsigned arms = i / 500 % 2 == 0 ? 70 : 30;
            if (twins.expected.empty() || what < arms) {
                twins.arm(static_cast<std::int64_t>(random() % 50));
            } else if (what < arms + 25 || what > 97) {
                twins.cancel(random() % twins.expected.size());
            } else {
                twins.take_first();
            }
            REQUIRE(twins.heap.size() == twins.expected.size());
        }
        twins.take_all();
    }
}

TEST_CASE("timers cancelled in the order in which they are due leave nothing behind") {
    Twins twins;
    for (int i = 0; i < 1000; ++i) twins.arm(i);
    while (!twins.expected.empty()) twins.cancel(0);
    twins.take_all();
    twins.arm(7);
    twins.take_all();
}

TEST_CASE("a timer knows its deadline after others were cancelled") {
    Twins twins;
    for (int i = 0; i < 500; ++i) twins.arm(500 - i);
    for (int i = 0; i < 400; ++i) twins.cancel(static_cast<std::size_t>(i % 3));
    for (const auto& [key, timer] : twins.expected) CHECK(twins.heap.when(*timer) == key.first);
}
