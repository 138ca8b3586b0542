// SPDX-License-Identifier: MIT
#include "target.hpp"

#include <coaio/db/error.hpp>

#include <array>
#include <cstddef>

namespace coaio::db::detail {
namespace {

constexpr std::array<const char*, 6> names = {"any", "read-write", "read-only", "primary", "standby", "prefer-standby"};

}  // namespace

Target target_of(const std::string& text) {
    if (text.empty()) return Target::any;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (text == names[i]) return static_cast<Target>(i);
    }
    throw UsageError("target_session_attrs is any, read-write, read-only, primary, standby or prefer-standby, not \"" +
                     text + "\"");
}

const char* to_string(Target target) noexcept { return names[static_cast<std::size_t>(target)]; }

}  // namespace coaio::db::detail
