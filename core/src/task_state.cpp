// SPDX-License-Identifier: MIT
#include <coaio/core/detail/task_state.hpp>

#include <coaio/core/detail/context_node.hpp>
#include <coaio/core/detail/future_awaiter.hpp>
#include <coaio/core/detail/location.hpp>
#include <coaio/core/error.hpp>

#include "cancel_walk.hpp"
#include "loop_impl.hpp"

#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace coaio::detail {

namespace {

// Each stands on the native stack of the one before; those beyond take their turn as others do.
constexpr unsigned most_eager_depth = 64;

std::exception_ptr cancelled_error(const CancelLevel& level) {
    return std::make_exception_ptr(level.message ? CancelledError(*level.message) : CancelledError());
}

}  // namespace

TaskBase::TaskBase(LoopCore& core, PromiseBase& root, std::source_location spawn_site)
    : FutureBase(core, FutureKind::task),
      leaf_frame_(&root),
      spawn_site_(spawn_site),
      since_(core.now),
      name_(core.next_task_id++) {
    root.parent = Parent::none(core.now);
    context_ = capture_context();
}

TaskBase::~TaskBase() {
    if (context_ != nullptr) context_->release();
}

bool can_start_eagerly(const LoopCore& core) {
    const Loop::Impl& loop = core.loop->impl();
    if (loop.running && loop.thread != std::this_thread::get_id()) {
        throw RuntimeError("a task cannot start eagerly on another thread's loop: use run_coroutine_threadsafe");
    }
    return loop.running && thread_state.eager_depth < most_eager_depth;
}

void TaskBase::start() {
    core_->ready.push(Entry(this));
    enlist();
}

void TaskBase::start_eagerly() noexcept {
    enlist();
    // The coroutine that makes the task may be in the midst of ending, with where to go next and an exception set.
    TaskBase* const outer = thread_state.task;
    const std::coroutine_handle<> next = thread_state.next;
    const bool in_flight = std::exchange(thread_state.in_flight, false);
    ++thread_state.eager_depth;
    step();
    --thread_state.eager_depth;
    thread_state.task = outer;
    thread_state.next = next;
    thread_state.in_flight = in_flight;
}

void TaskBase::enlist() noexcept {
    add_ref();
    next_ = core_->tasks;
    if (next_ != nullptr) next_->prev_ = this;
    core_->tasks = this;
    ++core_->task_count;
}

void TaskBase::end_unstarted() noexcept {
    PromiseBase& root = *leaf_frame_;
    give_up_frames(root);
    root.handle().destroy();
    end(FutureStatus::cancelled, cancelled_error(bottom_));
}

void TaskBase::settle() noexcept {
    PromiseBase& root = *leaf_frame_;
    std::exception_ptr exception;
    auto status = FutureStatus::finished;
    if (thread_state.in_flight) {
        exception = take_in_flight();
        status = is_cancellation(exception) ? FutureStatus::cancelled : FutureStatus::failed;
    } else if (bottom_.pending && !bottom_.deferred) {
        status = FutureStatus::cancelled;  // it cancelled itself and then ended: the value is dropped
        exception = cancelled_error(bottom_);
    } else {
        try {
            collect(root);
        } catch (...) {
            status = FutureStatus::failed;
            exception = std::current_exception();
        }
    }
    give_up_frames(root);
    root.handle().destroy();
    end(status, std::move(exception));
}

void TaskBase::end(FutureStatus status, std::exception_ptr exception) noexcept {
    if (status == FutureStatus::failed && is_base_error(exception) && core_->escaping == nullptr) {
        core_->escaping = exception;
    }
    if (prev_ != nullptr) prev_->next_ = next_;
    if (next_ != nullptr) next_->prev_ = prev_;
    if (core_->tasks == this) core_->tasks = next_;
    --core_->task_count;
    finish(status, std::move(exception));
    release();
}

void TaskBase::abandon() noexcept {
    core_->report("Task was destroyed but it is pending: " + subject(), nullptr, this);
    PromiseBase* const innermost = leaf_frame_;
    give_up_frames(*root());
    destroy_stack(innermost);
    end(FutureStatus::cancelled, std::make_exception_ptr(CancelledError("the loop was closed")));
}

void TaskBase::wake_cancelled(CancelMessage message) noexcept {
    set_message(*level_, message);
    struck_ = true;
    wake();
}

void TaskBase::set_message(CancelLevel& level, CancelMessage message) noexcept {
    level.message = message != nullptr ? std::make_unique<std::string>(*message) : nullptr;
}

void TaskBase::throw_cancelled() {
    struck_ = false;
    level_->pending = false;
    const std::unique_ptr<std::string> message = std::move(level_->message);
    if (message) throw CancelledError(*message);
    throw CancelledError();
}

// The request, counted when it came, is made anew: now there is a place for it to strike. In a ring it may come round to
// this very task, so it brings a message of its own.
void TaskBase::strike() noexcept {
    if (leaf_ == nullptr) return;
    CancelLevel& level = *level_;
    const std::optional<std::string> message = level.message ? std::optional(*level.message) : std::nullopt;
    const bool deferred = level.deferred;
    level.pending = false;
    --level.requests;
    cancel(level, message ? &*message : nullptr);
    level.deferred = deferred;
}

bool TaskBase::cancel(CancelLevel& level, CancelMessage message) noexcept {
    return CancelWalk(message).cancel(*this, level);
}

// The request stays pending: it is thrown when the task next suspends or resumes.
void TaskBase::hold_back(CancelLevel& level, CancelMessage message) noexcept {
    level.pending = true;
    level.deferred = &level != level_;
    if (!struck_ || &level != level_) set_message(level, message);
}

std::uint32_t TaskBase::uncancel(CancelLevel& level) noexcept {
    if (level.requests > 0 && --level.requests == 0) level.pending = false;
    return level.requests;
}

std::string TaskBase::subject() const {
    return name() + " running " + function_name(definition()) + ", created at " + spawn_site_.file_name() + ":" +
           std::to_string(spawn_site_.line());
}

}  // namespace coaio::detail
