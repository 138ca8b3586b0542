// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/time.hpp>

#include <optional>
#include <string>

namespace coaio {

/// What a suspended task waits for, as a task dump shows it.
struct WaitInfo {
    /// In words: `sleep`, `lock held by Task-3`, `readable descriptor 7`.
    std::string what;
    /// When the wait ends by itself.
    std::optional<TimePoint> until = std::nullopt;
    /// The future waited for, if it is one: identity of a task or gather in the same dump.
    const void* future = nullptr;
};

}  // namespace coaio

namespace coaio::detail {

/// The text given to `cancel()`, or null.
using CancelMessage = const std::string*;

/// The one real suspension at which a task hangs: a leaf awaiter, which lives in the suspended coroutine's frame.
class Suspension {
public:
    /// The task is being cancelled. Either leaves whatever queue it is in and wakes the task with `wake_cancelled`, or
    /// passes the request on to what is awaited, whose end will wake the task; both return true.
    /// Returns false when there is nothing to give up any more: the cancellation is then thrown at the next resume.
    virtual bool cancel(CancelMessage message) noexcept = 0;

    [[nodiscard]] virtual WaitInfo describe() const = 0;

protected:
    Suspension() = default;
    Suspension(const Suspension&) = delete;
    Suspension& operator=(const Suspension&) = delete;
    ~Suspension() = default;
};

}  // namespace coaio::detail
