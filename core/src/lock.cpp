// SPDX-License-Identifier: MIT
#include <coaio/core/lock.hpp>

#include <coaio/core/activity.hpp>
#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/error.hpp>

#include <string>

namespace coaio {

void Lock::throw_not_held() { throw RuntimeError("the lock is not held: it can be released only after an acquire"); }

// A first one that is about to resume, chosen or cancelled, is left to go on by itself; a cancelled one comes back here.
void Lock::wake_first() noexcept {
    if (waiters_.empty()) return;
    detail::Waiter& first = waiters_.front();
    if (first.state() != detail::WaitState::waiting) return;
    first.set_state(detail::WaitState::woken);
    first.task()->wake();
}

namespace detail {

void LockWait::enlist() {
    lock_->binding_.require("lock");
    lock_->waiters_.push_back(*this);
    ++lock_->live_;
}

void LockWait::leave() noexcept {
    unlink();
    if (state() != WaitState::cancelled) --lock_->live_;
}

void LockWait::forsake() noexcept {
    leave();
    if (!lock_->locked_) lock_->wake_first();
}

void LockWait::take_over() {
    if (!linked()) {
        throw_if_cancelled();
        throw_orphaned("lock");
    }
    if (cancelled()) {
        forsake();
        task()->throw_cancelled();
    }
    leave();
    lock_->take();
}

// It stays in the list until it resumes, as its place decides who is woken meanwhile.
bool LockWait::cancel(CancelMessage message) noexcept {
    if (state() != WaitState::waiting) return false;
    set_state(WaitState::cancelled);
    --lock_->live_;
    task()->wake_cancelled(message);
    return true;
}

// The dump knows the holder's name, if it is still there.
WaitInfo LockWait::describe() const {
    if (!linked() || !lock_->locked_) return {.what = "lock", .object = linked() ? lock_ : nullptr};
    WaitInfo info{.what = "lock held by Task-" + std::to_string(lock_->holder_) + ", which has ended"};
    info.object = lock_;
    info.fact("holder", lock_->holder_).fact("waiting", lock_->live_);
    return info;
}

}  // namespace detail

}  // namespace coaio
