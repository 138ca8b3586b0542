// SPDX-License-Identifier: MIT
// The crawler, its client, and the servers that it crawls, whole over a simulated network.
#include "crawler/crawler.hpp"
#include "crawler/http_fetcher.hpp"

#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/http/router.hpp>
#include <coaio/http/server.hpp>
#include <coaio/net/testing.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "site.hpp"
#include "support/catch.hpp"
#include "support/seeds.hpp"

using namespace tests;
using namespace std::chrono_literals;
using coaio::Coro;
using coaio::http::Request;
using coaio::http::Response;
using coaio::http::Router;
using coaio::net::testing::Network;
using coaio::net::testing::NetworkOptions;

namespace {

constexpr int last_page = 30;

/// A binary tree of pages, with a redirect, a link that is broken and one that robots.txt forbids.
Coro<Router> build_tree() {
    Router app;
    app.get("/robots.txt",
            [](Request&) -> Coro<Response> { co_return Response::text("User-agent: *\nDisallow: /secret\n"); });
    app.get("/", [](Request&) -> Coro<Response> {
        co_return Response::html(
            "<a href=/page/1>1</a> <a href=/old>old</a> <a href=/gone>gone</a> <a href=/secret>s</a>");
    });
    app.get("/old", [](Request&) -> Coro<Response> { co_return Response::redirect("/page/7"); });
    app.get("/page/{n}", [](Request& request) -> Coro<Response> {
        const int number = request.param<int>("n");
        std::string body = "<p>" + std::string(static_cast<std::size_t>(number) * 200, 'x') + "</p>";
        for (const int next : {2 * number, 2 * number + 1}) {
            if (next > last_page) continue;
            body += "<a href=/page/" + std::to_string(next) + ">next</a>";
        }
        co_return Response::html(std::move(body));
    });
    co_return app;
}

std::map<std::string, int> whole_site(const std::string& base, int pages = last_page) {
    std::map<std::string, int> found{{base + "/", 200}, {base + "/old", 302}, {base + "/gone", 404}};
    for (int i = 1; i <= pages; ++i) found[base + "/page/" + std::to_string(i)] = 200;
    return found;
}

/// Two sites, and a crawl of both.
struct Web {
    explicit Web(NetworkOptions how, std::vector<std::string> urls = {"http://a.example/", "http://b.example/"})
        : network(how), options(crawl_of(std::move(urls))) {
        network.host("a.example", "10.0.0.1");
        network.host("b.example", "10.0.0.2");
        network.host("b.example", "2001:db8::2");
    }
    Coro<> serve() {
        co_await a.start();
        co_await b.start();
    }
    Coro<> stop() {
        co_await a.stop(1s);
        co_await b.stop(1s);
    }

    Network network;
    coaio::http::Server a{build_tree, {.host = "10.0.0.1", .port = 80}};
    coaio::http::Server b{build_tree, {.host = "10.0.0.2", .port = 80}};
    crawl::Options options;
    std::unique_ptr<crawl::HttpFetcher> fetcher =
        std::make_unique<crawl::HttpFetcher>(coaio::http::Client(crawl::client_options(options)));
    crawl::Crawler crawler{options, *fetcher};
};

// Whatever happens to it: what it finds is right, each page that it has not got says why, and if there is none it has
// found all.
void check_findings(const crawl::Crawler& crawler, std::size_t& answered_pages, std::size_t& failed_pages) {
    std::map<std::string, int> right = whole_site("http://a.example");
    right.merge(whole_site("http://b.example"));
    const std::size_t failed_before = failed_pages;
    for (const crawl::Page& page : crawler.frontier().pages()) {
        if (page.state == crawl::PageState::disallowed) {
            if (!page.url.ends_with("/secret")) ++failed_pages;  // its robots.txt could not be had
        } else if (page.state == crawl::PageState::failed) {
            ++failed_pages;
            if (page.error.size() < 10) throw std::logic_error(page.url + " failed without a reason");
        } else {
            ++answered_pages;
            if (page.state != crawl::PageState::done) throw std::logic_error(page.url + " was not finished");
            if (right.at(page.url) != page.status) throw std::logic_error(page.url + " has another status");
        }
    }
    if (failed_pages == failed_before && answered(crawler) != right) throw std::logic_error("pages are missing");
}

}  // namespace

