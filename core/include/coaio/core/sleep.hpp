// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/detail/awaitable.hpp>
#include <coaio/core/time.hpp>

#include <source_location>
#include <utility>

namespace coaio {

namespace detail {

class SleepAwaiter final : public Leaf {
public:
    explicit SleepAwaiter(Duration delay) noexcept : delay_(delay), timer_(Entry(thread_state.task)) {}
    ~SleepAwaiter() {
        if (timer_.armed()) task_->core().disarm(timer_);
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> self, std::source_location location = std::source_location::current()) {
        if (delay_ <= Duration::zero()) {
            self.promise().location = location;
            task_ = thread_state.task;
            task_->yield(self.promise());
        } else {
            arm();
            hang(self, location);
        }
    }
    void await_resume() const { throw_if_cancelled(); }

    bool cancel(CancelMessage message) noexcept override;
    [[nodiscard]] WaitInfo describe() const override;

private:
    void arm();

    Duration delay_;
    Timer timer_;
};

}  // namespace detail

/// The awaitable that `sleep` returns.
class [[nodiscard("co_await it")]] Sleep {
public:
    using coaio_awaitable = void;
    explicit Sleep(Duration delay) noexcept : delay_(delay) {}
    [[nodiscard]] detail::SleepAwaiter operator co_await() const noexcept { return detail::SleepAwaiter(delay_); }

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
