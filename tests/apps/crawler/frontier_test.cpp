// SPDX-License-Identifier: MIT
#include "crawler/frontier.hpp"

#include <string>

#include "support/catch.hpp"

using coaio::http::Url;
using crawl::Ended;
using crawl::Fetched;
using crawl::Frontier;
using crawl::Link;
using crawl::LinkKind;
using crawl::MannersOptions;
using crawl::PageId;
using crawl::PageState;
using crawl::ScopeOptions;
using crawl::TimePoint;
using namespace std::chrono_literals;

namespace {

const TimePoint now{1h};

struct Site {
    explicit Site(const ScopeOptions& scope = {}, const MannersOptions& manners = {}) : frontier(scope, manners) {
        start = frontier.add_start(Url::parse("http://a/"));
    }

    std::optional<PageId> link(PageId from, std::string_view target, LinkKind kind = LinkKind::anchor) {
        Link found;
        found.target = target;
        found.kind = kind;
        found.text = "text";
        found.line = 7;
        return frontier.add_link(Url::parse(frontier.page(from).url).resolve(target), found, from);
    }

    void answer(PageId id, int status, std::vector<std::string> fragments = {}, PageId redirect = crawl::no_page) {
        Fetched result;
        result.status = status;
        result.redirect = redirect;
        result.has_fragments = status == 200;
        result.fragments = std::move(fragments);
        if (status == 0) result.error = "connection refused";
        Ended how;
        how.status = status;
        frontier.finish(id, result, how, now);
    }

    std::string broken() const {
        std::string out;
        for (const auto& link : frontier.broken_links()) out += link.url + ": " + link.reason + "\n";
        return out;
    }

    Frontier frontier;
    PageId start = 0;
};

}  // namespace

TEST_CASE("an address is fetched once, however it is written") {
    Site site;
    CHECK(site.frontier.take(now) == site.start);
    auto one = site.link(site.start, "/x");
    CHECK(site.link(site.start, "HTTP://A:80/y/../x#part") == one);
    CHECK(site.link(site.start, "#top") == site.start);
    CHECK(site.frontier.queued() == 1);
    CHECK(site.frontier.take(now) == one);
    CHECK_FALSE(site.frontier.take(now));
    CHECK(site.frontier.page(*one).depth == 1);
}

TEST_CASE("what belongs to a page lies as deep as the page") {
    Site site;
    auto image = site.link(site.start, "i.png", LinkKind::image);
    CHECK(site.frontier.page(*image).depth == 0);
    auto page = site.link(site.start, "x");
    auto next = site.link(*page, "y");
    CHECK(site.frontier.page(*next).depth == 2);
}

TEST_CASE("a crawl is done when nothing waits and nothing runs") {
    Site site;
    CHECK_FALSE(site.frontier.is_done());
    auto id = *site.frontier.take(now);
    CHECK(site.frontier.queued() == 0);
    CHECK_FALSE(site.frontier.is_done());
    CHECK_FALSE(site.frontier.next_time(now));
    site.answer(id, 200);
    CHECK(site.frontier.is_done());
    CHECK(site.frontier.page(id).state == PageState::done);
}

TEST_CASE("hosts take turns, each within its manners") {
    ScopeOptions scope;
    MannersOptions manners;
    manners.per_host = 1;
    Frontier frontier(scope, manners);
    auto a = frontier.add_start(Url::parse("http://a/"));
    auto b = frontier.add_start(Url::parse("http://b/"));
    Link link;
    auto a2 = frontier.add_link(Url::parse("http://a/2"), link, crawl::no_page);
    CHECK(frontier.take(now) == a);
    CHECK(frontier.take(now) == b);
    CHECK_FALSE(frontier.take(now));
    frontier.finish(a, {}, {}, now);
    CHECK(frontier.take(now) == a2);
}

TEST_CASE("a delay makes it wait, and says until when") {
    MannersOptions manners;
    manners.delay = 2s;
    Site site({}, manners);
    site.link(site.start, "x");
    CHECK(site.frontier.take(now));
    CHECK_FALSE(site.frontier.take(now));
    CHECK(site.frontier.next_time(now) == now + 2s);
    CHECK_FALSE(site.frontier.take(now + 1999ms));
    CHECK(site.frontier.take(now + 2s));
}

TEST_CASE("what is put back comes again, not before its time") {
    Site site;
    auto id = *site.frontier.take(now);
    Ended how;
    site.frontier.put_back(id, how, now + 5s, now);
    CHECK(site.frontier.queued() == 1);
    CHECK_FALSE(site.frontier.take(now + 4s));
    CHECK(site.frontier.next_time(now + 4s) == now + 5s);
    CHECK(site.frontier.take(now + 5s) == id);
    CHECK(site.frontier.page(id).tries == 1);
}

TEST_CASE("there are no more pages than asked for") {
    ScopeOptions scope;
    scope.max_pages = 2;
    Site site(scope);
    CHECK(site.link(site.start, "x"));
    CHECK_FALSE(site.link(site.start, "y"));
    CHECK(site.link(site.start, "x"));
    CHECK(site.frontier.dropped() == 1);
}

TEST_CASE("what is outside is remembered and not fetched, traps are not even remembered") {
    Site site;
    auto outside = site.link(site.start, "http://b/#x");
    REQUIRE(outside);
    CHECK(site.frontier.page(*outside).state == PageState::refused);
    CHECK_FALSE(site.link(site.start, "mailto:x@example.com"));
    CHECK_FALSE(site.link(site.start, "/a/b/a/b/a/b/a/b/"));
    CHECK(site.frontier.queued() == 1);
    CHECK(site.broken().empty());
}

