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

/// The line of the Date header, written once a second.
class DateText {
public:
    /// `Date: Sun, 06 Nov 1994 08:49:37 GMT`, with its line's end.
    [[nodiscard]] std::string_view line(WallTime now);

private:
    static constexpr std::string_view name = "Date: ";
    static constexpr std::string_view end = "\r\n";
    std::array<char, name.size() + date_size + end.size()> text_{};
    std::int64_t second_ = INT64_MIN;
};

}  // namespace coaio::http::detail
