// SPDX-License-Identifier: MIT
// A crawler whose store says what is to be fetched.
#include "crawler/crawler.hpp"

#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>

#include <chrono>
#include <deque>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "site.hpp"
#include "support/catch.hpp"

using namespace tests;
using namespace std::chrono_literals;
using crawl::Crawler;

namespace {

/// A frontier in memory, of which a crawler gets two addresses at a time.
class Lead final : public crawl::FrontierStore {
public:
    explicit Lead(const std::vector<std::string>& urls) {
        for (const auto& url : urls) add(url);
    }
    void add(const std::string& url) {
        if (!seen.insert(url).second) return;
        crawl::KnownAddress address;
        address.url = url;
        waiting.push_back(address);
    }
    coaio::Coro<std::vector<crawl::KnownAddress>> next() override {
        co_await coaio::sleep(1ms);
        std::vector<crawl::KnownAddress> some;
        while (some.size() < 2 && !waiting.empty()) {
            some.push_back(waiting.front());
            waiting.pop_front();
        }
        co_return some;
    }
    coaio::Coro<std::vector<std::string>> unread_sites() override { co_return sites; }
    coaio::Coro<bool> add_from_sitemaps(const std::vector<crawl::FoundLink>& links) override {
        for (const auto& each : links) add(each.url.to_string());
        co_return has_room;
    }
    coaio::Coro<> site_is_read(const std::string& origin) override {
        std::erase(sites, origin);
        co_return;
    }
    coaio::Coro<> commit(const crawl::FinishedPage& page) override {
        co_await coaio::sleep(1ms);
        if (!committed.emplace(page.page->url, page.result.status).second) throw std::runtime_error("committed twice");
        for (const auto& each : page.links) add(each.url.to_string());
    }

    std::deque<crawl::KnownAddress> waiting;
    std::set<std::string> seen;
    std::vector<std::string> sites;
    bool has_room = true;
    std::map<std::string, int> committed;
};

void fill(Site& site) {
    site.add("http://a/", links({"/1", "/2", "/3"}));
    for (const auto* path : {"1", "2", "3"}) site.add("http://a/" + std::string(path), links({"/", "/4"}));
    site.add("http://a/4", page("four"));
    site.add("http://a/sitemap.xml", text("http://a/map\n"));
    site.add("http://a/map", page("a page that no other links to"));
}

std::vector<std::string> urls_of(const std::map<std::string, int>& pages) {
    std::vector<std::string> urls;
    urls.reserve(pages.size());
    for (const auto& [url, status] : pages) urls.push_back(url);
    return urls;
}

crawl::Options with_sitemaps() {
    auto options = crawl_of({"http://a/"});
    options.sitemaps = true;
    return options;
}

coaio::Coro<> wind_down_after_a_page(Crawler& crawler, const Lead& lead, const Site& site, std::size_t& asked) {
    auto crawling = coaio::create_task(crawler.run());
    while (lead.committed.empty()) co_await coaio::sleep(1ms);
    crawler.wind_down();
    asked = site.requests().size();
    co_await crawling;
}

coaio::Coro<> end_share_after(Crawler& crawler, std::chrono::milliseconds time) {
    auto crawling = coaio::create_task(crawler.run());
    co_await coaio::sleep(time);
    crawler.end_share();
    co_await crawling;
}

tests::Reply no_answer() {
    auto reply = status(200);
    reply.delay = 24h;
    return reply;
}

coaio::Coro<> run_and_rest(Crawler& crawler, std::chrono::milliseconds& rest) {
    co_await crawler.run();
    rest = crawler.frontier().rest(crawl::loop_now());
}

}  // namespace

TEST_CASE("a share is what its store leads to, which is asked again when pages were committed") {
    Site site;
    fill(site);
    Lead lead({"http://a/"});
    lead.sites = {"http://a"};
    Crawler crawler(with_sitemaps(), site, lead);
    run(crawler);
    CHECK(urls_of(lead.committed) == std::vector<std::string>{"http://a/", "http://a/1", "http://a/2", "http://a/3",
                                                              "http://a/4", "http://a/map"});
    CHECK(lead.sites.empty());
    CHECK(site.count("http://a/robots.txt") == 1);
    CHECK(crawler.frontier().is_done());
}

TEST_CASE("sitemaps of a site are read though none of its pages is left, and of no other") {
    Site site;
    fill(site);
    Lead lead({});
    lead.sites = {"http://a"};
    Crawler crawler(with_sitemaps(), site, lead);
    run(crawler);
    CHECK(urls_of(lead.committed) == std::vector<std::string>{"http://a/map"});
    Lead again({"http://a/4"});
    Crawler second(with_sitemaps(), site, again);
    run(second);
    CHECK(urls_of(again.committed) == std::vector<std::string>{"http://a/4"});
    CHECK(site.count("http://a/sitemap.xml") == 1);
}

TEST_CASE("a robots.txt of a share is followed within its host, and counts as none where it leads to another") {
    Site site;
    fill(site);
    site.add("http://a/robots.txt", redirect("https://a/rules"));
    site.add("https://a/rules", text("User-agent: *\nDisallow: /3\n"));
    Lead kept({"http://a/"});
    Crawler obedient(crawl_of({"http://a/"}), site, kept);
    run(obedient);
    CHECK(site.count("https://a/rules") == 1);
    CHECK(site.count("http://a/3") == 0);

    site.add("https://a/rules", redirect("http://b/robots.txt"));
    site.add("http://b/robots.txt", text("User-agent: *\nDisallow: /\n"));
    Lead free({"http://a/"});
    Crawler crawler(crawl_of({"http://a/"}), site, free);
    run(crawler);
    CHECK(site.count("http://b/robots.txt") == 0);
    CHECK(site.count("http://a/3") == 1);
    CHECK(free.committed.at("http://a/3") == 200);
}

