// SPDX-License-Identifier: MIT
#include <coaio/core/sleep.hpp>

#include <coaio/core/activity.hpp>
#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/loop.hpp>

namespace coaio::detail {

void SleepAwaiter::arm(Duration delay) {
    LoopCore& core = *thread_state.core;
    core.arm(timer_, later(core.loop->time(), delay).time_since_epoch().count());
}

void SleepAwaiter::hang() noexcept { task().suspend(*this); }

bool SleepAwaiter::cancel(CancelMessage message) noexcept {
    if (!timer_.armed()) return false;
    task().core().disarm(timer_);
    task().wake_cancelled(message);
    return true;
}

WaitInfo SleepAwaiter::describe() const {
    return {.what = "sleep", .until = TimePoint(Duration(task().core().timers.when(timer_)))};
}

}  // namespace coaio::detail
