// SPDX-License-Identifier: MIT
#pragma once

// Whether a planted bug is found: by a seed, which finds it again.

#include "core/world.hpp"

#include "support/catch.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <regex>
#include <string>

namespace tests {

/// The environment variable, set or (null) absent for as long as it lives.
class Variable {
public:
    Variable(const char* name, const char* value) : name_(name) {
        if (const char* const before = std::getenv(name)) before_ = before;
        set(value);
    }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;
    ~Variable() { set(before_ ? before_->c_str() : nullptr); }

private:
    void set(const char* value) const {
        if (value != nullptr) {
            ::setenv(name_, value, 1);
        } else {
            ::unsetenv(name_);
        }
    }
    const char* name_;
    std::optional<std::string> before_;
};

struct Found {
    std::uint64_t seed;
    std::string what;
};

template <class W>
std::optional<Found> first_failure() {
    try {
        explore<W>({.seeds = 1000});
    } catch (const coaio::testing::ExploreError& error) {
        return Found{error.seed(), error.what()};
    }
    return std::nullopt;
}

/// A dump says by its address what a task waits for: the one thing that need not be the same again.
inline std::string without_addresses(const std::string& text) {
    return std::regex_replace(text, std::regex(" at 0x[0-9a-f]+"), "");
}

/// The bug is found within 1,000 seeds; the seed it was found by, given as the report says, finds it again, twice.
template <class W>
void require_found() {
    const Variable any_seed("COAIO_SEED", nullptr);
    const Variable plain("COAIO_EXPLORE_SEEDS", nullptr);
    const std::optional<Found> found = first_failure<W>();
    REQUIRE(found);
    std::printf("found by %s\n", found->what.substr(0, found->what.find('\n')).c_str());
    const Variable one_seed("COAIO_SEED", std::to_string(found->seed).c_str());
    for (int i = 0; i < 2; ++i) {
        const std::optional<Found> again = first_failure<W>();
        REQUIRE(again);
        CHECK(again->seed == found->seed);
        CHECK(without_addresses(again->what) == without_addresses(found->what));
    }
}

/// It is found by a cut, too.
template <class W>
void require_cut() {
    std::string found;
    for (std::uint64_t seed = 1; seed <= 20 && found.empty(); ++seed) {
        try {
            cut<W>(seed);
        } catch (const coaio::Error& error) {
            found = error.what();
        }
    }
    CHECK_THAT(found, tests::contains("cut before turn "));
}

}  // namespace tests
