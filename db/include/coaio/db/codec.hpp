// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/error.hpp>
#include <coaio/db/oid.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace coaio::db {

enum class Format : unsigned char { text = 0, binary = 1 };

namespace detail {
class UserTypes;
}

/// One value as it lies in a message of the server: hostile bytes, to be read with care. Never NULL.
struct Encoded {
    Oid type = Oid::unspecified;
    Format format = Format::binary;
    std::string_view bytes;
    const detail::UserTypes* types = nullptr;  ///< for the library: what is known of types that users made
};

/// Where a codec writes a parameter's bytes, in network order.
class Encoder {
public:
    static constexpr std::size_t most_bytes = 1'000'000'000;  ///< a message of the protocol must stay below 1 GiB

    explicit Encoder(std::string& out) noexcept : out_(&out) {}

    void put_int16(std::int16_t value);
    void put_int32(std::int32_t value);
    void put_int64(std::int64_t value);
    /// Throws ValueError, and copies nothing, where the parameters together would grow beyond `most_bytes`.
    void put_bytes(std::string_view bytes);
    /// Text: a NUL byte is refused with a ValueError, since Postgres has none and libpq would cut there.
    void put_text(std::string_view text);

    [[nodiscard]] std::size_t size() const noexcept { return out_->size(); }
    /// Overwrites four bytes written before, such as a length that was not known yet.
    void patch_int32(std::size_t at, std::int32_t value);

private:
    std::string* out_;
};

/// Reads a binary value front to back. Whatever is not there, is a ValueError; nothing is read beyond the end.
class Decoder {
public:
    explicit Decoder(std::string_view bytes) noexcept : rest_(bytes) {}

    [[nodiscard]] std::int16_t get_int16();
    [[nodiscard]] std::int32_t get_int32();
    [[nodiscard]] std::int64_t get_int64();
    [[nodiscard]] std::string_view get_bytes(std::size_t count);
    [[nodiscard]] std::size_t remaining() const noexcept { return rest_.size(); }
    /// A ValueError unless all has been read.
    void expect_end() const;

private:
    std::string_view rest_;
};

/// How a C++ type travels: the point where a program adds its own types. Specialize it with these members:
///
///     template <> struct coaio::db::Codec<Celsius> {
///         static constexpr std::string_view name = "Celsius";        // for errors
///         static constexpr Oid oid = Oid::float8;                     // declared to the server for a parameter
///         static constexpr Format format = Format::binary;            // of a parameter
///         static void encode(const Celsius& value, Encoder& out);
///         static bool accepts(Oid type, Format format);               // of a column
///         static Celsius decode(const Encoded& value);
///     };
///
/// `encode` and `decode` throw a ValueError for a value that does not fit; where it was is added by the caller.
/// One whose values point into the rows, as a std::string_view does, says so by `static constexpr bool borrows = true`.
/// A type that travels as another one derives from `CodecVia`, an enum from `EnumCodec`, a composite type from
/// `CompositeCodec`.
template <class T>
struct Codec;

template <class T>
concept HasCodec = requires { Codec<T>::name; };

namespace detail {

/// Whether what is read as a T points to where it was read from.
template <class T>
inline constexpr bool borrows = false;
template <class T>
    requires requires { Codec<T>::borrows; }
inline constexpr bool borrows<T> = Codec<T>::borrows;
template <class T>
inline constexpr bool borrows<std::optional<T>> = borrows<T>;

/// What a domain is over; any other type is itself.
[[nodiscard]] Oid base_type(Oid type, const UserTypes* types) noexcept;

/// Whether a codec reads a type. Those that contain others are told what is known of types that users made.
template <class C>
[[nodiscard]] bool accepts(Oid type, Format format, const UserTypes* types) {
    if (types != nullptr) type = base_type(type, types);
    if constexpr (requires { C::accepts(type, format, types); }) {
        return C::accepts(type, format, types);
    } else {
        return C::accepts(type, format);
    }
}

template <class C>
[[nodiscard]] auto decode(Encoded value) {
    if (value.types != nullptr) value.type = base_type(value.type, value.types);
    return C::decode(value);
}

}  // namespace detail

