// SPDX-License-Identifier: MIT
#include "crawler/html.hpp"

#include "crawler/ascii.hpp"

namespace crawl {

RobotsDirectives read_robots_directives(std::string_view value, std::string_view token) {
    RobotsDirectives found;
    bool for_us = true;
    while (!value.empty()) {
        auto comma = value.find(',');
        auto word = trimmed(value.substr(0, comma));
        value.remove_prefix(comma == std::string_view::npos ? value.size() : comma + 1);
        if (auto colon = word.find(':'); colon != std::string_view::npos) {
            auto who = trimmed(word.substr(0, colon));
            // "max-snippet: 20" has the look of a crawler's name too, but says nothing that matters here.
            bool a_rule = find_ignoring_case(who, "max-") == 0 || equal_ignoring_case(who, "unavailable_after");
            if (a_rule) continue;
            for_us = equal_ignoring_case(who, token) || who == "*" || equal_ignoring_case(who, "robots");
            word = trimmed(word.substr(colon + 1));
        }
        if (!for_us) continue;
        bool none = equal_ignoring_case(word, "none");
        found.nofollow = found.nofollow || none || equal_ignoring_case(word, "nofollow");
        found.noindex = found.noindex || none || equal_ignoring_case(word, "noindex");
    }
    return found;
}

std::vector<std::string> srcset_targets(std::string_view srcset) {
    constexpr std::size_t max_candidates = 100;
    std::vector<std::string> found;
    std::size_t at = 0;
    while (found.size() < max_candidates) {
        while (at < srcset.size() && (is_space(srcset[at]) || srcset[at] == ',')) ++at;
        if (at >= srcset.size()) break;
        auto start = at;
        while (at < srcset.size() && !is_space(srcset[at])) ++at;
        auto target = srcset.substr(start, at - start);
        bool comma_ends_it = target.back() == ',';
        while (!target.empty() && target.back() == ',') target.remove_suffix(1);
        if (!target.empty()) found.emplace_back(target);
        if (comma_ends_it) continue;
        int depth = 0;
        for (; at < srcset.size() && (srcset[at] != ',' || depth > 0); ++at) {
            if (srcset[at] == '(') ++depth;
            if (srcset[at] == ')' && depth > 0) --depth;
        }
    }
    return found;
}

// The HTML standard, "shared declarative refresh steps".
std::string refresh_target(std::string_view content) {
    content = trimmed(content);
    std::size_t at = 0;
    while (at < content.size() && (is_digit(content[at]) || content[at] == '.')) ++at;
    if (at == 0) return {};
    content.remove_prefix(at);
    if (!content.empty() && !is_space(content.front()) && content.front() != ';' && content.front() != ',') return {};
    content = trimmed(content);
    if (!content.empty() && (content.front() == ';' || content.front() == ',')) content.remove_prefix(1);
    content = trimmed(content);
    if (equal_ignoring_case(content.substr(0, 3), "url")) {
        auto rest = trimmed(content.substr(3));
        if (!rest.empty() && rest.front() == '=') content = trimmed(rest.substr(1));
    }
    if (!content.empty() && (content.front() == '"' || content.front() == '\'')) {
        auto end = content.find(content.front(), 1);
        content = content.substr(1, end == std::string_view::npos ? end : end - 1);
    }
    return std::string(content);
}

}  // namespace crawl
