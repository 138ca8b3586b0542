// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/ensure_future.hpp>
#include <coaio/core/mask.hpp>
#include <coaio/core/scope.hpp>
#include <coaio/core/timeout.hpp>

#include <exception>
#include <memory>
#include <source_location>
#include <type_traits>
#include <utility>
#include <vector>

namespace coaio {

/// The scope of a group of tasks that are all done when the group is left: what the body of `task_group` gets.
///
/// If a task of the group fails, whether or not somebody awaited it, the others and the body are cancelled, all are
/// waited for, and an `ExceptionGroup` of the failures is thrown, in the order in which they happened, the body's own
/// last. A task that ends cancelled is no failure. When the group is cancelled from outside as well, the failures are
/// thrown and the cancellation stays pending.
///
/// Lifetime: ends with the call of `task_group`, whose tasks have all ended by then: a reference to it that is kept any
/// longer, by a callback or a task outside the group, dangles.
class TaskGroup {
public:
    /// Starts a task of the group. Throws `RuntimeError` when the group is shutting down or over; the coroutine then goes
    /// away unstarted. One that starts eagerly and fails at once shuts the group down before this returns.
    template <class T>
    Task<T> create_task(Coro<T> coro, TaskOptions options = {},
                        std::source_location where = std::source_location::current()) {
        require_open();
        auto task = coaio::create_task(std::move(coro), options, where);
        adopt(task);
        return task;
    }
    /// The same with a lambda that captures, which is kept alive until the task is done.
    template <detail::ScopedBody F>
    auto create_task(F&& body, TaskOptions options = {}, std::source_location where = std::source_location::current()) {
        COAIO_CHECK_BODY(F);
        return create_task(detail::run_body<std::decay_t<F>>(std::forward<F>(body)), options, where);
    }
    /// Ends the group early: cancels its tasks and its body, and leaves it without an error of its own.
    void cancel();

    /// For the library: use `task_group`.
    TaskGroup();
    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;
    ~TaskGroup();
    /// For the library: the body ended by this exception, or normally. Waits for the tasks, then throws what is due.
    [[nodiscard]] Coro<> leave(std::exception_ptr failure);

private:
    struct State;
    void require_open() const;
    void adopt(const AnyTask& task);

    std::shared_ptr<State> state_;
};

template <>
inline constexpr bool enable_scope<TaskGroup> = true;

namespace detail {

template <class F>
Coro<BodyResult<F, TaskGroup&>> run_task_group(F body) {
    using Result = BodyResult<F, TaskGroup&>;
    TaskGroup group;
    std::exception_ptr failure;
    std::optional<Regular<Result>> result;
    try {
        if constexpr (std::is_void_v<Result>) {
            co_await body(group);
            result.emplace();
        } else {
            result.emplace(co_await body(group));
        }
    } catch (...) {
        failure = std::current_exception();
    }
    co_await group.leave(std::move(failure));
    if constexpr (!std::is_void_v<Result>) {
        if (!result) throw CancelledError("the task group was cancelled before its body had a value");
        co_return std::move(*result);
    }
}

}  // namespace detail

/// Runs `body(group)` in the current task and waits for all tasks of the group. Gives what the body gives.
///
/// Errors: `ExceptionGroup` (`BaseExceptionGroup` when a member is not a `std::exception`) if a task or the body fails.
/// Cancellation: cancels all tasks of the group, waits for them, and passes on.
///
///     co_await coaio::task_group([&](coaio::TaskGroup& group) -> coaio::Coro<> {
///         for (auto& url : urls) group.create_task(fetch(url));
///         co_return;
///     });
template <class F>
    requires std::is_invocable_v<std::decay_t<F>&, TaskGroup&>
[[nodiscard]] auto task_group(F&& body) {
    COAIO_CHECK_BODY(F);
    return detail::run_task_group<std::decay_t<F>>(std::forward<F>(body));
}

}  // namespace coaio
