// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/detail/awaitable.hpp>
#include <coaio/core/time.hpp>

#include <source_location>
#include <utility>

namespace coaio {

namespace detail {

/// Made by `co_await`, which suspends at once: so the timer can run from here, and the delay need not be kept.
class SleepAwaiter final : public Suspension {
public:
    explicit SleepAwaiter(Duration delay) : timer_(Entry(thread_state.task)) {
        if (delay > Duration::zero()) arm(delay);
    }
    ~SleepAwaiter() {
        if (timer_.armed()) [[unlikely]]
            task().core().disarm(timer_);
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> self, Here location = std::source_location::current()) noexcept {
        self.promise().place.hang_at(location);
        if (timer_.armed()) {
            hang();
        } else {
            task().yield();
        }
    }
    void await_resume() const {
        if (task().cancel_due()) [[unlikely]]
            task().throw_cancelled();
    }

    bool cancel(CancelMessage message) noexcept override;
    [[nodiscard]] WaitInfo describe() const override;

private:
    [[nodiscard]] TaskBase& task() const noexcept { return *timer_.target().task(); }
    void arm(Duration delay);
    void hang() noexcept;

    Timer timer_;
};

}  // namespace detail

/// The awaitable that `sleep` returns.
class [[nodiscard("co_await it")]] Sleep {
public:
    using coaio_awaitable = void;
    explicit Sleep(Duration delay) noexcept : delay_(delay) {}
    [[nodiscard]] detail::SleepAwaiter operator co_await() const { return detail::SleepAwaiter(delay_); }

private:
    Duration delay_;
};

/// Suspends the current task for `delay` at least. Zero or less gives the other tasks one turn.
///
/// Cancellation: the timer is taken out at once.
[[nodiscard]] inline Sleep sleep(Duration delay) noexcept { return Sleep(delay); }

/// The same for `0.5s`. Throws `ValueError` for NaN.
template <FloatingDuration D>
[[nodiscard]] Sleep sleep(D delay) {
    return Sleep(to_duration(delay));
}

/// Sleeps and gives `result`.
template <class T>
Coro<T> sleep(Duration delay, T result) {
    co_await sleep(delay);
    co_return std::move(result);
}
template <FloatingDuration D, class T>
Coro<T> sleep(D delay, T result) {
    return sleep(to_duration(delay), std::move(result));
}

}  // namespace coaio
