// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/ensure_future.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/event.hpp>
#include <coaio/core/outcome.hpp>
#include <coaio/core/timeout.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace coaio {

/// What came of a `staggered_race`.
template <class T>
struct RaceResult {
    /// The winner's; none when all failed.
    std::optional<detail::Regular<T>> value;
    /// Which one won.
    std::optional<std::size_t> winner;
    /// For each that was started, in that order, why it did not win; null for the winner.
    std::vector<std::exception_ptr> exceptions;
};

namespace detail {

template <class F, class T>
struct Race {
    void enter(Coro<> entrant) {
        const Task<> task = create_task(std::move(entrant));
        if (task.done()) return;
        running.push_back(task);
        task.add_done_callback([this](const Task<>& done) {
            std::erase(running, AnyTask(done));
            if (running.empty() && idle && !idle->done()) idle->set_result();
        });
    }
    void cancel_others(const std::optional<AnyTask>& but) {
        const std::vector<AnyTask> all = running;
        for (const AnyTask& each : all) {
            if (each != but) each.cancel();
        }
    }

    std::vector<F> starters;
    std::optional<Duration> delay;
    std::vector<AnyTask> running;
    std::optional<Future<>> idle;
    RaceResult<T> result;
};

/// One place in the race: when the one before has failed or the delay is over, starts the next, and opens a place for
/// the one after it.
template <class F, class T>
Coro<> race_entrant(Race<F, T>& race, std::shared_ptr<Event> previous_failed) {
    if (previous_failed) {
        try {
            co_await wait_for(previous_failed->wait(), race.delay);
        } catch (const TimeoutError&) {  // its turn has come all the same
        }
    }
    const std::size_t index = race.result.exceptions.size();
    if (index == race.starters.size()) co_return;
    race.result.exceptions.emplace_back();
    const auto failed = std::make_shared<Event>();
    race.enter(race_entrant(race, failed));
    std::optional<Regular<T>> value;
    try {
        if constexpr (std::is_void_v<T>) {
            co_await race.starters[index]();
            value.emplace();
        } else {
            value.emplace(co_await race.starters[index]());
        }
    } catch (...) {
        race.result.exceptions[index] = std::current_exception();
        if (is_base_error(std::current_exception())) throw;
        failed->set();
    }
    if (!value) co_return;
    if (race.result.winner) {  // it swallowed its cancellation and came second
        race.result.exceptions[index] = std::make_exception_ptr(CancelledError());
        co_return;
    }
    race.result.winner = index;
    race.result.value = std::move(value);
    race.cancel_others(current_task());
}

template <class F, class T>
Coro<RaceResult<T>> run_race(std::vector<F> starters, std::optional<Duration> delay) {
    // The tasks may outlive this frame when the loop closes, but they run no more.
    Race<F, T> race;
    race.starters = std::move(starters);
    race.delay = delay;
    race.enter(race_entrant(race, std::shared_ptr<Event>()));
    std::exception_ptr cancellation;
    while (!race.running.empty()) {
        race.idle.emplace();
        try {
            co_await *race.idle;
        } catch (const CancelledError&) {
            cancellation = std::current_exception();
            race.cancel_others(std::nullopt);
        }
        race.idle.reset();
    }
    if (cancellation) std::rethrow_exception(cancellation);
    co_return std::move(race.result);
}

}  // namespace detail

/// Starts one coroutine after the other, each when the one before has failed or `delay` after it was started, until one
/// succeeds; the others are then cancelled and waited for. Without a delay only failures start the next.
///
/// Takes functions that make the coroutines, which are called as their turn comes. Gives who won, and why the others
/// did not; that all failed is no error.
/// Cancellation: passed on to all that run, each time, and thrown when they have ended.
///
///     std::vector<std::function<coaio::Coro<Stream>()>> attempts;
///     for (auto& address : addresses) attempts.push_back([&] { return connect(address); });
///     auto race = co_await coaio::staggered_race(std::move(attempts), 250ms);
template <std::ranges::input_range R>
    requires std::is_invocable_v<std::ranges::range_value_t<R>&>
[[nodiscard]] auto staggered_race(R&& starters, std::optional<Duration> delay) {
    using F = std::ranges::range_value_t<R>;
    using T = detail::Awaited<std::invoke_result_t<F&>>;
    std::vector<F> owned;
    for (auto&& each : starters) owned.push_back(std::forward<decltype(each)>(each));
    return detail::run_race<F, T>(std::move(owned), delay);
}

}  // namespace coaio
