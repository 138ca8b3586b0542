// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/ensure_future.hpp>
#include <coaio/core/time.hpp>

#include <functional>
#include <optional>
#include <ranges>
#include <unordered_set>
#include <utility>
#include <vector>

namespace coaio {

/// When `wait` returns.
enum class ReturnWhen { first_completed, first_exception, all_completed };
inline constexpr ReturnWhen FIRST_COMPLETED = ReturnWhen::first_completed;
inline constexpr ReturnWhen FIRST_EXCEPTION = ReturnWhen::first_exception;
inline constexpr ReturnWhen ALL_COMPLETED = ReturnWhen::all_completed;

/// What `wait` gives: the handles it got, parted, each list in the order of the input and without duplicates.
template <class H>
struct WaitResult {
    std::vector<H> done;
    std::vector<H> pending;
};

namespace detail {

template <class A>
concept Handle = FutureHandle<A> || std::same_as<std::remove_cvref_t<A>, AnyTask>;

template <class R>
concept RangeOfHandles = std::ranges::input_range<R> && Handle<std::ranges::range_value_t<R>>;

/// Returns once `when` holds for the futures, or after `timeout`; always lets one turn pass.
Coro<> wait_until(std::vector<Ref<FutureBase>> futures, ReturnWhen when, std::optional<Duration> timeout);

template <class H>
Coro<WaitResult<H>> wait_parted(std::vector<H> handles, ReturnWhen when, std::optional<Duration> timeout) {
    std::vector<Ref<FutureBase>> futures;
    futures.reserve(handles.size());
    for (const H& each : handles) futures.push_back(Ref<FutureBase>(each.state()));
    co_await wait_until(std::move(futures), when, timeout);
    WaitResult<H> result;
    for (H& each : handles) (each.done() ? result.done : result.pending).push_back(std::move(each));
    co_return result;
}

void require_waitable(std::size_t count);

}  // namespace detail

/// Waits for tasks or futures, without throwing what they failed with and without cancelling what is left.
///
/// Takes handles only, of one type (`Task<T>`, `Future<T>`, or `AnyTask` for a mixture): make tasks of coroutines first.
/// Errors: `ValueError` when there are none. Cancellation: the awaited tasks are left alone.
///
///     auto [done, pending] = co_await coaio::wait(tasks, coaio::FIRST_COMPLETED, 5s);
template <detail::RangeOfHandles R>
[[nodiscard]] auto wait(R&& tasks, ReturnWhen when = ALL_COMPLETED, std::optional<Duration> timeout = std::nullopt)
    -> Coro<WaitResult<std::ranges::range_value_t<R>>> {
    using H = std::ranges::range_value_t<R>;
    std::vector<H> handles;
    std::unordered_set<const void*> seen;
    for (auto&& each : tasks) {
        H handle(std::forward<decltype(each)>(each));
        if (seen.insert(handle.state().get()).second) handles.push_back(std::move(handle));
    }
    detail::require_waitable(handles.size());
    return detail::wait_parted<H>(std::move(handles), when, timeout);
}

/// Anything else is refused, by a message that says what to do.
template <class A>
    requires(!detail::RangeOfHandles<A>)
[[nodiscard]] Coro<WaitResult<AnyTask>> wait(A&&, ReturnWhen = ALL_COMPLETED, std::optional<Duration> = std::nullopt) {
    static_assert(detail::always_false<A>,
                  "wait takes a range of tasks or futures of one type, such as std::vector<coaio::Task<int>>: make "
                  "tasks of coroutines first, by coaio::create_task(std::move(coro))");
    co_return WaitResult<AnyTask>{};
}

}  // namespace coaio
