// SPDX-License-Identifier: MIT
#include "store/page_store.hpp"

#include <coaio/core/run.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/http/url.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../crawler/site.hpp"
#include "crawler/crawler.hpp"
#include "store/crawls.hpp"
#include "store/schema.hpp"

using namespace std::chrono_literals;

namespace {

constexpr int link_count = 600;  // more than two statements' worth

crawl::Page address() {
    crawl::Page page;
    page.url = "http://a/";
    page.kind = crawl::LinkKind::sitemap;
    page.depth = 3;
    return page;
}

crawl::FinishedPage finished_page(const crawl::Page& page) {
    crawl::FinishedPage finished;
    finished.page = &page;
    finished.state = crawl::PageState::done;
    finished.result.status = 200;
    finished.result.tries = 2;
    finished.result.type = "text/html";
    finished.result.size = 12345;
    finished.result.elapsed = 67ms;
    finished.result.title = "Grüße";
    finished.result.has_fragments = true;
    finished.result.fragments = {"top", "Ende"};
    finished.text = "a text";
    for (int i = 0; i < link_count; ++i) {
        crawl::FoundLink found{coaio::http::Url::parse("http://a/" + std::to_string(i) + "#x"), {}};
        found.link.kind = crawl::LinkKind::anchor;
        found.link.line = static_cast<unsigned>(i);
        found.link.text = "link " + std::to_string(i);
        finished.links.push_back(std::move(found));
    }
    return finished;
}

coaio::Coro<> make_crawl(coaio::db::Pool pool) {
    co_await store::create_schema(pool);
    static_cast<void>(co_await pool.execute("insert into crawls (urls, settings) values ('{http://a/}', '{}')"));
    co_await pool.close();
}

std::string prepared(const tests::Database& database) {
    coaio::run(make_crawl(coaio::db::Pool(database.conninfo(), store::pool_options(1, "test"))));
    return database.conninfo();
}

coaio::Coro<> commit_and_recall(std::string conninfo) {
    const coaio::db::Pool pool(conninfo, store::pool_options(2, "test"));
    const auto page = address();
    int commits = 0;
    store::PageStore first(pool, 1, false, [&commits] { ++commits; });
    const auto committed = finished_page(page);
    co_await first.commit(committed);
    co_await first.commit(committed);  // whoever does not know whether it was
    CHECK(commits == 2);
    crawl::FinishedPage recalled;
    recalled.page = &page;
    const bool new_knows = co_await first.recall(recalled);
    CHECK_FALSE(new_knows);
    const auto known_to_new = co_await first.known();
    CHECK(known_to_new.empty());

    store::PageStore second(pool, 1, true);
    const bool knows = co_await second.recall(recalled);
    REQUIRE(knows);
    CHECK(recalled.state == committed.state);
    CHECK(recalled.result.status == 200);
    CHECK(recalled.result.tries == 2);
    CHECK(recalled.result.elapsed == 67ms);
    CHECK(recalled.result.title == committed.result.title);
    CHECK(recalled.result.fragments == committed.result.fragments);
    REQUIRE(recalled.links.size() == link_count);
    for (std::size_t i = 0; i < link_count; ++i) {
        if (recalled.links[i].url.to_string() != committed.links[i].url.to_string()) FAIL("link " << i);
        if (recalled.links[i].link.text != committed.links[i].link.text) FAIL("text of link " << i);
    }
    CHECK(second.counts().done == 1);
    CHECK(second.counts().bytes == 12345);
    const auto known = co_await second.known();
    CHECK(known == std::vector<std::string>{"http://a/"});
    co_await pool.close();
}

}  // namespace

TEST_CASE("a page is recalled as it was committed, with its links, in their order") {
    const tests::Database database;
    coaio::run(commit_and_recall(prepared(database)));
    CHECK(database.value("select count(*) from coaio.pages") == "1");
    CHECK(database.value("select count(*) from coaio.links") == std::to_string(link_count));
}

