// SPDX-License-Identifier: MIT
#include <coaio/db/json.hpp>

#include <nlohmann/json.hpp>

namespace coaio::db {

void Codec<nlohmann::json>::encode(const nlohmann::json& value, Encoder& out) {
    try {
        out.put_text(value.dump());
    } catch (const nlohmann::json::exception&) {
        throw ValueError("a JSON document with a string that is not UTF-8");
    }
}

nlohmann::json Codec<nlohmann::json>::decode(const Encoded& value) {
    std::string_view text = detail::decode_text(value);
    nlohmann::json document = nlohmann::json::parse(text, nullptr, false);
    if (document.is_discarded()) throw ValueError("not a JSON document");
    return document;
}

}  // namespace coaio::db
