// SPDX-License-Identifier: MIT
#include "lanes.hpp"

#include <algorithm>
#include <array>

namespace coaio::db::detail {
namespace {

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_word(char c) noexcept { return (lower(c) >= 'a' && lower(c) <= 'z') || c == '_'; }

bool same_word(std::string_view text, std::string_view word) noexcept {
    return text.size() == word.size() &&
           std::equal(text.begin(), text.end(), word.begin(), [](char a, char b) { return lower(a) == b; });
}

std::string_view word_at(std::string_view sql, std::size_t at) noexcept {
    std::size_t end = at;
    while (end < sql.size() && is_word(sql[end])) ++end;
    return sql.substr(at, end - at);
}

}  // namespace

Sharing sharing_of(std::string_view sql) {
    const std::size_t start = sql.find_first_not_of(" \t\r\n(");
    if (start == std::string_view::npos) return Sharing::never;
    const std::string_view first = word_at(sql, start);
    static constexpr std::array<std::string_view, 4> writes{"insert", "update", "delete", "merge"};
    static constexpr std::array<std::string_view, 4> reads{"select", "values", "table", "with"};
    const auto is_first = [first](std::string_view word) { return same_word(first, word); };
    if (std::any_of(writes.begin(), writes.end(), is_first)) return Sharing::last;
    if (std::none_of(reads.begin(), reads.end(), is_first)) return Sharing::never;
    // A CTE that writes, FOR UPDATE, functions of a name that says what they do: any of these may wait for a lock.
    static constexpr std::array<std::string_view, 9> locks{"insert", "update", "delete", "merge",   "share",
                                                           "into",   "lock",   "sleep",  "pg_sleep"};
    for (std::size_t at = start + first.size(); at < sql.size();) {
        if (!is_word(sql[at])) {
            ++at;
            continue;
        }
        const std::string_view word = word_at(sql, at);
        at += word.size();
        const bool locking =
            std::any_of(locks.begin(), locks.end(), [word](std::string_view lock) { return same_word(word, lock); });
        if (locking || word.find("lock") != std::string_view::npos) return Sharing::last;
    }
    return Sharing::free;
}

}  // namespace coaio::db::detail
