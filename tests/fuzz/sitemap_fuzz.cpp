// SPDX-License-Identifier: MIT
#include "crawler/sitemap.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    crawl::SitemapLimits limits;
    limits.max_entries = 20;
    limits.max_size = 1 << 20;
    auto sitemap = crawl::parse_sitemap(std::string_view(reinterpret_cast<const char*>(data), size), limits);
    if (sitemap.pages.size() + sitemap.sitemaps.size() > limits.max_entries) std::abort();
    return 0;
}
