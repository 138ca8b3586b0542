// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

/// Text as SQL, whatever it contains but a NUL (manual chapter 4.1).
namespace coaio::db::detail {

/// `"na""me"`.
[[nodiscard]] std::string quote_identifier(std::string_view name);

/// `e'te''xt'`: backslashes mean themselves, or not, by a setting of the server's; so not by that.
[[nodiscard]] std::string quote_literal(std::string_view text);

}  // namespace coaio::db::detail
