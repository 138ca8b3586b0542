// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <concepts>

namespace coaio {

/// Every length of time in coaio. Any `std::chrono` duration of whole numbers converts to it; `0.5s` is taken by `sleep`,
/// `timeout`, `wait_for` and `call_later`, elsewhere say `500ms`.
using Duration = std::chrono::nanoseconds;

/// The clock of the running loop: monotonic, and virtual under `coaio::testing`.
struct Clock {
    using duration = Duration;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<Clock>;
    static constexpr bool is_steady = true;

    /// The running loop's time. Throws `RuntimeError` when no loop runs in this thread.
    [[nodiscard]] static time_point now();
};

/// A moment on the running loop's clock.
using TimePoint = Clock::time_point;

/// A duration counted in floating point, such as `0.5s`.
template <class D>
concept FloatingDuration = requires {
    typename D::rep;
    typename D::period;
} && std::floating_point<typename D::rep>;

/// The nearest `Duration`, held to its range. Throws `ValueError` when `delay` is not a number.
[[nodiscard]] Duration to_duration(std::chrono::duration<double> delay);

namespace detail {

/// `start + delay`, held to the clock's range: "for ever" is often said as the greatest duration there is.
[[nodiscard]] constexpr TimePoint later(TimePoint start, Duration delay) noexcept {
    if (delay > Duration::zero() && start > TimePoint::max() - delay) return TimePoint::max();
    return start + delay;
}

}  // namespace detail

}  // namespace coaio
