// SPDX-License-Identifier: MIT
#include "crawler/crawler.hpp"

#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>

#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "site.hpp"
#include "support/catch.hpp"

using namespace tests;
using namespace std::chrono_literals;
using crawl::Crawler;
using crawl::PageState;

namespace {

/// Keeps what is committed, after a while; notes what begins and what ends.
class MemoryStore final : public crawl::Store {
public:
    coaio::Coro<> commit(const crawl::FinishedPage& page) override {
        ++begun;
        const auto url = page.page->url;
        co_await coaio::sleep(3ms);
        if (url == fails_at) throw std::runtime_error("the disk is full");
        if (!states.emplace(url, page.state).second) throw std::runtime_error(url + " was committed twice");
        links[url] = page.links.size();
        texts[url] = page.text;
        ++ended;
    }

    std::map<std::string, PageState> states;
    std::map<std::string, std::size_t> links;
    std::map<std::string, std::string> texts;
    std::string fails_at;
    int begun = 0;
    int ended = 0;
};

void fill(Site& site) {
    site.add("http://a/robots.txt", text("User-agent: *\nDisallow: /no"));
    site.add("http://a/", links({"/1", "/2", "/no", "/gone#x", "/old"}));
    site.add("http://a/1", links({"/3", "/2"}));
    site.add("http://a/2", status(503)).add("http://a/2", links({"/4"}));
    site.add("http://a/3", page("<p id=x>three"));
    site.add("http://a/4", page("four"));
    site.add("http://a/old", redirect("/3#x"));
    site.add("http://a/sitemap.xml", text("http://a/5\n"));
    site.add("http://a/5", page("five"));
}

crawl::Options small_crawl() {
    auto options = crawl_of({"http://a/"});
    options.sitemaps = true;
    return options;
}

const std::map<std::string, int> all_answered{{"http://a/", 200},     {"http://a/1", 200},  {"http://a/2", 200},
                                              {"http://a/3", 200},    {"http://a/4", 200},  {"http://a/5", 200},
                                              {"http://a/gone", 404}, {"http://a/old", 301}};

struct Crawl {
    Crawl() : crawler(small_crawl(), site, &store) { fill(site); }
    Site site;
    MemoryStore store;
    Crawler crawler;
};

}  // namespace

TEST_CASE("every page is committed once, with its links, before the crawl goes on from it") {
    Crawl crawl;
    run(crawl.crawler);
    CHECK(answered(crawl.crawler) == all_answered);
    CHECK(crawl.store.states.size() == 9);
    CHECK(crawl.store.states.at("http://a/no") == PageState::disallowed);
    CHECK(crawl.store.links.at("http://a/") == 5);
    CHECK(crawl.store.links.at("http://a/old") == 1);
    CHECK_THAT(crawl.store.texts.at("http://a/3"), contains("three"));
    const auto committed = crawl.site.times("http://a/1").at(0) - crawl.site.times("http://a/").at(0);
    CHECK(committed >= 13);  // 10 ms for the answer, 3 for the commit
}

TEST_CASE("a store that fails ends the crawl with its error") {
    Crawl crawl;
    crawl.store.fails_at = "http://a/1";
    try {
        run(crawl.crawler);
        FAIL("it should have ended by an error");
    } catch (const coaio::ExceptionGroup& group) {
        REQUIRE(group.exceptions().size() == 1);
        CHECK_THAT(coaio::describe_exception(group.exceptions()[0]), contains("the disk is full"));
    }
    CHECK(crawl.site.running() == 0);
    CHECK(find_page(crawl.crawler, "http://a/1")->state == PageState::running);
    CHECK(find_page(crawl.crawler, "http://a/3") == nullptr);
}

TEST_CASE("a crawl cancelled at any turn leaves nothing half done and nobody behind") {
    std::unique_ptr<Crawl> crawl;
    std::size_t cuts = 0;
    std::size_t whole = 0;
    const auto start = [&] {
        crawl = std::make_unique<Crawl>();
        return crawl->crawler.run();
    };
    const auto check = [&](std::size_t) {
        ++cuts;
        REQUIRE(crawl->site.running() == 0);
        REQUIRE(crawl->store.begun == crawl->store.ended);
        REQUIRE(coaio::all_tasks().size() == 1);
        // What the store has is what the crawl believes to be done.
        std::map<std::string, PageState> done;
        for (const auto& each : crawl->crawler.frontier().pages()) {
            if (each.state == PageState::done || each.state == PageState::disallowed)
                done.emplace(each.url, each.state);
        }
        REQUIRE(done == crawl->store.states);
        if (answered(crawl->crawler) == all_answered) ++whole;
        static_cast<void>(crawl->crawler.summary());
    };
    coaio::testing::cut(start, check);
    CHECK(cuts > 20);
    CHECK(whole >= 1);
    CHECK(whole < cuts);
}

TEST_CASE("the order of things does not matter for what is found") {
    std::unique_ptr<Crawl> crawl;
    std::set<std::string> orders;
    struct Run {
        static coaio::Coro<> once(std::unique_ptr<Crawl>& crawl, std::set<std::string>& orders) {
            crawl = std::make_unique<Crawl>();
            co_await crawl->crawler.run();
            std::string order;
            for (const auto& each : crawl->site.requests()) order += each.url + " ";
            orders.insert(order);
            if (answered(crawl->crawler) != all_answered) throw std::runtime_error("other pages were found: " + order);
            if (crawl->crawler.frontier().broken_links().size() != 1)
                throw std::runtime_error("other links are broken");
        }
    };
    coaio::testing::explore([&] { return Run::once(crawl, orders); });
    CHECK(orders.size() > 1);
}
