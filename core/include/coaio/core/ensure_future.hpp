// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/task.hpp>

#include <concepts>
#include <source_location>
#include <type_traits>
#include <utility>

namespace coaio {

/// What `co_await` takes: a `Coro`, a `Task`, a `Future`, what `sleep` and the locks return, or a type of your own with
/// the standard awaiter protocol.
template <class A>
concept Awaitable = detail::NativeAs<std::remove_cvref_t<A>> || detail::ForeignAwaitable<A>;

namespace detail {

template <class T>
struct IsFuture : std::false_type {};
template <class T>
struct IsFuture<Future<T>> : std::true_type {};
template <class T>
struct IsFuture<Task<T>> : std::true_type {};

template <class A>
concept FutureHandle = IsFuture<std::remove_cvref_t<A>>::value;

template <class T>
struct IsCoro : std::false_type {};
template <class T>
struct IsCoro<Coro<T>> : std::true_type {};

template <class A>
using AwaitResult = decltype(get_awaiter(std::declval<A>()).await_resume());

/// The value that awaiting an `A` gives, `void` included.
template <class A>
using Awaited = std::remove_cvref_t<AwaitResult<std::remove_cvref_t<A>>>;

/// Throws `ValueError` unless a future's loop is the one that was named.
void require_same_loop(const LoopCore& of_future, const LoopCore& named);

template <class A>
Coro<Awaited<A>> await_in_coroutine(A awaitable) {
    co_return co_await std::move(awaitable);
}

}  // namespace detail

/// A future for anything awaitable: a task or future is returned unchanged, a coroutine or other awaitable becomes a
/// task of the running loop. Throws `RuntimeError` when no loop runs in this thread.
template <Awaitable A>
[[nodiscard]] auto ensure_future(A&& awaitable, std::source_location where = std::source_location::current()) {
    using Plain = std::remove_cvref_t<A>;
    if constexpr (detail::FutureHandle<A>) {
        return Plain(std::forward<A>(awaitable));
    } else if constexpr (detail::IsCoro<Plain>::value) {
        static_assert(!std::is_lvalue_reference_v<A>,
                      "a named coroutine can run only once, so give it up: ensure_future(std::move(coro))");
        return create_task(std::forward<A>(awaitable), {}, where);
    } else {
        return create_task(detail::await_in_coroutine(Plain(std::forward<A>(awaitable))), {}, where);
    }
}

/// The same on a loop that is named, which need not run yet. Throws `ValueError` for a task or future of another one.
template <Awaitable A, std::same_as<Loop> L>
[[nodiscard]] auto ensure_future(A&& awaitable, L& loop, std::source_location where = std::source_location::current()) {
    using Plain = std::remove_cvref_t<A>;
    if constexpr (detail::FutureHandle<A>) {
        detail::require_same_loop(awaitable.state()->core(), loop.core());
        return Plain(std::forward<A>(awaitable));
    } else if constexpr (detail::IsCoro<Plain>::value) {
        static_assert(!std::is_lvalue_reference_v<A>,
                      "a named coroutine can run only once, so give it up: ensure_future(std::move(coro), loop)");
        return loop.create_task(std::forward<A>(awaitable), {}, where);
    } else {
        return loop.create_task(detail::await_in_coroutine(Plain(std::forward<A>(awaitable))), {}, where);
    }
}

namespace detail {

/// What a future for an `A` holds: a reference, where the coroutine gives one.
template <class A>
using Held = typename decltype(ensure_future(std::declval<A>()))::value_type;

}  // namespace detail

}  // namespace coaio