namespace {

// Whoever had it when it was cancelled knows nothing of that yet.
coaio::Coro<> write_over_an_end(const tests::Database& database) {
    const coaio::db::Pool pool(database.conninfo(), store::pool_options(1, "test"));
    store::PageStore pages(pool, 1, false);
    const auto page = address();
    const auto finished = finished_page(page);
    co_await pages.commit(finished);
    tests::Site site;
    const crawl::Crawler crawler(tests::crawl_of({"http://a/"}), site, &pages);
    const std::string row = "select state || ',' || done from coaio.crawls";
    database.sql("update coaio.crawls set state = 'cancelled', cancel_requested = true");
    const bool asked = co_await store::save_progress(pool, 1, crawler, pages);
    CHECK_FALSE(asked);
    co_await store::leave(pool, 1, "done", "");
    CHECK(database.value(row) == "cancelled,0");
    database.sql("update coaio.crawls set state = 'running'");
    const bool still_asked = co_await store::save_progress(pool, 1, crawler, pages);
    CHECK(still_asked);
    co_await store::leave(pool, 1, "failed", "why");
    CHECK(database.value(row) == "failed,1");
}

}  // namespace

TEST_CASE("what a crawl was ended as meanwhile is not written over") {
    const tests::Database database;
    static_cast<void>(prepared(database));
    coaio::run(write_over_an_end(database));
}

namespace {

// A run was killed before it wrote down what it had committed, and the next one has recalled nothing yet.
coaio::Coro<> count_again(const tests::Database& database) {
    const coaio::db::Pool pool(database.conninfo(), store::pool_options(1, "test"));
    store::PageStore killed(pool, 1, false);
    const auto page = address();
    const auto finished = finished_page(page);
    co_await killed.commit(finished);
    database.sql("update coaio.crawls set state = 'running', started_at = now()");
    const auto options = store::session_options("test");
    const auto session = co_await coaio::db::Connection::connect(database.conninfo(), options);
    const auto work = co_await store::take_up(session, 1, store::by_server);
    REQUIRE(work.has_value());
    co_await store::count_pages(session, 1);
    const std::string figures = "select done || ' done, ' || bytes || ' bytes' from coaio.crawls";
    CHECK(database.value(figures) == "1 done, 12345 bytes");
    store::PageStore pages(pool, 1, work->resumed);
    tests::Site site;
    const crawl::Crawler crawler(tests::crawl_of({"http://a/"}), site, &pages);
    const bool asked = co_await store::save_progress(pool, 1, crawler, pages);
    CHECK_FALSE(asked);
    CHECK(database.value(figures) == "1 done, 12345 bytes");

    // Nor does an end that is asked for before anything is recalled leave less.
    database.sql("update coaio.crawls set done = 0, cancel_requested = true");
    const auto none = co_await store::take_up(session, 1, store::by_server);
    CHECK_FALSE(none.has_value());
    CHECK(database.value("select state || ' with ' || done from coaio.crawls") == "cancelled with 1");
}

}  // namespace

TEST_CASE("a crawl that goes on has the figures of its pages from the beginning, and loses none") {
    const tests::Database database;
    static_cast<void>(prepared(database));
    coaio::run(count_again(database));
}

namespace {

coaio::Coro<> commit_garbage(std::string conninfo) {
    using namespace std::string_literals;
    const auto garbage = "image/\xff\0\xc3"s;
    const auto page = address();
    auto finished = finished_page(page);
    finished.result.type = garbage;
    finished.result.title = garbage;
    finished.result.error = garbage;
    finished.result.fragments = {garbage, "whole"};
    finished.lang = garbage;
    finished.canonical = garbage;
    finished.text = std::string(300 * 1024, '\xff');  // each byte of which becomes three
    finished.links.erase(finished.links.begin() + 1, finished.links.end());
    finished.links[0].link.text = garbage;
    const coaio::db::Pool pool(conninfo, store::pool_options(1, "test"));
    store::PageStore store(pool, 1, true);
    co_await store.commit(finished);
    crawl::FinishedPage recalled;
    recalled.page = &page;
    const bool knows = co_await store.recall(recalled);
    REQUIRE(knows);
    CHECK(recalled.result.type == "image/\uFFFD \uFFFD");
    CHECK(recalled.result.fragments == std::vector<std::string>{"image/\uFFFD \uFFFD", "whole"});
    co_await pool.close();
}

}  // namespace

TEST_CASE("what is not UTF-8 is stored as what a reader would see of it") {
    const tests::Database database;
    coaio::run(commit_garbage(prepared(database)));
    CHECK(database.value("select count(distinct v) || max(v) from coaio.pages, "
                         "unnest(array[type, title, lang, canonical, fragments[1]]) v") == "1image/\uFFFD \uFFFD");
    CHECK(database.value("select octet_length(text) <= 256 * 1024 from coaio.pages") == "t");
}

