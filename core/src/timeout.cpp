// SPDX-License-Identifier: MIT
#include <coaio/core/timeout.hpp>

#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/wait.hpp>

namespace coaio {

Timeout::Timeout(std::optional<TimePoint> when)
    : task_(detail::thread_state.task), level_(nullptr), timer_(detail::Entry(static_cast<detail::Runnable*>(this))) {
    if (task_ == nullptr) throw RuntimeError("timeout: only a task has deadlines, and none is running");
    level_ = &task_->level();
    requests_at_entry_ = level_->requests;
    pending_at_entry_ = level_->pending;
    when_ = when;
    arm();
}

Timeout::~Timeout() { task_->core().disarm(timer_); }

void Timeout::arm() {
    if (!when_) return;
    auto& core = task_->core();
    const std::int64_t when = when_->time_since_epoch().count();
    if (when <= core.loop->time().time_since_epoch().count()) {
        core.arm_now(timer_);
    } else {
        core.arm(timer_, when);
    }
}

void Timeout::reschedule(std::optional<TimePoint> when) {
    switch (state_) {
    case State::active: break;
    case State::expiring: throw RuntimeError("cannot change the deadline of a timeout that is expiring");
    case State::expired: throw RuntimeError("cannot change the deadline of a timeout that has expired");
    case State::finished: throw RuntimeError("cannot change the deadline of a timeout that is finished");
    }
    task_->core().disarm(timer_);
    when_ = when;
    arm();
}

void Timeout::run() noexcept {
    timer_.fired();
    state_ = State::expiring;
    if (!task_->cancel_due()) pending_at_entry_ = false;  // that one has been thrown meanwhile
    task_->cancel(*level_, nullptr);
}

// True when no request but this deadline's own is left.
bool Timeout::uncancel() noexcept {
    state_ = State::expired;
    return task_->uncancel(*level_) <= requests_at_entry_;
}

// The functions that take a body cannot get this wrong; whoever uses the scope by itself can.
void Timeout::check_task() const noexcept {
    if (detail::thread_state.task == task_ || !task_->core().debug) return;
    task_->core().report("a block with a deadline was left by another task than the one that entered it", nullptr);
}

void Timeout::leave() noexcept {
    check_task();
    task_->core().disarm(timer_);
    if (state_ == State::expiring) {
        static_cast<void>(uncancel());
    } else {
        state_ = State::finished;
    }
}

void Timeout::leave_by_exception() {
    check_task();
    task_->core().disarm(timer_);
    if (state_ != State::expiring) {
        state_ = State::finished;
        return;
    }
    if (uncancel() && !pending_at_entry_ && detail::is_cancellation(std::current_exception())) throw TimeoutError();
}

namespace detail {

Coro<> cancel_and_wait(Ref<FutureBase> future) {
    future->cancel(nullptr);
    std::vector<Ref<FutureBase>> one;
    one.push_back(std::move(future));
    co_await wait_until(std::move(one), ReturnWhen::all_completed, std::nullopt);
}

}  // namespace detail

}  // namespace coaio
