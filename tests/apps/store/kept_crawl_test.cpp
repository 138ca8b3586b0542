// SPDX-License-Identifier: MIT
#include "store/kept_crawl.hpp"

#include <coaio/core/event.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/to_thread.hpp>
#include <coaio/db/connection.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../crawler/site.hpp"
#include "store/crawls.hpp"

using namespace std::chrono_literals;
using tests::contains;

namespace {

crawl::Options options_for(std::string database) {
    auto options = tests::crawl_of({"http://a/"});
    options.database_url = std::move(database);
    return options;
}

/// A site in memory, a chain of four pages: before one of them is answered, the last unless told otherwise, something
/// happens.
class EventfulSite final : public crawl::Fetcher {
public:
    explicit EventfulSite(std::function<coaio::Coro<>()> happening = {}, std::string when = "/3")
        : happening_(std::move(happening)), when_(std::move(when)) {
        site_.add("http://a/", tests::links({"/1"}));
        site_.add("http://a/1", tests::links({"/2"}));
        site_.add("http://a/2", tests::links({"/3"}));
        site_.add("http://a/3", tests::page("three"));
    }
    coaio::Coro<crawl::Answer> fetch(coaio::http::Url url, crawl::FetchOptions options) override {
        if (url.path() == when_ && happening_) {
            auto happening = std::exchange(happening_, {})();
            co_await std::move(happening);
        }
        auto fetching = site_.fetch(std::move(url), options);
        co_return co_await std::move(fetching);
    }
    [[nodiscard]] std::size_t count(const std::string& url) const { return site_.count(url); }

private:
    tests::Site site_;
    std::function<coaio::Coro<>()> happening_;
    std::string when_;
};

coaio::Coro<> for_ever() {
    coaio::Event never;
    co_await never.wait();
}

struct Ran {
    int code = -1;
    std::string out;
    std::string log;
};

Ran crawl_into(const crawl::Options& options, crawl::Fetcher& fetcher, store::KeepOptions keep = {}) {
    std::ostringstream out;
    std::ostringstream log;
    crawl::Output output;
    output.out = &out;
    output.log = &log;
    auto loud = options;
    loud.quiet = false;
    loud.timeout = 1h;
    Ran ran;
    ran.code = coaio::testing::run(store::crawl_and_keep(loud, fetcher, output, keep));
    ran.out = out.str();
    ran.log = log.str();
    return ran;
}

coaio::Coro<> execute(const tests::Database& database, std::string statement) {
    database.sql(statement);
    co_return;
}

coaio::Coro<> stop(tests::Postgres& postgres) {
    auto stopping = coaio::to_thread([&postgres] { postgres.stop(tests::Stop::fast); });
    co_await std::move(stopping);
}

coaio::Coro<std::int64_t> number_of(crawl::Options options) {
    const auto kept = co_await store::KeptCrawl::begin(std::move(options), {});
    co_return kept->id();
}

}  // namespace

TEST_CASE("a crawl goes on where addresses and settings ask for the same, however they ask") {
    const tests::Database database;
    auto options = options_for(database.conninfo());
    options.urls = {"http://a/", "http://b/"};
    options.scope.exclude = {"*.pdf", "/x/*"};
    const auto begin = [](const crawl::Options& some) { return coaio::run(number_of(some)); };
    REQUIRE(begin(options) == 1);
    CHECK(begin(options) == 1);

    auto same = options;
    same.urls = {"http://b/#top", "http://user:geheim@a/"};
    same.scope.exclude = {"/x/*", "*.pdf"};
    same.concurrency = 3;
    same.manners.delay = 1s;
    same.user_agent = "somebody else";
    CHECK(begin(same) == 1);
    CHECK(database.value("select settings->>'concurrency' from coaio.crawls where id = 1") == "3");

    std::int64_t next = 2;
    const auto differs = [&](const std::function<void(crawl::Options&)>& change) {
        auto other = options;
        change(other);
        CHECK(begin(other) == next++);
    };
    differs([](crawl::Options& other) { other.urls = {"http://a/"}; });
    differs([](crawl::Options& other) { other.scope.max_pages = 5; });
    differs([](crawl::Options& other) { other.scope.include = {"/a/*"}; });
    differs([](crawl::Options& other) { other.ignore_robots = true; });
    differs([](crawl::Options& other) { other.types = {"text/*"}; });
    CHECK(begin(options) == 1);

    // Those of a server are not a program's.
    database.sql("update coaio.crawls set run_by = 'server' where id = 1");
    CHECK(begin(options) == next);
    CHECK(database.value("select count(*) from coaio.crawls where urls::text like '%geheim%'") == "0");
}

