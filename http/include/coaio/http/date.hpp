// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace coaio::http {

using WallTime = std::chrono::system_clock::time_point;

/// A date as HTTP writes it (RFC 9110 section 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT".
[[nodiscard]] std::string format_date(WallTime when);

/// Any of the three forms that RFC 9110 asks a recipient to read; nothing for anything else. A year of two digits is
/// taken as the one nearest to `now`.
[[nodiscard]] std::optional<WallTime> parse_date(std::string_view text, WallTime now);

/// The looser dates of cookies (RFC 6265bis section 5.1.1).
[[nodiscard]] std::optional<WallTime> parse_cookie_date(std::string_view text);

}  // namespace coaio::http
