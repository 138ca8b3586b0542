// SPDX-License-Identifier: MIT
#include <coaio/core/sleep.hpp>

#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/loop.hpp>

#include <limits>

namespace coaio::detail {

void SleepAwaiter::arm() {
    LoopCore& core = *thread_state.core;
    task_ = thread_state.task;
    const std::int64_t now = core.loop->time().time_since_epoch().count();
    const std::int64_t far = std::numeric_limits<std::int64_t>::max() - 1;
    core.arm(timer_, delay_.count() < far - now ? now + delay_.count() : far);
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
