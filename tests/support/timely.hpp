// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/loop.hpp>
#include <coaio/core/run.hpp>

#include "support/catch.hpp"
#include "support/own_time.hpp"

#include <chrono>
#include <cstdint>
#include <fstream>
#include <utility>

namespace tests {

/// Whatever goes wrong outside, no step of a loop may take 50 ms: one that waits for a server holds up everybody. Begins
/// to look when it is made; between that and `check` nothing but what counts as `OwnTime` may block by itself.
class StepLimit {
public:
    explicit StepLimit(coaio::Loop& loop) : loop_(&loop), forgiven_(forgiven()) { loop.set_debug(true); }

    void check() const {
        const std::chrono::nanoseconds longest = loop_->stats().longest_step;
        INFO("the longest step took " << longest.count() << " ns");
        CHECK(longest < std::chrono::milliseconds(50) + (forgiven() - forgiven_));
    }

private:
    /// How long the test waited by itself, or this thread was ready to run and had no CPU: what a busy machine adds to a
    /// step.
    [[nodiscard]] static std::chrono::nanoseconds forgiven() {
        std::ifstream file("/proc/thread-self/schedstat");
        std::int64_t on_cpu = 0;
        std::int64_t waited = 0;
        file >> on_cpu >> waited;
        return std::chrono::nanoseconds(waited) + OwnTime::spent();
    }

    coaio::Loop* loop_;
    std::chrono::nanoseconds forgiven_;
};

/// `coaio::run` under a `StepLimit`.
template <class T>
void run_timely(coaio::Coro<T> body) {
    coaio::Runner runner;
    const StepLimit limit(runner.get_loop());
    runner.run(std::move(body));
    limit.check();
    runner.close();
}

}  // namespace tests
