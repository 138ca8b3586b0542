// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/task_state.hpp>
#include <coaio/core/scope.hpp>
#include <coaio/core/time.hpp>

#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

namespace coaio {

/// The scope of a block with a deadline: what the body of `timeout` gets.
///
/// When the deadline passes, the task is cancelled at the suspension inside the block at which it hangs, and what comes
/// out of the block is a `TimeoutError`, unless another cancellation was pending already when the block was entered. A
/// body that swallows the cancellation and ends normally keeps its value.
class Timeout final : private detail::Runnable {
public:
    /// Where the block is in its life.
    enum class State : std::uint8_t { active, expiring, expired, finished };

    /// Enters a block of the running task. For the library: use `timeout`.
    explicit Timeout(std::optional<TimePoint> when);
    Timeout(const Timeout&) = delete;
    Timeout& operator=(const Timeout&) = delete;
    ~Timeout();

    /// The deadline; none: it never passes.
    [[nodiscard]] std::optional<TimePoint> when() const noexcept { return when_; }
    /// Moves the deadline, to a moment: `scope.reschedule(coaio::Clock::now() + 5s)`. One in the past strikes at the
    /// next suspension. Another task may call it. Throws `RuntimeError` once the deadline has passed or the block was
    /// left.
    void reschedule(std::optional<TimePoint> when);
    /// The deadline passed and the task was cancelled for it, or is being so.
    [[nodiscard]] bool expired() const noexcept { return state_ == State::expiring || state_ == State::expired; }
    [[nodiscard]] State state() const noexcept { return state_; }

    /// For the library: the block ended normally.
    void leave() noexcept;
    /// For the library: the block ends by the exception being handled. Throws `TimeoutError` in its place if it is the
    /// cancellation for this deadline; otherwise returns, and the caller rethrows.
    void leave_by_exception();

private:
    void run() noexcept override;
    void arm();
    [[nodiscard]] bool uncancel() noexcept;
    void check_task() const noexcept;

