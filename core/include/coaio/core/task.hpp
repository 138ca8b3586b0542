// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/future.hpp>

#include <compare>
#include <cstdint>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace coaio::detail {

[[nodiscard]] std::string describe_task(const TaskBase& task, const std::string& result);
[[nodiscard]] std::string show(double number);
[[nodiscard]] std::string show(std::string_view text);
[[nodiscard]] inline std::string show(bool value) { return value ? "true" : "false"; }
template <class T>
    requires std::is_integral_v<T>
[[nodiscard]] std::string show(T number) {
    return std::to_string(number);
}

}  // namespace coaio::detail

namespace coaio {

/// A task whose result type is not known here: what `wait`, `all_tasks` and `current_task` deal in.
/// A handle, compared by identity.
class AnyTask {
public:
    [[nodiscard]] bool done() const noexcept { return state_->done(); }
    [[nodiscard]] bool cancelled() const noexcept { return state_->status() == detail::FutureStatus::cancelled; }
    bool cancel(const std::optional<std::string>& message = std::nullopt) const {
        detail::require_own_thread(&state_->core());
        return state_->cancel(message ? &*message : nullptr);
    }
    std::size_t uncancel() const noexcept { return state_->uncancel(state_->bottom_level()); }
    [[nodiscard]] std::size_t cancelling() const noexcept { return state_->bottom_level().requests; }
    [[nodiscard]] std::exception_ptr exception() const { return state_->exception(); }
    [[nodiscard]] std::string name() const { return state_->name(); }
    void set_name(std::string name) const { state_->set_name(std::move(name)); }
    [[nodiscard]] std::string repr() const { return detail::describe_task(*state_, {}); }

    friend bool operator==(const AnyTask& a, const AnyTask& b) noexcept { return a.state_.get() == b.state_.get(); }
    friend std::strong_ordering operator<=>(const AnyTask& a, const AnyTask& b) noexcept {
        return a.state_->id() <=> b.state_->id();
    }

    /// For the library.
    explicit AnyTask(detail::Ref<detail::TaskBase> state) noexcept : state_(std::move(state)) {}
    [[nodiscard]] const detail::Ref<detail::TaskBase>& state() const noexcept { return state_; }

private:
    detail::Ref<detail::TaskBase> state_;
};

/// A coroutine scheduled on the running loop, beside the one that made it.
///
/// A handle: cheap to copy, all copies mean the same task. The loop keeps the task alive until it is done; dropping the
/// handle stops nothing. Awaited like a `Future`: a named handle gives `const T&`, a temporary one moves the value out.
///
/// Cancellation: `cancel()` asks; `CancelledError` is thrown inside the task at the `co_await` at which it hangs, or at
/// the next one that really suspends: one that is ready does not. Calling a `Coro` and returning from it is no such
/// point: what it has returned arrives. A task that has not started never runs its body. The coroutine may clean up,
/// and may even refuse.
/// Errors: what came out of the coroutine is thrown to whoever awaits it. If nobody ever looks at it, it is reported as
/// a `Future`'s is; a cancellation is not.
///
/// Its coroutine is its own and its context is not handed out: name a context in the options to look into it.
///
///     auto task = coaio::create_task(fetch(url), {.name = "fetch"});
///     auto page = co_await task;
template <class T = void>
class Task : public Future<T> {
public:
    using Future<T>::operator co_await;

    /// Asks the task to end. `message` travels in the `CancelledError`. False when it is done already.
    bool cancel(const std::optional<std::string>& message = std::nullopt) const { return Future<T>::cancel(message); }
    /// Takes one request back and gives the number that remain, as a scope does that cancelled its own task.
    std::size_t uncancel() const noexcept { return task().uncancel(task().bottom_level()); }
    /// How many requests have not been taken back.
    [[nodiscard]] std::size_t cancelling() const noexcept { return task().bottom_level().requests; }

