// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

#include <gumbo.h>

#include "crawler/arena.hpp"

namespace crawl {

/// A page parsed by gumbo, whose memory and time are bounded: some inputs of a megabyte (nested or badly nested tags)
/// would cost it gigabytes or hours. The tree lives in an arena, and is never walked to be freed.
class HtmlTree {
public:
    /// `stop` is asked every few dozen allocations.
    HtmlTree(std::string_view html, std::size_t max_memory, const std::function<bool()>& stop);

    /// The document's node; null if a bound was met.
    [[nodiscard]] const GumboNode* document() const noexcept { return document_; }
    [[nodiscard]] std::size_t memory_used() const noexcept { return arena_.used(); }

private:
    Arena arena_;
    const GumboNode* document_ = nullptr;
};

/// The value of an attribute; empty if it is absent.
[[nodiscard]] std::string_view attribute(const GumboElement& element, const char* name);

}  // namespace crawl
