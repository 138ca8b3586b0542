// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

namespace coaio::db {

/// A type of Postgres by its number (pg_type.oid), and at the same time the value of an `oid` column.
/// The named ones are those that the server fixes for ever; types made by a user have numbers from 16384 on.
enum class Oid : std::uint32_t {
    unspecified = 0,  ///< as a parameter's type: the server infers it from where it stands
    boolean = 16,
    bytea = 17,
    single_char = 18,
    name = 19,
    int8 = 20,
    int2 = 21,
    int4 = 23,
    text = 25,
    oid = 26,
    xid = 28,
    cid = 29,
    json = 114,
    xml = 142,
    xid8_array = 271,
    json_array = 199,
    float4 = 700,
    float8 = 701,
    unknown = 705,
    money = 790,
    boolean_array = 1000,
    bytea_array = 1001,
    name_array = 1003,
    int2_array = 1005,
    int4_array = 1007,
    text_array = 1009,
    bpchar_array = 1014,
    varchar_array = 1015,
    int8_array = 1016,
    float4_array = 1021,
    float8_array = 1022,
    oid_array = 1028,
    bpchar = 1042,
    varchar = 1043,
    date = 1082,
    time = 1083,
    timestamp = 1114,
    timestamp_array = 1115,
    date_array = 1182,
    timestamptz = 1184,
    timestamptz_array = 1185,
    interval = 1186,
    numeric_array = 1231,
    numeric = 1700,
    void_type = 2278,
    uuid = 2950,
    uuid_array = 2951,
    jsonb = 3802,
    jsonb_array = 3807,
    xid8 = 5069,
};

/// The name that SQL uses for the type, such as "int4" or "text[]"; "type 16412" for one that is not fixed.
[[nodiscard]] std::string type_name(Oid type);

/// The element type of one of the array types above, `unspecified` for any other type.
[[nodiscard]] Oid element_type(Oid array) noexcept;

/// The array type of one of the types above, `unspecified` where there is none here.
[[nodiscard]] constexpr Oid array_type(Oid element) noexcept {
    switch (element) {
    case Oid::boolean: return Oid::boolean_array;
    case Oid::bytea: return Oid::bytea_array;
    case Oid::name: return Oid::name_array;
    case Oid::int8: return Oid::int8_array;
    case Oid::int2: return Oid::int2_array;
    case Oid::int4: return Oid::int4_array;
    case Oid::text: return Oid::text_array;
    case Oid::oid: return Oid::oid_array;
    case Oid::json: return Oid::json_array;
    case Oid::float4: return Oid::float4_array;
    case Oid::float8: return Oid::float8_array;
    case Oid::bpchar: return Oid::bpchar_array;
    case Oid::varchar: return Oid::varchar_array;
    case Oid::date: return Oid::date_array;
    case Oid::timestamp: return Oid::timestamp_array;
    case Oid::timestamptz: return Oid::timestamptz_array;
    case Oid::numeric: return Oid::numeric_array;
    case Oid::uuid: return Oid::uuid_array;
    case Oid::jsonb: return Oid::jsonb_array;
    case Oid::xid8: return Oid::xid8_array;
    default: return Oid::unspecified;
    }
}

/// Whether this module reads the type's binary form. Of any other type it reads the text form, as a string.
[[nodiscard]] bool known_in_binary(Oid type) noexcept;

}  // namespace coaio::db