TEST_CASE("credentials in a link are not part of a page's address") {
    Site site;
    auto id = site.link(site.start, "http://user:secret@a/x");
    REQUIRE(id);
    CHECK(site.frontier.page(*id).url == "http://a/x");
}

TEST_CASE("a broken link is told with those who link to it") {
    Site site;
    auto bad = *site.link(site.start, "bad");
    auto good = *site.link(site.start, "good");
    auto silent = *site.link(site.start, "silent");
    site.link(good, "/bad");
    site.link(good, "/bad");
    while (site.frontier.take(now)) {}
    site.answer(site.start, 200);
    site.answer(bad, 404);
    site.answer(good, 200);
    site.answer(silent, 0);
    CHECK(site.broken() == "http://a/bad: status 404\nhttp://a/silent: connection refused\n");
    auto link = site.frontier.broken_links().at(0);
    CHECK(link.referrer_count == 3);
    REQUIRE(link.referrers.size() == 2);
    CHECK(link.referrers[0].page == site.start);
    CHECK(link.referrers[0].line == 7);
    CHECK(link.referrers[1].page == good);
}

TEST_CASE("a link whose redirects end badly is broken, and told once") {
    Site site;
    auto old = *site.link(site.start, "old");
    auto gone = *site.link(old, "gone", LinkKind::redirect);
    CHECK(site.frontier.page(gone).depth == 1);
    auto moved = *site.link(site.start, "moved");
    auto there = *site.link(moved, "there", LinkKind::redirect);
    while (site.frontier.take(now)) {}
    site.answer(site.start, 200);
    site.answer(old, 301, {}, gone);
    site.answer(gone, 410);
    site.answer(moved, 302, {}, there);
    site.answer(there, 200);
    CHECK(site.broken() == "http://a/old: status 410 after a redirect to http://a/gone\n");
    CHECK(site.frontier.final_page(moved) == there);
}

TEST_CASE("redirects in a circle are broken, and so is one that leads nowhere") {
    Site site;
    auto x = *site.link(site.start, "x");
    auto y = *site.link(x, "y", LinkKind::redirect);
    auto nowhere = *site.link(site.start, "nowhere");
    while (site.frontier.take(now)) {}
    site.answer(site.start, 200);
    site.answer(x, 301, {}, y);
    site.answer(y, 301, {}, x);
    site.answer(nowhere, 301);
    CHECK(site.broken() ==
          "http://a/x: redirects in a circle, or without end\nhttp://a/nowhere: status 301, which leads nowhere\n");
}

TEST_CASE("fragments are checked, whether the page comes before the link or after it") {
    Site site;
    auto x = *site.link(site.start, "x#early");
    site.link(site.start, "x#missing");
    while (site.frontier.take(now)) {}
    site.answer(x, 200, {"early", "late", "a b"});
    site.link(site.start, "x#late");
    site.link(site.start, "x#a%20b");
    site.link(site.start, "x#");
    site.link(site.start, "x#Top");
    site.link(site.start, "x#:~:text=foo");
    site.link(site.start, "x#also-missing");
    site.link(site.start, "#self");
    site.answer(site.start, 200, {"self"});
    CHECK(site.broken() == "http://a/x#also-missing: no element has the id \"also-missing\"\n"
                           "http://a/x#missing: no element has the id \"missing\"\n");
    CHECK(site.frontier.broken_links().at(0).referrers[0].page == site.start);
}

TEST_CASE("a fragment is looked for where redirects lead, and nowhere but in HTML") {
    Site site;
    auto old = *site.link(site.start, "old#x");
    site.link(site.start, "old#y");
    auto fresh = *site.link(old, "new", LinkKind::redirect);
    auto image = *site.link(site.start, "i.svg#part");
    while (site.frontier.take(now)) {}
    site.answer(site.start, 200);
    site.answer(old, 301, {}, fresh);
    site.answer(fresh, 200, {"x"});
    Fetched result;
    result.status = 200;
    Ended how;
    how.status = 200;
    site.frontier.finish(image, result, how, now);
    CHECK(site.broken() == "http://a/old#y: no element has the id \"y\"\n");
}

TEST_CASE("what robots.txt forbids is not broken") {
    Site site;
    auto id = *site.frontier.take(now);
    site.frontier.disallow(id);
    CHECK(site.frontier.is_done());
    CHECK(site.broken().empty());
    CHECK(site.frontier.page(id).state == PageState::disallowed);
}

TEST_CASE("links to everywhere do not make a crawl grow for ever") {
    Site site;
    const auto add_outside = [&site](const std::string& name, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            site.link(site.start, "http://" + name + std::to_string(i) + "/");
        }
    };
    add_outside("b", Frontier::least_refused + 7);
    CHECK(site.frontier.pages().size() == 1 + Frontier::least_refused);
    CHECK(site.frontier.dropped() == 7);
    // One that is known is known still, and a larger crawl remembers more.
    CHECK(site.link(site.start, "http://b0/").has_value());
    constexpr std::size_t inside = Frontier::least_refused / Frontier::refused_an_accepted;
    for (std::size_t i = 0; i < inside; ++i) site.link(site.start, "/" + std::to_string(i));
    CHECK(site.frontier.queued() == inside + 1);
    add_outside("c", Frontier::refused_an_accepted + 1);
    CHECK(site.frontier.pages().size() == 1 + inside + Frontier::least_refused + Frontier::refused_an_accepted);
    CHECK(site.frontier.dropped() == 8);
}
