// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>

#include "support/catch.hpp"
#include "support/postgres_proxy.hpp"
#include "support/timely.hpp"

#include <cstdlib>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

namespace db = coaio::db;
using coaio::Coro;
using tests::Fault;
using tests::PostgresProxy;
using tests::Spot;
using tests::Way;
using namespace std::string_literals;

namespace {

/// A file that goes with the test.
class File {
public:
    explicit File(const std::string& text, mode_t mode) {
        const int fd = ::mkstemp(path_.data());
        REQUIRE(fd >= 0);
        ::close(fd);
        std::ofstream(path_) << text;
        ::chmod(path_.c_str(), mode);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() { ::unlink(path_.c_str()); }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::string path_ = "/tmp/coaio-auth-XXXXXX";
};

/// A server that asks each role for its password in another way.
struct Guarded {
    Guarded() {
        server.sql("postgres",
                   "create role plain login password 'right'; create role scram login password 'right'; set "
                   "password_encryption = 'md5'; create role hashed login password 'right'");
    }
    File rules{
        "local all postgres trust\nlocal all plain password\nlocal all hashed md5\nlocal all scram scram-sha-256\n",
        0644};
    tests::Postgres server{{{"hba_file", rules.path()}}};
    PostgresProxy proxy{server};
    std::string url = proxy.conninfo("postgres");
};

Coro<std::string> state_of(std::string url) {
    try {
        auto connection = co_await db::Connection::connect(url);
    } catch (const db::ConnectionError& error) {
        CHECK_FALSE(std::string(error.what()).find("wrong-secret") != std::string::npos);
        co_return error.sqlstate().empty() ? error.what() : error.sqlstate();
    }
    co_return "connected";
}

std::string attempt(Guarded& guarded, const std::string& more) {
    guarded.proxy.forget_counts();
    return coaio::run(state_of(guarded.url + " " + more));
}

}  // namespace

TEST_CASE("AUT-01: each way to ask for a password, and a wrong or missing one fails in one attempt", "[pgtest]") {
    Guarded guarded;
    CHECK(attempt(guarded, "") == "connected");
    for (const std::string role : {"plain", "hashed", "scram"}) {
        INFO(role);
        CHECK(attempt(guarded, "user=" + role + " password=right") == "connected");
        CHECK(attempt(guarded, "user=" + role + " password=wrong-secret") == "28P01");
        CHECK(guarded.proxy.accepted() == 1);
        CHECK(attempt(guarded, "user=" + role) == "28P01");
        CHECK(guarded.proxy.accepted() == 1);
    }
}

TEST_CASE("AUT-03: a server that proves nothing is refused", "[pgtest]") {
    Guarded guarded;
    // The last word of SCRAM: the server's signature, of nothing.
    const std::string body = "\0\0\0\014v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="s;
    const std::string message = "R\0\0\0"s + static_cast<char>(body.size() + 4) + body;
    guarded.proxy.on(Spot(Way::to_client, 'R').containing("v=").nth(1), Fault::replace(message));
    CHECK_THAT(attempt(guarded, "user=scram password=right"), tests::contains("signature"));
    CHECK(guarded.proxy.fired() == 1);
}

TEST_CASE("CON-13: a password file is read, unless others can read it too", "[pgtest]") {
    Guarded guarded;
    const File safe("*:*:*:scram:right\n", 0600);
    const File open("*:*:*:scram:right\n", 0644);
    CHECK(attempt(guarded, "user=scram passfile=" + safe.path()) == "connected");
    CHECK(attempt(guarded, "user=scram passfile=" + open.path()) == "28P01");
    ::setenv("PGPASSFILE", safe.path().c_str(), 1);
    CHECK(attempt(guarded, "user=scram") == "connected");
    ::unsetenv("PGPASSFILE");
}

TEST_CASE("TMO-04: the server ends the query of a client that is gone, where it is asked to look", "[pgtest]") {
    tests::Database database;
    PostgresProxy proxy(database.server());
    const auto vanish = [](PostgresProxy& its, std::string url) -> Coro<> {
        auto connection = co_await db::Connection::connect(
            url, db::ConnectOptions().setting("client_connection_check_interval", "100ms").cancel_by_closing(true));
        its.on(Spot(Way::to_server, 'E'), Fault::cut_after());
        bool lost = false;
        try {
            co_await connection.query("select pg_sleep(60)");
        } catch (const db::ConnectionError&) {
            lost = true;
        }
        CHECK(lost);
    };
    coaio::run(vanish(proxy, proxy.conninfo(database.name())));
    CHECK(database.server().await_sessions(database.name(), 0));
}
