// SPDX-License-Identifier: MIT
#include "crawler/html.hpp"

#include <random>
#include <string>

#include "crawler/charset.hpp"
#include "support/catch.hpp"

using crawl::Document;
using crawl::parse_html;

namespace {

std::string links(std::string_view html) {
    std::string out;
    for (const auto& link : parse_html(html).links) {
        out += std::string(name(link.kind)) + ":" + link.target + (link.nofollow ? "!" : "") + " ";
    }
    return out;
}

}  // namespace

TEST_CASE("every element that refers to something is read") {
    CHECK(links("<a href=a></a><map><area href=b></map>") == "anchor:a anchor:b ");
    CHECK(links("<iframe src=a></iframe><embed src=b><object data=c></object>") == "frame:a frame:b frame:c ");
    CHECK(links("<frameset><frame src=a></frameset>") == "frame:a ");
    CHECK(links("<img src=a lowsrc=b><input type=image src=c><table background=d><tr><td background=e>") ==
          "image:a image:b image:c image:d image:e ");
    CHECK(links("<script src=a></script><video src=b poster=c><source src=d><track src=e></video><audio src=f>") ==
          "script:a media:b image:c media:d media:e media:f ");
    CHECK(links("<form action=a></form>") == "form:a ");
    CHECK(links("<svg><image xlink:href=a /><a xlink:href=b></a></svg>") == "image:a anchor:b ");
}

TEST_CASE("link elements are told apart by their rel") {
    CHECK(links("<link rel='alternate StyleSheet' href=a><link rel='shortcut icon' href=b><link rel=next href=c>"
                "<link rel=preconnect href=d><link rel=dns-prefetch href=e><link href=f>") ==
          "stylesheet:a icon:b link:c link:f ");
    auto document = parse_html("<link rel=canonical href=' /x '>");
    CHECK(document.canonical == "/x");
}

TEST_CASE("styles are searched for urls, in elements and in attributes") {
    CHECK(links("<style>@import 'a'; p { background: url(b) }</style><p style='background: url(c)'>") ==
          "stylesheet:a css:b css:c ");
}

TEST_CASE("srcset gives each of its candidates") {
    CHECK(crawl::srcset_targets("a.png 1x, b,c.png 2x , d.png") ==
          std::vector<std::string>{"a.png", "b,c.png", "d.png"});
    CHECK(crawl::srcset_targets("a.png, b.png") == std::vector<std::string>{"a.png", "b.png"});
    CHECK(crawl::srcset_targets("a (x,y), b") == std::vector<std::string>{"a", "b"});
    CHECK(crawl::srcset_targets(" , ,").empty());
    CHECK(links("<img srcset='a 1x, b 2x'><picture><source srcset=c></picture>") == "image:a image:b image:c ");
}

TEST_CASE("meta refresh leads on") {
    CHECK(crawl::refresh_target("5; url=next.html") == "next.html");
    CHECK(crawl::refresh_target("0;URL='a b'") == "a b");
    CHECK(crawl::refresh_target("0, x") == "x");
    CHECK(crawl::refresh_target("3").empty());
    CHECK(crawl::refresh_target("x; url=y").empty());
    CHECK(crawl::refresh_target("0; url").empty() == false);
    CHECK(links("<meta http-equiv=REFRESH content='1;url=/n'>") == "refresh:/n ");
}

TEST_CASE("meta robots and rel=nofollow are seen") {
    auto document = parse_html("<meta name=Robots content='NoFollow, noindex'><a rel='ugc NOFOLLOW' href=x>");
    CHECK(document.nofollow);
    CHECK(document.noindex);
    REQUIRE(document.links.size() == 1);
    CHECK(document.links[0].nofollow);
    CHECK(parse_html("<meta name=robots content=none>").noindex);
    CHECK_FALSE(parse_html("<meta name=otherbot content=none>").noindex);
}

TEST_CASE("robots directives of a header may be meant for somebody else") {
    using crawl::read_robots_directives;
    CHECK(read_robots_directives("noindex, nofollow", "coaio-crawl").nofollow);
    CHECK_FALSE(read_robots_directives("otherbot: noindex, nofollow", "coaio-crawl").nofollow);
    CHECK(read_robots_directives("otherbot: noindex, coaio-crawl: nofollow", "coaio-crawl").nofollow);
    CHECK(read_robots_directives("max-snippet: 20, noindex", "coaio-crawl").noindex);
}

TEST_CASE("ids and names of anchors are fragments, sorted and each once") {
    auto document = parse_html("<p id=b><a name=a></a><a name=b></a><img id='c d'><meta name=no>");
    CHECK(document.fragments == std::vector<std::string>{"a", "b", "c d"});
}

