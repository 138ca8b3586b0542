// SPDX-License-Identifier: MIT
#include "text.hpp"

#include <coaio/db/codec.hpp>

#include <algorithm>
#include <charconv>

namespace coaio::db::detail {

int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

namespace {

std::vector<std::byte> bytea_from_hex(std::string_view digits) {
    if (digits.size() % 2 != 0) throw ValueError("bytea with an odd number of digits");
    std::vector<std::byte> bytes;
    bytes.reserve(digits.size() / 2);
    for (std::size_t i = 0; i < digits.size(); i += 2) {
        int high = hex_digit(digits[i]);
        int low = hex_digit(digits[i + 1]);
        if (high < 0 || low < 0) throw ValueError("bytea with a character that is no digit");
        bytes.push_back(static_cast<std::byte>(high * 16 + low));
    }
    return bytes;
}

int octal_digit(std::string_view text, std::size_t at) {
    if (at >= text.size() || text[at] < '0' || text[at] > '7') throw ValueError("bytea with a bad escape");
    return text[at] - '0';
}

}  // namespace

std::vector<std::byte> bytea_from_text(std::string_view text) {
    if (text.substr(0, 2) == "\\x") return bytea_from_hex(text.substr(2));
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\') {
            bytes.push_back(static_cast<std::byte>(text[i]));
        } else if (i + 1 < text.size() && text[i + 1] == '\\') {
            bytes.push_back(std::byte{'\\'});
            ++i;
        } else {
            int value = octal_digit(text, i + 1) * 64 + octal_digit(text, i + 2) * 8 + octal_digit(text, i + 3);
            if (value > 255) throw ValueError("bytea with a bad escape");
            bytes.push_back(static_cast<std::byte>(value));
            i += 3;
        }
    }
    return bytes;
}

// Groups of four decimal digits; `weight` is the place of the first, `scale` the number of digits after the point.
std::string numeric_from_binary(std::string_view bytes) {
    Decoder in(bytes);
    int count = static_cast<std::uint16_t>(in.get_int16());
    int weight = in.get_int16();
    auto sign = static_cast<std::uint16_t>(in.get_int16());
    int scale = in.get_int16();
    if (sign == 0xC000) return "NaN";
    if (sign == 0xD000) return "Infinity";
    if (sign == 0xF000) return "-Infinity";
    if (sign != 0 && sign != 0x4000) throw ValueError("numeric with an unknown sign");
    if (scale < 0 || scale > 0x3FFF) throw ValueError("numeric with a bad header");
    if (in.remaining() != static_cast<std::size_t>(count) * 2) throw ValueError("numeric of the wrong length");

    std::vector<int> groups(static_cast<std::size_t>(count));
    for (int& group : groups) {
        group = in.get_int16();
        if (group < 0 || group > 9999) throw ValueError("numeric with a bad digit");
    }
    auto digits_of = [&groups](int index) {
        int group = index >= 0 && index < static_cast<int>(groups.size()) ? groups[static_cast<std::size_t>(index)] : 0;
        std::string four = std::to_string(group);
        return std::string(4 - four.size(), '0') + four;
    };

    std::string text;
    for (int i = 0; i <= weight; ++i) text += digits_of(i);
    std::size_t leading = text.find_first_not_of('0');
    text = leading == std::string::npos ? "0" : text.substr(leading);
    if (sign == 0x4000) text.insert(0, "-");
    if (scale > 0) {
        std::string fraction;
        for (int i = weight + 1; static_cast<int>(fraction.size()) < scale; ++i) fraction += digits_of(i);
        text += "." + fraction.substr(0, static_cast<std::size_t>(scale));
    }
    return text;
}

std::size_t numeric_text_size(std::string_view bytes) noexcept {
    if (bytes.size() < 8) return 0;
    const auto weight = static_cast<std::int16_t>(read_big_endian<std::uint16_t>(bytes.substr(2)));
    const auto scale = static_cast<std::int16_t>(read_big_endian<std::uint16_t>(bytes.substr(6)));
    return static_cast<std::size_t>(std::max(weight + 1, 0)) * 4 + static_cast<std::size_t>(std::max<int>(scale, 0));
}

void numeric_to_binary(std::string_view text, Encoder& out) {
    constexpr int group = 4;
    const bool negative = text.starts_with('-');
    if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
    const auto special = [&out](int sign) {
        out.put_int32(0);
        out.put_int16(static_cast<std::int16_t>(sign));
        out.put_int16(0);
    };
    if (text == "NaN") return special(0xC000);
    if (text == "Infinity") return special(negative ? 0xF000 : 0xD000);

    long exponent = 0;
    const std::size_t e = text.find_first_of("eE");
    if (e != std::string_view::npos) {
        std::string_view power = text.substr(e + 1);
        if (power.starts_with('+')) power.remove_prefix(1);
        const auto [end, error] = std::from_chars(power.data(), power.data() + power.size(), exponent);
        if (error != std::errc() || exponent > 200'000 || exponent < -200'000) throw ValueError("numeric out of range");
        text = text.substr(0, e);
    }
    std::string digits;
    const std::size_t point = std::min(text.find('.'), text.size());
    digits.append(text.substr(0, point));
    if (point < text.size()) digits.append(text.substr(point + 1));
    const long fraction = point < text.size() ? static_cast<long>(text.size() - point - 1) : 0;
    const long scale = std::max(fraction - exponent, 0L);
    // Of the last digit; from here on the number is an integer times a power of ten that is a multiple of four.
    long last = exponent - fraction;
    while (last % group != 0) {
        digits.push_back('0');
        --last;
    }
    if (digits.size() % group != 0) digits.insert(0, group - digits.size() % group, '0');
    std::vector<std::int16_t> groups;
    for (std::size_t i = 0; i < digits.size(); i += group) {
        std::int16_t value = 0;
        for (std::size_t j = i; j < i + group; ++j) value = static_cast<std::int16_t>(value * 10 + (digits[j] - '0'));
        groups.push_back(value);
    }
    long weight = last / group + static_cast<long>(groups.size()) - 1;
    const auto used = std::find_if(groups.begin(), groups.end(), [](std::int16_t each) { return each != 0; });
    weight -= used - groups.begin();
    groups.erase(groups.begin(), used);
    while (!groups.empty() && groups.back() == 0) groups.pop_back();
    if (groups.empty()) weight = 0;
    if (weight > 32767 || weight < -32768 || scale > 0x3FFF || groups.size() > 65535) {
        throw ValueError("numeric out of range");
    }
    out.put_int16(static_cast<std::int16_t>(groups.size()));
    out.put_int16(static_cast<std::int16_t>(weight));
    out.put_int16(static_cast<std::int16_t>(negative && !groups.empty() ? 0x4000 : 0));
    out.put_int16(static_cast<std::int16_t>(scale));
    for (const std::int16_t each : groups) out.put_int16(each);
}

}  // namespace coaio::db::detail
