// SPDX-License-Identifier: MIT
#include <coaio/db/range.hpp>

#include "literal.hpp"

#include <coaio/db/detail/user_types.hpp>

namespace coaio::db::detail {
namespace {

// The bits of the first byte of a binary range.
constexpr unsigned empty_range = 0x01;
constexpr unsigned lower_included = 0x02;
constexpr unsigned upper_included = 0x04;
constexpr unsigned lower_infinite = 0x08;
constexpr unsigned upper_infinite = 0x10;
constexpr unsigned of_a_range = empty_range | lower_included | upper_included | lower_infinite | upper_infinite;

std::string_view get_sized(Decoder& in, const char* what) {
    const std::int32_t length = in.get_int32();
    if (length < 0) throw ValueError(std::string(what) + " of negative length");
    return in.get_bytes(static_cast<std::size_t>(length));
}

template <class F>
void put_sized(Encoder& out, F put) {
    const std::size_t at = out.size();
    out.put_int32(0);
    put();
    const std::size_t length = out.size() - at - 4;
    if (!std::in_range<std::int32_t>(length)) throw ValueError("a range too long to be sent");
    out.patch_int32(at, static_cast<std::int32_t>(length));
}

RangeParts parse_binary(std::string_view bytes) {
    Decoder in(bytes);
    const auto flags = static_cast<unsigned char>(in.get_bytes(1)[0]);
    if ((flags & ~of_a_range) != 0) throw ValueError("a range with unknown flags");
    RangeParts parts;
    parts.empty = (flags & empty_range) != 0;
    if (!parts.empty) {
        if ((flags & lower_infinite) == 0) parts.lower.emplace(get_sized(in, "the lower bound of a range"));
        if ((flags & upper_infinite) == 0) parts.upper.emplace(get_sized(in, "the upper bound of a range"));
        parts.lower_inclusive = parts.lower && (flags & lower_included) != 0;
        parts.upper_inclusive = parts.upper && (flags & upper_included) != 0;
    }
    in.expect_end();
    return parts;
}

RangeParts parse_literal(LiteralReader& in) {
    RangeParts parts;
    const char opening = in.take();
    if (opening != '[' && opening != '(') in.bad();
    parts.lower = in.part(",");
    in.expect(',');
    parts.upper = in.part(")]");
    parts.lower_inclusive = parts.lower && opening == '[';
    parts.upper_inclusive = in.take() == ']' && parts.upper;
    return parts;
}

}  // namespace

RangeParts parse_range(Format format, std::string_view bytes) {
    if (format == Format::binary) return parse_binary(bytes);
    RangeParts parts;
    if (bytes == "empty") {
        parts.empty = true;
        return parts;
    }
    LiteralReader in(bytes, "range");
    parts = parse_literal(in);
    in.expect_end();
    return parts;
}

std::vector<RangeParts> parse_multirange(Format format, std::string_view bytes) {
    std::vector<RangeParts> ranges;
    if (format == Format::text) {
        LiteralReader in(bytes, "multirange");
        in.expect('{');
        while (in.peek() != '}') {
            if (!ranges.empty()) in.expect(',');
            ranges.push_back(parse_literal(in));
        }
        in.expect('}');
        in.expect_end();
        return ranges;
    }
    Decoder in(bytes);
    const std::int32_t count = in.get_int32();
    // Each takes at least its length and a byte of flags: a count beyond that is a lie.
    if (count < 0 || static_cast<std::size_t>(count) > in.remaining() / 5) {
        throw ValueError("a multirange with more ranges than bytes");
    }
    ranges.reserve(static_cast<std::size_t>(count));
    for (std::int32_t i = 0; i < count; ++i) ranges.push_back(parse_binary(get_sized(in, "a range")));
    in.expect_end();
    return ranges;
}

void write_range(const RangeParts& parts, Format format, Encoder& out) {
    if (format == Format::text) {
        if (parts.empty) return out.put_bytes("empty");
        out.put_bytes(parts.lower_inclusive ? "[" : "(");
        if (parts.lower) put_part(*parts.lower, out);
        out.put_bytes(",");
        if (parts.upper) put_part(*parts.upper, out);
        out.put_bytes(parts.upper_inclusive ? "]" : ")");
        return;
    }
    unsigned flags = parts.empty ? empty_range : 0;
    if (!parts.empty) {
        flags |= parts.lower ? 0U : lower_infinite;
        flags |= parts.upper ? 0U : upper_infinite;
        flags |= parts.lower_inclusive ? lower_included : 0U;
        flags |= parts.upper_inclusive ? upper_included : 0U;
    }
    const char first = static_cast<char>(flags);
    out.put_bytes(std::string_view(&first, 1));
    if (parts.empty) return;
    if (parts.lower) put_sized(out, [&] { out.put_bytes(*parts.lower); });
    if (parts.upper) put_sized(out, [&] { out.put_bytes(*parts.upper); });
}

void write_multirange(const std::vector<RangeParts>& parts, Format format, Encoder& out) {
    if (format == Format::binary) {
        if (!std::in_range<std::int32_t>(parts.size())) throw ValueError("a multirange of too many ranges");
        out.put_int32(static_cast<std::int32_t>(parts.size()));
        for (const RangeParts& each : parts) put_sized(out, [&] { write_range(each, format, out); });
        return;
    }
    out.put_bytes("{");
    for (const RangeParts& each : parts) {
        if (&each != parts.data()) out.put_bytes(",");
        write_range(each, format, out);
    }
    out.put_bytes("}");
}

void write_out_bounds(RangeParts& parts, Oid subtype) {
    if (parts.lower) parts.lower = text_of(subtype, *parts.lower);
    if (parts.upper) parts.upper = text_of(subtype, *parts.upper);
}

bool accepts_range(Oid type, Format format, const UserTypes* types, AcceptsType accepts_bound) {
    const Oid subtype = subtype_of_range(type, types);
    if (subtype != Oid::unspecified) return accepts_bound(subtype, format, types);
    return format == Format::text && is_user_made(type) && kind_of(type, types) == UserKind::unknown;
}

bool accepts_multirange(Oid type, Format format, const UserTypes* types, AcceptsType accepts_bound) {
    const Oid subtype = subtype_of_multirange(type, types);
    if (subtype != Oid::unspecified) return accepts_bound(subtype, format, types);
    return format == Format::text && is_user_made(type) && kind_of(type, types) == UserKind::unknown;
}

Oid bound_type(const Encoded& range, Oid otherwise) noexcept {
    const Oid of_range = subtype_of_range(range.type, range.types);
    if (of_range != Oid::unspecified) return of_range;
    const Oid of_multirange = subtype_of_multirange(range.type, range.types);
    return of_multirange != Oid::unspecified ? of_multirange : otherwise;
}

}  // namespace coaio::db::detail
