// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include <coaio/core/error.hpp>

#include "crawler/link.hpp"
#include "crawler/page.hpp"

namespace store {

/// The value of an enumeration whose name was stored.
template <class E>
[[nodiscard]] E value_of(std::string_view text, E last) {
    for (unsigned value = 0; value <= static_cast<unsigned>(last); ++value) {
        if (crawl::name(static_cast<E>(value)) == text) return static_cast<E>(value);
    }
    throw coaio::Error("the database holds an unknown word: " + std::string(text));
}

}  // namespace store
