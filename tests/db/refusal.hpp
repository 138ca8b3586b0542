// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace tests {

/// A message of the server's by which it ends a session: ErrorResponse, of severity FATAL.
inline std::string refusal(const std::string& state) {
    std::string body;
    for (const char* field : {"SFATAL", "VFATAL", "Mnot now"}) body += std::string(field) + '\0';
    body += "C" + state + '\0' + '\0';
    const auto size = static_cast<char>(body.size() + 4);
    return std::string("E") + '\0' + '\0' + '\0' + size + body;
}

}  // namespace tests
