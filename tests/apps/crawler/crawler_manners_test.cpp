// SPDX-License-Identifier: MIT
#include "crawler/crawler.hpp"

#include <map>
#include <string>
#include <vector>

#include "site.hpp"
#include "support/catch.hpp"

using namespace tests;
using namespace std::chrono_literals;
using crawl::Crawler;
using crawl::PageState;

namespace {

Reply dead(std::string why = "connection refused") {
    Reply reply;
    reply.failure = std::move(why);
    return reply;
}

Reply busy(int code, std::string retry_after = {}) {
    auto reply = status(code);
    reply.retry_after = std::move(retry_after);
    return reply;
}

Reply slow(Reply reply, coaio::Duration delay) {
    reply.delay = delay;
    return reply;
}

}  // namespace

TEST_CASE("robots.txt is asked for once an origin, and obeyed") {
    Site site;
    site.add("http://a/robots.txt", slow(text("User-agent: *\nDisallow: /private\nAllow: /private/open"), 1s));
    site.add("http://a/", links({"/private", "/private/open", "/x"}));
    site.add("http://a/private/open", page(""));
    site.add("http://a/x", page(""));
    site.add("http://a/second", page(""));
    site.add("http://a/private", page(""));
    // Several pages wait for it at the same time.
    auto options = crawl_of({"http://a/", "http://a/second", "http://a/private/x"});
    Crawler crawler(options, site);
    run(crawler);
    CHECK(site.count("http://a/robots.txt") == 1);
    CHECK(answered(crawler).size() == 4);
    CHECK(find_page(crawler, "http://a/private")->state == PageState::disallowed);
    CHECK(find_page(crawler, "http://a/private/x")->state == PageState::disallowed);
    CHECK(broken(crawler).empty());
    CHECK(crawler.summary().disallowed == 2);

    options.ignore_robots = true;
    Crawler rude(options, site);
    run(rude);
    CHECK(site.count("http://a/robots.txt") == 1);
    CHECK(site.count("http://a/private") == 1);
}

TEST_CASE("the crawl-delay holds from the first page on") {
    Site site;
    site.add("http://a/robots.txt", text("User-agent: *\nCrawl-delay: 5"));
    site.add("http://a/", links({"/1", "/2"}));
    Crawler crawler(crawl_of({"http://a/", "http://a/1"}), site);
    run(crawler);
    std::vector<long> starts;
    for (const char* each : {"http://a/", "http://a/1", "http://a/2"}) starts.push_back(site.times(each).at(0));
    CHECK(starts[1] - starts[0] >= 5000);
    CHECK(starts[2] - starts[1] >= 5000);
    CHECK(starts[2] < 11000);
}

TEST_CASE("what robots.txt forbids costs no delay") {
    Site site;
    site.add("http://a/robots.txt", text("User-agent: *\nCrawl-delay: 5\nDisallow: /no"));
    site.add("http://a/", links({"/no1", "/no2", "/no3", "/no4", "/x"}));
    Crawler crawler(crawl_of({"http://a/"}), site);
    run(crawler);
    CHECK(crawler.summary().disallowed == 4);
    const auto between = site.times("http://a/x").at(0) - site.times("http://a/").at(0);
    CHECK(between >= 5000);
    CHECK(between < 5100);
}

TEST_CASE("where robots.txt cannot be had, nothing is fetched") {
    Site site;
    site.add("http://a/", page(""));
    site.add("http://b/", page(""));
    site.add("http://c/", page(""));
    site.add("http://a/robots.txt", status(500));
    site.add("http://b/robots.txt", dead());
    site.add("http://c/robots.txt", redirect("/there"));
    site.add("http://c/there", text("User-agent: coaio-crawl\nDisallow: /"));
    Crawler crawler(crawl_of({"http://a/", "http://b/", "http://c/"}), site);
    run(crawler);
    CHECK(find_page(crawler, "http://a/")->state == PageState::disallowed);
    CHECK(find_page(crawler, "http://b/")->state == PageState::failed);
    CHECK_THAT(find_page(crawler, "http://b/")->error,
               contains("robots.txt could not be asked for: connection refused"));
    CHECK(find_page(crawler, "http://c/")->state == PageState::disallowed);
    CHECK(site.count("http://a/robots.txt") == 3);  // it was tried again
    CHECK(answered(crawler).empty());
    CHECK(crawl::exit_code(crawler.summary()) == 1);
}

