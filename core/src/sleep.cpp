// SPDX-License-Identifier: MIT
#include <coaio/core/sleep.hpp>

#include <coaio/core/activity.hpp>
#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/loop.hpp>

namespace coaio::detail {

void SleepAwaiter::arm() {
    LoopCore& core = *thread_state.core;
    task_ = thread_state.task;
    core.arm(timer_, later(core.loop->time(), delay_).time_since_epoch().count());
}

bool SleepAwaiter::cancel(CancelMessage message) noexcept {
    if (!timer_.armed()) return false;
    task_->core().disarm(timer_);
    task_->wake_cancelled(message);
    return true;
}

WaitInfo SleepAwaiter::describe() const {
    return {.what = "sleep", .until = TimePoint(Duration(task_->core().timers.when(timer_)))};
}

}  // namespace coaio::detail
