// SPDX-License-Identifier: MIT
#include "literal.hpp"

#include "text.hpp"

#include <coaio/db/array.hpp>
#include <coaio/db/range.hpp>
#include <coaio/db/values.hpp>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

namespace coaio::db::detail {

void LiteralReader::bad() const { throw ValueError("not a well-formed " + std::string(what_)); }

char LiteralReader::peek() const {
    if (at_end()) bad();
    return text_[at_];
}

char LiteralReader::take() {
    const char taken = peek();
    ++at_;
    return taken;
}

void LiteralReader::expect(char c) {
    if (take() != c) bad();
}

void LiteralReader::expect_end() const {
    if (!at_end()) bad();
}

std::optional<std::string> LiteralReader::part(std::string_view stops) {
    if (stops.find(peek()) != std::string_view::npos) return std::nullopt;
    std::string plain;
    bool quoted = false;
    while (quoted || stops.find(peek()) == std::string_view::npos) {
        char c = take();
        if (c == '"') {
            const bool doubled = quoted && !at_end() && peek() == '"';
            if (!doubled) {
                quoted = !quoted;
                continue;
            }
            ++at_;
        } else if (c == '\\') {
            c = take();
        }
        plain.push_back(c);
    }
    return plain;
}

void put_part(std::string_view text, Encoder& out) {
    if (!text.empty() && text.find_first_of("\"\\()[], \t\n\r\v\f") == std::string_view::npos)
        return out.put_bytes(text);
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') quoted.push_back(c);
        quoted.push_back(c);
    }
    quoted.push_back('"');
    out.put_bytes(quoted);
}

namespace {

template <class T>
std::string number_text(T number) {
    if constexpr (std::is_floating_point_v<T>) {
        if (std::isnan(number)) return "NaN";
        if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
    }
    std::array<char, 64> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    return std::string(digits.data(), end);
}

std::string bytea_text(std::string_view bytes) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string text = "\\x";
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        text.push_back(digits[byte >> 4U]);
        text.push_back(digits[byte & 0xFU]);
    }
    return text;
}

std::string padded(std::int64_t number, std::size_t width) {
    std::string digits = std::to_string(number);
    if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
    return digits;
}

/// With `rest` behind it, and the era behind that. Years here are of 365.2425 days and begin in March.
std::string day_text(std::int64_t days_since_2000, const std::string& rest) {
    constexpr std::int64_t era = 146'097;                 // days of 400 years
    const std::int64_t days = days_since_2000 + 730'425;  // since 0000-03-01
    const std::int64_t eras = (days >= 0 ? days : days - era + 1) / era;
    const std::int64_t of_era = days - eras * era;
    const std::int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
    const std::int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const std::int64_t month = (5 * of_year + 2) / 153;  // 0 is March
    const std::int64_t day = of_year - (153 * month + 2) / 5 + 1;
    const std::int64_t year = year_of_era + eras * 400 + (month >= 10 ? 1 : 0);
    const std::string text = "-" + padded(month < 10 ? month + 3 : month - 9, 2) + "-" + padded(day, 2) + rest;
    return year > 0 ? padded(year, 4) + text : padded(1 - year, 4) + text + " BC";
}

std::string date_text(std::int32_t days) {
    if (days == std::numeric_limits<std::int32_t>::max()) return "infinity";
    if (days == std::numeric_limits<std::int32_t>::min()) return "-infinity";
    return day_text(days, "");
}

std::string time_text(std::int64_t micros, const char* zone) {
    if (micros == std::numeric_limits<std::int64_t>::max()) return "infinity";
    if (micros == std::numeric_limits<std::int64_t>::min()) return "-infinity";
    constexpr std::int64_t second = 1'000'000;
    constexpr std::int64_t day = 86400 * second;
    const std::int64_t of_day = ((micros % day) + day) % day;
    const std::int64_t of_minute = of_day % (60 * second);
    std::string time = " " + padded(of_day / (3600 * second), 2) + ":" + padded(of_day / (60 * second) % 60, 2) + ":" +
                       padded(of_minute / second, 2);
    if (of_minute % second != 0) time += "." + padded(of_minute % second, 6);
    // The rest first, since there is a microsecond from which a whole day cannot be taken.
    const std::int64_t days = micros / day - (micros % day < 0 ? 1 : 0);
    return day_text(days, time + zone);
}

void put_rows(const ArrayParts& parts, Oid element, std::size_t level, std::size_t& at, std::string& out) {
    out.push_back('{');
    for (std::size_t i = 0; i < parts.lengths[level]; ++i) {
        if (i > 0) out.push_back(',');
        if (level + 1 < parts.lengths.size()) {
            put_rows(parts, element, level + 1, at, out);
        } else if (const auto& item = parts.items[at++]) {
            out.push_back('"');
            for (const char c : text_of(element, *item)) {
                if (c == '"' || c == '\\') out.push_back('\\');
                out.push_back(c);
            }
            out.push_back('"');
        } else {
            out += "NULL";
        }
    }
    out.push_back('}');
}

std::string array_text(Oid type, std::string_view binary) {
    const ArrayParts parts = parse_array(Encoded{type, Format::binary, binary});
    if (parts.lengths.empty()) return "{}";
    std::string text;
    std::size_t at = 0;
    put_rows(parts, parts.element, 0, at, text);
    return text;
}

std::string range_text(Oid subtype, std::string_view binary) {
    RangeParts parts = parse_range(Format::binary, binary);
    write_out_bounds(parts, subtype);
    std::string text;
    Encoder out(text);
    write_range(parts, Format::text, out);
    return text;
}

std::string multirange_text(Oid subtype, std::string_view binary) {
    std::vector<RangeParts> ranges = parse_multirange(Format::binary, binary);
    for (RangeParts& each : ranges) write_out_bounds(each, subtype);
    std::string text;
    Encoder out(text);
    write_multirange(ranges, Format::text, out);
    return text;
}

}  // namespace

std::string text_of(Oid type, std::string_view binary) {
    const Encoded value{type, Format::binary, binary};
    switch (type) {
    case Oid::boolean: return decode_bool(value) ? "t" : "f";
    case Oid::int2:
    case Oid::int4:
    case Oid::int8:
    case Oid::oid:
    case Oid::xid:
    case Oid::cid: return std::to_string(decode_integer(value));
    case Oid::xid8: return std::to_string(decode_xid8(value));
    case Oid::float4: return number_text(decode_float(value));
    case Oid::float8: return number_text(decode_double(value));
    case Oid::bytea: return bytea_text(binary);
    case Oid::date: return date_text(Decoder(binary).get_int32());
    case Oid::timestamp: return time_text(Decoder(binary).get_int64(), "");
    case Oid::timestamptz: return time_text(Decoder(binary).get_int64(), "+00");
    case Oid::uuid: return Codec<Uuid>::decode(value).to_string();
    case Oid::numeric: return numeric_from_binary(binary);
    default: break;
    }
    if (accepts_text(type, Format::binary, nullptr)) return std::string(decode_text(value));
    if (element_type(type) != Oid::unspecified) return array_text(type, binary);
    if (const Oid subtype = range_subtype(type); subtype != Oid::unspecified) return range_text(subtype, binary);
    if (const Oid subtype = multirange_subtype(type); subtype != Oid::unspecified) {
        return multirange_text(subtype, binary);
    }
    throw ValueError("a value of type " + db::type_name(type) +
                     " has no text form here, which it needs inside of a composite: let its codec write text");
}

}  // namespace coaio::db::detail
