// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/closure.hpp>
#include <coaio/core/detail/task_state.hpp>
#include <coaio/core/scope.hpp>
#include <coaio/core/timeout.hpp>

#include <type_traits>
#include <utility>

namespace coaio {

/// How long a masked stretch may take.
struct MaskOptions {
    /// After this the stretch itself is cancelled and gives `TimeoutError`, in a `finally` in place of what the body
    /// gave: nothing holds up a cancelled task for ever. `Duration::max()`: no deadline.
    Duration deadline = std::chrono::seconds(30);
};

namespace detail {

/// Puts a level of cancellation on top of the running task's for as long as it lives: requests from outside stay
/// pending below it.
class MaskGuard {
public:
    MaskGuard();
    MaskGuard(const MaskGuard&) = delete;
    MaskGuard& operator=(const MaskGuard&) = delete;
    ~MaskGuard() { task_->pop_level(); }

private:
    TaskBase* task_;
    MaskLevel level_;
};

template <class B>
Coro<ScopeBodyResult<B>> run_masked(B body, MaskOptions options) {
    const MaskGuard mask;
    Timeout deadline(later(Clock::now(), options.deadline));
    Scope scope;
    try {
        if constexpr (std::is_void_v<ScopeBodyResult<B>>) {
            co_await start_body(body, scope);
            deadline.leave();
            co_return;
        } else {
            auto result = co_await start_body(body, scope);
            deadline.leave();
            co_return result;
        }
    } catch (...) {
        deadline.leave_by_exception();
        throw;
    }
}

}  // namespace detail

/// Runs a stretch that cancellation does not interrupt, in the current task: a commit, a rollback, a release.
///
/// Cancellation: a request from outside, or a deadline opened outside, that arrives meanwhile stays pending and is
/// thrown at the next suspension after the stretch, whose result is not lost. Deadlines and task groups opened inside
/// work as ever.
/// Errors: what the body throws; `TimeoutError` when the stretch's own deadline passes.
///
///     auto outcome = co_await coaio::masked(commit(connection), {.deadline = 5s});
template <class B>
[[nodiscard]] auto masked(B&& body, MaskOptions options = {}) -> Coro<detail::ScopeBodyResult<B>> {
    COAIO_CHECK_BODY(B);
    return detail::run_masked<std::decay_t<B>>(std::forward<B>(body), options);
}

}  // namespace coaio
