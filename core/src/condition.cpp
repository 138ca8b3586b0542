// SPDX-License-Identifier: MIT
#include <coaio/core/condition.hpp>

#include <coaio/core/activity.hpp>
#include <coaio/core/barrier.hpp>
#include <coaio/core/error.hpp>

#include <exception>
#include <limits>
#include <string>

namespace coaio {

void Condition::require_held(const char* what) const {
    if (!lock_->locked()) {
        throw RuntimeError(std::string(what) + " on a condition whose lock is not held: acquire it first");
    }
}

Coro<bool> Condition::wait() {
    require_held("wait");
    binding_.require("condition");
    lock_->release();
    std::exception_ptr error;
    try {
        co_await detail::WaitOn<detail::ConditionAwaiter, Condition>(*this);
    } catch (const CancelledError&) {
        error = std::current_exception();
    }
    for (bool held = false; !held;) {
        try {
            co_await lock_->acquire();
            held = true;
        } catch (const CancelledError&) {
            error = std::current_exception();
        }
    }
    if (error != nullptr) {
        // It may have been notified before it was cancelled: somebody else takes the notification.
        wake(1);
        std::rethrow_exception(error);
    }
    co_return true;
}

void Condition::notify(std::size_t n) {
    require_held("notify");
    waiters_.require_own_thread();
    wake(n);
}

void Condition::notify_all() {
    require_held("notify_all");
    waiters_.require_own_thread();
    wake(std::numeric_limits<std::size_t>::max());
}

void Condition::wake(std::size_t n) noexcept {
    for (; n > 0 && !waiters_.empty(); --n) waiters_.wake_front();
}

namespace detail {

WaitInfo ConditionAwaiter::describe() const {
    if (!linked()) return {.what = "condition"};
    if (const Barrier* const barrier = condition_->barrier_; barrier != nullptr) {
        WaitInfo info{.what = "barrier (" + std::to_string(barrier->n_waiting()) + " of " +
                              std::to_string(barrier->parties()) + " have come)"};
        info.object = barrier;
        info.fact("come", barrier->n_waiting()).fact("parties", barrier->parties());
        return info;
    }
    const std::size_t waiting = condition_->waiters_.count();
    WaitInfo info{.what = "condition (" + std::to_string(waiting) + " waiting)"};
    info.object = condition_;
    info.fact("waiting", waiting);
    return info;
}

}  // namespace detail

}  // namespace coaio
