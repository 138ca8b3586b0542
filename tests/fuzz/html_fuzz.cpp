// SPDX-License-Identifier: MIT
#include "crawler/html.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "crawler/charset.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view bytes(reinterpret_cast<const char*>(data), size);
    auto html = crawl::to_utf8(bytes, crawl::detect_charset(bytes, "text/html", crawl::TextKind::html));
    if (!crawl::is_valid_utf8(html)) std::abort();

    crawl::HtmlLimits limits;
    limits.max_links = 100;
    limits.max_text = 1000;
    limits.max_memory = 32 << 20;
    int looks = 0;
    auto document = crawl::parse_html(html, limits, [&] { return ++looks > 20'000; });
    if (document.links.size() > limits.max_links || document.text.size() > limits.max_text) std::abort();
    if (!crawl::is_valid_utf8(document.text) || !crawl::is_valid_utf8(document.title)) std::abort();
    for (const auto& link : document.links) {
        if (link.target.empty()) std::abort();
    }
    return 0;
}
