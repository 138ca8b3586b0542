// SPDX-License-Identifier: MIT
#include <coaio/db/oid.hpp>

#include <algorithm>
#include <array>
#include <string_view>

namespace coaio::db {
namespace {

struct Entry {
    Oid type;
    std::string_view name;
    bool binary;
};

constexpr std::array<Entry, 43> entries = {{
    {Oid::boolean, "bool", true},
    {Oid::bytea, "bytea", true},
    {Oid::single_char, "\"char\"", true},
    {Oid::name, "name", true},
    {Oid::int8, "int8", true},
    {Oid::int2, "int2", true},
    {Oid::int4, "int4", true},
    {Oid::text, "text", true},
    {Oid::oid, "oid", true},
    {Oid::xid, "xid", true},
    {Oid::cid, "cid", true},
    {Oid::json, "json", true},
    {Oid::xml, "xml", true},
    {Oid::float4, "float4", true},
    {Oid::float8, "float8", true},
    {Oid::unknown, "unknown", true},
    {Oid::money, "money", false},
    {Oid::bpchar, "bpchar", true},
    {Oid::varchar, "varchar", true},
    {Oid::date, "date", true},
    {Oid::time, "time", false},
    {Oid::timestamp, "timestamp", true},
    {Oid::timestamptz, "timestamptz", true},
    {Oid::interval, "interval", false},
    {Oid::numeric, "numeric", true},
    {Oid::void_type, "void", true},
    {Oid::uuid, "uuid", true},
    {Oid::jsonb, "jsonb", true},
    {Oid::xid8, "xid8", true},
    {Oid::int4range, "int4range", true},
    {Oid::int8range, "int8range", true},
    {Oid::numrange, "numrange", true},
    {Oid::daterange, "daterange", true},
    {Oid::tsrange, "tsrange", true},
    {Oid::tstzrange, "tstzrange", true},
    {Oid::int4multirange, "int4multirange", true},
    {Oid::int8multirange, "int8multirange", true},
    {Oid::nummultirange, "nummultirange", true},
    {Oid::datemultirange, "datemultirange", true},
    {Oid::tsmultirange, "tsmultirange", true},
    {Oid::tstzmultirange, "tstzmultirange", true},
    {Oid::record, "record", false},
    {Oid::unspecified, "unspecified", false},
}};

const Entry* find(Oid type) noexcept {
    const auto* at = std::find_if(entries.begin(), entries.end(), [type](const Entry& e) { return e.type == type; });
    return at == entries.end() ? nullptr : at;
}

const Entry* find_array(Oid type) noexcept {
    if (type == Oid::unspecified) return nullptr;
    const auto* at =
        std::find_if(entries.begin(), entries.end(), [type](const Entry& e) { return array_type(e.type) == type; });
    return at == entries.end() ? nullptr : at;
}

constexpr std::array<Oid, 6> subtypes = {Oid::int4, Oid::int8,      Oid::numeric,
                                         Oid::date, Oid::timestamp, Oid::timestamptz};

Oid subtype_of(Oid range, Oid (*made_of)(Oid)) noexcept {
    if (range == Oid::unspecified) return Oid::unspecified;
    const auto* at = std::find_if(subtypes.begin(), subtypes.end(), [=](Oid each) { return made_of(each) == range; });
    return at == subtypes.end() ? Oid::unspecified : *at;
}

}  // namespace

std::string type_name(Oid type) {
    if (const Entry* entry = find(type)) return std::string(entry->name);
    if (const Entry* entry = find_array(type)) return std::string(entry->name) + "[]";
    return "type " + std::to_string(static_cast<std::uint32_t>(type));
}

Oid element_type(Oid array) noexcept {
    const Entry* entry = find_array(array);
    return entry == nullptr ? Oid::unspecified : entry->type;
}

Oid range_subtype(Oid range) noexcept { return subtype_of(range, &range_type); }
Oid multirange_subtype(Oid multirange) noexcept { return subtype_of(multirange, &multirange_type); }

bool known_in_binary(Oid type) noexcept {
    if (const Entry* entry = find(type)) return entry->binary;
    return find_array(type) != nullptr;
}

}  // namespace coaio::db
