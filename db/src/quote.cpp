// SPDX-License-Identifier: MIT
#include "quote.hpp"

namespace coaio::db::detail {

std::string quote_identifier(std::string_view name) {
    std::string made = "\"";
    for (const char c : name) made.append(c == '"' ? 2 : 1, c);
    return made += '"';
}

std::string quote_literal(std::string_view text) {
    std::string made = "e'";
    for (const char c : text) made.append(c == '\'' || c == '\\' ? 2 : 1, c);
    return made += '\'';
}

}  // namespace coaio::db::detail
