// SPDX-License-Identifier: MIT
#include "server/access_text.hpp"

#include <nlohmann/json.hpp>

namespace server {
namespace {

std::string word(const nlohmann::json& line, const char* name) {
    const auto found = line.find(name);
    if (found == line.end() || found->is_null()) return "-";
    return found->is_string() ? found->get<std::string>() : found->dump();
}

}  // namespace

std::string access_text(std::string_view json) {
    const nlohmann::json line = nlohmann::json::parse(json, nullptr, false);
    if (!line.is_object()) return std::string(json);
    std::string text;
    for (const char* name : {"time", "peer", "method", "target", "status"}) text += word(line, name) + " ";
    if (line.contains("bytes")) text += word(line, "bytes") + " B ";
    return text + word(line, "ms") + " ms " + word(line, "id");
}

}  // namespace server
