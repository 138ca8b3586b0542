// SPDX-License-Identifier: MIT
#include <coaio/db/codec.hpp>

#include "text.hpp"

#include <coaio/db/detail/user_types.hpp>

#include <array>
#include <bit>
#include <charconv>

namespace coaio::db {
namespace {

template <class U>
void append_big_endian(std::string& out, U value) {
    std::array<char, sizeof(U)> bytes;
    for (std::size_t i = sizeof(U); i-- > 0; value = static_cast<U>(value >> 8U)) bytes[i] = static_cast<char>(value);
    out.append(bytes.data(), bytes.size());
}

template <class U>
U take_big_endian(Decoder& in) {
    return detail::read_big_endian<U>(in.get_bytes(sizeof(U)));
}

template <class T>
T number_of(std::string_view text) {
    T value{};
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) throw ValueError("not a number");
    return value;
}

template <class T>
T floating_of(std::string_view text) {
    if (text == "Infinity") return std::numeric_limits<T>::infinity();
    if (text == "-Infinity") return -std::numeric_limits<T>::infinity();
    if (text == "NaN") return std::numeric_limits<T>::quiet_NaN();
    return number_of<T>(text);
}

/// As the text form of "char" has them since Postgres 16.
constexpr auto escapes = [] {
    std::array<std::array<char, 4>, 128> made{};
    for (unsigned i = 0; i < made.size(); ++i) {
        const auto digit = [](unsigned value) { return static_cast<char>('0' + value % 8); };
        made[i] = {'\\', digit((i + 128) / 64), digit(i / 8), digit(i)};
    }
    return made;
}();

// Neither of these bytes is text by itself.
std::string_view character_text(std::string_view byte) {
    const auto value = static_cast<unsigned char>(byte[0]);
    if (value == 0) return byte.substr(0, 0);
    return value < 128 ? byte : std::string_view(escapes[value - 128U].data(), escapes[value - 128U].size());
}

}  // namespace

void Encoder::put_int16(std::int16_t value) { append_big_endian(*out_, static_cast<std::uint16_t>(value)); }
void Encoder::put_int32(std::int32_t value) { append_big_endian(*out_, static_cast<std::uint32_t>(value)); }
void Encoder::put_int64(std::int64_t value) { append_big_endian(*out_, static_cast<std::uint64_t>(value)); }

void Encoder::put_bytes(std::string_view bytes) {
    if (bytes.size() > most_bytes || out_->size() > most_bytes - bytes.size()) {
        throw ValueError("the parameters together would be larger than 1 GB");
    }
    out_->append(bytes);
}

void Encoder::put_text(std::string_view text) {
    if (text.find('\0') != std::string_view::npos) {
        throw ValueError("text with a NUL byte, which Postgres cannot store; use bytea for binary data");
    }
    put_bytes(text);
}

void Encoder::patch_int32(std::size_t at, std::int32_t value) {
    std::string bytes;
    append_big_endian(bytes, static_cast<std::uint32_t>(value));
    out_->replace(at, bytes.size(), bytes);
}

std::string_view Decoder::get_bytes(std::size_t count) {
    if (count > rest_.size()) {
        throw ValueError("the value ends early: " + std::to_string(count) + " more bytes expected, " +
                         std::to_string(rest_.size()) + " left");
    }
    std::string_view bytes = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return bytes;
}

std::int16_t Decoder::get_int16() { return static_cast<std::int16_t>(take_big_endian<std::uint16_t>(*this)); }
std::int32_t Decoder::get_int32() { return static_cast<std::int32_t>(take_big_endian<std::uint32_t>(*this)); }
std::int64_t Decoder::get_int64() { return static_cast<std::int64_t>(take_big_endian<std::uint64_t>(*this)); }

void Decoder::expect_end() const {
    if (!rest_.empty()) throw ValueError(std::to_string(rest_.size()) + " bytes too many");
}

void Codec<float>::encode(float value, Encoder& out) { out.put_int32(std::bit_cast<std::int32_t>(value)); }
void Codec<double>::encode(double value, Encoder& out) { out.put_int64(std::bit_cast<std::int64_t>(value)); }

