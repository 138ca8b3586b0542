// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include "db/fake_names.hpp"
#include "db/tls_server.hpp"
#include "libpq.hpp"
#include "support/catch.hpp"
#include "support/postgres_proxy.hpp"
#include "support/throws.hpp"
#include "support/timely.hpp"

#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/to_thread.hpp>

namespace db = coaio::db;
using coaio::Clock;
using coaio::Coro;
using tests::Fault;
using tests::PostgresProxy;
using tests::Spot;
using tests::TlsServer;
using tests::Way;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

/// "tls", "plain", a SQLSTATE, or else what went wrong.
Coro<std::string> way_of(std::string url, coaio::Duration limit = 10s) {
    try {
        auto connection = co_await db::Connection::connect(url, db::ConnectOptions().connect_timeout(limit));
        const bool tls = co_await connection.query_value<bool>("select ssl from pg_stat_ssl where pid = $1",
                                                               static_cast<std::int32_t>(connection.pid()));
        co_return tls ? "tls" : "plain";
    } catch (const db::ConnectionError& error) {
        co_return error.sqlstate().empty() ? error.what() : error.sqlstate();
    }
}

std::string way(const std::string& url) { return coaio::run(way_of(url)); }

Coro<> by_own_names(TlsServer& tls) {
    const auto names = tests::FakeNames::install();
    names->addresses["db.example"] = {"127.0.0.1"};
    names->addresses["other.example"] = {"127.0.0.1"};
    const std::string rest = " port=" + std::to_string(tls.server.port()) +
                             " user=postgres dbname=postgres sslmode=verify-full sslrootcert=" + tls.root;
    const auto right = co_await way_of("host=db.example" + rest);
    CHECK(right == "tls");
    const auto wrong = co_await way_of("host=other.example" + rest);
    CHECK_THAT(wrong, tests::contains("\"other.example\""));
    CHECK_THAT(wrong, tests::contains("other.example (127.0.0.1):"));
    CHECK(names->asked == 2);
}

Coro<> connect_often(std::string url) {
    db::Pool pool(url);
    for (int i = 0; i < 3; ++i) {
        co_await pool.query("select 1");
        pool.expire();
    }
}

Coro<> stuck(TlsServer& tls, PostgresProxy& proxy) {
    const auto began = Clock::now();
    const auto why = co_await way_of(tls.url(proxy.port(), "sslmode=require"), 2s);
    CHECK_THAT(why, tests::contains("no answer within"));
    CHECK(Clock::now() - began < 5s);
}

Coro<> cancel_by_tls(TlsServer& tls, PostgresProxy& proxy, db::PoolOptions options,
                     std::string mode = "sslmode=require") {
    const db::Pool pool(tls.url(proxy.port(), mode), options.max_size(1).cancel_timeout(20s));
    co_await pool.query("select 1");
    auto task = coaio::create_task(pool.query("select pg_sleep(60)"));
    const bool runs = co_await coaio::to_thread([&tls] {
        return tls.server.await_value("select count(*) from pg_stat_activity where wait_event = 'PgSleep'", "1");
    });
    CHECK(runs);
    const auto began = Clock::now();
    task.cancel();
    const bool cancelled = co_await tests::throws<coaio::CancelledError>(task);
    CHECK(cancelled);
    CHECK(Clock::now() - began < 20s);
    const int fine = co_await pool.query_value<int>("select 2");
    CHECK(fine == 2);
    CHECK(pool.statistics().size == 1);
}

}  // namespace

