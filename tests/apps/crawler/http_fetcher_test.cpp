// SPDX-License-Identifier: MIT
#include "crawler/http_fetcher.hpp"

#include <coaio/core/event.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/http/client.hpp>
#include <coaio/http/router.hpp>
#include <coaio/http/server.hpp>
#include <coaio/net/stream.hpp>

#include <zlib.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "crawler/crawler.hpp"
#include "site.hpp"
#include "support/catch.hpp"

using namespace tests;
using namespace std::chrono_literals;
using coaio::Coro;
using coaio::http::BodyWriter;
using coaio::http::Client;
using coaio::http::Request;
using coaio::http::Response;
using coaio::http::Router;
using coaio::http::Url;

namespace {

Coro<coaio::net::Stream> connect_to(const Router& router) {
    auto [ours, theirs] = coaio::net::memory_pipe();
    coaio::create_task(coaio::http::serve_stream(std::move(theirs), router), {.name = "serve"});
    co_return std::move(ours);
}

Client client_of(const Router& router, const crawl::Options& options = crawl_of({})) {
    auto settings = crawl::client_options(options);
    settings.connector([&router](const Url&) { return connect_to(router); });
    return Client(std::move(settings));
}

crawl::Answer fetch(const Router& router, const std::string& target, crawl::FetchOptions options) {
    const auto once = [](const Router& from, std::string path, crawl::FetchOptions want) -> Coro<crawl::Answer> {
        crawl::HttpFetcher fetcher(client_of(from));
        co_return co_await fetcher.fetch(Url::parse("http://a" + path), want);
    };
    return coaio::testing::run(once(router, target, options));
}

crawl::FetchOptions at_most(std::uint64_t size) {
    crawl::FetchOptions options;
    options.max_size = size;
    return options;
}

std::string deflated(const std::string& text) {
    uLongf size = compressBound(text.size());
    std::string out(size, '\0');
    compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(text.data()), text.size());
    out.resize(size);
    return out;
}

}  // namespace

TEST_CASE("an answer comes with what a crawler wants to know, and we say who we are") {
    Router router;
    router.get("/x", [](Request& request) -> Coro<Response> {
        auto response = Response::html("for " + std::string(request.header("User-Agent").value_or("nobody")));
        response.headers().add("X-Robots-Tag", "noindex").add("X-Robots-Tag", "otherbot: nofollow");
        co_return response;
    });
    router.get("/old", [](Request&) -> Coro<Response> { co_return Response::redirect("/x#y"); });
    router.get("/busy",
               [](Request&) -> Coro<Response> { co_return Response::text("later", 429).header("Retry-After", "7"); });
    auto answer = fetch(router, "/x", at_most(1000));
    CHECK(answer.status == 200);
    CHECK(answer.body == "for coaio-crawl/test");
    CHECK(answer.complete);
    CHECK(answer.size == answer.body.size());
    CHECK(answer.content_type == "text/html; charset=utf-8");
    CHECK(answer.robots_tags == std::vector<std::string>{"noindex", "otherbot: nofollow"});

    answer = fetch(router, "/old", at_most(1000));
    CHECK(answer.status == 302);
    CHECK(answer.location == "/x#y");
    answer = fetch(router, "/busy", at_most(1000));
    CHECK(answer.status == 429);
    CHECK(answer.retry_after == "7");
}

TEST_CASE("a body is undone and cut where it gets too large") {
    const std::string large(100'000, 'x');
    Router router;
    router.get("/packed", [&large](Request&) -> Coro<Response> {
        co_return Response::html(deflated(large)).header("Content-Encoding", "deflate");
    });
    router.get("/endless", [](Request&) -> Coro<Response> {
        co_return Response::stream("text/html", [](BodyWriter& out) -> Coro<> {
            for (;;) co_await out.write("on and on ");
        });
    });
    auto answer = fetch(router, "/packed", at_most(1 << 20));
    CHECK(answer.body == large);
    CHECK(answer.complete);
    answer = fetch(router, "/packed", at_most(70'000));
    CHECK(answer.body == large.substr(0, 70'000));
    CHECK_FALSE(answer.complete);
    answer = fetch(router, "/endless", at_most(12345));
    CHECK(answer.body.size() == 12345);
    CHECK(answer.size == 12345);
}

TEST_CASE("what is not wanted is not read, yet its connection is used again where that is cheap") {
    Router router;
    router.get("/small.png", [](Request&) -> Coro<Response> {
        co_return Response(coaio::http::Status::ok, std::string(1000, 'p'), "image/png");
    });
    router.get("/large.png", [](Request&) -> Coro<Response> {
        co_return Response(coaio::http::Status::ok, std::string(1'000'000, 'p'), "image/png");
    });
    const auto several = [](const Router& from, const char* url) -> Coro<std::uint64_t> {
        const auto client = client_of(from);
        crawl::HttpFetcher fetcher(client);
        for (int i = 0; i < 3; ++i) {
            const auto answer = co_await fetcher.fetch(Url::parse(url), at_most(1000));
            if (answer.status != 200 || !answer.body.empty() || answer.size != 0) co_return std::uint64_t{0};
        }
        co_return client.statistics().opened;
    };
    CHECK(coaio::testing::run(several(router, "http://a/small.png")) == 1);
    CHECK(coaio::testing::run(several(router, "http://a/large.png")) == 3);
}

TEST_CASE("a whole crawl over HTTP, with a page that never comes") {
    Router router;
    router.get("/robots.txt", [](Request&) -> Coro<Response> {
        co_return Response::text("User-agent: *\nDisallow: /no\nSitemap: http://a/map.txt");
    });
    router.get("/map.txt", [](Request&) -> Coro<Response> { co_return Response::text("http://a/only-mapped\n"); });
    router.get("/only-mapped", [](Request&) -> Coro<Response> { co_return Response::html("<p id=here>"); });
    router.get("/", [](Request&) -> Coro<Response> {
        co_return Response::html("<a href=/old>o</a><a href=/no>n</a><a href=/gone>g</a><a href=/never>v</a>"
                                 "<a href=/only-mapped#there>m</a>");
    });
    router.get("/old", [](Request&) -> Coro<Response> { co_return Response::redirect("/new"); });
    router.get("/new", [](Request&) -> Coro<Response> { co_return Response::html("<a href=/>back</a>"); });
    router.get("/never", [](Request&) -> Coro<Response> {
        coaio::Event never;
        co_await never.wait();
        co_return Response::html("");
    });
    auto options = crawl_of({"http://a/"});
    options.sitemaps = true;
    const auto crawl_it = [](const Router& from, crawl::Options with, std::map<std::string, int>& found,
                             std::string& told) -> Coro<> {
        crawl::HttpFetcher fetcher(client_of(from, with));
        crawl::Crawler crawler(with, fetcher);
        co_await crawler.run();
        found = answered(crawler);
        told = broken(crawler);
    };
    std::map<std::string, int> found;
    std::string told;
    coaio::testing::run(crawl_it(router, options, found, told));
    const std::map<std::string, int> wanted{{"http://a/", 200},
                                            {"http://a/gone", 404},
                                            {"http://a/new", 200},
                                            {"http://a/old", 302},
                                            {"http://a/only-mapped", 200}};
    CHECK(found == wanted);
    CHECK_THAT(told, contains("http://a/gone: status 404 <- http://a/ line 1"));
    CHECK_THAT(told, contains("http://a/never: no answer within 30.0 s <- http://a/ line 1"));
    CHECK_THAT(told, contains("http://a/only-mapped#there: no element"));
}
