// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>

#include "db/fake_names.hpp"
#include "support/catch.hpp"
#include "support/postgres_proxy.hpp"
#include "support/throws.hpp"
#include "support/timely.hpp"

#include <filesystem>
#include <optional>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace db = coaio::db;
using coaio::Coro;
using db::Transaction;
using tests::Fault;
using tests::PostgresProxy;
using tests::Spot;
using tests::Way;
using namespace std::chrono_literals;

namespace {

/// The descriptor of this process that is connected to the port.
std::optional<int> socket_to(int port) {
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        const int fd = std::stoi(entry.path().filename().string());
        sockaddr_in peer{};
        socklen_t size = sizeof(peer);
        if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0 || peer.sin_family != AF_INET) continue;
        if (ntohs(peer.sin_port) == port) return fd;
    }
    return std::nullopt;
}

int option(int fd, int level, int name) {
    int value = -1;
    socklen_t size = sizeof(value);
    return ::getsockopt(fd, level, name, &value, &size) == 0 ? value : -1;
}

Coro<> with_options(std::string url, int port, int user_timeout, int idle, int interval, int count) {
    const auto connection = co_await db::Connection::connect(url);
    const auto fd = socket_to(port);
    REQUIRE(fd.has_value());
    CHECK(option(*fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
    CHECK(option(*fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == user_timeout);
    CHECK(option(*fd, IPPROTO_TCP, TCP_KEEPIDLE) == idle);
    CHECK(option(*fd, IPPROTO_TCP, TCP_KEEPINTVL) == interval);
    CHECK(option(*fd, IPPROTO_TCP, TCP_KEEPCNT) == count);
}

Coro<int> connect_and_ask(std::string url) {
    auto connection = co_await db::Connection::connect(url);
    co_return co_await connection.query_value<int>("select 7");
}

// The loop's steps are short throughout, which its caller checks.
Coro<> wait_for_names(PostgresProxy& proxy, std::string dbname) {
    const auto names = tests::FakeNames::install();
    names->slow = "slow.example";
    names->addresses["slow.example"] = {"127.0.0.1"};
    names->addresses["quick.example"] = {"127.0.0.1"};
    const std::string rest =
        " sslmode=disable user=postgres dbname=" + dbname + " port=" + std::to_string(proxy.port());
    auto slow = coaio::create_task(connect_and_ask("host=slow.example" + rest));
    for (int i = 0; i < 20; ++i) {
        co_await coaio::sleep(5ms);
        const int quick = co_await connect_and_ask("host=quick.example" + rest);
        CHECK(quick == 7);
    }
    CHECK_FALSE(slow.done());
    CHECK(proxy.accepted() == 20);
    names->answer_now.set();
    const int late = co_await slow;
    CHECK(late == 7);
}

Coro<> pass_on(PostgresProxy& proxy, std::string url) {
    db::Pool pool(url, db::PoolOptions().max_size(1));
    const auto ask = [&pool] {
        return pool.within(5s).query_value<std::string>("select current_setting('statement_timeout')");
    };
    auto told = co_await ask();
    CHECK_THAT(told, tests::contains("ms") || tests::contains("5s"));
    CHECK(told != "0");
    // One round trip for both, also when there is nothing left to prepare.
    for (int i = 0; i < 2; ++i) {
        proxy.forget_counts();
        told = co_await ask();
        CHECK(told != "0");
        CHECK(proxy.seen(Way::to_server, 'S') == 1);
        CHECK(proxy.seen(Way::to_client, 'Z') == 1);
    }
    const auto after = co_await pool.query_value<std::string>("select current_setting('statement_timeout')");
    CHECK(after == "0");
    auto body = [](Transaction& tx) -> Coro<> {
        co_await tx.execute("set local statement_timeout = 12345");
        const auto inside =
            co_await tx.within(5s).query_value<std::string>("select current_setting('statement_timeout')");
        CHECK(inside != "12345ms");
        const auto again = co_await tx.query_value<std::string>("select current_setting('statement_timeout')");
        CHECK(again == "12345ms");
    };
    co_await pool.transaction(body);
    auto failed = [](Transaction& tx) -> Coro<> {
        const bool thrown = co_await tests::throws<db::Error>(tx.within(5s).query("select no_such_column"));
        CHECK(thrown);
        co_await tx.within(5s).query("select 3");
    };
    std::string state;
    std::string sql;
    try {
        co_await pool.transaction(failed);
    } catch (const db::Error& error) {
        state = error.sqlstate();
        sql = error.sql();
    }
    CHECK(state == db::sqlstate::in_failed_transaction);
    CHECK(sql == "select 3");
    // Errors are the statement's own.
    try {
        co_await pool.within(5s).query("select 1/$1::int", 0);
    } catch (const db::Error& error) {
        sql = error.sql();
        CHECK(error.is("22012"));
    }
    CHECK(sql == "select 1/$1::int");
    const bool late = co_await tests::throws<coaio::TimeoutError>(pool.within(100ms).query("select pg_sleep(60)"));
    CHECK(late);
    proxy.forget_counts();
    const bool never = co_await tests::throws<coaio::TimeoutError>(pool.within(0s).query("select 1"));
    CHECK(never);
    CHECK(proxy.seen(Way::to_server, 'S') == 0);
    CHECK(pool.statistics().closed == 0);
    CHECK(pool.statistics().in_use == 0);
}

Coro<std::string> limit_of(const Transaction& tx) {
    co_return co_await tx.query_value<std::string>("select current_setting('statement_timeout')");
}

Coro<> limit_control(std::string url) {
    auto connection = co_await db::Connection::connect(url);
    co_await connection.execute("create table t (n int)");
    for (const char* sql : {"begin", "Start Transaction", "/* */ commit", "end", "abort", "rollback", "rollback to s",
                            "savepoint s", "release s", "prepare transaction 'x'"}) {
        INFO(sql);
        const bool refused = co_await tests::throws<db::UsageError>(connection.within(5s).execute(sql));
        CHECK(refused);
    }
    co_await connection.execute("begin");
    co_await connection.execute("insert into t values (1)");
    const bool refused = co_await tests::throws<db::UsageError>(connection.within(5s).execute("commit"));
    CHECK(refused);
    co_await connection.execute("commit");
    const int rows = co_await connection.within(5s).query_value<int>("select count(*)::int from t");
    CHECK(rows == 1);
}

Coro<> limit_after_copy(std::string url) {
    db::Pool pool(url, db::PoolOptions().max_size(1));
    auto body = [](Transaction& tx) -> Coro<> {
        {
            auto copy = tx.copy_out("copy (select generate_series(1, 1000)) to stdout");
            const auto first = co_await copy.next();
            CHECK(first.has_value());
        }
        co_await tx.within(5s).query("select 1");
        const std::string limit = co_await limit_of(tx);
        CHECK(limit == "0");
    };
    co_await pool.transaction(body);
}

// The client is gone before its time is over, and nobody tells the server.
Coro<> vanish(PostgresProxy& proxy, std::string url) {
    auto connection = co_await db::Connection::connect(url, db::ConnectOptions().cancel_by_closing(true));
    proxy.on(Spot(Way::to_server, 'S'), Fault::cut_after());
    std::string sql;
    try {
        co_await connection.within(1s).query("select pg_sleep(60)");
    } catch (const db::ConnectionError& error) {
        sql = error.sql();
    }
    CHECK(sql == "select pg_sleep(60)");
}

}  // namespace

TEST_CASE("CON-05: while a name is looked up, everybody else goes on", "[pgtest]") {
    tests::Database database;
    PostgresProxy proxy(database.server());
    tests::run_timely(wait_for_names(proxy, database.name()));
}

TEST_CASE("TMO-03: a deadline is passed on to the server in the statement's own round trip", "[pgtest]") {
    tests::Database database;
    PostgresProxy proxy(database.server());
    coaio::run(pass_on(proxy, proxy.conninfo(database.name())));
}

TEST_CASE("TMO-03: what begins, ends or marks a transaction has no deadline of its own", "[pgtest]") {
    tests::Database database;
    tests::run_timely(limit_control(database.conninfo()));
}

TEST_CASE("TMO-03: a deadline does not outlast its statement where a COPY was left unread", "[pgtest]") {
    tests::Database database;
    tests::run_timely(limit_after_copy(database.conninfo()));
}

TEST_CASE("TMO-03: the server ends a statement whose client is gone when its time is over", "[pgtest]") {
    tests::Database database;
    PostgresProxy proxy(database.server());
    coaio::run(vanish(proxy, proxy.conninfo(database.name())));
    CHECK(database.server().await_sessions(database.name(), 0, 20s));
}

TEST_CASE("TMO-05: a dead peer is noticed within 30 s, or as the string says", "[pgtest]") {
    tests::Database database;
    PostgresProxy proxy(database.server());
    const std::string url = proxy.conninfo(database.name());
    coaio::run(with_options(url, proxy.port(), 25'000, 10, 5, 3));
    coaio::run(with_options(url + " tcp_user_timeout=7000 keepalives_idle=60 keepalives_interval=11 keepalives_count=2",
                            proxy.port(), 7000, 60, 11, 2));
}
