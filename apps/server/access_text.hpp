// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace server {

/// A line of the access log for a person: what `coaio::http::access_log` writes as JSON, in words. Anything else stays as
/// it is.
///
///     2026-01-02T03:04:05.678Z 127.0.0.1:5 GET /a?b 200 12 B 0.31 ms 5f2e…
[[nodiscard]] std::string access_text(std::string_view json);

}  // namespace server
