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

namespace {

// The length of the UTF-8 sequence that `text` starts with; 0 if it is none (RFC 3629 section 4).
std::size_t utf8_length(std::string_view text) {
    auto tail = [&](std::size_t at, unsigned low = 0x80, unsigned high = 0xbf) {
        return at < text.size() && byte(text[at]) >= low && byte(text[at]) <= high;
    };
    unsigned first = byte(text[0]);
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first <= 0xdf) return tail(1) ? 2 : 0;
    if (first >= 0xe0 && first <= 0xef) {
        return tail(1, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf) && tail(2) ? 3 : 0;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        return tail(1, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf) && tail(2) && tail(3) ? 4 : 0;
    }
    return 0;
}

}  // namespace

void append_json(std::string& out, std::string_view text) {
    static constexpr char digits[] = "0123456789abcdef";
    out += '"';
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '"' || c == '\\') {
            (out += '\\') += c;
        } else if (byte(c) < 0x20) {
            out += "\\u00";
            out += digits[byte(c) >> 4];
            out += digits[byte(c) & 15];
        } else if (auto size = utf8_length(text.substr(i)); size == 0) {
            out += "\xef\xbf\xbd";
        } else {
            out.append(text, i, size);
            i += size - 1;
        }
    }
    out += '"';
}

}  // namespace coaio::http::detail
