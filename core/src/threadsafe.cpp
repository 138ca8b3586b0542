// SPDX-License-Identifier: MIT
#include <coaio/core/threadsafe.hpp>

#include <coaio/core/error.hpp>

namespace coaio::detail {

bool CrossingBase::done() const {
    const std::lock_guard lock(mutex_);
    return done_;
}

bool CrossingBase::cancelled() const {
    const std::lock_guard lock(mutex_);
    return cancelled_;
}

void CrossingBase::wait(std::optional<Duration> timeout) const {
    std::unique_lock lock(mutex_);
    if (!timeout) {
        settled_.wait(lock, [this] { return done_; });
    } else if (!settled_.wait_for(lock, *timeout, [this] { return done_; })) {
        throw TimeoutError("the other thread's loop gave no result in time");
    }
}

void CrossingBase::rethrow() const {
    std::unique_lock lock(mutex_);
    if (error_ == nullptr) return;
    const std::exception_ptr error = error_;
    lock.unlock();
    std::rethrow_exception(error);
}

void CrossingBase::call_hooks() {
    std::vector<std::function<void()>> hooks;
    {
        const std::lock_guard lock(mutex_);
        hooks.swap(hooks_);
    }
    for (const auto& hook : hooks) hook();
}

void CrossingBase::when_done(std::function<void()> hook) {
    {
        const std::lock_guard lock(mutex_);
        hooks_.push_back(std::move(hook));
        if (!done_) return;
    }
    call_hooks();
}

void CrossingBase::fail(std::exception_ptr error) {
    {
        const std::lock_guard lock(mutex_);
        if (done_) return;
        cancelled_ = is_cancellation(error);
        error_ = std::move(error);
        finish_locked();
    }
    call_hooks();
}

void CrossingBase::abandon() {
    task_.reset();
    if (!done()) fail(std::make_exception_ptr(CancelledError()));
}

bool CrossingBase::cancel(const std::shared_ptr<CrossingBase>& self) {
    {
        const std::lock_guard lock(mutex_);
        if (done_) return false;
    }
    try {
        // Posts keep their order, so the task has been made when this is run, or is over already.
        loop_->call_soon_threadsafe([self] {
            if (self->task_) self->task_->cancel();
        });
    } catch (const RuntimeError&) {
        return false;  // the loop was closed, which settles it
    }
    return true;
}

}  // namespace coaio::detail