/// A codec by way of another type:
///
///     template <> struct coaio::db::Codec<UserId> : coaio::db::CodecVia<UserId, std::int64_t> {
///         static constexpr std::string_view name = "UserId";
///         static std::int64_t to(const UserId& id) { return id.value; }
///         static UserId from(std::int64_t value) { return UserId{value}; }
///     };
///
/// What goes by way of a std::string_view is taken to keep it. Text that is copied goes by way of a std::string, to which
/// `to` may give a view all the same.
template <class T, class Via>
struct CodecVia {
    using Through = Codec<Via>;
    static constexpr bool borrows = detail::borrows<Via>;
    static constexpr Oid oid = Codec<Via>::oid;
    static constexpr Format format = Codec<Via>::format;
    static void encode(const T& value, Encoder& out) { Codec<Via>::encode(Codec<T>::to(value), out); }
    static bool accepts(Oid type, Format sent, const detail::UserTypes* types = nullptr) {
        return detail::accepts<Codec<Via>>(type, sent, types);
    }
    static T decode(const Encoded& value) { return Codec<T>::from(Codec<Via>::decode(value)); }
};

namespace detail {

/// What a number or a string column may be read as, apart from templates.
[[nodiscard]] bool accepts_integer(Oid type) noexcept;
[[nodiscard]] bool accepts_text(Oid type, Format format, const UserTypes* types) noexcept;
[[nodiscard]] bool accepts_enum(Oid type, Format format, const UserTypes* types) noexcept;
[[nodiscard]] bool decode_bool(const Encoded& value);
[[nodiscard]] std::int64_t decode_integer(const Encoded& value);
[[nodiscard]] std::uint64_t decode_xid8(const Encoded& value);
[[nodiscard]] float decode_float(const Encoded& value);
[[nodiscard]] double decode_double(const Encoded& value);
[[nodiscard]] std::string_view decode_text(const Encoded& value);
[[nodiscard]] std::vector<std::byte> decode_bytea(const Encoded& value);
[[noreturn]] void out_of_range(const std::string& value, std::string_view type);
template <std::integral T>
[[noreturn]] void out_of_range_number(T value, std::string_view type) {
    out_of_range(std::to_string(value), type);
}

/// There are enough bytes.
template <std::unsigned_integral U>
[[nodiscard]] U read_big_endian(std::string_view bytes) noexcept {
    U value = 0;
    for (std::size_t i = 0; i < sizeof(U); ++i) {
        value = static_cast<U>((value << 8U) | static_cast<unsigned char>(bytes[i]));
    }
    return value;
}

template <class T>
inline constexpr bool is_character = std::same_as<T, char> || std::same_as<T, wchar_t> || std::same_as<T, char8_t> ||
                                     std::same_as<T, char16_t> || std::same_as<T, char32_t>;

template <class T>
concept Integer = std::integral<T> && !std::same_as<T, bool> && !is_character<T>;

/// The width that holds every value of T; uint64_t travels as int8 and is checked.
template <Integer T>
consteval int wire_size() {
    if constexpr (std::is_signed_v<T>) {
        return sizeof(T) <= 2 ? 2 : static_cast<int>(sizeof(T));
    } else {
        return sizeof(T) == 1 ? 2 : sizeof(T) == 2 ? 4 : 8;
    }
}

template <Integer T>
consteval std::string_view integer_name() {
    if constexpr (std::is_signed_v<T>) {
        return sizeof(T) == 1 ? "int8_t" : sizeof(T) == 2 ? "int16_t" : sizeof(T) == 4 ? "int" : "int64_t";
    } else {
        return sizeof(T) == 1 ? "uint8_t" : sizeof(T) == 2 ? "uint16_t" : sizeof(T) == 4 ? "uint32_t" : "uint64_t";
    }
}

}  // namespace detail

/// Sent as int2, int4 or int8, whichever holds the type; read from any of them (and oid, xid, xid8), range-checked.
template <detail::Integer T>
struct Codec<T> {
    static constexpr std::string_view name = detail::integer_name<T>();
    static constexpr int width = detail::wire_size<T>();
    static constexpr Oid oid = width == 2 ? Oid::int2 : width == 4 ? Oid::int4 : Oid::int8;
    static constexpr Format format = Format::binary;
    static void encode(T value, Encoder& out) {
        if constexpr (width == 2) {
            out.put_int16(static_cast<std::int16_t>(value));
        } else if constexpr (width == 4) {
            out.put_int32(static_cast<std::int32_t>(value));
        } else {
            if (!std::in_range<std::int64_t>(value)) throw ValueError("a number out of the range of int8");
            out.put_int64(static_cast<std::int64_t>(value));
        }
    }
    static bool accepts(Oid type, Format) { return detail::accepts_integer(type); }
    static T decode(const Encoded& value) {
        if (value.type == Oid::xid8) return narrowed(detail::decode_xid8(value));
        return narrowed(detail::decode_integer(value));
    }

private:
    template <class Wide>
    static T narrowed(Wide wide) {
        if (!std::in_range<T>(wide)) detail::out_of_range_number(wide, name);
        return static_cast<T>(wide);
    }
};

