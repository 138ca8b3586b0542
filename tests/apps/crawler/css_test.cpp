// SPDX-License-Identifier: MIT
#include "crawler/css.hpp"

#include <random>
#include <string>

#include "support/catch.hpp"

namespace {

std::string found(std::string_view css) {
    std::vector<crawl::Link> links;
    crawl::find_css_links(css, 100, links);
    std::string out;
    for (const auto& link : links) out += std::string(name(link.kind)) + ":" + link.target + " ";
    return out;
}

}  // namespace

TEST_CASE("imports and urls of a style sheet are found") {
    CHECK(found("@import 'a.css'; @import url(b.css) print; @IMPORT url( \"c.css\" );") ==
          "stylesheet:a.css stylesheet:b.css stylesheet:c.css ");
    CHECK(found("p { background: url(a.png), URL('b.png') } @font-face { src: url(\"c.woff\") format('woff') }") ==
          "css:a.png css:b.png css:c.woff ");
}

TEST_CASE("comments, strings and other functions are not urls") {
    CHECK(found("/* url(a) */ p { content: 'url(b)'; x: myurl(c); y: url-prefix(d) } 'open\n url(e)") == "css:e ");
    CHECK(found("url(data:image/png;base64,AAAA) url(#here) url()").empty());
}

TEST_CASE("escapes are undone") {
    CHECK(found("url(a\\20 b\\29.png)") == "css:a b).png ");
    CHECK(found("url('\\41\\000042 c')") == "css:ABc ");
    CHECK(found("url(\\110000 x)") == "css:\xEF\xBF\xBDx ");
}

TEST_CASE("broken style sheets are read to their end") {
    CHECK(found("url(").empty());
    CHECK(found("url('a").empty());
    CHECK(found("@import").empty());
    CHECK(found("/*").empty());
    CHECK(found("\\").empty());
    std::mt19937 random(5);
    const std::string alphabet = "url(@import'\"\\)/* \n;a4";
    for (int round = 0; round < 3000; ++round) {
        std::string css;
        for (unsigned i = 0; i < random() % 60; ++i) css += alphabet[random() % alphabet.size()];
        static_cast<void>(found(css));
    }
}

TEST_CASE("no more links are taken than asked for") {
    std::vector<crawl::Link> links;
    crawl::find_css_links("url(a) url(b) url(c)", 2, links);
    CHECK(links.size() == 2);
}
