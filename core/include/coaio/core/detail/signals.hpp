// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <memory>

namespace coaio {
class Loop;
}

namespace coaio::detail {

struct SignalRecord;

/// Watches a signal of the process for one loop: the handler only counts and wakes the loop, which calls the function
/// from its ready queue, once for all that came since it last looked. The disposition from before is restored by the
/// destructor, which must run on the loop's thread.
class SignalWatch {
public:
    /// `insistent`: a third signal that comes before the loop has seen the first, because a step does not end, ends the
    /// process as the signal does by default.
    /// Throws `RuntimeError` when the signal cannot be caught, or is watched already.
    SignalWatch(Loop& loop, int number, std::function<void()> function, bool insistent = false);
    SignalWatch(const SignalWatch&) = delete;
    SignalWatch& operator=(const SignalWatch&) = delete;
    ~SignalWatch();

    [[nodiscard]] int number() const noexcept { return number_; }
    void replace(std::function<void()> function) { function_ = std::move(function); }
    /// For the loop: schedules the function if the signal came.
    void look();

private:
    Loop* loop_;
    int number_;
    std::function<void()> function_;
    std::unique_ptr<SignalRecord> record_;
};

/// Whether a `run` may take the signal for itself: nobody has, and this is the process's main thread.
[[nodiscard]] bool signal_is_free(int number) noexcept;

}  // namespace coaio::detail