template <>
struct Codec<bool> {
    static constexpr std::string_view name = "bool";
    static constexpr Oid oid = Oid::boolean;
    static constexpr Format format = Format::binary;
    static void encode(bool value, Encoder& out) { out.put_bytes(std::string_view(value ? "\1" : "\0", 1)); }
    static bool accepts(Oid type, Format) { return type == Oid::boolean; }
    static bool decode(const Encoded& value) { return detail::decode_bool(value); }
};

/// Read from float4 only: a double does not become a float silently.
template <>
struct Codec<float> {
    static constexpr std::string_view name = "float";
    static constexpr Oid oid = Oid::float4;
    static constexpr Format format = Format::binary;
    static void encode(float value, Encoder& out);
    static bool accepts(Oid type, Format) { return type == Oid::float4; }
    static float decode(const Encoded& value) { return detail::decode_float(value); }
};

template <>
struct Codec<double> {
    static constexpr std::string_view name = "double";
    static constexpr Oid oid = Oid::float8;
    static constexpr Format format = Format::binary;
    static void encode(double value, Encoder& out);
    static bool accepts(Oid type, Format) { return type == Oid::float8 || type == Oid::float4; }
    static double decode(const Encoded& value) { return detail::decode_double(value); }
};

/// A number of type `oid`.
template <>
struct Codec<Oid> {
    static constexpr std::string_view name = "coaio::db::Oid";
    static constexpr Oid oid = Oid::oid;
    static constexpr Format format = Format::binary;
    static void encode(Oid value, Encoder& out) { out.put_int32(static_cast<std::int32_t>(value)); }
    static bool accepts(Oid type, Format) { return type == Oid::oid; }
    static Oid decode(const Encoded& value) { return static_cast<Oid>(detail::decode_integer(value)); }
};

/// Text. As a parameter its type is left for the server to infer, so that a string serves wherever a literal does: for
/// text, and also for an enum, a date, an inet. Read from the text types, enums, and any type this module does not know.
template <>
struct Codec<std::string> {
    static constexpr std::string_view name = "std::string";
    static constexpr Oid oid = Oid::unspecified;
    static constexpr Format format = Format::text;
    static void encode(std::string_view value, Encoder& out) { out.put_text(value); }
    static bool accepts(Oid type, Format column, const detail::UserTypes* types = nullptr) {
        return detail::accepts_text(type, column, types);
    }
    static std::string decode(const Encoded& value) { return std::string(detail::decode_text(value)); }
};

/// As std::string. What is read points into the rows and lives as long as they do.
template <>
struct Codec<std::string_view> : Codec<std::string> {
    static constexpr std::string_view name = "std::string_view";
    static constexpr bool borrows = true;
    static std::string_view decode(const Encoded& value) { return detail::decode_text(value); }
};

/// bytea.
template <>
struct Codec<std::vector<std::byte>> {
    static constexpr std::string_view name = "std::vector<std::byte>";
    static constexpr Oid oid = Oid::bytea;
    static constexpr Format format = Format::binary;
    static void encode(std::span<const std::byte> value, Encoder& out);
    static bool accepts(Oid type, Format) { return type == Oid::bytea; }
    static std::vector<std::byte> decode(const Encoded& value) { return detail::decode_bytea(value); }
};

/// An enum of C++ for one of Postgres, by its labels:
///
///     template <> struct coaio::db::Codec<Mood> : coaio::db::EnumCodec<Mood> {
///         static constexpr std::string_view name = "Mood";
///         static constexpr std::pair<Mood, std::string_view> labels[] = {{Mood::sad, "sad"}, {Mood::ok, "ok"}};
///     };
template <class E>
struct EnumCodec {
    static constexpr Oid oid = Oid::unspecified;
    static constexpr Oid array_oid = Oid::unspecified;
    static constexpr Format format = Format::text;
    static void encode(E value, Encoder& out) {
        for (const auto& [each, label] : Codec<E>::labels) {
            if (each == value) return out.put_text(label);
        }
        throw ValueError("the value has no label");
    }
    static bool accepts(Oid type, Format column, const detail::UserTypes* types = nullptr) {
        return detail::accepts_enum(type, column, types);
    }
    static E decode(const Encoded& value) {
        for (const auto& [each, label] : Codec<E>::labels) {
            if (label == value.bytes) return each;
        }
        throw ValueError("no value has the label '" + std::string(value.bytes.substr(0, 64)) + "'");
    }
};

}  // namespace coaio::db