TEST_CASE("TLS-01: each sslmode does what libpq's table says, with and without TLS at the server", "[pgtest]") {
    TlsServer tls;
    tests::Database plain;
    PostgresProxy proxy(plain.server());
    const std::string without = "host=localhost hostaddr=127.0.0.1 port=" + std::to_string(proxy.port()) +
                                " user=postgres dbname=postgres sslrootcert=" + tls.root + " sslmode=";
    const auto with = [&tls](const std::string& mode, const std::string& user) {
        return way(tls.url("user=" + user + " sslmode=" + mode));
    };
    struct Line {
        std::string mode, either, only_tls, never_tls;
        bool without;
    };
    const std::vector<Line> table = {
        {"disable", "plain", "28000", "plain", true}, {"allow", "plain", "tls", "plain", true},
        {"prefer", "tls", "tls", "plain", true},      {"require", "tls", "tls", "28000", false},
        {"verify-ca", "tls", "tls", "28000", false},  {"verify-full", "tls", "tls", "28000", false}};
    for (const Line& line : table) {
        INFO(line.mode);
        CHECK(with(line.mode, "postgres") == line.either);
        CHECK(with(line.mode, "secured") == line.only_tls);
        CHECK(with(line.mode, "open") == line.never_tls);
        const std::string got = way(without + line.mode);
        if (line.without) {
            CHECK(got == "plain");
        } else {
            CHECK_THAT(got, tests::contains("does not support SSL"));
        }
    }
}

TEST_CASE(
    "TLS-02: verify-full refuses a wrong name, an unknown authority and an expired certificate, verify-ca all but "
    "the name",
    "[pgtest]") {
    TlsServer tls;
    const auto attempt = [&tls](const std::string& mode) { return way(tls.url("sslmode=" + mode)); };
    tls.show(tls.authority.issue("DNS:another.example"));
    CHECK_THAT(attempt("verify-full"), tests::contains("does not match host name \"localhost\""));
    CHECK(attempt("verify-ca") == "tls");
    tls.show(tests::Authority().issue("DNS:localhost"));
    CHECK_THAT(attempt("verify-full"), tests::contains("certificate verify failed"));
    CHECK_THAT(attempt("verify-ca"), tests::contains("certificate verify failed"));
    tls.show(tls.authority.issue("DNS:localhost", true));
    CHECK_THAT(attempt("verify-full"), tests::contains("certificate verify failed"));
    CHECK_THAT(attempt("verify-ca"), tests::contains("certificate verify failed"));
}

TEST_CASE("TLS-03: a name that we resolve is the name that the certificate must have", "[pgtest]") {
    TlsServer tls;
    tls.show(tls.authority.issue("DNS:db.example"));
    tests::run_timely(by_own_names(tls));
}

TEST_CASE("TLS-04: prefer does without TLS where the server has none, and for nothing else", "[pgtest]") {
    tests::Database plain;
    PostgresProxy none(plain.server());
    const auto at = [](const PostgresProxy& proxy) {
        return "host=127.0.0.1 user=postgres dbname=postgres port=" + std::to_string(proxy.port());
    };
    CHECK_THAT(way(at(none) + " sslmode=require"), tests::contains("does not support SSL"));
    CHECK(none.accepted() == 1);
    CHECK(none.seen(Way::to_server, tests::message::startup) == 0);
    none.forget_counts();
    CHECK(way(at(none) + " sslmode=prefer") == "plain");
    CHECK(none.accepted() == 2);
    CHECK(none.seen(Way::to_server, tests::message::ssl_request) == 1);
    CHECK(none.seen(Way::to_server, tests::message::startup) == 1);
    none.forget_counts();
    coaio::run(connect_often(at(none) + " sslmode=prefer"));
    CHECK(none.accepted() == 4);  // it is known from the first time on
    CHECK(none.seen(Way::to_server, tests::message::ssl_request) == 3);

    TlsServer tls;
    PostgresProxy proxy(tls.server);
    for (const std::string role : {"plain", "hashed", "scram"}) {
        INFO(role);
        proxy.forget_counts();
        CHECK(way(tls.url(proxy.port(), "sslmode=prefer password=wrong user=" + role)) == "28P01");
        CHECK(proxy.accepted() == 1);
    }
    proxy.forget_counts();
    proxy.on(Spot(Way::to_client, tests::message::ssl_answer), Fault::replace("Snonsense"));
    CHECK(way(tls.url(proxy.port(), "sslmode=prefer")) != "plain");
    CHECK(proxy.accepted() == 1);
}

