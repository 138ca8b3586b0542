// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/mask.hpp>

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace coaio {

namespace detail {

template <class B, class C>
Coro<ScopeBodyResult<B>> run_finally(B body, C cleanup, MaskOptions options) {
    using Result = ScopeBodyResult<B>;
    Scope scope;
    std::exception_ptr failure;
    std::optional<Regular<Result>> result;
    try {
        if constexpr (std::is_void_v<Result>) {
            co_await start_body(body, scope);
            result.emplace();
        } else {
            result.emplace(co_await start_body(body, scope));
        }
    } catch (...) {
        failure = std::current_exception();
    }
    co_await masked(std::move(cleanup), options);
    if (failure) std::rethrow_exception(failure);
    if constexpr (!std::is_void_v<Result>) co_return std::move(*result);
}

}  // namespace detail

/// Runs `body`, then `cleanup` however the body ended, then gives the body's result or throws what it threw. This is how
/// to clean up asynchronously: C++ has no `co_await` in a `catch` block or a destructor.
///
/// Both are coroutines, or functions that take a `Scope&` and return one.
/// Cancellation: reaches the body; the cleanup is masked, for at most `options.deadline`. A task that is cancelled before
/// its first step runs neither: what is to be cleaned up must not be handed to a task that only then begins.
/// Errors: one out of the cleanup replaces the body's, also a `CancelledError`.
///
///     co_await coaio::finally(
///         [&](coaio::Scope&) -> coaio::Coro<> { co_await use(connection); },
///         [&](coaio::Scope&) -> coaio::Coro<> { co_await connection.reset(); });
template <class B, class C>
[[nodiscard]] auto finally(B&& body, C&& cleanup, MaskOptions options = {}) -> Coro<detail::ScopeBodyResult<B>> {
    COAIO_CHECK_BODY(B);
    COAIO_CHECK_BODY(C);
    return detail::run_finally<std::decay_t<B>, std::decay_t<C>>(std::forward<B>(body), std::forward<C>(cleanup),
                                                                 options);
}

}  // namespace coaio