    [[nodiscard]] std::string name() const { return task().name(); }
    void set_name(std::string name) const { task().set_name(std::move(name)); }
    /// `<Task pending name='Task-1' coro=<execute() running at tour.cpp:12>>`; once it has finished with a number or a
    /// text, that stands at the end: `result=1`.
    [[nodiscard]] std::string repr() const {
        std::string result;
        if constexpr (std::is_arithmetic_v<T>) {
            if (this->state()->has_value()) result = detail::show(this->result());
        } else if constexpr (std::is_convertible_v<std::add_lvalue_reference_t<const T>, std::string_view>) {
            if (this->state()->has_value()) result = detail::show(std::string_view(this->result()));
        }
        return detail::describe_task(task(), result);
    }

    /// Calls `callback(task)` from the loop soon after it is done.
    template <class F>
        requires std::is_invocable_v<F&, const Task&>
    DoneCallbackToken add_done_callback(F callback, CallOptions options = {}) const {
        return this->template add_done_callback_as<Task>(std::move(callback), options);
    }

    template <class... U>
    void set_result(U&&...) const {
        static_assert(
            detail::always_false<U...>,
            "a task sets its own outcome, by what its coroutine returns: for a result that somebody else sets "
            "use a coaio::Future");
    }
    template <class... E>
    void set_exception(E&&...) const {
        static_assert(
            detail::always_false<E...>,
            "a task sets its own outcome, by what its coroutine throws: for a failure that somebody else sets "
            "use a coaio::Future");
    }

    operator AnyTask() const noexcept { return AnyTask(detail::Ref<detail::TaskBase>(&task())); }  // NOLINT: as a base

    /// For the library.
    explicit Task(detail::Ref<detail::FutureBase> state) noexcept : Future<T>(std::move(state)) {}

private:
    [[nodiscard]] detail::TaskBase& task() const noexcept { return static_cast<detail::TaskBase&>(*this->state()); }
};

/// How `create_task` makes a task.
struct TaskOptions {
    /// Shown in dumps; empty: `Task-` and a number. Copied before the call returns.
    std::string_view name = {};
    /// The context that the task uses in place, so that what it sets stays there; null: a copy of its creator's.
    const Context* context = nullptr;
    /// Takes the first step inside the call: a coroutine that never suspends is done on return, without a trip through
    /// the ready queue. None: as `Loop::set_eager_tasks` says. Before the loop runs it makes no difference.
    std::optional<bool> eager_start = std::nullopt;
};

/// Schedules `coro` on the running loop: its first step is taken on the next turn, in order of creation, unless it is
/// asked to start eagerly. A lambda with captures takes a `Scope&` and is given itself (coaio/core/scope.hpp). Throws
/// `RuntimeError` when no loop runs in this thread or it is closed, and for an eager start on a loop that runs in
/// another thread; the coroutine then goes away unstarted.
template <class T>
Task<T> create_task(Coro<T> coro, TaskOptions options = {},
                    std::source_location where = std::source_location::current());

/// The task that runs now; empty in a plain callback. Throws `RuntimeError` when no loop runs in this thread.
[[nodiscard]] std::optional<AnyTask> current_task();

/// Every task of the running loop that is not done, oldest first.
[[nodiscard]] std::vector<AnyTask> all_tasks();

// ---------------------------------------------------------------------------------------------------------------

template <class T>
Task<T> create_task(Coro<T> coro, TaskOptions options, std::source_location where) {
    auto& core = detail::require_core();
    if (core.closed) throw RuntimeError("the event loop is closed: no task can be created on it");
    const bool eager = options.eager_start.value_or(core.eager_tasks) && detail::can_start_eagerly(core);
    // Takes the frame over only when nothing can throw any more.
    detail::Ref<detail::FutureBase> state(new detail::TaskState<T>(core, coro.peek(), where));
    auto& task = static_cast<detail::TaskBase&>(*state);
    if (!options.name.empty()) task.set_name(std::string(options.name));
    if (options.context != nullptr) task.use_context(*options.context);
    if (eager) [[unlikely]] {
        static_cast<void>(coro.release());
        task.start_eagerly();
    } else {
        task.start();
        static_cast<void>(coro.release());
    }
    return Task<T>(std::move(state));
}

}  // namespace coaio
