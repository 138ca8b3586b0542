// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "crawler/link.hpp"

namespace crawl {

/// Appends what a style sheet refers to: `@import`, as `stylesheet`, and `url()`, as `css`. Comments and strings are
/// passed over, escapes are understood (CSS Syntax level 3, section 4). Stops when `links` has `max_links`.
void find_css_links(std::string_view text, std::size_t max_links, std::vector<Link>& links);

}  // namespace crawl
