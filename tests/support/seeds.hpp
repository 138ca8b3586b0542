// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <cstdlib>

namespace tests {

/// How many seeds where one is dear: `usual`, and as many times more as COAIO_EXPLORE_SEEDS is more than 50.
[[nodiscard]] inline std::uint64_t dear_seeds(std::uint64_t usual) {
    const char* const given = std::getenv("COAIO_EXPLORE_SEEDS");
    return given != nullptr ? usual * std::strtoull(given, nullptr, 10) / 50 : usual;
}

}  // namespace tests
