// SPDX-License-Identifier: MIT
#include <coaio/core/detail/task_state.hpp>

#include <coaio/core/detail/context_node.hpp>
#include <coaio/core/detail/location.hpp>
#include <coaio/core/error.hpp>

#include "loop_impl.hpp"

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
      root_(&root),
      leaf_frame_(&root),
      spawn_site_(spawn_site),
      definition_(root.location),
      created_(core.now),
      since_(core.now),
      id_(core.next_task_id++) {
    root.parent = nullptr;
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
    const std::coroutine_handle<> next = thread_state.next;
    const bool in_flight = std::exchange(thread_state.in_flight, false);
    ++thread_state.eager_depth;
    step();
    --thread_state.eager_depth;
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

void TaskBase::step() noexcept {
    if (!started_) {
        if (bottom_.pending) {
            std::exchange(root_, nullptr)->handle().destroy();
            end(FutureStatus::cancelled, cancelled_error(bottom_));
            return;
        }
        started_ = true;
    }
    TaskBase* const outer = std::exchange(thread_state.task, this);
    std::coroutine_handle<> next = leaf_frame_->handle();
    do {
        // What runs now is the innermost coroutine, also for who looks at the task meanwhile.
        leaf_frame_ = &std::coroutine_handle<PromiseBase>::from_address(next.address()).promise();
        thread_state.next = nullptr;
        next.resume();
        next = thread_state.next;
    } while (next);
    thread_state.task = outer;
    if (root_->handle().done()) settle();
}

void TaskBase::settle() noexcept {
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
            collect();
        } catch (...) {
            status = FutureStatus::failed;
            exception = std::current_exception();
        }
    }
    std::exchange(root_, nullptr)->handle().destroy();
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
    leaf_frame_ = nullptr;
    leaf_ = nullptr;
    finish(status, std::move(exception));
    release();
}

void TaskBase::abandon() noexcept {
    core_->report("Task was destroyed but it is pending: " + subject(), nullptr, this);
    leaf_ = nullptr;
    if (root_ != nullptr) std::exchange(root_, nullptr)->handle().destroy();
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

void TaskBase::strike() noexcept {
    if (leaf_ != nullptr && leaf_->cancel(level_->message.get())) level_->pending = false;
}

bool TaskBase::cancel(CancelLevel& level, CancelMessage message) noexcept {
    if (done()) {
        retrieved_ = true;
        return false;
    }
    ++level.requests;
    if (&level == level_ && leaf_ != nullptr && leaf_->cancel(message)) return true;
    level.pending = true;
    level.deferred = &level != level_;
    if (!struck_ || &level != level_) set_message(level, message);
    return true;
}

std::uint32_t TaskBase::uncancel(CancelLevel& level) noexcept {
    if (level.requests > 0 && --level.requests == 0) level.pending = false;
    return level.requests;
}

std::string TaskBase::name() const { return name_ ? *name_ : "Task-" + std::to_string(id_); }

void TaskBase::set_name(std::string name) { name_ = std::make_unique<std::string>(std::move(name)); }

std::string TaskBase::subject() const {
    return name() + " running " + function_name(definition_) + ", created at " + spawn_site_.file_name() + ":" +
           std::to_string(spawn_site_.line());
}

}  // namespace coaio::detail
