// SPDX-License-Identifier: MIT
#pragma once

// Catch2, 2.13 or 3.x: what a test file includes. The program's main is in main.cpp.
#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_approx.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>
#include <catch2/matchers/catch_matchers_all.hpp>
#define COAIO_CATCH2_V3 1
#else
#include <catch2/catch.hpp>
#define COAIO_CATCH2_V3 0
#endif

#include <string>

namespace tests {

/// A matcher of text that has `part` in it; Catch2 renamed its own between 2 and 3.
inline auto contains(const std::string& part) {
#if COAIO_CATCH2_V3
    return Catch::Matchers::ContainsSubstring(part);
#else
    return Catch::Matchers::Contains(part);
#endif
}

}  // namespace tests
