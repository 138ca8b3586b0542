// SPDX-License-Identifier: MIT
#include "crawler/sitemap.hpp"

#include <random>
#include <string>
#include <vector>

#include <zlib.h>

#include "support/catch.hpp"

using crawl::parse_sitemap;

namespace {

std::string gzip(std::string_view text) {
    z_stream stream{};
    REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY) == Z_OK);
    std::string out(deflateBound(&stream, text.size()) + 100, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

const std::string plain = R"(<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://x">
  <url><loc> https://a/x?a=1&amp;b=2 </loc><lastmod>2024</lastmod><image:image><image:loc>https://a/i.png</image:loc></image:image></url>
  <url><loc><![CDATA[https://a/y]]></loc></url>
</urlset>)";

}  // namespace

TEST_CASE("the pages of a sitemap") {
    auto sitemap = parse_sitemap(plain);
    CHECK(sitemap.error.empty());
    CHECK(sitemap.pages == std::vector<std::string>{"https://a/x?a=1&b=2", "https://a/y"});
    CHECK(sitemap.sitemaps.empty());
}

TEST_CASE("an index lists sitemaps") {
    auto sitemap =
        parse_sitemap("\xEF\xBB\xBF\n<s:sitemapindex xmlns:s='x'><s:sitemap><s:loc>https://a/1.xml.gz</s:loc>"
                      "</s:sitemap></s:sitemapindex>");
    CHECK(sitemap.error.empty());
    CHECK(sitemap.sitemaps == std::vector<std::string>{"https://a/1.xml.gz"});
}

TEST_CASE("a text has one address a line") {
    auto sitemap = parse_sitemap("https://a/1\r\n# no\n\n  http://a/2");
    CHECK(sitemap.pages == std::vector<std::string>{"https://a/1", "http://a/2"});
}

TEST_CASE("gzip is unpacked, and damage is told") {
    auto packed = gzip(plain);
    CHECK(parse_sitemap(packed).pages.size() == 2);
    CHECK(parse_sitemap(packed).error.empty());
    CHECK_FALSE(parse_sitemap(packed.substr(0, packed.size() - 20)).error.empty());
    CHECK_FALSE(parse_sitemap("\x1F\x8B").error.empty());
}

TEST_CASE("a bomb is met by the limit") {
    crawl::SitemapLimits limits;
    limits.max_size = 1 << 20;
    auto sitemap = parse_sitemap(gzip(std::string(20 << 20, '\n')), limits);
    CHECK_THAT(sitemap.error, tests::contains("more than 1048576 bytes"));
}

TEST_CASE("a document type ends the reading") {
    auto sitemap =
        parse_sitemap("<!DOCTYPE urlset [<!ENTITY a 'https://a/'>]><urlset><url><loc>&a;</loc></url></urlset>");
    CHECK_THAT(sitemap.error, tests::contains("document type"));
    CHECK(sitemap.pages.empty());
}

TEST_CASE("what was found before an error stands") {
    auto sitemap = parse_sitemap("<urlset><url><loc>https://a/1</loc></url><url><loc>https://a/2</lo");
    CHECK(sitemap.pages.size() == 1);
    CHECK_THAT(sitemap.error, tests::contains("line 1"));
    CHECK_THAT(parse_sitemap("<html><body>").error, tests::contains("neither urlset nor sitemapindex"));
}

TEST_CASE("entries are counted and measured") {
    crawl::SitemapLimits limits;
    limits.max_entries = 2;
    CHECK(parse_sitemap("http://a/1\nhttp://a/2\nhttp://a/3", limits).pages.size() == 2);
    CHECK_FALSE(parse_sitemap("http://a/1\nhttp://a/2\nhttp://a/3", limits).error.empty());
    CHECK(parse_sitemap("http://" + std::string(3000, 'a')).pages.empty());
    CHECK(parse_sitemap("<urlset><url><loc>http://" + std::string(3000, 'a') + "</loc></url></urlset>").pages.empty());
}

TEST_CASE("hostile bytes are read to their end") {
    std::mt19937 random(9);
    auto packed = gzip(plain);
    for (int round = 0; round < 2000; ++round) {
        std::string bytes = random() % 2 == 0 ? plain : packed;
        for (int i = 0; i < 5; ++i) bytes[random() % bytes.size()] = static_cast<char>(random() % 256);
        static_cast<void>(parse_sitemap(bytes));
    }
}
