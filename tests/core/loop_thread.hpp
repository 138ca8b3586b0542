// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/loop.hpp>
#include <coaio/core/threadsafe.hpp>

#include <thread>

namespace tests {

/// A loop that runs in a thread of its own until the object goes.
class LoopThread {
public:
    LoopThread() : thread_([this] { loop_.run_forever(); }) {}
    LoopThread(const LoopThread&) = delete;
    LoopThread& operator=(const LoopThread&) = delete;
    ~LoopThread() {
        loop_.call_soon_threadsafe([this] { loop_.stop(); });
        thread_.join();
    }
    coaio::Loop& loop() { return loop_; }

private:
    coaio::Loop loop_;
    std::thread thread_;
};

}  // namespace tests
