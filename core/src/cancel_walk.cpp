// SPDX-License-Identifier: MIT
#include "cancel_walk.hpp"

#include <coaio/core/detail/future_awaiter.hpp>

#include <utility>

namespace coaio::detail {

bool FutureOfMany::cancel(CancelMessage message) noexcept { return CancelWalk(message).cancel(*this); }

CancelWalk::Answer CancelWalk::ask(FutureBase& future) noexcept {
    switch (future.kind()) {
    case FutureKind::task: {
        auto& task = static_cast<TaskBase&>(future);
        return follow(task, task.bottom_);
    }
    case FutureKind::gather: return enter(static_cast<FutureOfMany&>(future), {});
    case FutureKind::future:
    case FutureKind::shield: break;
    }
    return future.cancel(message_);
}

CancelWalk::Answer CancelWalk::follow(TaskBase& first, CancelLevel& level) noexcept {
    if (first.done()) {
        first.mark_retrieved();
        return false;
    }
    if (first.passing_) {
        close_ring();
        return true;
    }
    Chain chain{.first = &first, .last = &first, .level = &level};
    while (true) {
        TaskBase& task = *chain.last;
        ++chain.level->requests;
        task.passing_ = true;
        if (chain.level != task.level_ || task.leaf_ == nullptr) {
            task.hold_back(*chain.level, message_);
            break;
        }
        FutureBase* const awaited = task.leaf_->passes_cancel_to();
        if (awaited != nullptr && !awaited->done() && awaited->kind() == FutureKind::gather) {
            auto& gather = static_cast<FutureOfMany&>(*awaited);
            if (gather.passing_) {
                end_wait(task);
                break;
            }
            const Answer answer = enter(gather, chain);
            if (!answer) return answer;
            if (!*answer) task.hold_back(*chain.level, message_);
            break;
        }
        if (awaited == nullptr || awaited->done() || awaited->kind() != FutureKind::task) {
            if (!task.leaf_->cancel(message_)) task.hold_back(*chain.level, message_);
            break;
        }
        auto& next = static_cast<TaskBase&>(*awaited);
        if (next.passing_) {
            end_wait(task);
            break;
        }
        chain.last = &next;
        chain.level = &next.bottom_;
    }
    pass(chain);
    return true;
}

CancelWalk::Answer CancelWalk::enter(FutureOfMany& gather, Chain chain) noexcept {
    if (gather.done()) return false;
    if (gather.passing_) {
        close_ring();
        return true;
    }
    if (const auto asked = asked_.find(&gather); asked != asked_.end()) return asked->second;
    gather.passing_ = true;
    branches_.push_back({.gather = Ref<FutureOfMany>(&gather), .chain = chain});
    return std::nullopt;
}

bool CancelWalk::leave() noexcept {
    const Branch branch = std::move(branches_.back());
    branches_.pop_back();
    branch.gather->passing_ = false;
    asked_.emplace(branch.gather.get(), branch.taken);
    if (branch.taken) branch.gather->cancel_requested_ = true;
    TaskBase* const waiting = branch.chain.last;
    if (waiting == nullptr) return branch.taken;
    if (!branch.taken) waiting->hold_back(*branch.chain.level, message_);
    pass(branch.chain);
    return true;
}

bool CancelWalk::finish(Answer answer) noexcept {
    while (!branches_.empty()) {
        Branch& branch = branches_.back();
        if (answer) branch.taken = branch.taken || *answer;
        if (branch.next == branch.gather->size()) {
            answer = leave();
        } else {
            FutureBase* const child = branch.gather->child(branch.next++);
            answer = child != nullptr ? ask(*child) : false;
        }
    }
    return *answer;
}

// A gather cannot end its own wait: the task that awaits it, or the gathers around it, does.
void CancelWalk::close_ring() noexcept {
    for (auto branch = branches_.rbegin(); branch != branches_.rend(); ++branch) {
        if (branch->chain.last != nullptr) return end_wait(*branch->chain.last);
    }
}

void CancelWalk::end_wait(const TaskBase& task) noexcept {
    if (task.leaf_ != nullptr) static_cast<FutureWait*>(task.leaf_)->break_ring(message_);
}

// The request has gone past them: these may be asked again.
void CancelWalk::pass(const Chain& chain) noexcept {
    TaskBase* each = chain.first;
    while (true) {
        each->passing_ = false;
        if (each == chain.last) return;
        each = static_cast<TaskBase*>(each->leaf_->passes_cancel_to());
    }
}

}  // namespace coaio::detail
