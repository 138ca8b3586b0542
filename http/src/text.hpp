// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// The small alphabet of HTTP: which byte is what, and ASCII without a locale.
namespace coaio::http::detail {

[[nodiscard]] constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
[[nodiscard]] constexpr bool is_alpha(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
[[nodiscard]] constexpr bool is_alnum(char c) noexcept { return is_digit(c) || is_alpha(c); }
[[nodiscard]] constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
[[nodiscard]] constexpr char upper(char c) noexcept { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }
[[nodiscard]] constexpr unsigned char byte(char c) noexcept { return static_cast<unsigned char>(c); }

/// tchar of RFC 9110 section 5.6.2.
[[nodiscard]] constexpr bool is_token_char(char c) noexcept {
    if (is_alnum(c)) return true;
    switch (c) {
    case '!':
    case '#':
    case '$':
    case '%':
    case '&':
    case '\'':
    case '*':
    case '+':
    case '-':
    case '.':
    case '^':
    case '_':
    case '`':
    case '|':
    case '~': return true;
    default: return false;
    }
}

[[nodiscard]] constexpr bool is_token(std::string_view text) noexcept {
    for (char c : text) {
        if (!is_token_char(c)) return false;
    }
    return !text.empty();
}

/// A byte of a field value: visible, space, tab, or above 0x7f.
[[nodiscard]] constexpr bool is_value_char(char c) noexcept {
    return (byte(c) >= 0x20 && byte(c) != 0x7f) || c == '\t';
}

[[nodiscard]] constexpr int hex_digit(char c) noexcept {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

[[nodiscard]] constexpr bool iequals(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (a[i] != b[i] && lower(a[i]) != lower(b[i])) return false;
    }
    return true;
}

[[nodiscard]] constexpr std::string_view trim(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

[[nodiscard]] std::string lowered(std::string_view text);

/// All digits, and at most `max`; no sign, no space.
[[nodiscard]] std::optional<std::uint64_t> parse_uint(std::string_view text, std::uint64_t max = UINT64_MAX) noexcept;

/// Calls `each(part)` for every part of a list with commas (RFC 9110 section 5.6.1), trimmed, empty ones left out.
/// A comma inside a quoted string does not separate. `each` returns false to stop.
template <class Each>
void for_each_in_list(std::string_view list, Each each) {
    std::size_t start = 0;
    bool quoted = false;
    for (std::size_t i = 0; i <= list.size(); ++i) {
        if (i < list.size()) {
            if (quoted && list[i] == '\\') {
                ++i;
                continue;
            }
            if (list[i] == '"') quoted = !quoted;
            if (quoted || list[i] != ',') continue;
        }
        std::size_t end = i < list.size() ? i : list.size();
        auto part = trim(list.substr(start, end - start));
        start = end + 1;
        if (!part.empty() && !each(part)) return;
        if (start > list.size()) return;
    }
}

/// Whether a list with commas has `word`, in any case.
[[nodiscard]] bool list_has(std::string_view list, std::string_view word) noexcept;

/// `text` for an error message: at most `max` bytes, what is not printable as \xNN.
[[nodiscard]] std::string shown(std::string_view text, std::size_t max = 60);

/// Appends `text` as a JSON string; bytes that are not UTF-8 become U+FFFD.
void append_json(std::string& out, std::string_view text);

}  // namespace coaio::http::detail
