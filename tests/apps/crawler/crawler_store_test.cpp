// SPDX-License-Identifier: MIT
// A crawl that goes on, and a store that is away for a while.
#include "crawler/crawler.hpp"

#include <coaio/core/sleep.hpp>

#include <chrono>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "site.hpp"
#include "support/catch.hpp"

using namespace tests;
using namespace std::chrono_literals;
using crawl::Crawler;

namespace {

/// Keeps pages in memory; each statement fails as often as it is told to.
class KeepingStore final : public crawl::Store {
public:
    coaio::Coro<std::vector<std::string>> known() override {
        fail(recalls_to_fail);
        std::vector<std::string> urls;
        for (const auto& [url, page] : pages) urls.push_back(url);
        co_return urls;
    }
    coaio::Coro<bool> recall(crawl::FinishedPage& page) override {
        fail(recalls_to_fail);
        const auto found = pages.find(page.page->url);
        if (found == pages.end()) co_return false;
        const auto* const address = page.page;
        const auto id = page.id;
        page = found->second;
        page.page = address;
        page.id = id;
        co_return true;
    }
    coaio::Coro<> commit(const crawl::FinishedPage& page) override {
        co_await coaio::sleep(1ms);
        fail(commits_to_fail);
        pages[page.page->url] = page;
    }
    coaio::Coro<> recover(std::exception_ptr failure) override {
        if (!patient) std::rethrow_exception(failure);
        ++recoveries;
        co_await coaio::sleep(5s);
    }

    std::map<std::string, crawl::FinishedPage> pages;
    int commits_to_fail = 0;
    int recalls_to_fail = 0;
    bool patient = true;
    int recoveries = 0;

private:
    static void fail(int& count) {
        if (count > 0 && count-- > 0) throw std::runtime_error("the store is away");
    }
};

void fill(Site& site) {
    site.add("http://a/", links({"/1", "/2"}));
    site.add("http://a/1", links({"/3"}));
    site.add("http://a/2", page("two"));
    site.add("http://a/3", page("three"));
    site.add("http://a/sitemap.xml", text("http://a/map\n"));
    site.add("http://a/map", links({"/below"}));
    site.add("http://a/below", page("below"));
}

crawl::Options with_sitemaps() {
    auto options = crawl_of({"http://a/"});
    options.sitemaps = true;
    return options;
}

}  // namespace

TEST_CASE("pages that the store knows are not fetched again, cost no delay, and lead on") {
    Site site;
    fill(site);
    KeepingStore store;
    auto options = crawl_of({"http://a/"});
    options.manners.delay = 10min;
    Crawler first(options, site, &store);
    run(first);
    CHECK(store.pages.size() == 4);
    store.pages.erase("http://a/3");
    site.forget_requests();
    Crawler second(options, site, &store);
    run(second);
    CHECK(answered(second) == answered(first));
    CHECK(broken(second) == broken(first));
    CHECK(site.count("http://a/3") == 1);
    CHECK(site.requests().size() == 2);  // and robots.txt
    CHECK(second.elapsed() < 11min);
}

TEST_CASE("a crawl that goes on has no more pages than it may have, whatever it comes upon first") {
    Site site;
    site.add("http://a/", links({"/1", "/2"}));
    auto slow = links({"/of-1"});
    slow.delay = 10s;
    site.add("http://a/1", slow);
    site.add("http://a/2", links({"/of-2"}));
    site.add("http://a/of-1", page("one"));
    site.add("http://a/of-2", page("two"));
    KeepingStore store;
    auto options = crawl_of({"http://a/"});
    options.scope.max_pages = 4;
    Crawler first(options, site, &store);
    run(first);
    REQUIRE(store.pages.count("http://a/of-2") == 1);
    // Now /1 answers as fast as the other one.
    store.recalls_to_fail = 1;
    Crawler second(options, site, &store);
    run(second);
    CHECK(store.pages.size() == 4);
    CHECK(answered(second) == answered(first));
    CHECK(site.count("http://a/of-1") == 0);
    CHECK(store.recoveries == 1);
}

TEST_CASE("where all that pages link to is known, what only the sitemap names is found all the same") {
    Site site;
    fill(site);
    KeepingStore store;
    Crawler first(with_sitemaps(), site, &store);
    run(first);
    CHECK(store.pages.size() == 6);
    store.pages.erase("http://a/map");
    store.pages.erase("http://a/below");
    site.forget_requests();
    Crawler second(with_sitemaps(), site, &store);
    run(second);
    CHECK(answered(second) == answered(first));
    CHECK(site.count("http://a/below") == 1);
    CHECK(site.count("http://a/1") == 0);
}

TEST_CASE("what fails in a store that is away is tried again, and no page is fetched twice") {
    Site site;
    fill(site);
    KeepingStore store;
    store.commits_to_fail = 3;
    store.recalls_to_fail = 2;
    Crawler crawler(crawl_of({"http://a/"}), site, &store);
    run(crawler);
    CHECK(store.recoveries == 5);
    CHECK(store.pages.size() == 4);
    for (const auto& [url, page] : store.pages) CHECK(site.count(url) == 1);

    store.pages.clear();
    store.commits_to_fail = 1;
    store.patient = false;
    Crawler failing(crawl_of({"http://a/"}), site, &store);
    CHECK_THROWS_WITH(run(failing), contains("the store is away"));
}
