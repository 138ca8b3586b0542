// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/gather_state.hpp>
#include <coaio/core/ensure_future.hpp>
#include <coaio/core/outcome.hpp>

#include <ranges>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace coaio {

/// Asks `gather` for an `Outcome` of each child instead of the first failure.
struct ReturnExceptions {};
inline constexpr ReturnExceptions return_exceptions{};

/// Runs awaitables side by side and gives their values in the order of the arguments, as a tuple (`void` as
/// `std::monostate`). The children start at the call; bare coroutines become tasks.
///
/// Gives a `Future` of them, so that it can be cancelled, shielded or awaited later.
///
/// Errors: the first failure in time is thrown; the other children go on. A child that is cancelled by somebody counts
/// as failed with `CancelledError`. Whatever comes of the children after the gather is done, a failure too, is dropped
/// unreported.
/// Cancellation: cancelling the gather, or the task that awaits it, cancels every child that is not done. The gather
/// fails with `CancelledError` as soon as the first of them has ended by it; the others may still be cleaning up. If
/// none ends by it, it ends when the last has ended, with `CancelledError`, or with the first that failed otherwise.
/// That comes a turn after `cancel()` at the earliest. It counts as failed: `cancelled()` is false, `exception()` gives
/// the `CancelledError`; nothing is reported if nobody looks.
///
/// A child that is a `shield` ends at once when it is cancelled, and the gather with it. What it shields goes on and is
/// no child of the gather: if it fails later, that is its own failure, reported unless somebody awaits it or asks for
/// its outcome. Where the gather has failed without being cancelled, the shield is still a child, and what it takes
/// over is dropped with the rest.
///
///     auto [user, orders] = co_await coaio::gather(load_user(id), load_orders(id));
template <Awaitable... A>
[[nodiscard]] auto gather(A&&... awaitables) {
    return detail::make_gather<detail::GatherTuple<false, A...>, A...>(std::forward<A>(awaitables)...);
}

/// The same, but waits for all of them and throws none of their errors: a tuple of `Outcome`s.
/// Cancellation: cancels every child that is not done, waits for all, then fails with `CancelledError`; their outcomes,
/// failures from before the cancellation too, are dropped unreported. A shield ends at once, and what it shields is not
/// waited for.
template <Awaitable... A>
[[nodiscard]] auto gather(ReturnExceptions, A&&... awaitables) {
    return detail::make_gather<detail::GatherTuple<true, A...>, A...>(std::forward<A>(awaitables)...);
}

/// The same for a range of awaitables of one type: a vector of the values in order.
///
///     std::vector<coaio::Coro<Page>> fetches;
///     std::vector<Page> pages = co_await coaio::gather(std::move(fetches));
template <std::ranges::input_range R>
    requires Awaitable<std::ranges::range_value_t<R>>
[[nodiscard]] auto gather(R&& awaitables, std::source_location where = std::source_location::current()) {
    return detail::make_range_gather<false>(std::forward<R>(awaitables), where);
}

template <std::ranges::input_range R>
    requires Awaitable<std::ranges::range_value_t<R>>
[[nodiscard]] auto gather(ReturnExceptions, R&& awaitables,
                          std::source_location where = std::source_location::current()) {
    return detail::make_range_gather<true>(std::forward<R>(awaitables), where);
}

}  // namespace coaio
