// SPDX-License-Identifier: MIT
#include "crawler/crawler.hpp"

#include <coaio/core/testing.hpp>

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

std::map<std::string, int> crawl_all(Site& site, crawl::Options options) {
    Crawler crawler(std::move(options), site);
    run(crawler);
    CHECK(crawler.frontier().is_done());
    CHECK(site.running() == 0);
    return answered(crawler);
}

coaio::Coro<> listen(coaio::AsyncGenerator<crawl::PageId> pages, const Crawler& crawler,
                     std::vector<std::string>& heard) {
    while (auto id = co_await pages.next()) heard.push_back(crawler.frontier().page(*id).url);
}

coaio::Coro<> run_and_listen(Crawler& crawler, std::vector<std::string>& heard) {
    auto listening = coaio::create_task(listen(crawler.finished(), crawler, heard));
    co_await crawler.run();
    co_await listening;
}

}  // namespace

TEST_CASE("a crawl finds every page of a site, each once, and none of others") {
    Site site;
    site.add("http://a/", links({"/x", "y", "http://b/", "mailto:me@a", "/x#part"}));
    site.add("http://a/x", links({"/", "z/"}));
    site.add("http://a/y", links({"/x", "./z/../z/"}));
    site.add("http://a/z/", links({"deep"}));
    site.add("http://a/z/deep", page("the end"));
    const auto found = crawl_all(site, crawl_of({"http://a/"}));
    const std::map<std::string, int> wanted{
        {"http://a/", 200}, {"http://a/x", 200}, {"http://a/y", 200}, {"http://a/z/", 200}, {"http://a/z/deep", 200}};
    CHECK(found == wanted);
    for (const auto& each : wanted) CHECK(site.count(each.first) == 1);
    CHECK(site.count("http://a/robots.txt") == 1);
    CHECK(site.requests().size() == 6);
}

TEST_CASE("a broken link is told with its reason and the places where it stands") {
    Site site;
    site.add("http://a/", links({"/x", "/gone"}));
    site.add("http://a/x", page("<p>\n\n<a href=/gone>away</a> <img src=/dead.png>"));
    auto dead = status(0);
    dead.failure = "connection refused";
    site.add("http://a/dead.png", dead);
    auto options = crawl_of({"http://a/"});
    options.manners.max_retries = 0;
    Crawler crawler(options, site);
    run(crawler);
    CHECK(broken(crawler) == "http://a/gone: status 404 <- http://a/ line 2 <- http://a/x line 3\n"
                             "http://a/dead.png: connection refused <- http://a/x line 3\n");
    const auto summary = crawler.summary();
    CHECK(summary.fetched == 3);
    CHECK(summary.failed == 1);
    CHECK(crawl::exit_code(summary) == 2);
}

TEST_CASE("a fragment without its element is a broken link, through a redirect too") {
    Site site;
    site.add("http://a/", links({"/x#here", "/x#gone", "#top", "/old#here", "/old#lost"}));
    site.add("http://a/x", page("<h1 id=here>x</h1>"));
    site.add("http://a/old", redirect("/x"));
    Crawler crawler(crawl_of({"http://a/"}), site);
    run(crawler);
    CHECK(broken(crawler) == "http://a/x#gone: no element has the id \"gone\" <- http://a/ line 2\n"
                             "http://a/old#lost: no element has the id \"lost\" <- http://a/ line 5\n");

    auto options = crawl_of({"http://a/"});
    options.check_fragments = false;
    Crawler blind(options, site);
    run(blind);
    CHECK(broken(blind).empty());
}

