// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/closure.hpp>
#include <coaio/core/ensure_future.hpp>

#include <concepts>
#include <source_location>
#include <type_traits>
#include <utility>

namespace coaio {

/// What a body without a more particular scope is handed: a sign that somebody keeps it alive. Calling such a lambda
/// yourself with a `Scope` of your own keeps nothing alive.
class Scope {
public:
    Scope() = default;
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
};

template <>
inline constexpr bool enable_scope<Scope> = true;

namespace detail {

template <class F, class... Args>
using BodyResult = Awaited<std::invoke_result_t<F&, Args...>>;

/// A body is a coroutine function that takes a scope, or a coroutine itself.
template <class B>
concept ScopedBody = std::invocable<std::decay_t<B>&, Scope&>;

template <class B>
struct ScopeBody {
    using Result = Awaited<B>;
};
template <ScopedBody B>
struct ScopeBody<B> {
    using Result = BodyResult<B, Scope&>;
};
template <class B>
using ScopeBodyResult = typename ScopeBody<std::decay_t<B>>::Result;

template <class B>
[[nodiscard]] decltype(auto) start_body(B& body, Scope& scope) {
    if constexpr (ScopedBody<B>) {
        return body(scope);
    } else {
        return std::move(body);
    }
}

/// Keeps a body alive until its coroutine is done.
template <ScopedBody B>
Coro<ScopeBodyResult<B>> run_body(B body) {
    Scope scope;
    co_return co_await body(scope);
}

}  // namespace detail

/// Schedules `body(scope)`, as `create_task` does with a coroutine: how to make a task of a lambda with captures, which
/// is kept alive until the task is done.
///
///     auto task = coaio::create_task([&cache](coaio::Scope&) -> coaio::Coro<> { co_await cache.fill(); });
template <detail::ScopedBody F>
auto create_task(F&& body, TaskOptions options = {}, std::source_location where = std::source_location::current()) {
    COAIO_CHECK_BODY(F);
    return create_task(detail::run_body<std::decay_t<F>>(std::forward<F>(body)), options, where);
}

}  // namespace coaio
