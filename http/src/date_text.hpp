// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/http/date.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace coaio::http::detail {

inline constexpr std::size_t date_size = 29;

/// Writes `date_size` bytes.
void write_date(char* to, WallTime when);

/// The value of the Date header, written once a second.
class DateText {
public:
    [[nodiscard]] std::string_view at(WallTime now);

private:
    std::array<char, date_size> text_{};
    std::int64_t second_ = INT64_MIN;
};

}  // namespace coaio::http::detail
