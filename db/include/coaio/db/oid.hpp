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
    record = 2249,
    void_type = 2278,
    uuid = 2950,
    uuid_array = 2951,
    jsonb = 3802,
    jsonb_array = 3807,
    int4range = 3904,
    int4range_array = 3905,
    numrange = 3906,
    numrange_array = 3907,
    tsrange = 3908,
    tsrange_array = 3909,
    tstzrange = 3910,
    tstzrange_array = 3911,
    daterange = 3912,
    daterange_array = 3913,
    int8range = 3926,
    int8range_array = 3927,
    int4multirange = 4451,
    nummultirange = 4532,
    tsmultirange = 4533,
    tstzmultirange = 4534,
    datemultirange = 4535,
    int8multirange = 4536,
    xid8 = 5069,
    int4multirange_array = 6150,
    nummultirange_array = 6151,
    tsmultirange_array = 6152,
    tstzmultirange_array = 6153,
    datemultirange_array = 6155,
    int8multirange_array = 6157,
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
    case Oid::int4range: return Oid::int4range_array;
    case Oid::numrange: return Oid::numrange_array;
    case Oid::tsrange: return Oid::tsrange_array;
    case Oid::tstzrange: return Oid::tstzrange_array;
    case Oid::daterange: return Oid::daterange_array;
    case Oid::int8range: return Oid::int8range_array;
    case Oid::int4multirange: return Oid::int4multirange_array;
    case Oid::nummultirange: return Oid::nummultirange_array;
    case Oid::tsmultirange: return Oid::tsmultirange_array;
    case Oid::tstzmultirange: return Oid::tstzmultirange_array;
    case Oid::datemultirange: return Oid::datemultirange_array;
    case Oid::int8multirange: return Oid::int8multirange_array;
    default: return Oid::unspecified;
    }
}

/// The range type over one of the types above, and the multirange type; `unspecified` where there is none here.
[[nodiscard]] constexpr Oid range_type(Oid subtype) noexcept {
    switch (subtype) {
    case Oid::int4: return Oid::int4range;
    case Oid::int8: return Oid::int8range;
    case Oid::numeric: return Oid::numrange;
    case Oid::date: return Oid::daterange;
    case Oid::timestamp: return Oid::tsrange;
    case Oid::timestamptz: return Oid::tstzrange;
    default: return Oid::unspecified;
    }
}
[[nodiscard]] constexpr Oid multirange_type(Oid subtype) noexcept {
    switch (subtype) {
    case Oid::int4: return Oid::int4multirange;
    case Oid::int8: return Oid::int8multirange;
    case Oid::numeric: return Oid::nummultirange;
    case Oid::date: return Oid::datemultirange;
    case Oid::timestamp: return Oid::tsmultirange;
    case Oid::timestamptz: return Oid::tstzmultirange;
    default: return Oid::unspecified;
    }
}

/// What one of these ranges or multiranges is over, `unspecified` for any other type.
[[nodiscard]] Oid range_subtype(Oid range) noexcept;
[[nodiscard]] Oid multirange_subtype(Oid multirange) noexcept;

/// Whether this module reads the type's binary form. Of any other type it reads the text form, as a string.
[[nodiscard]] bool known_in_binary(Oid type) noexcept;

}  // namespace coaio::db
