// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace coaio::db::detail {

/// A statement of a script. Both point into the script.
struct ScriptStatement {
    std::string_view sql;
    std::array<std::string_view, 3> words;  ///< the first ones, as written; all empty where it begins otherwise
    std::size_t line = 1;
};

/// The statements of a script, as psql would tell them apart: semicolons within strings, quoted names, dollar quotes,
/// nested comments, parentheses and the bodies of SQL functions (`begin atomic … end`) do not count.
/// Throws UsageError where the script ends in the middle of one of these. Strings are standard-conforming.
[[nodiscard]] std::vector<ScriptStatement> split_script(std::string_view script);

/// Whether two words are the same, whatever the case of their ASCII letters; `lower` is in lower case.
[[nodiscard]] bool is_word(std::string_view word, std::string_view lower) noexcept;

}  // namespace coaio::db::detail
