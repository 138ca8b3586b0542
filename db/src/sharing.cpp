// SPDX-License-Identifier: MIT
#include "lanes.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace coaio::db::detail {
namespace {

bool is_space(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_word(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
           static_cast<unsigned char>(c) >= 0x80;
}

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& words, std::string_view word) noexcept {
    return std::find(words.begin(), words.end(), word) != words.end();
}

constexpr std::array<std::string_view, 4> reads{"select", "values", "table", "with"};
constexpr std::array<std::string_view, 6> changes{"insert", "update", "delete", "merge", "share", "into"};

// What may stand before a parenthesis: keywords, types, and functions that neither write, nor lock, nor sleep.
constexpr auto harmless = std::to_array<std::string_view>({
    "all",
    "and",
    "any",
    "array",
    "as",
    "between",
    "by",
    "case",
    "cube",
    "distinct",
    "else",
    "except",
    "exists",
    "filter",
    "from",
    "group",
    "having",
    "ilike",
    "in",
    "intersect",
    "is",
    "join",
    "lateral",
    "like",
    "limit",
    "materialized",
    "not",
    "offset",
    "on",
    "or",
    "over",
    "rollup",
    "row",
    "select",
    "sets",
    "some",
    "then",
    "union",
    "using",
    "values",
    "when",
    "where",

    "bit",
    "char",
    "character",
    "decimal",
    "float",
    "interval",
    "numeric",
    "time",
    "timestamp",
    "timestamptz",
    "varchar",
    "varying",

    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "count",
    "dense_rank",
    "every",
    "first_value",
    "json_agg",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_object_agg",
    "lag",
    "last_value",
    "lead",
    "max",
    "min",
    "ntile",
    "rank",
    "row_number",
    "string_agg",
    "sum",

    "abs",
    "age",
    "array_length",
    "array_position",
    "array_to_string",
    "btrim",
    "cardinality",
    "cast",
    "ceil",
    "ceiling",
    "char_length",
    "coalesce",
    "concat",
    "concat_ws",
    "date_part",
    "date_trunc",
    "decode",
    "encode",
    "extract",
    "floor",
    "format",
    "generate_series",
    "greatest",
    "initcap",
    "json_array_elements",
    "json_array_length",
    "json_build_array",
    "json_build_object",
    "jsonb_array_elements",
    "jsonb_array_length",
    "jsonb_build_array",
    "jsonb_build_object",
    "least",
    "left",
    "length",
    "lower",
    "lpad",
    "ltrim",
    "make_date",
    "make_interval",
    "make_timestamp",
    "md5",
    "mod",
    "now",
    "nullif",
    "octet_length",
    "plainto_tsquery",
    "position",
    "power",
    "replace",
    "right",
    "round",
    "row_to_json",
    "rpad",
    "rtrim",
    "split_part",
    "sqrt",
    "starts_with",
    "statement_timestamp",
    "string_to_array",
    "strpos",
    "substr",
    "substring",
    "to_char",
    "to_date",
    "to_json",
    "to_jsonb",
    "to_number",
    "to_timestamp",
    "to_tsquery",
    "to_tsvector",
    "trim",
    "trunc",
    "ts_rank",
    "unnest",
    "upper",
    "websearch_to_tsquery",
});

}  // namespace

bool only_reads(std::string_view sql) {
    std::string text(sql);
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    // A comment could stand between a name and its call.
    if (text.find("--") != std::string::npos || text.find("/*") != std::string::npos) return false;
    bool begun = false;
    bool harmful_call = false;  // if a parenthesis comes next
    char before = ' ';
    for (std::size_t at = 0; at < text.size();) {
        const char c = text[at];
        if (is_space(c)) {
            ++at;
        } else if (is_word(c)) {
            const auto end = std::find_if_not(text.begin() + static_cast<std::ptrdiff_t>(at), text.end(), is_word);
            const std::string_view word(&text[at], static_cast<std::size_t>(end - text.begin()) - at);
            if ((!begun && !contains(reads, word)) || contains(changes, word)) return false;
            begun = true;
            harmful_call = before == '.' || !contains(harmless, word);
            before = c;
            at += word.size();
        } else {
            if (c == '(' && harmful_call) return false;
            harmful_call = c == '"';  // the end of a name, perhaps
            before = c;
            ++at;
        }
    }
    return begun;
}

}  // namespace coaio::db::detail
