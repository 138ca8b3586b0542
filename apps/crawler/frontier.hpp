// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <coaio/http/url.hpp>

#include "crawler/manners.hpp"
#include "crawler/page.hpp"
#include "crawler/scope.hpp"

namespace crawl {

/// A link that leads nowhere.
struct BrokenLink {
    PageId page = no_page;
    std::string url;     // as linked, with the fragment if that is what is missing
    std::string reason;  // "404", "connection refused", "no element has the id \"x\"", "redirects in a circle"
    std::uint64_t referrer_count = 0;
    std::vector<Referrer> referrers;
};

/// What a link on that page makes of its target, seen for the first time; nothing for one redirect too many.
[[nodiscard]] std::optional<Reach> reach_of(const Page& from, LinkKind kind);

/// The addresses of one crawl, in memory: each once, in a queue a host, with what became of it and who links to it.
/// It decides what is fetched next, by `Manners` and in turn among hosts; it does not fetch, and it does not wait.
class Frontier {
public:
    static constexpr std::size_t max_referrers = 10;
    static constexpr unsigned max_redirects = 20;
    /// So many addresses outside of the scope are remembered, or so many for each one inside, whichever is more.
    static constexpr std::size_t least_refused = 10'000;
    static constexpr std::size_t refused_an_accepted = 20;

    Frontier(const ScopeOptions& scope, const MannersOptions& manners) : scope_(scope), manners_(manners) {}

    /// A page to begin with; its host, or site, is inside from now on, and so is the one that it is redirected to.
    PageId add_start(const coaio::http::Url& url);

    /// The address's host, or site, is inside from now on.
    void add_to_scope(const coaio::http::Url& url);

    /// Queues an address that belongs to the crawl as it is known to somebody else; nothing where it is known already.
    void add_known(const KnownAddress& known);

    /// Of the places of `max_pages` these addresses have one each, found or not: it is not given to others.
    void reserve(const std::vector<std::string>& urls);

    /// A link found on page `from`. The address is queued if it is new and belongs to the crawl. Nothing is returned
    /// for what is no address of http, nor for one more in a chain of `max_redirects` redirects.
    std::optional<PageId> add_link(const coaio::http::Url& url, const Link& link, PageId from);

    /// What to fetch now; nothing if there is nothing, or manners forbid it: see `next_time`. It is `running` then.
    [[nodiscard]] std::optional<PageId> take(TimePoint now);

    /// When to `take` again; nothing means that a running page must end first, or that all is done.
    [[nodiscard]] std::optional<TimePoint> next_time(TimePoint now);

    /// The end of a fetch. `how` is what it tells about its host.
    void finish(PageId id, const Fetched& result, const Ended& how, TimePoint now);
    /// How a fetch of an earlier run ended: the page that is running was not asked for now. It costs the host no delay.
    void recall(PageId id, const Fetched& result);
    /// To be tried again, not before `when`.
    void put_back(PageId id, const Ended& how, TimePoint when, TimePoint now);
    /// robots.txt forbids it. For a page that is running.
    void disallow(PageId id);
    /// Not fetched after all: it takes its old place in its host's queue, and no try is counted. For a page that is running.
    void give_back(PageId id, const Ended& how, TimePoint now);

    /// A request beside the pages, such as for a sitemap, is made of a host and has ended: it counts for manners.
    void began_beside(const std::string& host, TimePoint now) { manners_.started(host, now); }
    void ended_beside(const std::string& host, const Ended& how, TimePoint now);

    /// How long from now the hosts want to be left alone.
    [[nodiscard]] std::chrono::milliseconds rest(TimePoint now) const;

    [[nodiscard]] bool is_done() const noexcept { return queued_ == 0 && running_ == 0; }
    /// As many addresses as `max_pages` allows: no more are let in. Before that, none but those that have a place.
    [[nodiscard]] bool is_full() const noexcept {
        return scope_.options().max_pages != 0 && accepted_ >= scope_.options().max_pages;
    }
    [[nodiscard]] std::size_t queued() const noexcept { return queued_; }
    [[nodiscard]] std::size_t running() const noexcept { return running_; }
    /// How many links were left out: there were `max_pages` already, they belong to a trap, or lead outside of the scope
    /// where enough addresses are known.
    [[nodiscard]] std::size_t dropped() const noexcept { return dropped_; }

    /// Every address seen: fetched, waiting, and refused by the scope.
    [[nodiscard]] const std::deque<Page>& pages() const noexcept { return pages_; }
    [[nodiscard]] const Page& page(PageId id) const { return pages_.at(id); }
    [[nodiscard]] Manners& manners() noexcept { return manners_; }
    [[nodiscard]] Scope& scope() noexcept { return scope_; }
    /// Whether the address is of a host of the crawl.
    [[nodiscard]] bool is_inside(const coaio::http::Url& url) const;

    /// Where redirects lead in the end; nothing if they go in a circle or do not end.
    [[nodiscard]] std::optional<PageId> final_page(PageId id) const;

    /// The links that lead nowhere, in the order in which their targets were seen.
    [[nodiscard]] std::vector<BrokenLink> broken_links() const;

private:
    struct Host {
        std::deque<PageId> queue;
        enum class Place : std::uint8_t { none, ready, waiting } place = Place::none;
    };
    struct FragmentUse {
        std::uint64_t count = 0;
        std::vector<Referrer> referrers;
    };
    using Later = std::pair<TimePoint, std::string>;
    using LaterPage = std::pair<TimePoint, PageId>;

    [[nodiscard]] bool has_place(const std::string& url) const;
    PageId add(const coaio::http::Url& url, LinkKind kind, const Reach& reach);
    void enqueue(PageId id);
    void wake(const std::string& host);
    void wake_due(TimePoint now);
    void take_down(PageId id, const Fetched& result);
    void withdraw(PageId id);
    void leave_running(PageId id, const Ended& how, TimePoint now);
    void note_fragment(PageId id, std::string_view fragment, Referrer referrer);
    [[nodiscard]] bool has_fragment(const Page& page, std::string_view fragment) const;
    [[nodiscard]] std::string reason_of(PageId id) const;

    Scope scope_;
    Manners manners_;
    std::deque<Page> pages_;
    std::unordered_map<std::string, PageId> ids_;
    std::unordered_map<std::string, Host> hosts_;
    std::unordered_set<std::string> reserved_;  // places of those that are not found yet
    std::deque<std::string> ready_;
    std::priority_queue<Later, std::vector<Later>, std::greater<>> waiting_;
    std::priority_queue<LaterPage, std::vector<LaterPage>, std::greater<>> retries_;
    std::map<PageId, std::map<std::string, FragmentUse, std::less<>>> fragment_uses_;
    std::size_t queued_ = 0;
    std::size_t running_ = 0;
    std::size_t accepted_ = 0;
    std::size_t refused_ = 0;
    std::size_t dropped_ = 0;
};

}  // namespace crawl