void Codec<std::vector<std::byte>>::encode(std::span<const std::byte> value, Encoder& out) {
    if (!value.empty()) out.put_bytes({reinterpret_cast<const char*>(value.data()), value.size()});
}

namespace detail {

void out_of_range(const std::string& value, std::string_view type) {
    throw ValueError(value + " is out of the range of " + std::string(type));
}

bool accepts_integer(Oid type) noexcept {
    switch (type) {
    case Oid::int2:
    case Oid::int4:
    case Oid::int8:
    case Oid::oid:
    case Oid::xid:
    case Oid::cid:
    case Oid::xid8: return true;
    default: return false;
    }
}

bool accepts_text(Oid type, Format format, const UserTypes* types) noexcept {
    if (kind_of(type, types) == UserKind::enumeration) return true;
    switch (type) {
    case Oid::text:
    case Oid::varchar:
    case Oid::bpchar:
    case Oid::name:
    case Oid::single_char:
    case Oid::unknown:
    case Oid::json:
    case Oid::jsonb:
    case Oid::xml:
    case Oid::void_type: return true;
    default: return format == Format::text && !known_in_binary(type);
    }
}

bool accepts_enum(Oid type, Format format, const UserTypes* types) noexcept {
    const UserKind kind = kind_of(type, types);
    return kind == UserKind::unknown ? is_user_made(type) || accepts_text(type, format, types)
                                     : kind == UserKind::enumeration;
}

bool decode_bool(const Encoded& value) {
    if (value.format == Format::text) {
        if (value.bytes == "t") return true;
        if (value.bytes == "f") return false;
    } else if (value.bytes.size() == 1) {
        return value.bytes[0] != 0;
    }
    throw ValueError("not a bool");
}

std::int64_t decode_integer(const Encoded& value) {
    if (value.format == Format::text) return number_of<std::int64_t>(value.bytes);
    Decoder in(value.bytes);
    std::int64_t number = 0;
    switch (value.type) {
    case Oid::int2: number = in.get_int16(); break;
    case Oid::int4: number = in.get_int32(); break;
    case Oid::oid:
    case Oid::xid:
    case Oid::cid: number = static_cast<std::uint32_t>(in.get_int32()); break;
    default: number = in.get_int64(); break;
    }
    in.expect_end();
    return number;
}

std::uint64_t decode_xid8(const Encoded& value) {
    if (value.format == Format::text) return number_of<std::uint64_t>(value.bytes);
    Decoder in(value.bytes);
    auto number = static_cast<std::uint64_t>(in.get_int64());
    in.expect_end();
    return number;
}

float decode_float(const Encoded& value) {
    if (value.format == Format::text) return floating_of<float>(value.bytes);
    Decoder in(value.bytes);
    auto number = std::bit_cast<float>(in.get_int32());
    in.expect_end();
    return number;
}

double decode_double(const Encoded& value) {
    if (value.type == Oid::float4 && value.format == Format::binary) return static_cast<double>(decode_float(value));
    if (value.type == Oid::float4) return static_cast<double>(floating_of<float>(value.bytes));
    if (value.format == Format::text) return floating_of<double>(value.bytes);
    Decoder in(value.bytes);
    auto number = std::bit_cast<double>(in.get_int64());
    in.expect_end();
    return number;
}

std::string_view decode_text(const Encoded& value) {
    if (value.type == Oid::single_char && value.bytes.size() == 1) return character_text(value.bytes);
    if (value.type != Oid::jsonb || value.format == Format::text) return value.bytes;
    Decoder in(value.bytes);
    auto version = static_cast<unsigned char>(in.get_bytes(1)[0]);
    if (version != 1) throw ValueError("jsonb of version " + std::to_string(version) + ", only 1 is known");
    return in.get_bytes(in.remaining());
}

std::vector<std::byte> decode_bytea(const Encoded& value) {
    if (value.format == Format::text) return bytea_from_text(value.bytes);
    const auto* data = reinterpret_cast<const std::byte*>(value.bytes.data());
    return {data, data + value.bytes.size()};
}

}  // namespace detail
}  // namespace coaio::db