TEST_CASE("robots.txt behind redirects without end is none") {
    Site site;
    site.add("http://a/", page(""));
    site.add("http://a/robots.txt", redirect("/robots.txt"));
    Crawler crawler(crawl_of({"http://a/"}), site);
    run(crawler);
    CHECK(site.count("http://a/robots.txt") == 6);
    CHECK(answered(crawler).size() == 1);
}

TEST_CASE("what may pass is tried again, later and later") {
    Site site;
    site.add("http://a/", links({"/x", "/y", "/z"}));
    site.add("http://a/x", dead()).add("http://a/x", status(500)).add("http://a/x", page(""));
    site.add("http://a/y", status(502));
    site.add("http://a/z", status(404));
    Crawler crawler(crawl_of({"http://a/"}), site);
    run(crawler);
    CHECK(answered(crawler).at("http://a/x") == 200);
    CHECK(find_page(crawler, "http://a/x")->tries == 3);
    CHECK(site.count("http://a/y") == 3);
    CHECK(site.count("http://a/z") == 1);
    const auto times = site.times("http://a/x");
    REQUIRE(times.size() == 3);
    CHECK(times[1] - times[0] >= 250);
    CHECK(times[1] - times[0] <= 520);
    CHECK(times[2] - times[1] >= 500);
    CHECK(times[2] - times[1] <= 1020);
    CHECK(broken(crawler) ==
          "http://a/y: status 502 <- http://a/ line 2\nhttp://a/z: status 404 <- http://a/ line 3\n");
}

