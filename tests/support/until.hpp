// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/sleep.hpp>

#include <chrono>
#include <string>

#include "support/postgres.hpp"

namespace tests {

/// Asks the database again and again, until what is said of it holds.
inline coaio::Coro<> until(const Database& database, std::string condition) {
    const std::string question = "select " + condition;
    while (database.value(question) != "t") co_await coaio::sleep(std::chrono::milliseconds(5));
}

}  // namespace tests
