// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace coaio {
struct WaitInfo;
}

namespace coaio::detail {

class FutureBase;

/// The text given to `cancel()`, or null.
using CancelMessage = const std::string*;

/// The one real suspension at which a task hangs: a leaf awaiter, which lives in the suspended coroutine's frame.
class Suspension {
public:
    /// The task is being cancelled. Either leaves whatever queue it is in and wakes the task with `wake_cancelled`, or
    /// passes the request on to what is awaited, whose end will wake the task; both return true.
    /// Returns false when there is nothing to give up any more: the cancellation is then thrown at the next resume.
    virtual bool cancel(CancelMessage message) noexcept = 0;

    /// The future that `cancel` passes the request on to, if that is all it does; otherwise null.
    [[nodiscard]] virtual FutureBase* passes_cancel_to() const noexcept { return nullptr; }

    /// What it waits for, for a dump of tasks; see <coaio/core/activity.hpp>.
    [[nodiscard]] virtual WaitInfo describe() const = 0;

protected:
    Suspension() = default;
    Suspension(const Suspension&) = delete;
    Suspension& operator=(const Suspension&) = delete;
    ~Suspension() = default;
};

}  // namespace coaio::detail
