// SPDX-License-Identifier: MIT
// The program itself with a database, killed, interrupted and left alone by its database.
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/core/to_thread.hpp>
#include <coaio/http/server.hpp>

#include "apps/held_site.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"

#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support.hpp"

using namespace std::chrono_literals;
using tests::contains;
using tests::CrawlProgram;

namespace {

constexpr int page_count = 40;
constexpr int hold_after = 20;
constexpr auto longest_wait = 30s;

/// A site, its server, and the words that crawl it into a database.
struct Scene {
    explicit Scene(const std::string& conninfo, int pages = page_count)
        : site(pages, tests::LastPage::links_late),
          server([this] { return site.build(); }, {.port = 0}),
          database("--database-url=" + conninfo) {}
    Scene(const Scene&) = delete;
    Scene& operator=(const Scene&) = delete;

    [[nodiscard]] std::vector<std::string> words(const std::vector<std::string>& more = {}) const {
        std::vector<std::string> all = {database, "--concurrency=4", "--retries=0", "--no-sitemaps",
                                        server.url() + "/"};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
    [[nodiscard]] int asked_for(const std::string& url) const {
        const auto found = site.requests().find(url.substr(server.url().size()));
        return found == site.requests().end() ? 0 : found->second;
    }

    tests::HeldSite site;
    coaio::http::Server server;
    std::string database;
};

// Everything is there, once, with its links, and nothing that was committed before was fetched again.
void check_whole(const tests::Postgres& postgres, const std::string& name, const Scene& scene,
                 const std::vector<tests::Postgres::Row>& committed_before) {
    const auto value = [&](const std::string& statement) { return postgres.value(name, statement); };
    CHECK(value("select count(*) from coaio.pages") == std::to_string(scene.site.size()));
    CHECK(value("select count(distinct url) from coaio.pages") == std::to_string(scene.site.size()));
    CHECK(value("select count(*) from coaio.links") == std::to_string(2 * page_count + 3));
    CHECK(value("select string_agg(state || done || failed || waiting, ',') from coaio.crawls") ==
          "done" + std::to_string(scene.site.size()) + "00");
    for (const auto& row : committed_before) {
        INFO(row.at(0).value());
        CHECK(scene.asked_for(row.at(0).value()) == 0);
    }
}

// Ends a crawl in the middle by a signal, and lets a second program go on.
coaio::Coro<> end_and_go_on(int signal, int code, std::string state) {
    const tests::Database database;
    Scene scene(database.conninfo());
    scene.site.hold_after(hold_after);
    co_await scene.server.start();
    CrawlProgram first(scene.words());
    co_await scene.site.held().wait();
    first.signal(signal);
    const int first_code = co_await first.ended();
    CHECK(first_code == code);
    INFO(first.log());
    CHECK_THAT(first.log(), contains("crawl 1 begins\n"));
    REQUIRE(database.server().await_sessions(database.name(), 0));
    CHECK(database.value("select state from coaio.crawls") == state);
    const auto committed = database.sql("select url from coaio.pages");
    CHECK(committed.size() >= hold_after / 2);
    CHECK(committed.size() < page_count);
    // What was committed has all its links.
    CHECK(database.value("select count(*) from coaio.pages p where status = 200 and not exists "
                         "(select from coaio.links where page_id = p.id)") == "0");

    scene.site.open();
    scene.site.forget_requests();
    CrawlProgram second(scene.words());
    const int second_code = co_await second.ended();
    CHECK(second_code == 2);  // the broken link, whoever found it
    INFO(second.log());
    CHECK_THAT(second.log(),
               contains("crawl 1 goes on: " + std::to_string(committed.size()) + " pages are in the database\n"));
    CHECK_THAT(second.out(), contains("43 pages in "));
    CHECK_THAT(second.out(), contains("/gone\n    status 404\n    linked from http://127.0.0.1:"));
    check_whole(database.server(), database.name(), scene, committed);

    // Over, it is not gone on with: the next one is new.
    CrawlProgram third(scene.words());
    const int third_code = co_await third.ended();
    CHECK(third_code == 2);
    CHECK_THAT(third.log(), contains("crawl 2 begins\n"));
    CHECK(database.value("select string_agg(state, ',') from coaio.crawls") == "done,done");
    co_await scene.server.stop();
}

}  // namespace

TEST_CASE("a crawl whose program is killed goes on where it was with the same command") {
    coaio::run(end_and_go_on(SIGKILL, 128 + SIGKILL, "running"));
}

TEST_CASE("a crawl that is terminated or interrupted goes on where it was with the same command") {
    coaio::run(end_and_go_on(SIGTERM, 1, "queued"));
    coaio::run(end_and_go_on(SIGINT, 1, "queued"));
}

namespace {

// The same crawl is for one program at a time.
coaio::Coro<> two_at_once() {
    const tests::Database database;
    Scene scene(database.conninfo());
    scene.site.hold_after(hold_after);
    co_await scene.server.start();
    CrawlProgram first(scene.words());
    co_await scene.site.held().wait();
    CrawlProgram second(scene.words());
    const int code = co_await second.ended();
    CHECK(code == 1);
    CHECK_THAT(second.log(), contains("coaio-crawl: crawl 1, of the same addresses and settings, is run by another "
                                      "process, session "));
    CHECK_THAT(second.log(), contains("--new-crawl"));
    scene.site.open();
    CrawlProgram third(scene.words({"--new-crawl"}));
    const int third_code = co_await third.ended();
    CHECK(third_code == 2);
    CHECK_THAT(third.log(), contains("crawl 2 begins\n"));
    const int first_code = co_await first.ended();
    CHECK(first_code == 2);
    CHECK(database.value("select string_agg(state || done, ',' order by id) from coaio.crawls") == "done43,done43");
    co_await scene.server.stop();
}

// The database goes away in mid-crawl and comes back.
coaio::Coro<> restart_the_database(tests::Stop how) {
    tests::Postgres postgres;
    Scene scene(postgres.conninfo());
    scene.site.hold_after(hold_after);
    co_await scene.server.start();
    CrawlProgram program(scene.words());
    co_await scene.site.held().wait();
    auto stopping = coaio::to_thread([&postgres, how] { postgres.stop(how); });
    co_await std::move(stopping);
    scene.site.open();
    auto noticing = program.says("the connection to the database was lost");
    co_await coaio::wait_for(std::move(noticing), longest_wait);
    auto starting = coaio::to_thread([&postgres] { postgres.start(); });
    co_await std::move(starting);
    const int code = co_await program.ended();
    INFO(program.log());
    CHECK(code == 2);
    CHECK_THAT(program.log(), contains("the connection to the database is back"));
    for (const auto& [path, count] : scene.site.requests()) {
        INFO(path);
        CHECK(count == 1);
    }
    check_whole(postgres, "postgres", scene, {});
    co_await scene.server.stop();
}

coaio::Coro<std::string> output_of(std::vector<std::string> words, std::vector<std::string> environment, int code) {
    CrawlProgram program(std::move(words), std::move(environment));
    const int ended = co_await program.ended();
    CHECK(ended == code);
    co_return program.out() + program.log();
}

coaio::Coro<> hide_passwords() {
    const std::string site = "http://127.0.0.1:1/";
    const std::vector<std::string> urls = {
        "postgresql://user:geheim@127.0.0.1:1/name", "postgresql://user:geheim@[::1/name",
        "host=127.0.0.1 port=1 password=geheim dbname", "host=127.0.0.1 port=1 password=geheim nonsense=1",
        "host=127.0.0.1 port=1 password='geheim"};
    const std::vector<std::string> none;
    const std::vector<std::string> only_site = {site};
    for (const auto& url : urls) {
        INFO(url);
        const std::vector<std::string> flag = {"--database-url=" + url, site};
        const auto by_flag = co_await output_of(flag, none, 1);
        CHECK(by_flag.find("geheim") == std::string::npos);
        CHECK(by_flag.starts_with("coaio-crawl: "));
        const std::vector<std::string> variable = {"COAIO_CRAWL_DATABASE_URL=" + url};
        const auto by_environment = co_await output_of(only_site, variable, 1);
        CHECK(by_environment == by_flag);
    }
    const std::vector<std::string> ask = {"--help"};
    const std::vector<std::string> variable = {"COAIO_CRAWL_DATABASE_URL=" + urls[0]};
    const auto help = co_await output_of(ask, variable, 0);
    CHECK(help.find("geheim") == std::string::npos);
    CHECK_THAT(help, contains("--database-url"));
}

}  // namespace

TEST_CASE("a crawl that is run by one program is refused to a second one, which says what to do") {
    coaio::run(two_at_once());
}

TEST_CASE("a crawl outlives a restart of its database, and fetches nothing twice") {
    coaio::run(restart_the_database(tests::Stop::fast));
    coaio::run(restart_the_database(tests::Stop::immediate));
}

TEST_CASE("a database that is not there is told with 1, and the password never") { coaio::run(hide_passwords()); }
