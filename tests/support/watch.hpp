// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <string>

namespace tests {

/// Starts the time limit of a test case: when it has passed, the program says which case hung, and aborts.
/// The limit is COAIO_TEST_LIMIT seconds, else what the build chose, else 60; 0 is none.
void watch_case(const std::string& name);

/// Stops it.
void unwatch_case();

/// The open descriptors of this process, each with what it leads to, such as "socket:[123]".
[[nodiscard]] std::map<int, std::string> open_descriptors();

}  // namespace tests
