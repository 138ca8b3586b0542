// SPDX-License-Identifier: MIT
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/db/job_queue.hpp>
#include <coaio/http/client.hpp>
#include <coaio/http/server.hpp>
#include <coaio/net/tls.hpp>

#include "apps/held_site.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "support.hpp"

using nlohmann::json;
using namespace std::chrono_literals;

namespace {

// A server, and a site for it to crawl.
struct World {
    tests::Database database;
    tests::Program program{{"--database-url=" + database.conninfo(), "--debug-tasks", "--workers=2"}};
    tests::HeldSite site{7};
    coaio::http::Client client;
    std::string url;
    std::string site_url;
};

template <class F>
coaio::Coro<> with_world(F body) {
    World world;
    coaio::http::Server site_server([&world] { return world.site.build(); }, {.port = 0});
    co_await site_server.start();
    world.site_url = site_server.url();
    world.url = co_await world.program.ready();
    co_await body(world);
    world.program.signal(SIGTERM);
    const int code = co_await world.program.ended();
    INFO(world.program.log());
    CHECK(code == 0);
    co_await site_server.stop();
}

coaio::Coro<> crawl_and_look(World& world) {
    const auto id = co_await tests::start_crawl(world.client, world.url, world.site_url);
    const auto events = co_await tests::watch(world.client, world.url, id);
    CHECK_THAT(events, tests::contains("event: progress\n"));
    CHECK_THAT(events, tests::contains("\"url\" : \"" + world.site_url + "/page/3\""));
    CHECK_THAT(events, tests::contains("event: end\n"));

    const std::string crawl_url = world.url + "/api/crawls/" + std::to_string(id);
    const auto crawl = co_await tests::get(world.client, crawl_url);
    CHECK(crawl.json().at("state") == "done");
    CHECK(crawl.json().at("done") == 9);

    // Three a time, until there is no next.
    std::set<std::string> urls;
    std::string after;
    int lists = 0;
    do {
        const auto list = co_await tests::get(world.client, crawl_url + "/pages?limit=3" + after);
        const json answer = list.json();
        for (const json& page : answer.at("items")) urls.insert(page.at("url").get<std::string>());
        after = answer.at("next").is_null() ? "" : "&after=" + answer.at("next").get<std::string>();
        ++lists;
    } while (!after.empty());
    CHECK(urls.size() == 9);
    CHECK(lists == 4);

    const auto broken = co_await tests::get(world.client, crawl_url + "/broken");
    const json items = broken.json().at("items");
    REQUIRE(items.size() == 1);
    CHECK(items[0].at("url") == world.site_url + "/gone");
    CHECK(items[0].at("reason") == "404");
    CHECK(items[0].at("referrers").at(0).at("url") == world.site_url + "/");
    CHECK(items[0].at("referrers").at(0).at("text") == "nowhere");

    for (const std::string& where : {crawl_url + "/search", world.url + "/api/search"}) {
        const auto found = co_await tests::get(world.client, where + "?q=word5");
        const json pages = found.json().at("items");
        REQUIRE(pages.size() == 1);
        CHECK(pages[0].at("url") == world.site_url + "/page/5");
        CHECK_THAT(pages[0].at("snippet").get<std::string>(), tests::contains("⟦word5⟧"));
    }

    const auto list = co_await tests::get(world.client, world.url + "/api/crawls");
    CHECK(list.json().at("items").at(0).at("id") == id);
    const auto metrics = co_await tests::get(world.client, world.url + "/metrics");
    CHECK_THAT(metrics.text, tests::contains("coaio_crawl_pages_total 9\n"));
    const auto tasks = co_await tests::get(world.client, world.url + "/debug/tasks");
    CHECK_THAT(tasks.text, tests::contains("loop 2"));
}

coaio::Coro<> cancel_one(World& world) {
    world.site.hold_after(2);
    const auto id = co_await tests::start_crawl(world.client, world.url, world.site_url);
    co_await world.site.held().wait();
    const auto answer = co_await tests::erase(world.client, world.url + "/api/crawls/" + std::to_string(id));
    CHECK(answer.status == 202);
    const auto events = co_await tests::watch(world.client, world.url, id);
    CHECK_THAT(events, tests::contains("\"state\" : \"cancelled\""));
    world.site.open();
}

// More pages than are read at a time, over a change of the number of digits.
coaio::Coro<> tell_of_each_once(World& world) {
    const auto& database = world.database;
    database.sql("insert into coaio.crawls (state, urls, settings) values ('done', '{http://example.org/}', '{}')");
    database.sql(
        "insert into coaio.pages (crawl_id, xact, url, state, status, kind, depth, tries, type, size, elapsed_ms, "
        "error, title, lang, canonical, has_fragments, fragments, text) "
        "select 1, n::text::xid8, 'http://example.org/' || n, 'done', 200, 'page', 0, 1, '', 0, 0, '', '', '', "
        "'', false, '{}', '' from generate_series(800, 1099) n");
    const auto events = co_await tests::watch(world.client, world.url, 1);
    std::vector<int> told;
    for (auto at = events.find("\nid: "); at != std::string::npos; at = events.find("\nid: ", at + 1)) {
        told.push_back(std::stoi(events.substr(at + 5)));
    }
    std::vector<int> wanted(300);
    std::iota(wanted.begin(), wanted.end(), 800);
    CHECK(told == wanted);
}

struct Mistake {
    std::string body;
    int status;
    std::string says;
};

// A crawl of coaio-crawl in the same database, whose program has died.
coaio::Coro<> leave_a_program_its_crawl(World& world) {
    world.database.sql("insert into coaio.crawls (urls, settings, run_by, state) values ('{" + world.site_url +
                       "/}', '{}', 'coaio-crawl', 'running')");
    const auto own = co_await tests::start_crawl(world.client, world.url, world.site_url);
    const auto events = co_await tests::watch(world.client, world.url, own);
    CHECK_THAT(events, tests::contains("event: end\n"));
    const std::string crawl_url = world.url + "/api/crawls/1";
    const auto before = co_await tests::get(world.client, crawl_url);
    CHECK(before.json().at("run_by") == "coaio-crawl");
    CHECK(before.json().at("state") == "running");
    CHECK(before.json().at("started_at").is_null());

    const auto cancelled = co_await tests::erase(world.client, crawl_url);
    CHECK(cancelled.status == 202);
    const auto end = co_await tests::watch(world.client, world.url, 1);
    CHECK_THAT(end, tests::contains("event: end\n"));
    const auto after = co_await tests::get(world.client, crawl_url);
    CHECK(after.json().at("state") == "cancelled");
}

// Of these, only a coaio-crawl that is started again would go on with one: with the last.
coaio::Coro<> cancel_what_is_over(World& world) {
    world.database.sql("insert into coaio.crawls (urls, settings, run_by, state, error) values "
                       "('{http://x/}', '{}', 'server', 'done', ''), ('{http://x/}', '{}', 'server', 'failed', 'why'), "
                       "('{http://x/}', '{}', 'coaio-crawl', 'done', ''), "
                       "('{http://x/}', '{}', 'coaio-crawl', 'failed', 'why')");
    const std::string crawls = world.url + "/api/crawls/";
    for (const std::string id : {"1", "2", "3"}) {
        const auto over = co_await tests::erase(world.client, crawls + id);
        INFO(over.text);
        CHECK(over.status == 409);
        CHECK_THAT(over.text, tests::contains("crawl " + id + " is over: its state is "));
    }
    const auto failed = co_await tests::erase(world.client, crawls + "4");
    CHECK(failed.status == 202);
    CHECK(failed.json().at("state") == "cancelled");
    const auto again = co_await tests::erase(world.client, crawls + "4");
    CHECK(again.status == 409);
    CHECK_THAT(again.text, tests::contains("its state is cancelled"));
    const auto none = co_await tests::erase(world.client, crawls + "5");
    CHECK(none.status == 404);
    CHECK(world.database.value("select string_agg(state || error, ',' order by id) from coaio.crawls") ==
          "done,failedwhy,done,cancelled");
}

// Seven fragments of which two are there, and an address in which order is not that of the bytes.
coaio::Coro<> page_through_fragments(World& world) {
    world.database.sql(
        "insert into coaio.crawls (state, urls, settings) values ('done', '{http://x/}', '{}');"
        "insert into coaio.pages (crawl_id, url, state, status, kind, depth, tries, type, size, elapsed_ms, error, "
        "title, lang, canonical, has_fragments, fragments, text) select 1, url, 'done', 200, 'page', 0, 1, '', 0, 0, "
        "'', '', '', '', true, '{here}', '' from unnest('{http://x/,http://x/a}'::text[]) t (url);"
        "insert into coaio.links (page_id, ordinal, crawl_id, target, fragment, kind, nofollow, line, text) "
        "select 1, n, 1, target, fragment, 'anchor', false, n, '' from (values (1, 'http://x/', 'b'), "
        "(2, 'http://x/', 'a#b'), (3, 'http://x/a', 'A'), (4, 'http://x/a', 'here:~:text=some%20words'), "
        "(5, 'http://x/', ':~:text=words'), (6, 'http://x/a', 'gone:~:text=words'), (7, 'http://x/', 'b')) "
        "t (n, target, fragment)");
    const std::string list = world.url + "/api/crawls/1/broken-fragments";
    const auto reply = co_await tests::get(world.client, list);
    const json all = reply.json();
    std::vector<std::string> whole;
    for (const json& each : all.at("items")) whole.push_back(each.at("url").get<std::string>());
    CHECK(whole.size() == 4);
    CHECK(std::set<std::string>(whole.begin(), whole.end()) ==
          std::set<std::string>{"http://x/#a#b", "http://x/#b", "http://x/a#A", "http://x/a#gone:~:text=words"});
    CHECK(all.at("next").is_null());

    std::vector<std::string> read;
    std::string after;
    do {
        const auto some = co_await tests::get(world.client, list + "?limit=1" + after);
        const json answer = some.json();
        for (const json& each : answer.at("items")) read.push_back(each.at("url").get<std::string>());
        const json& next = answer.at("next");
        after = next.is_null() ? "" : "&after=" + coaio::http::percent_encode(next.get<std::string>());
    } while (!after.empty() && read.size() < 10);
    CHECK(read == whole);
}

coaio::Coro<> make_mistakes(World& world) {
    const std::string crawls = world.url + "/api/crawls";
    const std::vector<Mistake> mistakes = {
        {"", 400, "not a JSON object"},
        {"[]", 400, "not a JSON object"},
        {"{}", 400, "either url, or urls"},
        {R"({"url":"ftp://x/"})", 400, "not an address of http"},
        {R"({"url":"http://x/","urls":["http://y/"]})", 400, "either url, or urls"},
        {R"({"url":"http://x/","depth":-1})", 400, "depth is not between"},
        {R"({"url":"http://x/","depth":99999999999999999999})", 400, "depth is not"},
        {R"({"url":"http://x/","include":["a",7]})", 400, "include is not a list"},
        {R"({"url":"http://x/","colour":"red"})", 400, "there is no setting 'colour'"},
        {"{\"url\":\"http://x/" + std::string(300'000, 'x') + "\"}", 413, "Content Too Large"},
    };
    for (const Mistake& mistake : mistakes) {
        const auto reply = co_await tests::post(world.client, crawls, mistake.body);
        INFO(mistake.body.substr(0, 100));
        CHECK(reply.status == mistake.status);
        CHECK_THAT(reply.text, tests::contains(mistake.says));
    }
    const auto typeless = co_await tests::post(world.client, crawls, R"({"url":"http://x/"})", "text/plain");
    CHECK(typeless.status == 415);
    for (const std::string path :
         {"/api/crawls/7", "/api/crawls/7/pages", "/api/crawls/7/broken", "/api/crawls/7/events", "/api/nothing"}) {
        const auto reply = co_await tests::get(world.client, world.url + path);
        INFO(path);
        CHECK(reply.status == 404);
        CHECK(reply.type == "application/problem+json");
    }
    const auto in_capitals = co_await tests::post(world.client, crawls, "", "Application/JSON ; charset=utf-8");
    CHECK(in_capitals.status == 400);
    for (const std::string path : {"/api/crawls/x", "/api/crawls?limit=0", "/api/search", "/api/search?q=%ff",
                                   "/api/search?q=a%00", "/api/crawls?after=-", "/api/search?q=a&after=1"}) {
        const auto reply = co_await tests::get(world.client, world.url + path);
        INFO(path);
        CHECK(reply.status == 400);
    }
    const auto list = co_await tests::get(world.client, crawls);
    CHECK(list.json().at("items").empty());
    world.database.sql("insert into coaio.crawls (state, urls, settings) values ('done', '{http://x/}', '{}')");
    for (const std::string path : {"/search?q=a&after=1", "/broken-fragments?after=7",
                                   "/broken-fragments?after=x%23%ff", "/broken-fragments?after=x%23%00"}) {
        const auto reply = co_await tests::get(world.client, crawls + "/1" + path);
        INFO(path);
        CHECK(reply.status == 400);
        CHECK_THAT(reply.text, tests::contains("after"));
    }
}

coaio::Coro<> show_queues() {
    const tests::Database database;
    const coaio::db::Pool pool(database.conninfo());
    const coaio::db::JobQueue mails(pool, "mails");
    co_await mails.prepare();
    for (int i = 0; i < 3; ++i) co_await mails.put(coaio::db::NewJob());
    co_await mails.put(coaio::db::NewJob().delay(1h));
    tests::Program program({"--database-url=" + database.conninfo()});
    const auto url = co_await program.ready();
    const coaio::http::Client client;
    std::string text;
    while (text.find("coaio_jobs") == std::string::npos) {
        const auto metrics = co_await tests::get(client, url + "/metrics");
        text = metrics.text;
        co_await coaio::sleep(5ms);
    }
    CHECK_THAT(text, tests::contains("coaio_jobs{queue=\"mails\",state=\"ready\"} 3\n"));
    CHECK_THAT(text, tests::contains("coaio_jobs{queue=\"mails\",state=\"delayed\"} 1\n"));
    CHECK_THAT(text, tests::contains("coaio_jobs{queue=\"mails\",state=\"running\"} 0\n"));
    CHECK_THAT(text, tests::contains("coaio_jobs_oldest_seconds{queue=\"mails\"} "));
    program.signal(SIGTERM);
    const int code = co_await program.ended();
    CHECK(code == 0);
}

coaio::Coro<> speak_tls() {
    const tests::Database database;
    const tests::Folder folder;
    const std::string cert = (folder.path() / "cert.pem").string();
    const std::string key = (folder.path() / "key.pem").string();
    const std::string make =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test "
        "-addext subjectAltName=IP:127.0.0.1 -keyout " +
        key + " -out " + cert + " 2>/dev/null";
    REQUIRE(std::system(make.c_str()) == 0);
    std::ifstream in(cert);
    const std::string roots{std::istreambuf_iterator<char>(in), {}};
    tests::Program program({"--database-url=" + database.conninfo(), "--tls-cert=" + cert, "--tls-key=" + key});
    const auto url = co_await program.ready();
    REQUIRE_THAT(url, tests::contains("https://127.0.0.1:"));
    coaio::http::ClientOptions options;
    options.tls(coaio::net::TlsContext::client(coaio::net::TlsClientOptions().roots(roots)));
    const auto alive = co_await tests::get(coaio::http::Client(options), url + "/readyz");
    CHECK(alive.text == "ok\n");
    program.signal(SIGTERM);
    const int code = co_await program.ended();
    CHECK(code == 0);
}

// A watcher does not hold up the stop.
coaio::Coro<> stop_while_watched() {
    World world;
    coaio::http::Server site_server([&world] { return world.site.build(); }, {.port = 0});
    co_await site_server.start();
    world.url = co_await world.program.ready();
    world.site.hold_after(2);
    const auto id = co_await tests::start_crawl(world.client, world.url, site_server.url());
    co_await world.site.held().wait();
    auto response = co_await world.client.get(world.url + "/api/crawls/" + std::to_string(id) + "/events");
    static_cast<void>(co_await response.read_some());
    const coaio::TimePoint begin = coaio::Clock::now();
    world.program.signal(SIGTERM);
    const auto rest = co_await response.text();
    CHECK(rest.find("event: end") == std::string::npos);
    const int code = co_await world.program.ended();
    CHECK(code == 0);
    CHECK(coaio::Clock::now() - begin < std::chrono::seconds(8));                // not the grace of 10
    CHECK(world.database.value("select state from coaio.crawls") == "running");  // it goes on with the next start
    co_await site_server.stop(std::chrono::seconds(0));
}

}  // namespace

TEST_CASE("a crawl is started, watched to its end, and its pages, broken links and words are found") {
    coaio::run(with_world(crawl_and_look));
}

TEST_CASE("a running crawl is cancelled") { coaio::run(with_world(cancel_one)); }

TEST_CASE("a watcher hears of each page once, in the order of their transactions") {
    coaio::run(with_world(tell_of_each_once));
}

TEST_CASE("a server leaves the crawl of a coaio-crawl alone, but ends it when it is asked to") {
    coaio::run(with_world(leave_a_program_its_crawl));
}

TEST_CASE("what is over cannot be cancelled, but for a crawl of coaio-crawl that failed and would be gone on with") {
    coaio::run(with_world(cancel_what_is_over));
}

TEST_CASE("broken fragments are read page by page, and text fragments stand for none") {
    coaio::run(with_world(page_through_fragments));
}

TEST_CASE("what a client gets wrong is answered as a problem, and changes nothing") {
    coaio::run(with_world(make_mistakes));
}

TEST_CASE("the metrics have the figures of the queues in the database") {
    coaio::run(coaio::wait_for(show_queues(), 60s));
}

TEST_CASE("with a certificate and its key the server speaks TLS") { coaio::run(speak_tls()); }

TEST_CASE("a server that is being watched stops at once") { coaio::run(stop_while_watched()); }
