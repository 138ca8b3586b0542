// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace crawl {

/// What a sitemap lists (sitemaps.org, "Sitemaps XML format").
struct Sitemap {
    std::vector<std::string> pages;
    std::vector<std::string> sitemaps;  // of a sitemap index
    std::string error;                  // why reading ended early; what was found before it stands
};

/// The protocol's own bounds, 50 MB and 50 000 entries, and how many bytes an entry may have.
struct SitemapLimits {
    std::size_t max_size = 50 * 1024 * 1024;
    std::size_t max_entries = 50'000;
    std::size_t max_entry_size = 2048;
};

/// Reads XML, or a text of one address a line, either of them also packed by gzip. Any bytes are accepted. A document
/// type declaration ends the reading: it is where hostile XML hides entities, and no sitemap needs one.
[[nodiscard]] Sitemap parse_sitemap(std::string_view bytes, const SitemapLimits& limits = {});

}  // namespace crawl