TEST_CASE("a new crawl gives up those that could have gone on, and is the one that goes on later") {
    const tests::Database database;
    auto options = options_for(database.conninfo());
    CHECK(coaio::run(number_of(options)) == 1);
    options.new_crawl = true;
    CHECK(coaio::run(number_of(options)) == 2);
    CHECK(database.value("select string_agg(state || error, ',' order by id) from coaio.crawls") ==
          "cancelledit was begun anew,running");
    options.new_crawl = false;
    CHECK(coaio::run(number_of(options)) == 2);
}

TEST_CASE("a crawl whose end is asked for in the database ends, and the next one is new") {
    const tests::Database database;
    const auto ask = [&database]() -> coaio::Coro<> {
        database.sql("update coaio.crawls set cancel_requested = true");
        return for_ever();
    };
    EventfulSite site(ask);
    const auto options = options_for(database.conninfo());
    const auto ran = crawl_into(options, site);
    CHECK(ran.code == 1);
    CHECK_THAT(ran.out, contains("ended early: crawl 1 was cancelled in the database"));
    CHECK(database.value("select state || done from coaio.crawls") == "cancelled3");

    // And when nobody ran it: it ends where it would have gone on.
    CHECK(coaio::run(number_of(options)) == 2);
    database.sql("update coaio.crawls set cancel_requested = true where id = 2");
    CHECK(coaio::run(number_of(options)) == 3);
    CHECK(database.value("select state from coaio.crawls where id = 2") == "cancelled");
}

TEST_CASE("a crawl that failed goes on when what was in its way is gone") {
    const tests::Database database;
    const auto break_it = [&] { return execute(database, "alter table coaio.pages rename to elsewhere"); };
    EventfulSite site(break_it);
    const auto options = options_for(database.conninfo());
    auto ran = crawl_into(options, site);
    CHECK(ran.code == 1);
    CHECK_THAT(ran.out, contains("ended early: "));
    CHECK_THAT(ran.out, contains("\"pages\" does not exist"));
    CHECK(database.value("select state from coaio.crawls") == "failed");
    CHECK_THAT(database.value("select error from coaio.crawls"), contains("\"pages\" does not exist"));
    database.sql("alter table coaio.elsewhere rename to pages");
    ran = crawl_into(options, site);
    CHECK(ran.code == 0);
    CHECK(ran.log == "crawl 1 goes on: 3 pages are in the database\n");
    CHECK(database.value("select state || done || error from coaio.crawls") == "done4");
    CHECK(site.count("http://a/") == 1);
    CHECK(site.count("http://a/3") == 2);
}

TEST_CASE("a database that stays away ends the crawl, which says so and goes on later") {
    tests::Postgres postgres;
    const auto stop_it = [&] { return stop(postgres); };
    EventfulSite site(stop_it);
    const auto options = options_for(postgres.conninfo());
    auto ran = crawl_into(options, site);
    CHECK(ran.code == 1);
    CHECK_THAT(ran.log, contains("the database is away, for at most 1 m 00 s it is tried again: "));
    CHECK_THAT(ran.out,
               contains("ended early: the database has been away for 1 m 00 s; what was committed is kept, and "
                        "the same command goes on from there"));
    postgres.start();
    ran = crawl_into(options, site);
    CHECK(ran.code == 0);
    CHECK(ran.log == "crawl 1 goes on: 3 pages are in the database\n");
    CHECK(postgres.value("postgres", "select state || done from coaio.crawls") == "done4");
}

