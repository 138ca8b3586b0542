// SPDX-License-Identifier: MIT
#include "crawler/robots.hpp"

#include <random>
#include <string>

#include "support/catch.hpp"

using crawl::Robots;
using crawl::RobotsCache;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view token = "coaio-crawl";

Robots parse(std::string_view text) { return Robots::parse(text, token); }

}  // namespace

TEST_CASE("the longest rule that matches decides") {
    auto robots = parse("User-agent: *\nDisallow: /a\nAllow: /a/b\nDisallow: /a/b/c\n");
    CHECK(robots.allows("/"));
    CHECK_FALSE(robots.allows("/a"));
    CHECK_FALSE(robots.allows("/abc"));
    CHECK(robots.allows("/a/b/x"));
    CHECK_FALSE(robots.allows("/a/b/c"));
}

TEST_CASE("between rules of one length the one that allows wins") {
    CHECK(parse("User-agent: *\nDisallow: /page\nAllow: /page").allows("/page"));
    CHECK(parse("User-agent: *\nAllow: /page\nDisallow: /page").allows("/page"));
}

TEST_CASE("a group for the token hides the group for all") {
    auto robots = parse("User-agent: *\nDisallow: /\nUser-agent: Coaio-Crawl/1.0\nDisallow: /private");
    CHECK(robots.allows("/public"));
    CHECK_FALSE(robots.allows("/private"));
    CHECK_FALSE(Robots::parse("User-agent: *\nDisallow: /\nUser-agent: other\nAllow: /", token).allows("/x"));
}

TEST_CASE("groups that name the same token are one group") {
    auto robots = parse("user-agent: coaio-crawl\ndisallow: /a\n\nuser-agent: x\ndisallow: /b\n\n"
                        "user-agent: x\nuser-agent: coaio-crawl\ndisallow: /c\n");
    CHECK_FALSE(robots.allows("/a"));
    CHECK(robots.allows("/b"));
    CHECK_FALSE(robots.allows("/c"));
}

TEST_CASE("an empty group for the token allows everything") {
    CHECK(parse("User-agent: *\nDisallow: /\n\nUser-agent: coaio-crawl\nDisallow:\n").allows("/x"));
}

TEST_CASE("stars and the dollar sign") {
    auto robots = parse("User-agent: *\nDisallow: /*.gif$\nDisallow: /p*/x\n");
    CHECK_FALSE(robots.allows("/a/b.gif"));
    CHECK(robots.allows("/a/b.gif?size=1"));
    CHECK_FALSE(robots.allows("/photo/x1"));
    CHECK(robots.allows("/photo/y"));
    auto escaped = parse("User-agent: *\nDisallow: /file-with-a-%2A.html\nDisallow: /cost-%24\n");
    CHECK_FALSE(escaped.allows("/file-with-a-*.html"));
    CHECK(escaped.allows("/file-with-a-b.html"));
    CHECK_FALSE(escaped.allows("/cost-$"));
}

TEST_CASE("percent-encoding is compared as RFC 9309 has it in its table") {
    CHECK_FALSE(parse("User-agent: *\nDisallow: /foo/bar/\xE3\x83\x84").allows("/foo/bar/%E3%83%84"));
    CHECK_FALSE(parse("User-agent: *\nDisallow: /foo/bar/%E3%83%84").allows("/foo/bar/\xE3\x83\x84"));
    CHECK_FALSE(parse("User-agent: *\nDisallow: /foo/bar/%62%61%7A").allows("/foo/bar/baz"));
    CHECK_FALSE(parse("User-agent: *\nDisallow: /foo/bar?baz=http://foo.bar").allows("/foo/bar?baz=http://foo.bar"));
    CHECK(parse("User-agent: *\nDisallow: /a%2Fb").allows("/a/b"));
    CHECK_FALSE(parse("User-agent: *\nDisallow: /a%2fb").allows("/a%2Fb"));
}

TEST_CASE("byte order mark, line ends of any kind, comments and odd spaces") {
    auto robots = parse("\xEF\xBB\xBFUser-agent : *  # all\rDisallow:/a#b\r\n\r\n  dISALLOW:\t/c \n");
    CHECK_FALSE(robots.allows("/a"));
    CHECK_FALSE(robots.allows("/c"));
    CHECK(robots.allows("/b"));
}

TEST_CASE("rules before the first group belong to nobody") {
    CHECK(parse("Disallow: /\nUser-agent: *\nDisallow: /a").allows("/b"));
}

