// SPDX-License-Identifier: MIT
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/to_thread.hpp>
#include <coaio/db/connection.hpp>
#include <coaio/http/client.hpp>
#include <coaio/http/server.hpp>

#include "apps/held_site.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"

#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "server/postmaster_file.hpp"
#include "support.hpp"

namespace {

constexpr int page_count = 40;
constexpr int hold_after = 20;

void check_all_once(const tests::HeldSite& site, const std::vector<tests::Postgres::Row>& committed_before,
                    const std::string& site_url) {
    for (const auto& row : committed_before) {
        const std::string path = row.at(0).value().substr(site_url.size());
        INFO(path);
        if (path != "/gone") CHECK(site.requests().at(path) == 1);
    }
    CHECK(site.requests().size() == page_count + 1);
}

coaio::Coro<> kill_and_go_on() {
    const tests::Database database;
    const std::vector<std::string> words = {"--database-url=" + database.conninfo()};
    tests::HeldSite site(page_count);
    site.hold_after(hold_after);
    coaio::http::Server site_server([&site] { return site.build(); }, {.port = 0});
    co_await site_server.start();
    const coaio::http::Client client;

    auto first = std::make_unique<tests::Program>(words);
    const auto first_url = co_await first->ready();
    const auto id = co_await tests::start_crawl(client, first_url, site_server.url());
    co_await site.held().wait();
    first->signal(SIGKILL);
    const int code = co_await first->ended();
    CHECK(code == 128 + SIGKILL);
    REQUIRE(database.server().await_sessions(database.name(), 0));
    const auto committed = database.sql("select url from coaio.pages");
    CHECK(committed.size() >= hold_after / 2);
    CHECK(committed.size() < page_count);
    client.close_idle();
    site.open();

    tests::Program second(words);
    const auto url = co_await second.ready();
    const auto events = co_await tests::watch(client, url, id);
    CHECK_THAT(events, tests::contains("\"done\" : " + std::to_string(page_count + 2)));
    check_all_once(site, committed, site_server.url());
    CHECK(database.value("select count(*) from coaio.pages") == std::to_string(page_count + 2));
    CHECK(database.value("select state from coaio.crawls") == "done");
    second.signal(SIGTERM);
    const int second_code = co_await second.ended();
    CHECK(second_code == 0);
    co_await site_server.stop();
}

// The database goes away in mid-crawl and comes back.
coaio::Coro<> stop_the_database() {
    tests::Postgres postgres;
    tests::HeldSite site(page_count);
    site.hold_after(hold_after);
    coaio::http::Server site_server([&site] { return site.build(); }, {.port = 0});
    co_await site_server.start();
    const coaio::http::Client client;
    tests::Program program({"--database-url=" + postgres.conninfo()});
    const auto url = co_await program.ready();
    const auto id = co_await tests::start_crawl(client, url, site_server.url());
    co_await site.held().wait();

    auto stopping = coaio::to_thread([&postgres] { postgres.stop(tests::Stop::immediate); });
    co_await std::move(stopping);
    site.open();
    const auto unready = co_await tests::get(client, url + "/readyz");
    CHECK(unready.status == 503);
    const auto alive = co_await tests::get(client, url + "/livez");
    CHECK(alive.status == 200);
    auto starting = coaio::to_thread([&postgres] { postgres.start(); });
    co_await std::move(starting);

    const auto events = co_await tests::watch(client, url, id);
    INFO(program.log());
    CHECK_THAT(events, tests::contains("event: end\n"));
    CHECK(postgres.value("postgres", "select state from coaio.crawls") == "done");
    CHECK(postgres.value("postgres", "select count(*) from coaio.pages") == std::to_string(page_count + 2));
    program.signal(SIGTERM);
    const int code = co_await program.ended();
    CHECK(code == 0);
    co_await site_server.stop();
}

coaio::Coro<> ask_until_it_stops(coaio::http::Client client, std::string url, int client_number,
                                 std::vector<std::string>& acknowledged) {
    for (int i = 0;; ++i) {
        const std::string address = "http://127.0.0.1:1/" + std::to_string(client_number) + "/" + std::to_string(i);
        try {
            auto posting = tests::post(client, url + "/api/crawls", R"({"url":")" + address + R"(","max_retries":0})");
            const auto reply = co_await std::move(posting);
            if (reply.status == 201) acknowledged.push_back(address);
        } catch (const std::exception&) {
            co_return;  // it accepts no more
        }
    }
}

coaio::Coro<> terminate_when_busy() {
    const tests::Database database;
    tests::Program program({"--database-url=" + database.conninfo(), "--workers=2"});
    const auto url = co_await program.ready();
    const coaio::http::Client client(coaio::http::ClientOptions().max_per_host(8));
    std::vector<std::string> acknowledged;
    std::vector<coaio::Task<>> clients;
    clients.reserve(8);
    for (int i = 0; i < 8; ++i) {
        clients.push_back(coaio::create_task(ask_until_it_stops(client, url, i, acknowledged)));
    }
    while (acknowledged.size() < 100) co_await coaio::sleep(std::chrono::milliseconds(1));
    program.signal(SIGTERM);
    for (auto& each : clients) co_await each;
    const int code = co_await program.ended();
    INFO(program.log().substr(0, 2000));
    CHECK(code == 0);
    std::size_t found = 0;
    for (const auto& address : acknowledged) {
        const auto count = database.value("select count(*) from coaio.crawls where urls[1] = '" + address + "'");
        if (count == "1") ++found;
    }
    CHECK(found == acknowledged.size());
    CHECK(database.server().await_sessions(database.name(), 0));
}

// What the crawls' tasks use is there until the last of them has ended.
coaio::Coro<> kill_the_private_postgres() {
    const tests::Folder folder;
    tests::HeldSite site(page_count);
    site.hold_after(hold_after);
    coaio::http::Server site_server([&site] { return site.build(); }, {.port = 0});
    co_await site_server.start();
    tests::Program program({"--data-dir=" + folder.path().string()});
    const auto url = co_await program.ready();
    const coaio::http::Client client;
    static_cast<void>(co_await tests::start_crawl(client, url, site_server.url()));
    co_await site.held().wait();
    const auto file = server::read_postmaster_file(folder.path() / "cluster");
    REQUIRE(file);
    REQUIRE(kill(file->pid, SIGKILL) == 0);
    const int code = co_await program.ended();
    INFO(program.log());
    CHECK(code == 1);
    CHECK_THAT(program.log(), tests::contains("Postgres has ended by itself"));
    site.open();
    client.close_idle();
    co_await site_server.stop(std::chrono::seconds(0));
}

// With crawls that go on at once.
coaio::Coro<> find_the_port_taken() {
    const tests::Database database;
    tests::HeldSite site(page_count);
    site.hold_after(hold_after);
    coaio::http::Server site_server([&site] { return site.build(); }, {.port = 0});
    co_await site_server.start();
    const coaio::http::Client client;
    {
        tests::Program first({"--database-url=" + database.conninfo()});
        const auto url = co_await first.ready();
        static_cast<void>(co_await tests::start_crawl(client, url, site_server.url()));
        co_await site.held().wait();
        first.signal(SIGKILL);
        static_cast<void>(co_await first.ended());
    }
    tests::Program second({"--database-url=" + database.conninfo(), "--port=" + std::to_string(site_server.port())});
    const int code = co_await second.ended();
    INFO(second.log());
    CHECK(code == 1);
    CHECK_THAT(second.log(), tests::contains(std::to_string(site_server.port())));
    CHECK(database.server().await_sessions(database.name(), 0));
    site.open();
    client.close_idle();
    co_await site_server.stop(std::chrono::seconds(0));
}

// Killed, the server leaves its own Postgres running; the next one takes it over, and stops it.
coaio::Coro<> adopt_after_kill() {
    const tests::Folder folder;
    const std::vector<std::string> words = {"--data-dir=" + folder.path().string(), "--log-format=text",
                                            "--workers=16"};
    auto first = std::make_unique<tests::Program>(words);
    static_cast<void>(co_await first->ready());
    first->signal(SIGKILL);
    static_cast<void>(co_await first->ended());
    const auto file = server::read_postmaster_file(folder.path() / "cluster");
    REQUIRE(file);
    {
        const auto conninfo = "host=" + file->socket_folder.string() + " user=coaio dbname=postgres";
        const auto session = co_await coaio::db::Connection::connect(conninfo);
        // Seventeen pools of eight, and twenty.
        const auto connections = co_await session.query_value<std::string>("show max_connections");
        CHECK(connections == "156");
    }

    tests::Program second(words);
    const auto url = co_await second.ready();
    CHECK_THAT(second.log(), tests::contains("took over the Postgres"));
    const auto ready = co_await tests::get(coaio::http::Client(), url + "/readyz");
    CHECK(ready.status == 200);
    second.signal(SIGINT);
    const int code = co_await second.ended();
    CHECK(code == 0);
    CHECK_FALSE(server::is_postmaster_of(file->pid, folder.path() / "cluster"));
}

}  // namespace

TEST_CASE("a crawl whose server is killed goes on with the next, and fetches nothing committed again") {
    coaio::run(kill_and_go_on());
}

TEST_CASE("a crawl outlives its database") { coaio::run(stop_the_database()); }

TEST_CASE("SIGTERM to a busy server: what was acknowledged is in the database, and it ends with 0") {
    coaio::run(terminate_when_busy());
}

TEST_CASE("the private Postgres of a killed server is taken over by the next one") { coaio::run(adopt_after_kill()); }

TEST_CASE("a server whose private Postgres ends says so and ends, whatever it is doing") {
    coaio::run(kill_the_private_postgres());
}

TEST_CASE("a server that cannot listen says so and ends, whatever crawls there are") {
    coaio::run(find_the_port_taken());
}