namespace {

constexpr auto longest_wait = 30s;

// Somebody ends all sessions of the crawl, and takes its lock before it is back.
coaio::Coro<> take_the_lock(const coaio::db::Connection& thief) {
    static_cast<void>(co_await thief.query("select pg_terminate_backend(pid) from pg_stat_activity "
                                           "where application_name = 'coaio-crawl' and datname = current_database()"));
    const auto until = std::chrono::steady_clock::now() + longest_wait;
    for (bool mine = false; !mine;) {
        if (std::chrono::steady_clock::now() > until) throw std::runtime_error("the crawl keeps its lock");
        mine = co_await store::try_to_hold(thief, 1);
    }
}

coaio::Coro<> take_over(std::string conninfo) {
    const auto thief = co_await coaio::db::Connection::connect(conninfo);
    co_await take_the_lock(thief);
    co_await for_ever();
}

coaio::Coro<> end_it(std::string conninfo) {
    const auto thief = co_await coaio::db::Connection::connect(conninfo);
    co_await take_the_lock(thief);
    static_cast<void>(co_await thief.execute("update coaio.crawls set state = 'cancelled', error = 'begun anew'"));
}

// The thief does something with the crawl and lets go of it; it returns when the crawl says how far it is.
coaio::Coro<> borrow(std::string conninfo, std::string deed) {
    coaio::db::ConnectOptions options;
    options.setting("search_path", "coaio");
    const auto thief = co_await coaio::db::Connection::connect(conninfo, options);
    co_await take_the_lock(thief);
    static_cast<void>(co_await thief.execute("update crawls set waiting = -1"));
    static_cast<void>(co_await thief.execute(deed));
    co_await store::let_go(thief, 1);
    const auto until = std::chrono::steady_clock::now() + longest_wait;
    for (bool back = false; !back;) {
        if (std::chrono::steady_clock::now() > until) throw std::runtime_error("the crawl does not come back");
        co_await coaio::sleep(50ms);
        back = co_await thief.query_value<bool>("select waiting >= 0 from crawls");
    }
}

}  // namespace

TEST_CASE("a crawl that another process has taken meanwhile ends, and leaves it alone") {
    const tests::Database database;
    const auto steal = [&] { return take_over(database.conninfo()); };
    EventfulSite site(steal);
    const auto ran = crawl_into(options_for(database.conninfo()), site);
    CHECK(ran.code == 1);
    CHECK_THAT(ran.out, contains("ended early: crawl 1 was taken by another process, session "));
    CHECK(database.value("select state from coaio.crawls") == "running");
}

TEST_CASE("a crawl that another process has taken and ended meanwhile ends, and leaves it as it is") {
    const auto check = [](const std::string& deed, const std::string& said, const std::string& row) {
        const tests::Database database;
        const auto borrowed = [&] { return borrow(database.conninfo(), deed); };
        EventfulSite site(borrowed);
        const auto ran = crawl_into(options_for(database.conninfo()), site);
        CHECK(ran.code == 1);
        CHECK_THAT(ran.out, contains("ended early: " + said));
        CHECK(database.value("select state || done || error from coaio.crawls") == row);
    };
    check("update crawls set state = 'done', done = 77, error = 'by the other', waiting = 0",
          "crawl 1 was ended by another process while the database was away", "done77by the other");
    check("update crawls set cancel_requested = true, state = 'cancelled', done = 7, waiting = 0",
          "crawl 1 was cancelled in the database", "cancelled7");
}

TEST_CASE("a crawl that is over when it has lost its lock looks at what has become of it before it says so") {
    const tests::Database database;
    const auto end = [&] { return end_it(database.conninfo()); };
    EventfulSite site(end);
    const auto ran = crawl_into(options_for(database.conninfo()), site);
    CHECK(ran.code == 1);
    CHECK(database.value("select state || error from coaio.crawls") == "cancelledbegun anew");
}

TEST_CASE("what another process has committed meanwhile is not fetched again") {
    const tests::Database database;
    const auto commit = [&] {
        return borrow(database.conninfo(),
                      "insert into pages (crawl_id, url, state, status, kind, depth, tries, type, size, elapsed_ms, "
                      "error, title, lang, canonical, has_fragments, fragments, text) values (1, 'http://a/3', 'done', "
                      "200, 'anchor', 3, 1, 'text/html', 5, 1, '', 'of the other', '', '', true, '{}', '')");
    };
    EventfulSite site(commit, "/2");
    const auto ran = crawl_into(options_for(database.conninfo()), site);
    INFO(ran.log + ran.out);
    CHECK(ran.code == 0);
    CHECK(site.count("http://a/3") == 0);
    CHECK(database.value("select state || done from coaio.crawls") == "done4");
    CHECK(database.value("select count(*) from coaio.pages") == "4");
}

TEST_CASE("a crawl that ends while its sessions are ended takes new ones, and no page is lost") {
    const tests::Database database;
    const auto end_sessions = [&] {
        return execute(database, "select pg_terminate_backend(pid) from pg_stat_activity "
                                 "where application_name = 'coaio-crawl' and datname = current_database()");
    };
    EventfulSite site(end_sessions);
    const auto ran = crawl_into(options_for(database.conninfo()), site);
    CHECK(ran.code == 0);
    INFO(ran.log);
    CHECK(database.value("select state || done from coaio.crawls") == "done4");
    CHECK(site.count("http://a/3") == 1);
}
