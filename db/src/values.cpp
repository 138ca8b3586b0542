// SPDX-License-Identifier: MIT
#include <coaio/db/values.hpp>

#include "text.hpp"

#include <algorithm>

namespace coaio::db {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

std::size_t skip_digits(std::string_view text, std::size_t at) {
    while (at < text.size() && is_digit(text[at])) ++at;
    return at;
}

bool is_numeric(std::string_view text) {
    if (text == "NaN" || text == "Infinity" || text == "-Infinity") return true;
    std::size_t at = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    std::size_t digits_end = skip_digits(text, at);
    std::size_t digits = digits_end - at;
    at = digits_end;
    if (at < text.size() && text[at] == '.') {
        digits_end = skip_digits(text, at + 1);
        digits += digits_end - at - 1;
        at = digits_end;
    }
    if (digits == 0) return false;
    if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
        ++at;
        if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
        digits_end = skip_digits(text, at);
        if (digits_end == at) return false;
        at = digits_end;
    }
    return at == text.size();
}

}  // namespace

Uuid Uuid::parse(std::string_view text) {
    if (text.size() >= 2 && text.front() == '{' && text.back() == '}') text = text.substr(1, text.size() - 2);
    Uuid uuid;
    std::size_t digits = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '-' && digits % 4 == 0 && digits != 0 && digits != 32) continue;
        int digit = detail::hex_digit(text[i]);
        if (digit < 0 || digits == 32) throw ValueError("not a UUID");
        auto& byte = uuid.bytes_[digits / 2];
        byte = static_cast<std::uint8_t>(byte * 16 + digit);
        ++digits;
    }
    if (digits != 32) throw ValueError("not a UUID");
    return uuid;
}

std::string Uuid::to_string() const {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) text.push_back('-');
        text.push_back(digits[bytes_[i] >> 4U]);
        text.push_back(digits[bytes_[i] & 0xFU]);
    }
    return text;
}

Numeric::Numeric(std::string_view text) : text_(text) {
    if (!is_numeric(text)) throw ValueError("not a decimal number: '" + std::string(text.substr(0, 40)) + "'");
}

void Codec<Uuid>::encode(const Uuid& value, Encoder& out) {
    out.put_bytes({reinterpret_cast<const char*>(value.bytes().data()), value.bytes().size()});
}

Uuid Codec<Uuid>::decode(const Encoded& value) {
    if (value.format == Format::text) return Uuid::parse(value.bytes);
    Decoder in(value.bytes);
    std::string_view bytes = in.get_bytes(16);
    in.expect_end();
    std::array<std::uint8_t, 16> copy{};
    std::transform(bytes.begin(), bytes.end(), copy.begin(), [](char c) { return static_cast<std::uint8_t>(c); });
    return Uuid(copy);
}

Numeric Codec<Numeric>::decode(const Encoded& value) {
    if (value.format == Format::text) return Numeric(value.bytes);
    return Numeric(detail::numeric_from_binary(value.bytes));
}

}  // namespace coaio::db
