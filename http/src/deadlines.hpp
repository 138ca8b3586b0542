// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/handle.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/time.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace coaio::http::detail {

/// The deadlines of one connection: one for reading, one for writing. When one passes, the connection's task is
/// cancelled at whatever it waits for, and asks here why.
///
/// Lazy, since a deadline is set for every request and hardly ever passes: a timer that is armed stays so, and looks
/// again when it fires. It never has to be moved forward, as it fires at least once in the shortest time-out that there
/// is.
class Deadlines {
public:
    enum class Kind : std::uint8_t { read, write };

    /// `shortest`: no time-out that is set is shorter.
    explicit Deadlines(Duration shortest) noexcept : shortest_(shortest) {}
    Deadlines(const Deadlines&) = delete;
    Deadlines& operator=(const Deadlines&) = delete;
    ~Deadlines();

    /// Whom they cancel; without one they are off.
    void attach(AnyTask task) { task_.emplace(std::move(task)); }

    /// Zero: none.
    void set(Kind kind, Duration timeout);
    void clear(Kind kind) noexcept { at(kind) = never; }
    /// While a CancelledError is handled: whether it is this deadline's, which takes the request back. False when
    /// somebody else wants the task to stop as well.
    [[nodiscard]] bool take_expired(Kind kind);
    [[nodiscard]] bool expired() const noexcept { return expired_[0] || expired_[1]; }

private:
    static constexpr TimePoint never = TimePoint::max();

    [[nodiscard]] TimePoint& at(Kind kind) noexcept { return when_[static_cast<std::size_t>(kind)]; }
    void arm(TimePoint when);
    void fire();

    Duration shortest_;
    std::array<TimePoint, 2> when_{never, never};
    std::array<bool, 2> expired_{};
    std::optional<AnyTask> task_;
    std::optional<TimerHandle> timer_;
};

}  // namespace coaio::http::detail