namespace {

struct Commit {
    explicit Commit(std::string database) : conninfo(std::move(database)) {}
    std::string conninfo;
    crawl::Page page = address();
    crawl::FinishedPage finished = finished_page(page);
    std::unique_ptr<store::PageStore> store;
    bool acknowledged = false;
    std::map<std::string, int> seen;
};

coaio::Coro<> commit_once(Commit& commit) {
    const coaio::db::Pool pool(commit.conninfo, store::pool_options(1, "test").cancel_timeout(5s));
    commit.acknowledged = false;
    commit.store = std::make_unique<store::PageStore>(pool, 1, false);
    co_await commit.store->commit(commit.finished);
    commit.acknowledged = true;
}

coaio::Coro<> look_after(Commit& commit) {
    commit.store.reset();
    const coaio::db::Pool pool(commit.conninfo, store::pool_options(1, "test"));
    const auto found = co_await pool.query_value<std::string>(
        "select (select count(*) from pages) || ' ' || (select count(*) from links)");
    REQUIRE((found == "0 0" || found == "1 " + std::to_string(link_count)));
    if (commit.acknowledged) REQUIRE(found != "0 0");
    ++commit.seen[found];
    static_cast<void>(co_await pool.execute("delete from pages"));
    co_await pool.close();
}

}  // namespace

TEST_CASE("a commit that is cut at any turn leaves the page with all its links, or nothing") {
    const tests::Database database;
    Commit commit(prepared(database));
    coaio::testing::cut([&] { return commit_once(commit); }, [&](std::size_t) { return look_after(commit); });
    CHECK(commit.seen["0 0"] > 5);
    CHECK(commit.seen.size() == 2);
}

namespace {

constexpr int to_home = 100;

/// A small crawl into the database.
struct Crawl {
    explicit Crawl(std::string database) : conninfo(std::move(database)) {
        // As many links as make the crawl pause on its way from the commit to its own memory.
        std::vector<std::string> many(to_home, "/");
        many.insert(many.end(), {"/1", "/2", "/gone"});
        site.add("http://a/", tests::links(many));
        site.add("http://a/1", tests::links({"/3#x", "/2"}));
        site.add("http://a/2", tests::redirect("/3"));
        site.add("http://a/3", tests::links({"/"}));
    }
    std::string conninfo;
    tests::Site site;
    std::unique_ptr<store::PageStore> store;
    std::unique_ptr<crawl::Crawler> crawler;
    int cuts = 0;
};

coaio::Coro<> crawl_once(Crawl& crawl) {
    const coaio::db::Pool pool(crawl.conninfo, store::pool_options(2, "test").cancel_timeout(5s));
    crawl.store = std::make_unique<store::PageStore>(pool, 1, false);
    auto options = tests::crawl_of({"http://a/"});
    options.ignore_robots = true;
    crawl.crawler = std::make_unique<crawl::Crawler>(options, crawl.site, crawl.store.get());
    co_await crawl.crawler->run();
}

coaio::Coro<> compare(Crawl& crawl) {
    const std::map<std::string, std::int64_t> link_counts = {
        {"http://a/", to_home + 3}, {"http://a/1", 2}, {"http://a/2", 1}, {"http://a/3", 1}, {"http://a/gone", 0}};
    std::map<std::string, std::int64_t> believed;
    if (crawl.crawler) {
        for (const auto& page : crawl.crawler->frontier().pages()) {
            if (page.state == crawl::PageState::done) believed[page.url] = link_counts.at(page.url);
        }
    }
    const coaio::db::Pool pool(crawl.conninfo, store::pool_options(1, "test"));
    const auto rows = co_await pool.query(
        "select url, (select count(*) from links where page_id = pages.id) from pages where crawl_id = 1");
    std::map<std::string, std::int64_t> found;
    for (const auto& [url, links] : rows.as<std::string, std::int64_t>()) found[url] = links;
    REQUIRE(found == believed);
    ++crawl.cuts;
    crawl.crawler.reset();
    crawl.store.reset();
    crawl.site.forget_requests();
    static_cast<void>(co_await pool.execute("delete from pages"));
    co_await pool.close();
}

}  // namespace

TEST_CASE("a crawl that is cut at any turn believes of its pages what the database has of them") {
    const tests::Database database;
    Crawl crawl(prepared(database));
    coaio::testing::cut([&] { return crawl_once(crawl); }, [&](std::size_t) { return compare(crawl); });
    CHECK(crawl.cuts > 30);
}
