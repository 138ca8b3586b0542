// SPDX-License-Identifier: MIT
#include "text.hpp"

namespace coaio::http::detail {

std::string lowered(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = lower(c);
    return out;
}

std::optional<std::uint64_t> parse_uint(std::string_view text, std::uint64_t max) noexcept {
    if (text.empty()) return std::nullopt;
    std::uint64_t value = 0;
    for (char c : text) {
        if (!is_digit(c)) return std::nullopt;
        auto digit = static_cast<std::uint64_t>(c - '0');
        if (digit > max) return std::nullopt;
        if (value > max / 10 || value * 10 > max - digit) return std::nullopt;
        value = value * 10 + digit;
    }
    return value;
}

bool list_has(std::string_view list, std::string_view word) noexcept {
    bool found = false;
    for_each_in_list(list, [&](std::string_view part) {
        found = iequals(part, word);
        return !found;
    });
    return found;
}

std::string shown(std::string_view text, std::size_t max) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (char c : text.substr(0, max)) {
        if (byte(c) >= 0x20 && byte(c) < 0x7f) {
            out += c;
        } else {
            out += "\\x";
            out += digits[byte(c) >> 4];
            out += digits[byte(c) & 15];
        }
    }
    if (text.size() > max) out += "…";
    return out;
}

}  // namespace coaio::http::detail
