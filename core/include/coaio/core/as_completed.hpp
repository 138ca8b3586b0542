// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/activity.hpp>
#include <coaio/core/ensure_future.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>

#include <cstddef>
#include <deque>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <source_location>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

namespace coaio {

namespace detail {

/// A task that waits for the next of several futures; null for those that are done.
class CompletedActivity final : public Activity {
public:
    CompletedActivity(const std::vector<const FutureBase*>& futures, const FutureBase& waiter) noexcept
        : futures_(futures), waiter_(waiter) {}
    [[nodiscard]] WaitInfo describe() const override;
    void visit_children(void (*visit)(void*, const FutureBase&), void* closure) const override;

private:
    const std::vector<const FutureBase*>& futures_;
    const FutureBase& waiter_;
};

}  // namespace detail

/// The handles of a set of awaitables, in the order in which they are done; made by `as_completed`.
///
/// Two forms, as in asyncio. One gives the very handles:
///
///     auto finished = coaio::as_completed(std::move(fetches));
///     while (auto task = co_await finished.next()) use(task->result());
///
/// The other gives coroutines of the values; the first one awaited gets the first value. The values of named tasks and
/// futures are copied, so that these keep them (`Keep`); those of what was given up are moved out:
///
///     for (auto next : coaio::as_completed(std::move(fetches))) use(co_await std::move(next));
///
/// Errors: `TimeoutError` from the next step once the time-out has passed; what is unfinished is left running.
template <class H, bool Keep = false>
class AsCompleted {
public:
    using Value = typename H::value_type;

    /// The next handle that is done; empty when all have been given.
    [[nodiscard]] Coro<std::optional<H>> next() { return next_handle(state_); }

    class Iterator {
    public:
        using value_type = Coro<Value>;
        using difference_type = std::ptrdiff_t;
        Iterator() = default;
        explicit Iterator(AsCompleted* owner) noexcept : owner_(owner) {}
        [[nodiscard]] Coro<Value> operator*() const { return next_value(owner_->state_); }
        Iterator& operator++() noexcept {
            ++given_;
            return *this;
        }
        void operator++(int) noexcept { ++given_; }
        [[nodiscard]] bool operator==(std::default_sentinel_t) const noexcept {
            return given_ >= owner_->state_->count;
        }

    private:
        AsCompleted* owner_ = nullptr;
        std::size_t given_ = 0;
    };
    [[nodiscard]] Iterator begin() noexcept { return Iterator(this); }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

    /// For the library.
    AsCompleted(std::vector<H> handles, std::optional<Duration> timeout) : state_(std::make_shared<State>()) {
        state_->count = handles.size();
        state_->left = handles.size();
        const std::weak_ptr<State> weak = state_;
        for (const H& each : handles) {
            // Each stays at least until its callback has run.
            state_->pending.push_back(each.state().get());
            each.add_done_callback([weak, place = state_->pending.size() - 1](const H& done) {
                if (const auto state = weak.lock()) state->arrived(done, place);
            });
        }
        if (timeout) {
            state_->timer = get_running_loop().call_later(*timeout, [weak] {
                if (const auto state = weak.lock()) state->expire();
            });
        }
    }

private:
    struct State {
        State() = default;
        State(const State&) = delete;
        State& operator=(const State&) = delete;
        ~State() {
            if (timer) timer->cancel();
        }

        void arrived(const H& handle, std::size_t place) {
            pending[place] = nullptr;
            if (expired) return;
            finished.push_back(handle);
            if (--left == 0 && timer) timer->cancel();
            wake_one();
        }
        void expire() {
            expired = true;
            wake_all();
        }
        void wake_all() {
            for (auto& waiter : waiters) {
                if (!waiter.done()) waiter.set_result();
            }
            waiters.clear();
        }
        void wake_one() {
            while (!waiters.empty()) {
                const Future<> waiter = waiters.front();
                waiters.pop_front();
                if (waiter.done()) continue;
                waiter.set_result();
                return;
            }
        }

        std::deque<H> finished;
        std::deque<Future<>> waiters;
        std::vector<const detail::FutureBase*> pending;  // for dumps
        std::optional<TimerHandle> timer;
        std::size_t count = 0;
        std::size_t left = 0;
        std::size_t given = 0;
        bool expired = false;
    };

    static Coro<std::optional<H>> next_handle(std::shared_ptr<State> state) {
        while (state->finished.empty()) {
            if (state->given == state->count) co_return std::nullopt;
            if (state->expired) throw TimeoutError("as_completed: the deadline passed before all were done");
            const Future<> waiter;
            state->waiters.push_back(waiter);
            // A cancelled waiter leaves no trace; if it had been woken it passes the wake-up on.
            struct PassOn {
                State& state;
                const Future<>& waiter;
                bool resumed = false;
                ~PassOn() {
                    if (resumed) return;
                    std::erase_if(state.waiters, [this](const Future<>& each) { return each.same_as(waiter); });
                    if (waiter.done() && !waiter.cancelled() && !state.finished.empty()) state.wake_one();
                }
            } pass_on{*state, waiter};
            const detail::CompletedActivity activity(state->pending, *waiter.state());
            co_await waiter;
            pass_on.resumed = true;
        }
        H handle = std::move(state->finished.front());
        state->finished.pop_front();
        if (++state->given == state->count) state->wake_all();  // nothing is left for them
        co_return std::optional<H>(std::move(handle));
    }

    static Coro<Value> next_value(std::shared_ptr<State> state) {
        auto handle = co_await next_handle(std::move(state));
        if (!handle) throw RuntimeError("as_completed: there are no more results than awaitables");
        if constexpr (Keep) {
            static_assert(
                !std::is_object_v<Value> || std::is_copy_constructible_v<Value>,
                "the value of a named task is copied, as others may await it too: give up the range of handles "
                "with std::move, take the handles by next(), or let the tasks give a copyable type");
            co_return co_await *handle;
        } else {
            co_return co_await std::move(*handle);
        }
    }

    std::shared_ptr<State> state_;
};

/// Gives what is done as it is done. Takes a range of tasks, futures or coroutines of one type; coroutines start now,
/// and a handle that is there twice counts once.
template <std::ranges::input_range R>
    requires Awaitable<std::ranges::range_value_t<R>>
[[nodiscard]] auto as_completed(R&& awaitables, std::optional<Duration> timeout = std::nullopt,
                                std::source_location where = std::source_location::current()) {
    using A = std::ranges::range_value_t<R>;
    using H = decltype(ensure_future(std::declval<A>()));
    constexpr bool keep = detail::FutureHandle<A> && std::is_lvalue_reference_v<R> &&
                          std::is_lvalue_reference_v<std::ranges::range_reference_t<R>>;
    std::vector<H> handles;
    [[maybe_unused]] std::unordered_set<const void*> seen;
    for (auto&& each : awaitables) {
        if constexpr (detail::IsCoro<A>::value) {
            handles.push_back(ensure_future(std::move(each), where));
        } else {
            H handle = ensure_future(each, where);
            if (seen.insert(handle.state().get()).second) handles.push_back(std::move(handle));
        }
    }
    return AsCompleted<H, keep>(std::move(handles), timeout);
}

}  // namespace coaio
