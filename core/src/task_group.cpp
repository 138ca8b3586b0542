// SPDX-License-Identifier: MIT
#include <coaio/core/task_group.hpp>

#include <coaio/core/activity.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>

namespace coaio {

// Shared with the done callbacks of the tasks, which may run once more after the group is gone.
struct TaskGroup::State final : Activity {
    std::unordered_map<const detail::TaskBase*, AnyTask> tasks;
    std::vector<std::exception_ptr> errors;
    std::exception_ptr base_error;
    std::optional<Future<>> completed;
    detail::Ref<detail::TaskBase> parent;
    detail::CancelLevel* level = nullptr;
    bool exiting = false;
    bool aborting = false;
    bool parent_cancel_requested = false;
    bool left = false;

    [[nodiscard]] std::vector<AnyTask> in_order() const {
        std::vector<AnyTask> all;
        all.reserve(tasks.size());
        for (const auto& [state, task] : tasks) all.push_back(task);
        std::sort(all.begin(), all.end());
        return all;
    }

    void abort() {
        aborting = true;
        for (const AnyTask& task : in_order()) task.cancel();
    }

    [[nodiscard]] WaitInfo describe() const override {
        const char* const how = aborting ? ", shutting down" : "";
        WaitInfo info{.what = "task group (" + std::to_string(tasks.size()) + " tasks" + how + ")"};
        info.fact("tasks", tasks.size()).fact("failed", errors.size());
        if (completed) info.future = completed->state().get();
        return info;
    }
    void visit_children(void (*visit)(void*, const detail::FutureBase&), void* closure) const override {
        for (const AnyTask& task : in_order()) visit(closure, *task.state());
    }
    void end() noexcept {
        left = true;
        finish();
    }

    void cancel_parent() {
        parent_cancel_requested = true;
        parent->cancel(*level, nullptr);
    }

    void task_done(const detail::Ref<detail::FutureBase>& task) {
        tasks.erase(static_cast<const detail::TaskBase*>(task.get()));
        if (completed && tasks.empty() && !completed->done()) completed->set_result();
        if (task->status() != detail::FutureStatus::failed) return;
        task->mark_retrieved();
        const std::exception_ptr error = task->stored_exception();
        errors.push_back(error);
        if (detail::is_base_error(error) && base_error == nullptr) base_error = error;
        if (left || parent->done()) {
            task->core().report("a task of a group failed when its parent was already over", error, task.get());
            return;
        }
        if (!aborting && !parent_cancel_requested) {
            abort();
            cancel_parent();
        }
    }
};

TaskGroup::TaskGroup() : state_(std::make_shared<State>()) {
    if (detail::thread_state.task == nullptr) {
        throw RuntimeError("task_group: a group needs a task to belong to, and none is running");
    }
    state_->parent = detail::Ref<detail::TaskBase>(detail::thread_state.task);
    state_->level = &state_->parent->level();
}

TaskGroup::~TaskGroup() { state_->end(); }

void TaskGroup::require_open() const {
    if (state_->left || (state_->exiting && state_->tasks.empty())) {
        throw RuntimeError("this task group is finished: no task can be created in it");
    }
    if (state_->aborting) throw RuntimeError("this task group is shutting down: no task can be created in it");
}

void TaskGroup::adopt(const AnyTask& task) {
    const Future<> view{detail::Ref<detail::FutureBase>(task.state())};
    if (task.done()) {  // in its eager first step
        state_->task_done(view.state());
        return;
    }
    state_->tasks.emplace(task.state().get(), task);
    // A sibling that failed inside its eager first step could not cancel it: it was not here yet.
    if (state_->aborting) task.cancel();
    view.add_done_callback([state = state_](const Future<>& done) { state->task_done(done.state()); });
}

void TaskGroup::cancel() {
    if (state_->left || state_->aborting) return;
    state_->abort();
    if (!state_->parent_cancel_requested) state_->cancel_parent();
}

Coro<> TaskGroup::leave(std::exception_ptr failure) {
    State& state = *state_;
    state.exiting = true;
    const bool by_cancellation = detail::is_cancellation(failure);
    if (detail::is_base_error(failure) && state.base_error == nullptr) state.base_error = failure;
    if (failure && !state.aborting) state.abort();
    // The one to pass on unless there are errors, and the last that came while waiting.
    std::exception_ptr cancellation = by_cancellation ? failure : nullptr;
    std::exception_ptr latest;
    while (!state.tasks.empty()) {
        state.completed.emplace();
        try {
            co_await *state.completed;
        } catch (const CancelledError&) {
            latest = std::current_exception();
            if (!state.aborting) {
                cancellation = latest;
                state.abort();
            }
        }
        state.completed.reset();
    }
    state.left = true;
    if (state.base_error) std::rethrow_exception(state.base_error);
    if (state.parent_cancel_requested) {
        if (state.parent->uncancel(*state.level) == 0) {
            cancellation = nullptr;
        } else if (cancellation == nullptr) {
            cancellation = latest;  // somebody else's request remains
        }
    }
    if (cancellation && state.errors.empty()) std::rethrow_exception(cancellation);
    if (failure && !by_cancellation) state.errors.push_back(failure);
    if (state.errors.empty()) co_return;
    // A request from outside that is still unanswered strikes again at the parent's next suspension.
    if (state.level->requests > 0) {
        state.parent->uncancel(*state.level);
        state.parent->cancel(*state.level, nullptr);
    }
    const bool ordinary = std::none_of(state.errors.begin(), state.errors.end(), &detail::is_not_std_exception);
    std::vector<std::exception_ptr> errors = std::exchange(state.errors, {});
    if (ordinary) throw ExceptionGroup("unhandled errors in a task group", std::move(errors));
    throw BaseExceptionGroup("unhandled errors in a task group", std::move(errors));
}

}  // namespace coaio
