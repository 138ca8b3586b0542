// SPDX-License-Identifier: MIT
#include <coaio/core/version.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <string_view>

TEST_CASE("the version is three numbers with dots between") {
    std::string_view version = coaio::version();
    CHECK(std::count(version.begin(), version.end(), '.') == 2);
    CHECK(version.find_first_not_of("0123456789.") == std::string_view::npos);
}