TEST_CASE("redirects are followed as pages of their own, circles and chains without end are told") {
    Site site;
    site.add("http://a/", links({"/old", "/circle", "/chain?0", "/away"}));
    site.add("http://a/old", redirect("new", 302));
    site.add("http://a/new", page("here"));
    site.add("http://a/circle", redirect("/circle2"));
    site.add("http://a/circle2", redirect("/circle"));
    site.add("http://a/away", redirect("http://elsewhere/"));
    for (int i = 0; i < 40; ++i) {
        site.add("http://a/chain?" + std::to_string(i), redirect("/chain?" + std::to_string(i + 1)));
    }
    Crawler crawler(crawl_of({"http://a/"}), site);
    run(crawler);
    CHECK(answered(crawler).at("http://a/new") == 200);
    CHECK(site.count("http://a/chain?20") == 1);
    CHECK(site.count("http://a/chain?21") == 0);
    CHECK(site.count("http://elsewhere/") == 0);
    const auto told = broken(crawler);
    CHECK_THAT(told, contains("http://a/circle: redirects in a circle"));
    CHECK_THAT(told, contains("http://a/chain?0: "));
    CHECK(crawler.frontier().broken_links().size() == 2);
}

TEST_CASE("where a start URL is redirected to belongs to the crawl, a link's redirect elsewhere does not") {
    Site site;
    site.add("http://a/", redirect("https://www.a/"));
    site.add("https://www.a/", redirect("/home"));
    site.add("https://www.a/home", links({"/x", "/away"}));
    site.add("https://www.a/x", page(""));
    site.add("https://www.a/away", redirect("http://elsewhere/"));
    site.add("http://elsewhere/", page(""));
    const auto found = crawl_all(site, crawl_of({"http://a/"}));
    CHECK(found.size() == 5);
    CHECK(found.count("https://www.a/x") == 1);
    CHECK(site.count("http://elsewhere/") == 0);
}

TEST_CASE("only HTML and style sheets are read, and an answer without a type is taken for HTML") {
    Site site;
    site.add("http://a/", page("<link rel=stylesheet href=/style.css><img src=/i.png><a href=/plain.txt>t</a>"
                               "<a href=/untyped>u</a>"));
    site.add("http://a/style.css", text("@import 'more.css'; a { background: url(/bg.png) }", "text/css"));
    site.add("http://a/more.css", text("", "text/css"));
    site.add("http://a/bg.png", text("<a href=/no1>", "image/png"));
    site.add("http://a/i.png", text("<a href=/no2>", "image/png"));
    site.add("http://a/plain.txt", text("<a href=/no3>"));
    site.add("http://a/untyped", text("<a href=/yes>", ""));
    site.add("http://a/yes", page(""));
    const auto found = crawl_all(site, crawl_of({"http://a/"}));
    CHECK(found.size() == 8);
    CHECK(found.count("http://a/more.css") == 1);
    CHECK(found.count("http://a/bg.png") == 1);
    CHECK(found.count("http://a/yes") == 1);
    for (const char* unread : {"http://a/no1", "http://a/no2", "http://a/no3"}) CHECK(site.count(unread) == 0);
}

TEST_CASE("a page is read in its charset, and its base counts") {
    Site site;
    site.add("http://a/",
             text("<title>Caf\xE9</title><base href='/deep/er/'><a href=x>x</a>", "text/html; charset=iso-8859-1"));
    site.add("http://a/deep/er/x", page(""));
    Crawler crawler(crawl_of({"http://a/"}), site);
    run(crawler);
    CHECK(find_page(crawler, "http://a/")->title == "Caf\xC3\xA9");
    CHECK(answered(crawler).count("http://a/deep/er/x") == 1);
}

TEST_CASE("nofollow is obeyed: of a link, of a page, of a header; unless it is to be ignored") {
    Site site;
    site.add("http://a/", page("<a rel=nofollow href=/1>1</a> <a href=/meta>m</a> <a href=/header>h</a>"));
    site.add("http://a/meta", page("<meta name=robots content=nofollow><a href=/2>2</a>"));
    auto tagged = links({"/3"});
    tagged.robots_tag = "noindex, nofollow";
    site.add("http://a/header", tagged);
    for (const char* each : {"http://a/1", "http://a/2", "http://a/3"}) site.add(each, page(""));
    CHECK(crawl_all(site, crawl_of({"http://a/"})).size() == 3);
    auto options = crawl_of({"http://a/"});
    options.ignore_nofollow = true;
    CHECK(crawl_all(site, options).size() == 6);
}

