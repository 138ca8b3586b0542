// SPDX-License-Identifier: MIT
#include <coaio/core/semaphore.hpp>

#include <coaio/core/activity.hpp>
#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/error.hpp>

#include <exception>
#include <string>

namespace coaio {

Semaphore::Semaphore(std::ptrdiff_t value) : value_(static_cast<std::size_t>(value)) {
    if (value < 0) throw ValueError("a semaphore cannot start with " + std::to_string(value) + " units: 0 or more");
}

void Semaphore::throw_over_bound() const {
    throw ValueError("the semaphore was released too often: it has all of its " + std::to_string(bound_) + " units");
}

void Semaphore::report_over_bound() const noexcept {
    try {
        throw_over_bound();
    } catch (...) {
        const char* const what = "the guard of a semaphore's unit went, and had nothing to give back";
        detail::LoopCore* const core = detail::thread_state.core;
        if (core != nullptr) {
            core->report(what, std::current_exception());
        } else {
            detail::report_without_loop(what, std::current_exception());
        }
    }
}

namespace detail {

void SemaphoreWait::forsake() noexcept {
    unlink();
    if (state() != WaitState::woken) return;
    ++semaphore_->value_;
    semaphore_->wake_allowed();
}

void SemaphoreWait::take_over() {
    if (!linked()) {
        throw_if_cancelled();
        throw_orphaned("semaphore");
    }
    if (cancelled()) {
        forsake();
        task()->throw_cancelled();
    }
    unlink();
    semaphore_->wake_allowed();
}

WaitInfo SemaphoreWait::describe() const {
    if (!linked()) return {.what = "semaphore"};
    const std::size_t waiting = semaphore_->waiting_.count();
    WaitInfo info{.what = "semaphore (" + std::to_string(semaphore_->value_) + " units free, " +
                          std::to_string(waiting) + " waiting)"};
    info.object = semaphore_;
    info.fact("free", semaphore_->value_).fact("waiting", waiting);
    return info;
}

}  // namespace detail

}  // namespace coaio
