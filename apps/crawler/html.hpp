// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "crawler/link.hpp"

namespace crawl {

/// How far `parse_html` goes. What is beyond is left out, and `Document` says so.
struct HtmlLimits {
    std::size_t max_links = 100'000;
    std::size_t max_fragments = 100'000;
    std::size_t max_text = 1 << 20;
    std::size_t max_target = 8192;  // a longer reference is dropped
    std::size_t max_memory = std::size_t{256} << 20;
};

/// What a crawler wants to know of an HTML page.
struct Document {
    /// Why there is nothing: nesting that a parser would need hours or gigabytes for.
    enum class State { whole, too_complex };

    State state = State::whole;
    bool links_dropped = false;  // more than HtmlLimits allows
    bool nofollow = false;       // meta robots
    bool noindex = false;
    std::string title;
    std::string lang;
    std::string base;       // base href; empty if there is none
    std::string canonical;  // link rel=canonical
    std::string text;       // what a reader sees, white space collapsed
    std::vector<Link> links;
    std::vector<std::string> fragments;  // ids and names of anchors, sorted, each once
};

/// Reads an HTML page, UTF-8, as a browser would. Any bytes are accepted.
/// Some pages of a megabyte cost hours of the processor, whatever the memory: give pages to a thread, with a deadline,
/// and a `stop` that tells when it has passed. It is asked now and then from the thread that parses, and ends it early:
/// `too_complex`.
[[nodiscard]] Document parse_html(std::string_view html, const HtmlLimits& limits = {},
                                  const std::function<bool()>& stop = {});

struct RobotsDirectives {
    bool nofollow = false;
    bool noindex = false;
};

/// Reads the value of `meta name=robots` or of the header X-Robots-Tag. In the latter a rule may be meant for one
/// crawler ("otherbot: noindex"): only those for all and for `token` count.
[[nodiscard]] RobotsDirectives read_robots_directives(std::string_view value, std::string_view token);

/// The addresses of `srcset`, as the HTML standard parses it.
[[nodiscard]] std::vector<std::string> srcset_targets(std::string_view srcset);

/// The address in `meta http-equiv=refresh`; empty if it only reloads.
[[nodiscard]] std::string refresh_target(std::string_view content);

}  // namespace crawl
