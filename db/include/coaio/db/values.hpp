// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/codec.hpp>

#include <array>
#include <compare>
#include <string>
#include <string_view>

namespace coaio::db {

/// A UUID, compared by its bytes.
class Uuid {
public:
    Uuid() = default;
    explicit Uuid(const std::array<std::uint8_t, 16>& bytes) noexcept : bytes_(bytes) {}
    /// The usual 36 characters, hyphens optional, braces and any case allowed. Throws ValueError.
    [[nodiscard]] static Uuid parse(std::string_view text);

    [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::string to_string() const;
    friend auto operator<=>(const Uuid&, const Uuid&) = default;

private:
    std::array<std::uint8_t, 16> bytes_{};
};

/// A `numeric`: its decimal digits as text, so that none is lost on the way: "12.50", "NaN", "-Infinity".
class Numeric {
public:
    Numeric() = default;
    /// Digits with an optional sign, point and exponent, or NaN, Infinity, -Infinity. Throws ValueError.
    explicit Numeric(std::string_view text);

    [[nodiscard]] const std::string& to_string() const noexcept { return text_; }
    /// Compares the text: "1.0" is not "1".
    friend bool operator==(const Numeric&, const Numeric&) = default;

private:
    std::string text_ = "0";
};

/// A `json` or `jsonb` as its text, which nothing here looks into.
/// As a parameter its type is inferred by the server, so it serves for both. For nlohmann::json include
/// <coaio/db/json.hpp>.
class Json {
public:
    Json() = default;
    explicit Json(std::string text) noexcept : text_(std::move(text)) {}

    [[nodiscard]] const std::string& text() const noexcept { return text_; }
    friend bool operator==(const Json&, const Json&) = default;

private:
    std::string text_ = "null";
};

/// The bytes of any column as they came, for types this module does not know.
class Raw {
public:
    Raw() = default;
    explicit Raw(const Encoded& value) : type_(value.type), format_(value.format), bytes_(value.bytes) {}

    [[nodiscard]] Oid type() const noexcept { return type_; }
    [[nodiscard]] Format format() const noexcept { return format_; }
    [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }

private:
    Oid type_ = Oid::unspecified;
    Format format_ = Format::binary;
    std::string bytes_;
};

template <>
struct Codec<Uuid> {
    static constexpr std::string_view name = "coaio::db::Uuid";
    static constexpr Oid oid = Oid::uuid;
    static constexpr Format format = Format::binary;
    static void encode(const Uuid& value, Encoder& out);
    static bool accepts(Oid type, Format) { return type == Oid::uuid; }
    static Uuid decode(const Encoded& value);
};

template <>
struct Codec<Numeric> {
    static constexpr std::string_view name = "coaio::db::Numeric";
    static constexpr Oid oid = Oid::numeric;
    static constexpr Format format = Format::text;
    static void encode(const Numeric& value, Encoder& out) { out.put_text(value.to_string()); }
    static bool accepts(Oid type, Format) { return type == Oid::numeric; }
    static Numeric decode(const Encoded& value);
};

template <>
struct Codec<Json> {
    static constexpr std::string_view name = "coaio::db::Json";
    static constexpr Oid oid = Oid::unspecified;
    static constexpr Format format = Format::text;
    static void encode(const Json& value, Encoder& out) { out.put_text(value.text()); }
    static bool accepts(Oid type, Format) { return type == Oid::json || type == Oid::jsonb; }
    static Json decode(const Encoded& value) { return Json(std::string(detail::decode_text(value))); }
};

/// Read only.
template <>
struct Codec<Raw> {
    static constexpr std::string_view name = "coaio::db::Raw";
    static bool accepts(Oid, Format) { return true; }
    static Raw decode(const Encoded& value) { return Raw(value); }
};

}  // namespace coaio::db