TEST_CASE("a host that asks for a pause gets it, with all its pages, and other hosts go on") {
    Site site;
    site.add("http://a/", links({"/x", "/1", "/2", "/3", "/4", "/5", "/6"}));
    site.add("http://a/x", slow(busy(429, "20"), 1ms)).add("http://a/x", page(""));
    site.add("http://b/", links({"/1"}));
    site.add("http://b/1", page(""));
    Crawler crawler(crawl_of({"http://a/", "http://b/"}), site);
    run(crawler);
    CHECK(answered(crawler).at("http://a/x") == 200);
    const auto times = site.times("http://a/x");
    REQUIRE(times.size() == 2);
    CHECK(times[1] - times[0] >= 20'000);
    CHECK(site.times("http://b/1").at(0) < 1000);
    std::size_t meanwhile = 0;
    for (const auto& each : site.requests()) {
        const auto at = std::chrono::duration_cast<std::chrono::milliseconds>(each.at).count();
        if (at > times[0] + 100 && at < times[0] + 20'000 && each.url.starts_with("http://a/")) ++meanwhile;
    }
    CHECK(meanwhile == 0);
}

TEST_CASE("a site that wants to be left alone for an hour is") {
    Site site;
    site.add("http://a/", busy(503, "3600"));
    Crawler crawler(crawl_of({"http://a/"}), site);
    run(crawler);
    CHECK(site.count("http://a/") == 1);
    CHECK(crawler.elapsed() < 60s);
}

TEST_CASE("a slow page is given up at its deadline, and holds nobody up") {
    Site site;
    site.add("http://a/", links({"/slow", "/x"}));
    site.add("http://a/slow", slow(page(""), 1h));
    site.add("http://a/x", page(""));
    auto options = crawl_of({"http://a/"});
    options.timeout = 10s;
    options.manners.max_retries = 1;
    Crawler crawler(options, site);
    run(crawler);
    CHECK(broken(crawler) == "http://a/slow: no answer within 10.0 s <- http://a/ line 1\n");
    CHECK(site.count("http://a/slow") == 2);
    CHECK(site.times("http://a/x").at(0) < 1000);
    CHECK(crawler.elapsed() < 22s);
    CHECK(site.running() == 0);
}

TEST_CASE("there are never more requests than allowed, in all and to one host, and as many as that") {
    Site site;
    std::vector<std::string> starts;
    for (const char* host : {"http://a", "http://b", "http://c"}) {
        std::vector<std::string> targets;
        for (int i = 0; i < 20; ++i) {
            targets.push_back("/" + std::to_string(i));
            site.add(host + targets.back(), page(""));
        }
        starts.push_back(std::string(host) + "/");
        site.add(starts.back(), links(targets));
    }
    auto options = crawl_of(starts);
    options.manners.per_host = 3;
    options.concurrency = 7;
    Crawler crawler(options, site);
    run(crawler);
    CHECK(answered(crawler).size() == 63);
    CHECK(site.most_running() == 7);
    for (const char* host : {"http://a", "http://b", "http://c"}) CHECK(site.most_running(host) == 3);
}

TEST_CASE("the delay stands between the starts of two requests to a host") {
    Site site;
    site.add("http://a/", links({"/1", "/2", "/3"}));
    auto options = crawl_of({"http://a/"});
    options.manners.delay = 2s;
    Crawler crawler(options, site);
    run(crawler);
    long last = -10'000;
    for (const auto& each : site.requests()) {
        const auto at = std::chrono::duration_cast<std::chrono::milliseconds>(each.at).count();
        CHECK(at - last >= 2000);
        last = at;
    }
    CHECK(site.requests().size() == 5);
}

TEST_CASE("sitemaps are read: those that robots.txt names, an index, or the one at the usual place") {
    const std::string head = "<?xml version='1.0'?>";
    const std::string ns = " xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'>";
    Site site;
    site.add("http://a/robots.txt", text("Sitemap: http://a/index.xml\nSitemap: http://elsewhere/s.xml"));
    site.add("http://a/index.xml",
             text(head + "<sitemapindex" + ns + "<sitemap><loc>http://a/one.xml</loc></sitemap></sitemapindex>"));
    site.add("http://a/one.xml", text(head + "<urlset" + ns +
                                      "<url><loc>http://a/hidden</loc></url>"
                                      "<url><loc>http://a/lost</loc></url><url><loc>http://b/</loc></url></urlset>"));
    site.add("http://a/", page(""));
    site.add("http://a/hidden", links({"/further"}));
    site.add("http://a/further", page(""));
    site.add("http://c/", page(""));
    site.add("http://c/sitemap.xml", text("http://c/plain\n"));
    site.add("http://c/plain", page(""));
    auto options = crawl_of({"http://a/", "http://c/"});
    options.sitemaps = true;
    options.concurrency = 1;
    options.manners.per_host = 1;
    Crawler crawler(options, site);
    run(crawler);
    const std::map<std::string, int> wanted{{"http://a/", 200},     {"http://a/hidden", 200},
                                            {"http://a/lost", 404}, {"http://a/further", 200},
                                            {"http://c/", 200},     {"http://c/plain", 200}};
    CHECK(answered(crawler) == wanted);
    CHECK(site.count("http://elsewhere/s.xml") == 0);
    CHECK(site.count("http://a/sitemap.xml") == 0);
    CHECK(broken(crawler) == "http://a/lost: status 404\n");
    CHECK_THAT(crawl::summary_text(crawler.frontier(), crawler.summary()), contains("listed in a sitemap"));
    CHECK(site.most_running("http://a") == 1);

    // A crawl that may have no more pages does not read on.
    options.scope.max_pages = 2;
    site.forget_requests();
    Crawler few(options, site);
    run(few);
    CHECK(site.count("http://a/one.xml") == 0);
}
