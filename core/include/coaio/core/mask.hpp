// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/closure.hpp>
#include <coaio/core/detail/task_state.hpp>
#include <coaio/core/timeout.hpp>

#include <type_traits>
#include <utility>

namespace coaio {

/// What a body without a more particular scope is handed: a sign that somebody keeps it alive.
class Scope {
public:
    Scope() = default;
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
};

template <>
inline constexpr bool enable_scope<Scope> = true;

/// How long a masked stretch may take.
struct MaskOptions {
    /// After this the stretch itself is cancelled and gives `TimeoutError`: nothing holds up a cancelled task for ever.
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

/// A body is a coroutine function that takes a scope, or a coroutine itself.
template <class B>
inline constexpr bool takes_scope = std::is_invocable_v<std::decay_t<B>&, Scope&>;

template <class B, bool = takes_scope<B>>
struct ScopeBody {
    using Result = BodyResult<B, Scope&>;
};
template <class B>
struct ScopeBody<B, false> {
    using Result = Awaited<B>;
};
template <class B>
using ScopeBodyResult = typename ScopeBody<std::decay_t<B>>::Result;

template <class B>
[[nodiscard]] decltype(auto) start_body(B& body, Scope& scope) {
    if constexpr (takes_scope<B>) {
        return body(scope);
    } else {
        return std::move(body);
    }
}

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
