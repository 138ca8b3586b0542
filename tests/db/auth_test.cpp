// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/event.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>

#include "support/catch.hpp"
#include "support/postgres_proxy.hpp"
#include "support/throws.hpp"
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
using namespace std::chrono_literals;
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

Coro<std::string> state_of(std::string url, db::ConnectOptions options = db::ConnectOptions()) {
    try {
        auto connection = co_await db::Connection::connect(url, options);
    } catch (const db::ConnectionError& error) {
        CHECK_FALSE(std::string(error.what()).find("wrong-secret") != std::string::npos);
        co_return error.sqlstate().empty() ? error.what() : error.sqlstate();
    }
    co_return "connected";
}

Coro<> rotate(Guarded& guarded) {
    int asked = 0;
    std::string right = "right";
    auto provider = [&](db::PasswordRequest& request) -> Coro<std::string> {
        ++asked;
        CHECK(request.user() == "scram");
        CHECK(request.host() == "127.0.0.1");
        CHECK(request.port() == std::to_string(guarded.proxy.port()));
        CHECK(request.database() == "postgres");
        co_await coaio::sleep(10ms);
        co_return right;
    };
    // It wins over what stands in the string.
    db::Pool pool(guarded.url + " user=scram password=wrong-secret", db::PoolOptions().max_size(2).password(provider));
    {
        auto one = co_await pool.acquire();
        auto two = co_await pool.acquire();
        CHECK(asked == 2);
        guarded.server.sql("postgres", "alter role scram password 'another'");
        right = "another";
        pool.expire();
    }
    co_await pool.query("select 1");
    CHECK(asked == 3);
}

Coro<> fail_to_provide(Guarded& guarded) {
    auto failing = [](db::PasswordRequest&) -> Coro<std::string> {
        co_await coaio::sleep(0ms);
        throw std::runtime_error("the vault is sealed");
    };
    const std::string url = guarded.url + " user=scram";
    std::string why;
    try {
        auto connection = co_await db::Connection::connect(url, db::ConnectOptions().password(failing));
    } catch (const std::runtime_error& error) {
        why = error.what();
    }
    CHECK(why == "the vault is sealed");
    db::Pool pool(url, db::PoolOptions().password(failing));
    try {
        co_await pool.query("select 1");
    } catch (const std::runtime_error& error) {
        why += error.what();
    }
    CHECK(why == "the vault is sealedthe vault is sealed");

    auto never = [](db::PasswordRequest&) -> Coro<std::string> {
        co_await coaio::Event().wait();
        co_return "";
    };
    const auto late = co_await state_of(url, db::ConnectOptions().password(never).connect_timeout(100ms));
    CHECK_THAT(late, tests::contains("the password was not provided; no answer within"));
    auto wrong = [](db::PasswordRequest&) -> Coro<std::string> { co_return "wrong-secret"; };
    const auto refused = co_await state_of(url, db::ConnectOptions().password(wrong));
    CHECK(refused == "28P01");
    auto split = [](db::PasswordRequest&) -> Coro<std::string> { co_return "wrong-secret\0x"s; };
    const bool no_use = co_await tests::throws<db::UsageError>(state_of(url, db::ConnectOptions().password(split)));
    CHECK(no_use);
    CHECK(guarded.proxy.accepted() == 1);
}

Coro<> fetch(coaio::Duration time) { co_await coaio::sleep(time); }

// The provider waits for something that others wait for as well, and that somebody cancels.
Coro<> cancel_what_is_waited_for(Guarded& guarded) {
    int cancels = 1;
    auto provider = [&cancels](db::PasswordRequest&) -> Coro<std::string> {
        auto token = coaio::create_task(fetch(cancels > 0 ? 1h : 0s));
        co_await coaio::sleep(0s);
        if (cancels-- > 0) token.cancel();
        co_await token;
        co_return "right";
    };
    const std::string url = guarded.url + " user=scram";
    const auto why = co_await state_of(url, db::ConnectOptions().password(provider));
    CHECK_THAT(why, tests::contains("the password was not provided; what its provider waits for was cancelled"));
    cancels = 2;
    const db::Pool pool(url, db::PoolOptions().max_size(1).password(provider));
    const int one = co_await pool.query_value<int>("select 1");
    CHECK(one == 1);
    CHECK(pool.statistics().connect_errors == 2);
    // Who is cancelled itself is cancelled.
    auto never = [](db::PasswordRequest&) -> Coro<std::string> {
        co_await coaio::Event().wait();
        co_return "";
    };
    auto connecting = coaio::create_task(state_of(url, db::ConnectOptions().password(never)));
    co_await coaio::sleep(0s);
    connecting.cancel();
    const bool cancelled = co_await tests::throws<coaio::CancelledError>(std::move(connecting));
    CHECK(cancelled);
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

TEST_CASE("AUT-04: a password provider may take its time, and is asked for every new connection", "[pgtest]") {
    Guarded guarded;
    coaio::run(rotate(guarded));
}

TEST_CASE("AUT-04: what a provider waits for may be cancelled, and that cancels nobody else", "[pgtest]") {
    Guarded guarded;
    coaio::run(cancel_what_is_waited_for(guarded));
}

TEST_CASE("AUT-04: a provider that fails or is late fails the connection, and no password is shown", "[pgtest]") {
    Guarded guarded;
    coaio::run(fail_to_provide(guarded));
}

TEST_CASE("CON-13: a service file that the string names says where to go, and the string has the last word",
          "[pgtest]") {
    Guarded guarded;
    const std::string port = std::to_string(guarded.proxy.port());
    const File services("[one]\nhost=127.0.0.1\nport=" + port +
                            "\nuser=scram\npassword=right\ndbname=postgres\nsslmode=disable\n[two]\nport=1\n",
                        0600);
    ::setenv("PGSERVICEFILE", services.path().c_str(), 1);
    CHECK(coaio::run(state_of("service=one")) == "connected");
    CHECK(guarded.proxy.accepted() == 1);
    CHECK(coaio::run(state_of("postgresql:///?service=one")) == "connected");
    CHECK(coaio::run(state_of("service=one password=wrong-secret")) == "28P01");
    CHECK(coaio::run(state_of("service=two port=" + port +
                              " host=127.0.0.1 user=postgres dbname=postgres sslmode=disable")) == "connected");
    CHECK_THROWS_WITH(db::Connection::connect("service=three"), tests::contains("\"three\" not found"));
    ::unsetenv("PGSERVICEFILE");
    CHECK(guarded.proxy.accepted() == 4);
}

TEST_CASE("CON-13: a password file that others can read is ignored, with a warning", "[pgtest]") {
    Guarded guarded;
    const File open("*:*:*:scram:right\n", 0644);
    std::vector<std::string> heard;
    const auto options = db::ConnectOptions().on_notice([&heard](const db::ErrorFields& notice) {
        CHECK(notice.severity == "WARNING");
        heard.push_back(notice.message);
    });
    const std::string url = guarded.url + " user=scram passfile=" + open.path();
    CHECK(coaio::run(state_of(url, options)) == "28P01");
    REQUIRE(heard.size() == 1);
    CHECK_THAT(heard[0], tests::contains(open.path()));
    CHECK_THAT(heard[0], tests::contains("others can read it too"));
    CHECK(coaio::run(state_of(url + " password=right", options)) == "connected");
    CHECK(heard.size() == 1);
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