TEST_CASE("other lines do not end a group, a blank line neither") {
    auto robots = parse("User-agent: coaio-crawl\nSitemap: https://a/s.xml\n\nUser-agent: b\nFoo: bar\nDisallow: /x");
    CHECK_FALSE(robots.allows("/x"));
    REQUIRE(robots.sitemaps().size() == 1);
    CHECK(robots.sitemaps()[0] == "https://a/s.xml");
}

TEST_CASE("crawl-delay is read as a number of seconds") {
    CHECK(parse("User-agent: *\nCrawl-delay: 1.5").crawl_delay() == 1500ms);
    CHECK(parse("User-agent: *\nCrawl-delay: 1e99").crawl_delay() == 1000ms);
    CHECK(parse("User-agent: *\nCrawl-delay: 99999999999999999999").crawl_delay() == 24h);
    CHECK_FALSE(parse("User-agent: *\nCrawl-delay: inf").crawl_delay());
    CHECK_FALSE(parse("User-agent: *\nCrawl-delay: -1").crawl_delay());
    CHECK_FALSE(parse("User-agent: *\nCrawl-delay: 5\nUser-agent: coaio-crawl\nDisallow: /a").crawl_delay());
}

TEST_CASE("robots.txt itself may always be fetched") {
    CHECK(parse("User-agent: *\nDisallow: /").allows("/robots.txt"));
    CHECK(Robots::disallow_all().allows("/robots.txt"));
    CHECK_FALSE(Robots::disallow_all().allows("/robots.txt/"));
}

TEST_CASE("what an answer means") {
    CHECK(Robots::from_response(404, "User-agent: *\nDisallow: /", token).allows("/x"));
    CHECK(Robots::from_response(403, "", token).allows("/x"));
    CHECK_FALSE(Robots::from_response(429, "", token).allows("/x"));
    CHECK_FALSE(Robots::from_response(500, "", token).allows("/x"));
    CHECK_FALSE(Robots::from_response(0, "", token).allows("/x"));
    CHECK_FALSE(Robots::from_response(200, "User-agent: *\nDisallow: /x", token).allows("/x"));
}

TEST_CASE("500 KiB are read, and the line that is cut there is not") {
    std::string text = "User-agent: *\nDisallow: /a\n";
    text.append(Robots::max_size - text.size() - 11, '#');
    text += "\nDisallow: /bcd\nDisallow: /e\n";
    auto robots = parse(text);
    CHECK_FALSE(robots.allows("/a"));
    CHECK(robots.allows("/bcd"));
    CHECK(robots.allows("/e"));
}

TEST_CASE("hostile bytes are passed over") {
    std::mt19937 random(7);
    const std::string alphabet = "User-agent:*Disallow:Allow:/%$#\r\n\xEF\xBB\xBF\0 abc";
    for (int round = 0; round < 2000; ++round) {
        std::string text;
        for (unsigned i = 0; i < random() % 200; ++i) text += alphabet[random() % alphabet.size()];
        auto robots = parse(text);
        static_cast<void>(robots.allows(text));
    }
    std::string many = "User-agent: *\n";
    while (many.size() < Robots::max_size) many += "Disallow: /*a*a*a*a*b\n";
    CHECK(parse(many).allows("/" + std::string(2000, 'a')));
}

TEST_CASE("the cache keeps rules for a day, and an unreachable site for ten minutes") {
    RobotsCache cache;
    RobotsCache::TimePoint now{};
    CHECK(cache.find("http://a", now) == nullptr);
    cache.put("http://a", 200, "User-agent: *\nDisallow: /x", token, now);
    REQUIRE(cache.find("http://a", now + 24h - 1s) != nullptr);
    CHECK_FALSE(cache.find("http://a", now)->allows("/x"));
    CHECK(cache.find("http://a", now + 24h) == nullptr);

    cache.put("http://b", 0, "", token, now);
    CHECK_FALSE(cache.find("http://b", now)->allows("/"));
    CHECK(cache.find("http://b", now + 10min) == nullptr);
}

TEST_CASE("rules that were known go on while their site is unreachable") {
    RobotsCache cache;
    RobotsCache::TimePoint now{};
    cache.put("http://a", 200, "User-agent: *\nDisallow: /x", token, now);
    const auto& robots = cache.put("http://a", 503, "", token, now + 24h);
    CHECK(robots.allows("/y"));
    CHECK_FALSE(robots.allows("/x"));
}

TEST_CASE("the cache is bounded, and the oldest go first") {
    RobotsCache cache(8);
    RobotsCache::TimePoint now{};
    for (int i = 0; i < 100; ++i) cache.put("http://" + std::to_string(i), 404, "", token, now + i * 1s);
    CHECK(cache.size() <= 8);
    CHECK(cache.find("http://99", now + 99s) != nullptr);
    CHECK(cache.find("http://0", now + 99s) == nullptr);
}
