// SPDX-License-Identifier: MIT
#include "crawler/frontier.hpp"

#include <algorithm>
#include <set>

namespace crawl {

std::optional<PageId> Frontier::final_page(PageId id) const {
    std::set<PageId> seen;
    while (pages_[id].redirect != no_page) {
        if (!seen.insert(id).second || seen.size() > max_redirects) return std::nullopt;
        id = pages_[id].redirect;
    }
    return id;
}

std::string Frontier::reason_of(PageId id) const {
    auto last = final_page(id);
    if (!last) return "redirects in a circle, or without end";
    const auto& page = pages_[*last];
    std::string reason;
    if (page.state == PageState::failed) reason = page.error.empty() ? "no answer" : page.error;
    if (page.state == PageState::done && page.status >= 400) reason = "status " + std::to_string(page.status);
    if (page.state == PageState::done && page.status >= 300 && page.status < 400 && page.status != 304) {
        reason = "status " + std::to_string(page.status) + ", which leads nowhere";
    }
    if (!reason.empty() && *last != id) reason += " after a redirect to " + page.url;
    return reason;
}

std::vector<BrokenLink> Frontier::broken_links() const {
    std::vector<BrokenLink> found;
    for (PageId id = 0; id < pages_.size(); ++id) {
        const auto& page = pages_[id];
        auto reason = reason_of(id);
        // What only a redirect led to is told with the link that began it.
        bool only_redirected = !page.referrers.empty() &&
                               std::all_of(page.referrers.begin(), page.referrers.end(),
                                           [](const Referrer& each) { return each.kind == LinkKind::redirect; });
        if (!reason.empty() && !only_redirected) {
            BrokenLink link;
            link.page = id;
            link.url = page.url;
            link.reason = reason;
            link.referrer_count = page.referrer_count;
            link.referrers = page.referrers;
            found.push_back(std::move(link));
        }
        auto uses = fragment_uses_.find(id);
        if (!reason.empty() || uses == fragment_uses_.end()) continue;
        const auto& last = pages_[*final_page(id)];
        if (last.state != PageState::done || !last.has_fragments) continue;
        for (const auto& [fragment, use] : uses->second) {
            if (has_fragment(last, fragment)) continue;
            BrokenLink link;
            link.page = id;
            link.url = page.url + "#" + fragment;
            link.reason = "no element has the id \"" + fragment + "\"";
            link.referrer_count = use.count;
            link.referrers = use.referrers;
            found.push_back(std::move(link));
        }
    }
    return found;
}

}  // namespace crawl
