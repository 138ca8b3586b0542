// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/codec.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The text forms of the server that need more than a line to read.
namespace coaio::db::detail {

/// The value of a hexadecimal digit, -1 for none.
[[nodiscard]] int hex_digit(char c) noexcept;

/// Both output forms, `\x…` and the older one with escapes. Throws ValueError.
[[nodiscard]] std::vector<std::byte> bytea_from_text(std::string_view text);

/// The text of a binary `numeric`. Throws ValueError.
[[nodiscard]] std::string numeric_from_binary(std::string_view bytes);
/// About how long its text is; 0 where it is not well-formed.
[[nodiscard]] std::size_t numeric_text_size(std::string_view bytes) noexcept;
/// The other way; the text is one that `Numeric` accepts. Throws ValueError beyond what Postgres holds.
void numeric_to_binary(std::string_view text, Encoder& out);

}  // namespace coaio::db::detail
