// SPDX-License-Identifier: MIT
#include <coaio/db/json.hpp>

#include "literal.hpp"

#include <coaio/db/array.hpp>
#include <coaio/db/detail/user_types.hpp>
#include <coaio/db/range.hpp>
#include <coaio/db/time.hpp>

#include <nlohmann/json.hpp>

#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

namespace coaio::db {

namespace detail {
namespace {

/// Whatever it is, as JSON.
struct Anything {
    nlohmann::json json;
};

std::string iso_text(const Encoded& value) {
    std::string binary;
    Encoder out(binary);
    Codec<Timestamp>::encode(Codec<Timestamp>::decode(value), out);
    std::string text = text_of(Oid::timestamptz, binary);
    if (text.ends_with("+00")) text.append(":00").replace(text.find(' '), 1, "T");
    return text;
}

// A float4 by its shortest digits: 0.1 and not what a double makes of it.
nlohmann::json from_float(const Encoded& value) {
    const double number = decode_double(value);
    std::string text(value.format == Format::text ? std::string(value.bytes) : text_of(value.type, value.bytes));
    if (!std::isfinite(number)) return text;
    if (value.type != Oid::float4) return number;
    double shortest = 0;
    std::from_chars(text.data(), text.data() + text.size(), shortest);
    return shortest;
}

// A catalog may say that an array holds itself.
constexpr int most_nested = 64;

void expect_shallow(int depth) {
    if (depth > most_nested) throw ValueError("a value nested too deep to become JSON");
}

std::string text_in(Encoded value, int depth);

void write_out(RangeParts& range, const Encoded& whole, Oid subtype, int depth) {
    for (auto* bound : {&range.lower, &range.upper}) {
        if (*bound) *bound = text_in(Encoded{subtype, Format::binary, **bound, whole.types}, depth + 1);
    }
}

/// The text of a value in binary, also of a range that users made.
std::string text_in(Encoded value, int depth) {
    expect_shallow(depth);
    value.type = base_type(value.type, value.types);
    std::string text;
    Encoder out(text);
    const UserKind kind = kind_of(value.type, value.types);
    if (kind == UserKind::range) {
        RangeParts range = parse_range(Format::binary, value.bytes);
        write_out(range, value, subtype_of_range(value.type, value.types), depth);
        write_range(range, Format::text, out);
        return text;
    }
    if (kind == UserKind::multirange) {
        std::vector<RangeParts> ranges = parse_multirange(Format::binary, value.bytes);
        const Oid subtype = subtype_of_multirange(value.type, value.types);
        for (RangeParts& each : ranges) write_out(each, value, subtype, depth);
        write_multirange(ranges, Format::text, out);
        return text;
    }
    if (kind == UserKind::enumeration) return std::string(value.bytes);
    return text_of(value.type, value.bytes);
}

nlohmann::json from_array(const ArrayParts& parts, std::size_t level, std::size_t& at, int depth);

nlohmann::json from_value(const Encoded& value, int depth) {
    expect_shallow(depth);
    switch (value.type) {
    case Oid::boolean: return decode_bool(value);
    case Oid::json:
    case Oid::jsonb: return Codec<nlohmann::json>::decode(value);
    case Oid::timestamptz: return iso_text(value);
    case Oid::xid8: return decode_xid8(value);
    case Oid::float4:
    case Oid::float8: return from_float(value);
    default: break;
    }
    if (accepts_integer(value.type)) return decode_integer(value);
    if (element_of(value.type, value.types) != Oid::unspecified) {
        const ArrayParts parts = parse_array(value);
        std::size_t at = 0;
        return parts.lengths.empty() ? nlohmann::json::array() : from_array(parts, 0, at, depth);
    }
    if (value.format == Format::text || accepts_text(value.type, value.format, value.types)) {
        return std::string(decode_text(value));
    }
    return text_in(value, depth);
}

nlohmann::json from_array(const ArrayParts& parts, std::size_t level, std::size_t& at, int depth) {
    nlohmann::json array = nlohmann::json::array();
    for (std::size_t i = 0; i < parts.lengths[level]; ++i) {
        if (level + 1 < parts.lengths.size()) {
            array.push_back(from_array(parts, level + 1, at, depth));
        } else if (const auto& item = parts.items[at++]) {
            const Oid type = base_type(parts.element, parts.types);
            array.push_back(from_value(Encoded{type, parts.format, *item, parts.types}, depth + 1));
        } else {
            array.push_back(nullptr);
        }
    }
    return array;
}

}  // namespace
}  // namespace detail

template <>
struct Codec<detail::Anything> {
    static constexpr std::string_view name = "nlohmann::json";
    static bool accepts(Oid, Format) { return true; }
    static detail::Anything decode(const Encoded& value) { return {detail::from_value(value, 0)}; }
};

void Codec<nlohmann::json>::encode(const nlohmann::json& value, Encoder& out) {
    try {
        out.put_text(value.dump());
    } catch (const nlohmann::json::exception&) {
        throw ValueError("a JSON document with a string that is not UTF-8");
    }
}

nlohmann::json Codec<nlohmann::json>::decode(const Encoded& value) {
    std::string_view text = detail::decode_text(value);
    try {
        return nlohmann::json::parse(text);
    } catch (const nlohmann::json::out_of_range&) {
        throw ValueError("a JSON document with a number beyond the range of double; read it as coaio::db::Json");
    } catch (const nlohmann::json::exception&) {
        throw ValueError("not a JSON document");
    }
}

nlohmann::json to_json(const Rows& rows) {
    nlohmann::json array = nlohmann::json::array();
    for (const Row row : rows) array.push_back(to_json(row));
    return array;
}

nlohmann::json to_json(const Row& row) {
    nlohmann::json object = nlohmann::json::object();
    for (std::size_t i = 0; i < row.size(); ++i) {
        const std::string name(row[i].column().name);
        if (!object.emplace(name, to_json(row[i])).second) static_cast<void>(row.at(name));  // says so
    }
    return object;
}

nlohmann::json to_json(const Field& value) {
    auto found = value.as<std::optional<detail::Anything>>();
    return found ? std::move(found->json) : nlohmann::json(nullptr);
}

}  // namespace coaio::db
