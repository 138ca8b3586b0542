// SPDX-License-Identifier: MIT
#include "crawler/crawler.hpp"

#include <deque>
#include <utility>

#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/to_thread.hpp>
#include <coaio/http/status.hpp>

#include "crawler/at_end.hpp"
#include "crawler/sitemap.hpp"

// What a crawl asks of a site beside its pages: robots.txt and sitemaps.
namespace crawl {
namespace {

constexpr unsigned max_robots_redirects = 5;  // RFC 9309, section 2.3.1.2
constexpr unsigned max_sitemap_depth = 3;
constexpr std::size_t max_sitemap_files = 1000;
constexpr std::size_t light_sitemap = 64 * 1024;
constexpr std::size_t addresses_a_turn = 64;
constexpr std::size_t addresses_a_statement = 1000;

struct NextSitemap {
    coaio::http::Url url;
    unsigned depth;
};

coaio::Coro<Sitemap> read_sitemap_aside(std::string bytes) {
    if (bytes.size() <= light_sitemap) co_return parse_sitemap(bytes);
    auto job = [bytes = std::move(bytes)] { return parse_sitemap(bytes); };
    auto reading = coaio::to_thread(std::move(job));
    co_return co_await std::move(reading);
}

}  // namespace

coaio::Coro<Ended> Crawler::learn_robots(coaio::TaskGroup& group, std::string origin) {
    if (const auto found = learning_.find(origin); found != learning_.end()) {
        const auto ready = found->second;
        co_await ready->wait();
        co_return Ended();
    }
    const auto ready = std::make_shared<coaio::Event>();
    learning_.emplace(origin, ready);
    auto forget = [this, &origin, &ready] {
        learning_.erase(origin);
        ready->set();
    };
    const AtEnd at_end(std::move(forget));

    const auto tried = co_await fetch_robots(origin);
    unreachable_.erase(origin);
    if (tried.how.status == 0) unreachable_.emplace(origin, "robots.txt could not be asked for: " + tried.error);
    const auto& rules = robots_.put(origin, tried.how.status, tried.answer.body, product_token, loop_now());
    if (rules.crawl_delay()) frontier_.manners().set_crawl_delay(origin, *rules.crawl_delay());
    read_sitemaps_of(group, origin);
    co_return tried.how;
}

coaio::Coro<Crawler::Attempt> Crawler::fetch_robots(std::string origin) {
    auto url = coaio::http::Url::parse(origin).resolve("/robots.txt");
    FetchOptions want;
    want.any_type = true;
    want.max_size = Robots::max_size;
    unsigned tries = 0;
    unsigned hops = 0;
    for (;;) {
        auto tried = co_await attempt(url, want);
        const auto pause = frontier_.manners().retry(tried.how, ++tries, random_fraction);
        if (pause) {
            co_await coaio::sleep(*pause);
            continue;
        }
        if (!coaio::http::Status(tried.answer.status).is_redirect()) co_return tried;
        const auto target = url.try_resolve(tried.answer.location);
        // A redirect that leads nowhere, or on and on, or to a host that is perhaps in another crawler's hands, is taken
        // for "there is none", as by RFC 9309, section 2.3.1.3.
        const bool follows = target && target->is_http() && (lead_ == nullptr || target->host() == url.host());
        if (!follows || ++hops > max_robots_redirects) {
            tried.how.status = 404;
            co_return tried;
        }
        url = *target;
        tries = 0;
    }
}

bool Crawler::has_unread_sitemaps(const std::string& origin) const {
    if (!options_.sitemaps || sitemap_origins_.count(origin) != 0) return false;
    if (lead_ != nullptr) return unread_sites_.count(origin) != 0;
    return frontier_.is_inside(coaio::http::Url::parse(origin));
}

coaio::Coro<> Crawler::begin_sites(coaio::TaskGroup& group) {
    const auto ask = [this] { return lead_->unread_sites(); };
    const auto origins = co_await insist(*store_, ask);
    unread_sites_.insert(origins.begin(), origins.end());
    for (const auto& origin : origins) {
        ++sitemap_readers_;
        group.create_task(begin_site(group, origin), {.name = "sitemaps of " + origin});
    }
}

// There may be no page of it to fetch.
coaio::Coro<> Crawler::begin_site(coaio::TaskGroup& group, std::string origin) {
    auto leave = [this] {
        --sitemap_readers_;
        changed_.set();
    };
    const AtEnd at_end(std::move(leave));
    if (!options_.ignore_robots) {
        co_await await_turn(origin);
        Ended how;
        if (robots_.find(origin, loop_now()) == nullptr) how = co_await learn_robots(group, origin);
        frontier_.ended_beside(origin, how, loop_now());
    }
    read_sitemaps_of(group, origin);
}

void Crawler::read_sitemaps_of(coaio::TaskGroup& group, const std::string& origin) {
    if (!has_unread_sitemaps(origin)) return;
    sitemap_origins_.insert(origin);
    std::vector<std::string> named;
    const auto* const rules = robots_.find(origin, loop_now());
    if (rules != nullptr) named = rules->sitemaps();
    // One that is not named stands at the usual place, if there is one.
    if (named.empty() && (rules == nullptr || rules->allows("/sitemap.xml"))) named.push_back(origin + "/sitemap.xml");
    ++sitemap_readers_;
    group.create_task(read_sitemaps(origin, std::move(named)), {.name = "sitemaps of " + origin});
}

coaio::Coro<> Crawler::read_sitemaps(std::string origin, std::vector<std::string> named) {
    auto leave = [this] {
        --sitemap_readers_;
        changed_.set();
    };
    const AtEnd at_end(std::move(leave));
    std::deque<NextSitemap> next;
    auto add = [this, &next](const coaio::http::Url& base, const std::string& target, unsigned depth) {
        auto url = base.try_resolve(target);
        if (!url || !url->is_http() || depth > max_sitemap_depth || sitemaps_seen_.size() >= max_sitemap_files) return;
        // Sitemaps elsewhere are not this crawl's to fetch; nor are those of another host this share's.
        const bool is_ours = lead_ == nullptr || url->host() == base.host();
        if (!is_ours || !frontier_.is_inside(*url) || !sitemaps_seen_.insert(url->to_string()).second) return;
        next.push_back({std::move(*url), depth});
    };
    for (const auto& each : named) add(coaio::http::Url::parse(origin), each, 1);

    std::size_t count = 0;
    std::vector<FoundLink> found;
    bool room = true;
    while (room && !next.empty() && !frontier_.is_full()) {
        const auto now = std::move(next.front());
        next.pop_front();
        auto bytes = co_await fetch_sitemap(now.url);
        if (bytes.empty()) continue;
        const auto sitemap = co_await read_sitemap_aside(std::move(bytes));
        for (const auto& each : sitemap.sitemaps) add(now.url, each, now.depth + 1);
        for (const auto& each : sitemap.pages) {
            if (++count % addresses_a_turn == 0) co_await coaio::sleep(coaio::Duration::zero());
            auto url = now.url.try_resolve(each);
            if (!url) continue;
            Link link;
            link.target = each;
            link.kind = LinkKind::sitemap;
            if (lead_ == nullptr) {
                frontier_.add_link(*url, link, no_page);
            } else if (url->is_http()) {
                found.push_back({std::move(*url), std::move(link)});
                if (found.size() == addresses_a_statement) room = co_await hand_over(found);
                if (!room) break;
            }
        }
        if (!found.empty()) room = co_await hand_over(found);
        changed_.set();
    }
    if (lead_ == nullptr) co_return;
    const auto tell = [this, &origin] { return lead_->site_is_read(origin); };
    co_await insist(*store_, tell);
}

// Gives whether the crawl has room for more.
coaio::Coro<bool> Crawler::hand_over(std::vector<FoundLink>& found) {
    const auto add = [this, &found] { return lead_->add_from_sitemaps(found); };
    const bool room = co_await insist(*store_, add);
    found.clear();
    may_lead_on_ = true;
    co_return room;
}

coaio::Coro<std::string> Crawler::fetch_sitemap(coaio::http::Url url) {
    FetchOptions want;
    want.any_type = true;
    want.max_size = SitemapLimits().max_size;
    const auto host = url.origin();
    for (unsigned tries = 1;; ++tries) {
        co_await await_turn(host);
        auto tried = co_await attempt(url, want);
        frontier_.ended_beside(host, tried.how, loop_now());
        changed_.set();
        const auto pause = frontier_.manners().retry(tried.how, tries, random_fraction);
        if (!pause && tried.how.status / 100 != 2) co_return std::string();
        if (!pause) co_return std::move(tried.answer.body);
        co_await coaio::sleep(*pause);
    }
}

coaio::Coro<> Crawler::await_turn(std::string host) {
    for (;;) {
        const auto now = loop_now();
        const auto when = frontier_.manners().may_start(host, now);
        if (when && *when <= now) break;
        co_await wait_for_change(when);
    }
    frontier_.began_beside(host, loop_now());
}

}  // namespace crawl