TEST_CASE("title, language and base") {
    auto document = parse_html("<html lang=de-CH><title> A \n title </title><base href=/x/><base href=/y/>");
    CHECK(document.title == "A title");
    CHECK(document.lang == "de-CH");
    CHECK(document.base == "/x/");
}

TEST_CASE("the text is what a reader sees, with white space collapsed") {
    auto document = parse_html("<title>T</title><style>no</style><script>no</script><template>no</template>"
                               "<p>one<b>two</b>\n\n three<p>four<br>five<!-- no --><table><td>six");
    CHECK(document.text == "onetwo three four five six");
}

TEST_CASE("a link knows its text and its line") {
    auto document = parse_html("<p>\n\n<a href=x> some <b>text</b>\n here</a> not <a href='#y'>z</a>");
    REQUIRE(document.links.size() == 2);
    CHECK(document.links[0].text == "some text here");
    CHECK(document.links[0].line == 3);
    CHECK(document.links[1].text == "z");
    CHECK(document.links[1].target == "#y");
}

TEST_CASE("what leads nowhere is no link") {
    CHECK(links("<a href=''></a><a href='javascript:x()'></a><img src='data:,x'><img src='#x'><a name=y></a>").empty());
    CHECK(links("<template><a href=x></a></template><!-- <a href=y> -->").empty());
}

TEST_CASE("what a page shows without scripts counts") {
    CHECK(
        links("<head><noscript><link rel=stylesheet href=a></noscript></head><body><noscript><img src=b></noscript>") ==
        "stylesheet:a image:b ");
}

TEST_CASE("limits hold, and the document says so") {
    crawl::HtmlLimits limits;
    limits.max_links = 2;
    limits.max_text = 10;
    limits.max_target = 20;
    auto document = parse_html("<a href=1>aaaa</a><a href=2>bbbb</a><a href=3>cccc</a>", limits);
    CHECK(document.links.size() == 2);
    CHECK(document.links_dropped);
    CHECK(document.text.size() <= 10);
    CHECK(parse_html("<a href=" + std::string(21, 'x') + ">", limits).links.empty());
}

TEST_CASE("a page nested so deep that parsing it would take hours is given up") {
    std::string html;
    for (int i = 0; i < 200'000; ++i) html += "<div>";
    int looks = 0;
    CHECK(parse_html(html, {}, [&] { return ++looks > 1000; }).state == Document::State::too_complex);

    crawl::HtmlLimits little;
    little.max_memory = 3 << 20;
    CHECK(parse_html(html, little).state == Document::State::too_complex);
}

TEST_CASE("a page nested deep is read without recursion") {
    std::string html;
    for (int i = 0; i < 5'000; ++i) html += "<div>";
    html += "<a href=x>deep</a>";
    auto document = parse_html(html);
    REQUIRE(document.state == Document::State::whole);
    CHECK(document.links.size() == 1);
    CHECK(document.text == "deep");
}

TEST_CASE("formatting elements that breed are met by the memory limit") {
    std::string html = "<p>";
    for (int i = 0; i < 3000; ++i) html += "<font a=" + std::to_string(i) + ">";
    html += "</p>";
    for (int i = 0; i < 3000; ++i) html += "<p>x</p>";
    crawl::HtmlLimits limits;
    limits.max_memory = 64 << 20;
    CHECK(parse_html(html, limits).state == Document::State::too_complex);
}

TEST_CASE("parsing stops when it is told to") {
    std::string html;
    for (int i = 0; i < 10'000; ++i) html += "<p>x</p>";
    int asked = 0;
    auto document = parse_html(html, {}, [&] { return ++asked == 3; });
    CHECK(document.state == Document::State::too_complex);
    CHECK(asked == 3);
}

TEST_CASE("any bytes are read to their end") {
    std::mt19937 random(11);
    const std::vector<std::string> words{
        "<a href=",  "\"",         "'",           ">",          "<",        "</",         "<script>",
        "</script>", "<svg>",      "<math>",      "<table>",    "<tr>",     "<td>",       "&amp",
        "&#x",       "<!--",       "-->",         "<title>",    "<select>", "<template>", std::string(1, '\0'),
        "\xFF",      "<noscript>", "<style>url(", "<textarea>", "<b>",      "</p>",       "<frameset>",
        "x "};
    for (int round = 0; round < 3000; ++round) {
        std::string html;
        for (unsigned i = 0; i < random() % 60; ++i) html += words[random() % words.size()];
        static_cast<void>(parse_html(html));
    }
}