TEST_CASE("a body that is too large is read as far as allowed") {
    Site site;
    site.add("http://a/", page("<a href=/x#f>x</a>" + std::string(5000, ' ') + "<a href=/y>y</a>"));
    site.add("http://a/x", page(std::string(5000, ' ') + "<p id=f>"));
    site.add("http://a/y", page(""));
    auto options = crawl_of({"http://a/"});
    options.max_size = 1000;
    Crawler crawler(options, site);
    run(crawler);
    CHECK(answered(crawler).size() == 2);
    CHECK(find_page(crawler, "http://a/")->size == 1000);
    // Of a page that was cut nobody can say that an element is not there.
    CHECK(broken(crawler).empty());
}

TEST_CASE("a large page is read in a thread, and all of it") {
    Site site;
    std::vector<std::string> targets;
    for (int i = 0; i < 1000; ++i) targets.push_back("/page-with-a-long-name-" + std::to_string(i));
    site.add("http://a/", links(targets));
    auto options = crawl_of({"http://a/"});
    const auto found = crawl_all(site, options);
    CHECK(found.size() == 1001);
}

TEST_CASE("the number of pages is limited, and so is the depth") {
    Site site;
    site.add("http://a/", links({"/1", "/2", "/3", "/4"}));
    site.add("http://a/1", links({"/1/1"}));
    site.add("http://a/1/1", links({"/1/1/1"}));
    auto few = crawl_of({"http://a/"});
    few.scope.max_pages = 3;
    Crawler crawler(few, site);
    run(crawler);
    CHECK(answered(crawler).size() == 3);
    CHECK(crawler.frontier().dropped() == 3);
    site.forget_requests();

    auto shallow = crawl_of({"http://a/"});
    shallow.scope.max_depth = 2;
    crawl_all(site, shallow);
    CHECK(site.count("http://a/1/1") == 1);
    CHECK(site.count("http://a/1/1/1") == 0);
}

TEST_CASE("a trap does not hold the crawl") {
    class Trap final : public crawl::Fetcher {
    public:
        coaio::Coro<crawl::Answer> fetch(coaio::http::Url url, crawl::FetchOptions) override {
            ++requests;
            crawl::Answer answer;
            answer.status = url.path() == "/robots.txt" ? 404 : 200;
            answer.content_type = "text/html";
            answer.complete = true;
            // A calendar that knows no end, and folders that contain themselves.
            answer.body = "<a href='/calendar?day=" + std::to_string(requests) + "'>next</a><a href='more/'>more</a>";
            co_return answer;
        }
        int requests = 0;
    };
    Trap trap;
    auto options = crawl_of({"http://a/"});
    options.scope.max_queries = 50;
    Crawler crawler(options, trap);
    run(crawler);
    CHECK(crawler.frontier().is_done());
    CHECK(trap.requests < 100);
    CHECK(crawler.frontier().dropped() > 0);
}

TEST_CASE("pages of other hosts are asked for once and not followed, if that is wanted") {
    Site site;
    site.add("http://a/", links({"http://b/x", "http://b/gone", "http://c/"}));
    site.add("http://b/x", links({"http://b/y", "http://a/back"}));
    site.add("http://c/", redirect("http://d/"));
    site.add("http://d/", page(""));
    auto options = crawl_of({"http://a/"});
    options.scope.check_external = true;
    Crawler crawler(options, site);
    run(crawler);
    CHECK(site.count("http://b/x") == 1);
    CHECK(site.count("http://b/y") == 0);
    CHECK(site.count("http://a/back") == 0);
    CHECK(answered(crawler).at("http://d/") == 200);
    CHECK(broken(crawler) == "http://b/gone: status 404 <- http://a/ line 2\n");
    CHECK(site.count("http://b/robots.txt") == 1);
}

TEST_CASE("finished pages are told as they come, to one listener") {
    Site site;
    site.add("http://a/", links({"/1", "/2"}));
    site.add("http://a/1", page(""));
    Crawler crawler(crawl_of({"http://a/"}), site);
    std::vector<std::string> heard;
    coaio::testing::run(run_and_listen(crawler, heard));
    CHECK(heard == std::vector<std::string>{"http://a/", "http://a/1", "http://a/2"});
    CHECK_THROWS_AS(crawler.finished(), coaio::RuntimeError);
}