TEST_CASE("the crawler crawls two servers whole over a calm network") {
    coaio::testing::run([]() -> Coro<> {
        Web web({.latency = 20ms});
        co_await web.serve();
        co_await web.crawler.run();
        auto right = whole_site("http://a.example");
        right.merge(whole_site("http://b.example"));
        CHECK(answered(web.crawler) == right);
        CHECK(broken(web.crawler) == "http://a.example/gone: status 404 <- http://a.example/ line 1\n"
                                     "http://b.example/gone: status 404 <- http://b.example/ line 1\n");
        web.fetcher.reset();
        co_await web.stop();
        co_await coaio::sleep(1s);
        CHECK(web.network.sockets() == 0);
    }());
}

TEST_CASE("over rough networks, seed by seed, the crawler ends, and what it finds is right") {
    std::size_t found = 0;
    std::size_t failed = 0;
    const auto once = [](std::size_t& good, std::size_t& bad) -> Coro<> {
        Web web({.jitter = 50ms,
                 .chunk = true,
                 .loss_rate = 0.02,
                 .reset_rate = 0.05,
                 .refuse_rate = 0.1,
                 .lookup_failure_rate = 0.02});
        co_await web.serve();
        co_await web.crawler.run();
        check_findings(web.crawler, good, bad);
        web.fetcher.reset();
        co_await web.stop();
        co_await coaio::sleep(1s);
        if (web.network.sockets() != 0) throw std::logic_error("sockets are left");
    };
    for (std::uint64_t seed = 1; seed <= tests::dear_seeds(10); ++seed) {
        CAPTURE(seed);
        coaio::testing::run(once(found, failed), {.seed = seed});
    }
    CHECK(found > 20 * failed);
    CHECK(failed > 0);
}

TEST_CASE("a host that falls silent in mid-crawl costs its own pages, not the crawl") {
    coaio::testing::run([]() -> Coro<> {
        Web web({.latency = 20ms});
        co_await web.serve();
        coaio::get_running_loop().call_later(300ms,
                                             [network = web.network]() mutable { network.silence("b.example"); });
        co_await web.crawler.run();
        auto found = answered(web.crawler);
        std::erase_if(found, [](const auto& each) { return each.first.starts_with("http://b.example"); });
        CHECK(found == whole_site("http://a.example"));
        std::size_t good = 0;
        std::size_t bad = 0;
        check_findings(web.crawler, good, bad);
        CHECK(bad > 0);
        CHECK(web.crawler.elapsed() < 10min);
        co_await web.stop();
    }());
}

TEST_CASE("a crawl over a network that is cancelled at any turn leaves no socket and nobody behind") {
    std::unique_ptr<Web> web;
    const auto crawl_some = [](std::unique_ptr<Web>& made) -> Coro<> {
        const NetworkOptions how{.seed = 1, .jitter = 20ms, .chunk = true};
        made = std::make_unique<Web>(how, std::vector<std::string>(1, "http://a.example/page/13"));
        co_await made->serve();
        co_await made->crawler.run();
    };
    const auto check = [](std::unique_ptr<Web>& left, std::size_t& whole) -> Coro<> {
        if (left == nullptr) co_return;
        if (answered(left->crawler).size() == 3) ++whole;
        left->fetcher.reset();
        co_await left->stop();
        co_await coaio::sleep(1s);
        CHECK(left->network.sockets() == 0);
        CHECK(coaio::all_tasks().size() == 1);
        left.reset();
    };
    std::size_t cuts = 0;
    std::size_t whole = 0;
    coaio::testing::cut([&] { return crawl_some(web); },
                        [&](std::size_t) {
                            ++cuts;
                            return check(web, whole);
                        });
    CHECK(cuts > 30);
    CHECK(whole > 0);
    CHECK(whole < cuts);
}
