// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/loop.hpp>

#include "poller.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

namespace coaio {

/// What binds order, time and the kernel into a loop.
struct Loop::Impl : detail::LoopCore {
    std::unique_ptr<detail::Poller> poller;
    ExceptionHandler exception_handler;
    bool running = false;
    bool stopping = false;
    std::thread::id thread;

    std::uint64_t turns = 0;
    std::uint32_t turns_since_poll = 0;
    std::int64_t longest_step = 0;

    /// Set: time stands still but for jumps to the next timer, and the order of ready tasks is drawn from `random`.
    bool virtual_time = false;
    bool shuffle = false;
    std::int64_t wall_offset = 0;  // calendar minus clock, on the virtual clock
    std::mt19937_64 random;
    bool random_seeded = false;
    /// A test's: called before each turn.
    std::function<void(std::size_t)> on_turn;
    /// Threads' jobs and other things outside that will yet make something ready.
    std::atomic<std::size_t> outside_work = 0;

    std::mutex posted_mutex;
    std::vector<std::function<void()>> posted;
    std::atomic<bool> has_posted = false;

    [[nodiscard]] std::int64_t read_clock() const noexcept;
    void run();
    void turn();
    void wait_for_work();
    void take_posted();
    void shuffle_ready();
    void run_entry(detail::Entry entry) noexcept;
};

}  // namespace coaio