TEST_CASE("a share that is wound down finishes the pages under way and begins none") {
    Site site;
    fill(site);
    Lead lead({"http://a/", "http://a/1", "http://a/2", "http://a/3"});
    lead.sites = {"http://a"};
    auto slow = text("http://a/map\n");
    slow.delay = 1h;  // whoever reads sitemaps is not waited for
    site.add("http://a/sitemap.xml", slow);
    auto options = with_sitemaps();
    options.manners.per_host = 2;
    Crawler crawler(options, site, lead);
    std::size_t asked = 0;
    coaio::testing::run(wind_down_after_a_page(crawler, lead, site, asked));
    CHECK(site.requests().size() == asked);
    CHECK(crawler.frontier().running() == 0);
    CHECK(lead.committed.size() < 4);
    for (const auto& [url, status] : lead.committed) CHECK(status == 200);
    CHECK(crawler.elapsed() < 1min);
}

TEST_CASE("what a share has of a site that takes longer than it to say nothing ends with it") {
    Site site;
    site.add("http://a/robots.txt", no_answer());
    Lead lead({"http://a/", "http://a/1"});
    auto options = crawl_of({"http://a/"});
    options.manners.per_host = 1;
    Crawler crawler(options, site, lead);
    coaio::testing::run(end_share_after(crawler, 1min));
    CHECK(site.count("http://a/robots.txt") == 3);
    CHECK(lead.committed == std::map<std::string, int>{{"http://a/", 0}, {"http://a/1", 0}});
    CHECK(find_page(crawler, "http://a/")->state == crawl::PageState::failed);
}

TEST_CASE("a share that is over bears with a robots.txt that asks for pauses longer than it") {
    Site site;
    auto busy = status(503);
    busy.retry_after = "45";
    site.add("http://a/robots.txt", busy).add("http://a/robots.txt", busy).add("http://a/robots.txt", text(""));
    fill(site);
    Lead lead({"http://a/4", "http://a/1"});
    auto options = crawl_of({"http://a/"});
    options.manners.per_host = 1;
    Crawler crawler(options, site, lead);
    coaio::testing::run(end_share_after(crawler, 1min));
    CHECK(lead.committed == std::map<std::string, int>{{"http://a/4", 200}});
}

TEST_CASE("a share that is over begins no page once it has got on with one, and asks its store for none") {
    Site site;
    fill(site);
    Lead lead({"http://a/1", "http://a/2", "http://a/3", "http://a/4"});
    auto options = crawl_of({"http://a/"});
    options.manners.per_host = 1;
    Crawler crawler(options, site, lead);
    coaio::testing::run(end_share_after(crawler, 0ms));
    CHECK(lead.committed == std::map<std::string, int>{{"http://a/1", 200}});
    CHECK(site.count("http://a/2") == 0);
}

TEST_CASE("sitemaps that a share reads when it is over are read to their end") {
    Site site;
    fill(site);
    auto index = text("<sitemapindex><sitemap><loc>http://a/more.txt</loc></sitemap></sitemapindex>", "text/xml");
    index.delay = 25s;
    site.add("http://a/robots.txt", text("Sitemap: http://a/index.xml\n"));
    site.add("http://a/index.xml", status(502)).add("http://a/index.xml", status(502)).add("http://a/index.xml", index);
    auto more = text("http://a/map\n");
    more.delay = 25s;
    site.add("http://a/more.txt", more);
    Lead lead({"http://a/4"});
    lead.sites = {"http://a"};
    Crawler crawler(with_sitemaps(), site, lead);
    coaio::testing::run(end_share_after(crawler, 20s));
    CHECK(lead.sites.empty());
    CHECK(lead.seen.count("http://a/map") == 1);
    CHECK(urls_of(lead.committed) == std::vector<std::string>{"http://a/4"});
}

TEST_CASE("no more sitemaps are read when the crawl has no room for what they name") {
    Site site;
    site.add("http://a/robots.txt", text("Sitemap: http://a/1.txt\nSitemap: http://a/2.txt\n"));
    site.add("http://a/1.txt", text("http://a/x\n"));
    site.add("http://a/2.txt", text("http://a/y\n"));
    Lead lead({});
    lead.sites = {"http://a"};
    lead.has_room = false;
    Crawler crawler(with_sitemaps(), site, lead);
    run(crawler);
    CHECK(site.count("http://a/1.txt") == 1);
    CHECK(site.count("http://a/2.txt") == 0);
    CHECK(lead.sites.empty());
}

TEST_CASE("an address that was tried before is tried less often") {
    Site site;
    auto busy = status(503);
    site.add("http://a/", busy);
    Lead lead({"http://a/"});
    lead.waiting.front().tries = 2;
    Crawler crawler(crawl_of({"http://a/"}), site, lead);
    run(crawler);
    CHECK(site.count("http://a/") == 1);
    CHECK(lead.committed.at("http://a/") == 503);
}

TEST_CASE("a host that asked for a pause is to be left alone when its share is over") {
    Site site;
    auto busy = status(429);
    busy.retry_after = "40";
    site.add("http://a/", busy);
    Lead lead({"http://a/"});
    auto options = crawl_of({"http://a/"});
    options.manners.max_retries = 0;
    Crawler crawler(options, site, lead);
    std::chrono::milliseconds rest{0};
    coaio::testing::run(run_and_rest(crawler, rest));
    CHECK(rest > 39s);
    CHECK(rest <= 40s);
}
