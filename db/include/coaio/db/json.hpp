// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/codec.hpp>

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

}  // namespace coaio::db
