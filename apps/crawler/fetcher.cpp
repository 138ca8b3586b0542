// SPDX-License-Identifier: MIT
#include "crawler/fetcher.hpp"

#include <algorithm>

#include "crawler/glob.hpp"

namespace crawl {

Fetcher::~Fetcher() = default;

bool wants(const FetchOptions& options, std::string_view type) {
    if (options.check_only) return false;
    if (options.any_type) return true;
    if (options.types == nullptr || options.types->empty()) return is_html(type) || is_css(type);
    return std::any_of(options.types->begin(), options.types->end(),
                       [&](const std::string& glob) { return Glob(glob).matches(type); });
}

bool is_html(std::string_view type) noexcept {
    return type.empty() || type == "text/html" || type == "application/xhtml+xml";
}

bool is_css(std::string_view type) noexcept { return type == "text/css"; }

}  // namespace crawl