    detail::TaskBase* task_;
    detail::CancelLevel* level_;
    detail::Timer timer_;
    std::optional<TimePoint> when_;
    std::uint32_t requests_at_entry_;
    bool pending_at_entry_;
    State state_ = State::active;
};

template <>
inline constexpr bool enable_scope<Timeout> = true;

namespace detail {

template <class F>
Coro<BodyResult<F, Timeout&>> run_with_deadline(std::optional<TimePoint> when, std::optional<Duration> delay, F body) {
    Timeout scope(delay ? std::optional(later(Clock::now(), *delay)) : when);
    try {
        if constexpr (std::is_void_v<BodyResult<F, Timeout&>>) {
            co_await body(scope);
            scope.leave();
            co_return;
        } else {
            auto result = co_await body(scope);
            scope.leave();
            co_return result;
        }
    } catch (...) {
        scope.leave_by_exception();
        throw;
    }
}

[[nodiscard]] Coro<> cancel_and_wait(Ref<FutureBase> future);

template <class A>
Coro<Awaited<A>> await_with_deadline(A awaitable, Duration delay) {
    if (delay <= Duration::zero()) {
        auto future = ensure_future(std::forward<A>(awaitable));
        if (!future.done()) {
            co_await cancel_and_wait(future.state());
            // A gather is not cancelled itself, it fails with its child's CancelledError.
            if (future.cancelled() || is_cancellation(future.state()->stored_exception())) {
                future.state()->mark_retrieved();
                throw TimeoutError();
            }
        }
        if constexpr (std::is_lvalue_reference_v<A>) {
            co_return future.result();
        } else {
            co_return co_await std::move(future);
        }
    }
    Timeout scope(later(Clock::now(), delay));
    try {
        if constexpr (std::is_void_v<Awaited<A>>) {
            co_await std::forward<A>(awaitable);
            scope.leave();
            co_return;
        } else {
            Awaited<A> result = co_await std::forward<A>(awaitable);
            scope.leave();
            co_return result;
        }
    } catch (...) {
        scope.leave_by_exception();
        throw;
    }
}

/// Holds a copy of a named handle and awaits it by name, so that its value stays with it.
template <class H>
Coro<Awaited<H>> await_named_with_deadline(H handle, Duration delay) {
    if constexpr (std::is_void_v<Awaited<H>>) {
        co_await await_with_deadline<H&>(handle, delay);
    } else {
        co_return co_await await_with_deadline<H&>(handle, delay);
    }
}

template <class A>
Coro<Awaited<A>> await_plainly(A awaitable) {
    co_return co_await std::move(awaitable);
}

template <class H>
Coro<Awaited<H>> await_named_plainly(H handle) {
    if constexpr (std::is_void_v<Awaited<H>>) {
        co_await handle;
    } else {
        Awaited<H> value = co_await handle;
        co_return value;
    }
}

}  // namespace detail

/// Runs `body(scope)` in the current task, for at most `delay`. Gives what the body gives.
///
/// Errors: `TimeoutError` when the time is over; what the body throws otherwise. Cancellation: passes through.
///
///     co_await coaio::timeout(5s, [&](coaio::Timeout& scope) -> coaio::Coro<> {
///         co_await handshake(stream);
///         scope.reschedule(std::nullopt);  // no hurry from here on
///         co_await serve(stream);
///     });
template <class F>
    requires std::is_invocable_v<std::decay_t<F>&, Timeout&>
[[nodiscard]] auto timeout(std::optional<Duration> delay, F&& body) {
    COAIO_CHECK_BODY(F);
    return detail::run_with_deadline<std::decay_t<F>>(std::nullopt, delay, std::forward<F>(body));
}

template <FloatingDuration D, class F>
    requires std::is_invocable_v<std::decay_t<F>&, Timeout&>
[[nodiscard]] auto timeout(D delay, F&& body) {
    return timeout(std::optional(to_duration(delay)), std::forward<F>(body));
}

/// The same with a moment as deadline; none: no deadline until one is set by `reschedule`.
template <class F>
    requires std::is_invocable_v<std::decay_t<F>&, Timeout&>
[[nodiscard]] auto timeout_at(std::optional<TimePoint> when, F&& body) {
    COAIO_CHECK_BODY(F);
    return detail::run_with_deadline<std::decay_t<F>>(when, std::nullopt, std::forward<F>(body));
}

/// Awaits in the current task, for at most `delay` (none: as long as it takes), and gives the value.
///
/// Errors: `TimeoutError` when the time is over; by then what was awaited has been cancelled and has ended. One that
/// answers the cancellation with a value or an error of its own gives that instead. A time of zero or less cancels what
/// is not done already: a coroutine then does not run at all, where `timeout` runs its body to its first suspension.
/// Cancellation: cancels what is awaited; `shield` it to prevent that.
///
///     auto page = co_await coaio::wait_for(fetch(url), 5s);
template <Awaitable A>
[[nodiscard]] auto wait_for(A&& awaitable, std::optional<Duration> delay) -> Coro<detail::Awaited<A>> {
    using Plain = std::remove_cvref_t<A>;
    static_assert(!(detail::IsCoro<Plain>::value && std::is_lvalue_reference_v<A>),
                  "a named coroutine can run only once, so give it up: wait_for(std::move(coro), delay)");
    if constexpr (detail::FutureHandle<A> && std::is_lvalue_reference_v<A>) {
        if (delay) return detail::await_named_with_deadline<Plain>(awaitable, *delay);
        return detail::await_named_plainly<Plain>(awaitable);
    } else {
        if (delay) return detail::await_with_deadline<Plain>(Plain(std::forward<A>(awaitable)), *delay);
        return detail::await_plainly<Plain>(Plain(std::forward<A>(awaitable)));
    }
}

template <Awaitable A, FloatingDuration D>
[[nodiscard]] auto wait_for(A&& awaitable, D delay) -> Coro<detail::Awaited<A>> {
    return wait_for(std::forward<A>(awaitable), std::optional(to_duration(delay)));
}

}  // namespace coaio
