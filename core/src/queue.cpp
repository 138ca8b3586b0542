// SPDX-License-Identifier: MIT
#include <coaio/core/queue.hpp>

#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/error.hpp>

#include <algorithm>
#include <string>

namespace coaio::detail {

void QueueBase::throw_shut_down() { throw QueueShutDown(); }

void QueueBase::wake_getter() noexcept {
    auto& getter = static_cast<GetWait&>(getters_.pop_front());
    getter.set_state(WaitState::woken);
    woken_.push_back(getter);
    getter.position_ = getter.task()->core().ready.push(Entry(static_cast<Runnable*>(&getter)));
    getter.queued_ = true;
}

void QueueBase::wake_putter() noexcept {
    ++reserved_;
    woken_.push_back(putters_.wake_front());
}

void QueueBase::finish_one() {
    if (unfinished_ == 0) throw ValueError("task_done() was called more often than items were put into the queue");
    if (--unfinished_ == 0) joiners_.wake_all();
}

void QueueBase::close(bool immediate) noexcept {
    shut_down_ = true;
    reserved_ = 0;
    if (immediate) {
        unfinished_ -= std::min(unfinished_, size_);
        size_ = 0;
        if (unfinished_ == 0) joiners_.wake_all();
    }
    while (!getters_.empty()) wake_getter();
    while (!putters_.empty()) woken_.push_back(putters_.wake_front());
}

void GetWait::run() noexcept {
    queued_ = false;
    if (linked() && queue_->size_ == 0 && !queue_->shut_down_ && !cancelled()) {
        unlink();
        set_state(WaitState::waiting);
        queue_->getters_.push_front(*this);
        return;
    }
    TaskBase& woken = *task();
    woken.unhang();
    woken.step();
}

void GetWait::forsake() noexcept {
    if (queued_) task()->core().ready.erase(position_);
    queued_ = false;
    if (!linked()) return;
    unlink();
    if (state() == WaitState::woken && queue_->size_ != 0 && !queue_->getters_.empty()) queue_->wake_getter();
}

void GetWait::take_over() {
    if (!linked()) {
        throw_if_cancelled();
        throw_orphaned("queue");
    }
    if (cancelled()) {
        forsake();
        task()->throw_cancelled();
    }
    unlink();
    if (queue_->size_ == 0) queue_->require_open();
}

void PutWait::forsake() noexcept {
    unlink();
    if (state() != WaitState::woken || queue_->shut_down_) return;
    --queue_->reserved_;
    pass_place_on();
}

void PutWait::take_over() {
    if (!linked()) {
        throw_if_cancelled();
        throw_orphaned("queue");
    }
    if (cancelled()) {
        forsake();
        task()->throw_cancelled();
    }
    unlink();
    queue_->require_open();
    --queue_->reserved_;
}

WaitInfo JoinAwaiter::describe() const {
    if (!linked()) return {.what = "queue"};
    return {.what = "queue (" + std::to_string(queue_->unfinished_) + " items unfinished)"};
}

}  // namespace coaio::detail
