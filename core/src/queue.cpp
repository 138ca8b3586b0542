// SPDX-License-Identifier: MIT
#include <coaio/core/queue.hpp>

#include <coaio/core/activity.hpp>
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
    joiners_.require_own_thread();
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
    queue_->pass_place_on();
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

namespace {

WaitInfo describe_side(const QueueBase* queue, const char* side, std::size_t items, std::size_t waiting,
                       const char* what_for) {
    WaitInfo info{.what = "queue (" + std::string(side) + ", " + std::to_string(waiting) + " waiting for " + what_for};
    info.what += ")";
    info.object = queue;
    info.fact("size", items).fact("waiting", waiting);
    return info;
}

}  // namespace

WaitInfo GetWait::describe() const {
    if (!linked()) return {.what = "queue"};
    return describe_side(queue_, "empty", queue_->size_, queue_->getters_.count(), "an item");
}

WaitInfo PutWait::describe() const {
    if (!linked()) return {.what = "queue"};
    WaitInfo info = describe_side(queue_, "full", queue_->size_, queue_->putters_.count(), "a place");
    info.fact("maxsize", queue_->maxsize_);
    return info;
}

WaitInfo JoinAwaiter::describe() const {
    if (!linked()) return {.what = "queue"};
    WaitInfo info{.what = "queue (" + std::to_string(queue_->unfinished_) + " items unfinished)"};
    info.object = queue_;
    info.fact("unfinished", queue_->unfinished_).fact("size", queue_->size_);
    return info;
}

}  // namespace coaio::detail
