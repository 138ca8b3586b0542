// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/codec.hpp>
#include <coaio/db/row.hpp>

#include <nlohmann/json_fwd.hpp>

namespace coaio::db {

/// `json` and `jsonb` as nlohmann::json; to use it include <nlohmann/json.hpp> too. As a parameter its type is inferred
/// by the server, so it serves for both. Numbers beyond the range of double and int64_t lose digits here: read such
/// documents as `Json`.
template <>
struct Codec<nlohmann::json> {
    static constexpr std::string_view name = "nlohmann::json";
    static constexpr Oid oid = Oid::unspecified;
    static constexpr Format format = Format::text;
    static void encode(const nlohmann::json& value, Encoder& out);
    static bool accepts(Oid type, Format) { return type == Oid::json || type == Oid::jsonb; }
    static nlohmann::json decode(const Encoded& value);
};

/// What a statement answered, as a document: rows are an array, a row is an object of its columns by their names.
///
///     co_return http::Response::json(coaio::db::to_json(co_await pool.query("select id, name from users")));
///
/// NULL is null; bool, integers and floats are themselves, but NaN and the infinities, which JSON does not have, are
/// strings; `json` and `jsonb` are what they hold, and arrays are arrays. All else is a string, as Postgres writes it: a
/// `numeric` too, so that no digit is lost, and a `timestamptz` in UTC, by ISO 8601.
/// Throws a ConversionError where two columns have one name, and for a composite that came in binary: cast it to json.
[[nodiscard]] nlohmann::json to_json(const Rows& rows);
[[nodiscard]] nlohmann::json to_json(const Row& row);
[[nodiscard]] nlohmann::json to_json(const Field& value);

}  // namespace coaio::db
