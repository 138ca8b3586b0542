// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace coaio::db::detail {

/// What kind of server a session is wanted with: libpq's `target_session_attrs`.
enum class Target : unsigned char { any, read_write, read_only, primary, standby, prefer_standby };

/// Throws UsageError for what is none.
[[nodiscard]] Target target_of(const std::string& text);
/// As libpq is to be told of a server that is tried by itself. Not of prefer_standby, which is none of one server.
[[nodiscard]] const char* to_string(Target target) noexcept;

}  // namespace coaio::db::detail
