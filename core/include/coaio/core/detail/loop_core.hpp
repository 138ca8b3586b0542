// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/activity_list.hpp>
#include <coaio/core/detail/generator_list.hpp>
#include <coaio/core/detail/ready_queue.hpp>
#include <coaio/core/detail/thread_state.hpp>
#include <coaio/core/detail/timer_heap.hpp>

#include <cstdint>
#include <exception>
#include <string>

namespace coaio::detail {

class FutureBase;
class MadeFuture;

[[nodiscard]] std::uint64_t next_loop_id() noexcept;

/// What the hot paths need of a loop: order and time. It knows neither what it runs nor where events come from.
struct LoopCore {
    ReadyQueue ready;
    TimerHeap timers;
    /// The loop's clock in nanoseconds, read once a turn.
    std::int64_t now = 0;
    /// Every task that is not done, newest first.
    TaskBase* tasks = nullptr;
    std::size_t task_count = 0;
    std::uint64_t next_task_id = 1;
    /// Every future that the program made and that is still there.
    MadeFuture* futures = nullptr;
    /// Tells the loops of a process apart, also those that are gone. From 1.
    const std::uint64_t id = next_loop_id();
    GeneratorList generators;
    ActivityList activities;
    /// How many more I/O operations may end at once before the running step has to give the others a turn.
    std::uint32_t io_budget = 0;
    /// Leaves the run as soon as the turn allows: a KeyboardInterrupt or SystemExit out of a callback or task.
    std::exception_ptr escaping;
    Loop* loop = nullptr;
    bool closed = false;
    bool debug = false;
    /// New tasks take their first step at once unless told otherwise.
    bool eager_tasks = false;

    /// Makes a task or a runnable ready. A suspended task is woken: it does not hang at its suspension any more.
    void schedule(Entry entry) noexcept;

    void arm(Timer& timer, std::int64_t when);
    void disarm(Timer& timer) noexcept;
    /// Due at once: goes straight to the ready queue, as a deadline in the past does.
    void arm_now(Timer& timer);
    /// Moves what is due to the ready queue.
    void collect_due() noexcept;

    /// Hands a failure that nobody else will see to the loop's exception handler. Never throws.
    void report(std::string message, std::exception_ptr exception, const FutureBase* future = nullptr,
                const void* handle = nullptr) noexcept;
};

/// In debug mode throws `RuntimeError` when the loop runs in another thread. The loop may be gone.
void refuse_other_thread(const LoopCore* core);

/// For what may be used on the loop's own thread only. Inside the loop it costs a comparison.
inline void require_own_thread(const LoopCore* core) {
    if (core != thread_state.core) [[unlikely]]
        refuse_other_thread(core);
}

[[noreturn]] void throw_no_running_loop();

/// The running loop's core; throws `RuntimeError` when none runs in this thread.
[[nodiscard]] inline LoopCore& require_core() {
    if (thread_state.core == nullptr) [[unlikely]]
        throw_no_running_loop();
    return *thread_state.core;
}

/// True when the exception is a `CancelledError`; without throwing it.
[[nodiscard]] bool is_cancellation(const std::exception_ptr& exception) noexcept;
/// True when it is a `KeyboardInterrupt` or a `SystemExit`, which leave the loop.
[[nodiscard]] bool is_base_error(const std::exception_ptr& exception) noexcept;

/// True when it is not a `std::exception`.
[[nodiscard]] bool is_not_std_exception(const std::exception_ptr& exception) noexcept;

/// Says it to the process's last resort, standard error, when no loop is there to tell.
void report_without_loop(const std::string& message, const std::exception_ptr& exception) noexcept;

}  // namespace coaio::detail
