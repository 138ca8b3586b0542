// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/time.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace coaio::db::detail {

/// Of many answers that are under way on one connection several are read at once: to be woken costs more than to read
/// one. How large they are is taken from those before, and how many are waited for from whether those came in time.
class Gathering {
public:
    /// That an answer waits for others.
    static constexpr Duration longest = std::chrono::milliseconds(2);

    /// How many bytes to wait for while so many answers are under way; 1: whatever comes.
    [[nodiscard]] std::size_t bytes_of(std::size_t under_way) noexcept {
        // The rest keeps the server busy while these are read, and some may be smaller than others.
        const std::size_t wanted = under_way * 7 / 8;
        counting_ = wanted >= fewest;
        if (!counting_ || answers_ == 0) return 1;
        at_once_ = std::min(at_once_ * 2, most);
        return std::clamp<std::size_t>(std::min(at_once_, wanted) * bytes_ / answers_, 1, most_bytes);
    }
    /// They were not there in time: they are fewer, or smaller.
    void in_vain() noexcept {
        at_once_ = std::max<std::size_t>(at_once_ / 4, 1);
        answers_ = bytes_ = 0;
    }
    /// Whether what is read is to be told of.
    [[nodiscard]] bool counting() const noexcept { return counting_; }
    void came(std::size_t bytes) noexcept { bytes_ += bytes; }
    void answered() noexcept {
        if (!counting_ || ++answers_ < forgets_after) return;
        answers_ /= 2;
        bytes_ /= 2;
    }

private:
    static constexpr std::size_t fewest = 3;
    static constexpr std::size_t most = 64;
    static constexpr std::size_t most_bytes = 16 * 1024;  // what libpq reads at once
    static constexpr std::size_t forgets_after = 1024;

    bool counting_ = false;
    std::size_t at_once_ = most;
    std::size_t answers_ = 0;
    std::size_t bytes_ = 0;
};

}  // namespace coaio::db::detail
