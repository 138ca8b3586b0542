// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/job.hpp>
#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/detail/signals.hpp>
#include <coaio/core/detail/sockets.hpp>
#include <coaio/core/executor.hpp>
#include <coaio/core/loop.hpp>

#include "mailbox.hpp"
#include "poller.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace coaio {

/// What binds order, time and the kernel into a loop.
struct Loop::Impl : detail::LoopCore {
    std::unique_ptr<detail::Poller> poller;
    /// Null but in tests: sockets and look-ups are the system's.
    std::shared_ptr<detail::Sockets> sockets;
    ExceptionHandler exception_handler;
    std::atomic<bool> running = false;  // read by who asks all loops
    bool stopping = false;
    std::thread::id thread;

    std::uint64_t turns = 0;
    std::uint32_t steps_since_look = 0;
    std::uint32_t steps_between_looks = 1;
    std::int64_t polled_at = 0;
    std::int64_t longest_step = 0;
    std::int64_t slow_step = 100'000'000;

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

    std::shared_ptr<detail::Mailbox> mailbox;
    std::vector<std::shared_ptr<detail::Posted>> batch;  // what was just taken out of it; keeps its room
    std::vector<detail::SignalWatch*> signals;
    std::vector<std::unique_ptr<detail::SignalWatch>> signal_handlers;  // those of add_signal_handler
    detail::Job* jobs = nullptr;                                        // that have not come back
    std::shared_ptr<ThreadPoolExecutor> executor;
    bool executor_shut_down = false;

    /// In debug mode throws `RuntimeError` when it runs in another thread.
    void refuse_other_thread() const;
    [[nodiscard]] std::int64_t read_clock() const noexcept;
    void run();
    void turn();
    void run_ready();
    void look_outside();
    void plan_next_look(std::int64_t took) noexcept;
    void wait_for_work();
    void take_posted();
    void drop_inside();
    void drop_outside();
    void shuffle_ready();
    void run_timed(detail::Entry entry) noexcept;
};

}  // namespace coaio