TEST_CASE("TLS-05: a client's certificate must be there, of the right authority, and its key nobody else's",
          "[pgtest]") {
    TlsServer tls;
    int files = 0;
    const auto with = [&](const tests::Identity& identity, mode_t mode) {
        const std::string name = "client" + std::to_string(++files);
        const std::string certificate = tls.server.write_file(name + ".crt", identity.certificate, 0644);
        const std::string key = tls.server.write_file(name + ".key", identity.key, mode);
        return way(tls.url("user=certuser sslmode=verify-full sslcert=" + certificate + " sslkey=" + key));
    };
    CHECK(with(tls.authority.issue_to("certuser"), 0600) == "tls");
    CHECK(with(tls.authority.issue_to("somebody"), 0600) == "28000");
    CHECK(way(tls.url("user=certuser sslmode=verify-full")) == "28000");
    CHECK_THAT(with(tests::Authority().issue_to("certuser"), 0600), tests::contains("unknown ca"));
    CHECK_THAT(with(tls.authority.issue_to("certuser"), 0644), tests::contains("has group or world access"));
}

TEST_CASE("TLS-06: a server that is stuck in its handshake is given up in time", "[pgtest]") {
    TlsServer tls;
    PostgresProxy proxy(tls.server);
    proxy.on(Spot(Way::to_client, tests::message::ssl_answer), Fault::freeze());
    tests::run_timely(stuck(tls, proxy));
    CHECK(proxy.fired() == 1);
    // It promises TLS and says no more.
    tests::Database plain;
    PostgresProxy silent(plain.server());
    silent.on(Spot(Way::to_client, tests::message::ssl_answer), Fault::replace("S"));
    silent.on(Spot(Way::to_server, tests::message::startup), Fault::freeze_way());  // the client's first words of TLS
    tests::run_timely(stuck(tls, silent));
    CHECK(silent.fired() >= 1);  // a short hello never makes a message for the proxy, and stays there
}

TEST_CASE("TLS-07: a session by TLS asks for no cancel in plain text: by TLS, or not at all", "[pgtest]") {
    TlsServer tls;
    PostgresProxy proxy(tls.server);
    coaio::run(cancel_by_tls(tls, proxy, db::PoolOptions()));
    CHECK(proxy.seen(Way::to_server, tests::message::cancel) == 0);
    CHECK(proxy.seen(Way::to_server, tests::message::ssl_request) == 2);  // of the session, and of what came then
    CHECK(proxy.accepted() == 2);
}

TEST_CASE("TLS-07: where it was said to, a cancel request goes as libpq sends it", "[pgtest]") {
    TlsServer tls;
    PostgresProxy proxy(tls.server);
    const bool encrypted = db::pq::features().async_cancel;
    const auto without_tls = GENERATE(false, true);
    if (without_tls) {
        coaio::run(cancel_by_tls(tls, proxy, db::PoolOptions(), "sslmode=disable"));
    } else {
        coaio::run(cancel_by_tls(tls, proxy, db::PoolOptions().cancel_by_closing(false)));
    }
    CHECK(proxy.accepted() == 2);
    CHECK(proxy.seen(Way::to_server, tests::message::cancel) == (encrypted && !without_tls ? 0 : 1));
}

TEST_CASE("AUT-02: channel_binding=require refuses every way of asking that is not bound to its TLS", "[pgtest]") {
    TlsServer tls;
    const std::string bound = "password=right channel_binding=require ";
    CHECK(way(tls.url(bound + "sslmode=require user=scram")) == "tls");
    for (const std::string refused : {"sslmode=require user=plain", "sslmode=require user=hashed",
                                      "sslmode=require user=postgres", "sslmode=disable user=scram"}) {
        INFO(refused);
        CHECK_THAT(way(tls.url(bound + refused)), tests::contains("channel binding"));
    }
}

TEST_CASE("AUT-02: require_auth refuses weaker ways of asking, where libpq knows it", "[pgtest]") {
    if (db::pq::conninfo_defaults().count("require_auth") == 0) {
        CHECK_THROWS_WITH(db::Connection::connect("user=me require_auth=scram-sha-256"),
                          tests::contains("libpq has that from version 16 on, and this one is 15"));
        return;
    }
    TlsServer tls;
    const std::string strict = "password=right require_auth=scram-sha-256 sslmode=require ";
    CHECK(way(tls.url(strict + "user=scram")) == "tls");
    for (const std::string refused : {"user=plain", "user=hashed", "user=postgres"}) {
        CHECK_THAT(way(tls.url(strict + refused)), tests::contains("authentication method requirement"));
    }
}
