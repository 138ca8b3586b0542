// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>

namespace tests {

/// What a helper takes in which the test itself waits, for a server or the proxy's thread: `StepLimit` blames no step of
/// a loop for it.
class OwnTime {
public:
    OwnTime() = default;
    OwnTime(const OwnTime&) = delete;
    OwnTime& operator=(const OwnTime&) = delete;
    ~OwnTime() { spent_ += std::chrono::steady_clock::now() - begin_; }

    /// In this thread, in all.
    [[nodiscard]] static std::chrono::nanoseconds spent() noexcept { return spent_; }

private:
    static inline thread_local std::chrono::nanoseconds spent_{};
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace tests
