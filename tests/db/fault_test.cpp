// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/core/to_thread.hpp>
#include <coaio/core/wait.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/postgres_proxy.hpp"
#include "support/throws.hpp"
#include "support/timely.hpp"

#include <csignal>
#include <filesystem>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace db = coaio::db;
using coaio::Clock;
using coaio::Coro;
using db::Transaction;
using namespace std::chrono_literals;

namespace {

/// A process that does nothing for a while, as if the network had swallowed it.
class Frozen {
public:
    explicit Frozen(pid_t pid) : pid_(pid) { ::kill(pid_, SIGSTOP); }
    Frozen(const Frozen&) = delete;
    Frozen& operator=(const Frozen&) = delete;
    ~Frozen() { ::kill(pid_, SIGCONT); }

private:
    pid_t pid_;
};

/// A TCP port on which connections are taken by the kernel and never answered; or closed: nobody listens.
class SilentPort {
public:
    explicit SilentPort(bool listening) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof(address);
        REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0);
        if (listening) REQUIRE(::listen(fd_, 64) == 0);
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
    }
    SilentPort(const SilentPort&) = delete;
    SilentPort& operator=(const SilentPort&) = delete;
    ~SilentPort() { ::close(fd_); }
    [[nodiscard]] std::string port() const { return std::to_string(port_); }

private:
    int fd_;
    int port_ = 0;
};

std::ptrdiff_t entries(const char* folder) {
    return std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator());
}

Coro<coaio::Duration> time_to_cancel(coaio::Task<db::Rows> task) {
    const auto began = Clock::now();
    task.cancel();
    const bool cancelled =
        co_await tests::throws<coaio::CancelledError>([](coaio::Task<db::Rows> it) -> Coro<> { co_await it; }(task));
    CHECK(cancelled);
    co_return Clock::now() - began;
}

Coro<> await_activity(const db::Pool& pool, int pid) {
    for (;;) {
        const bool active =
            co_await pool.query_value<bool>("select state = 'active' from pg_stat_activity where pid = $1", pid);
        if (active) co_return;
    }
}

Coro<> freeze_backend(std::string url) {
    db::Pool pool(url, db::PoolOptions().max_size(2).cancel_timeout(300ms));
    auto connection = co_await pool.acquire();
    const int pid = connection.pid();
    auto task = coaio::create_task(connection.query("select pg_sleep(60)"));
    co_await await_activity(pool, pid);
    {
        const Frozen frozen(pid);
        const auto took = co_await time_to_cancel(task);
        CHECK(took >= 250ms);
        CHECK(took < 5s);
    }
    connection.release();
    CHECK(pool.statistics().size == 1);
    const int fine = co_await pool.query_value<int>("select 1");
    CHECK(fine == 1);
}

Coro<> tick(coaio::Duration& longest) {
    for (;;) {
        const auto before = Clock::now();
        co_await coaio::sleep(5ms);
        longest = std::max(longest, Clock::now() - before);
    }
}

Coro<> freeze_postmaster(std::string url, pid_t postmaster) {
    db::Pool pool(url, db::PoolOptions().max_size(5).cancel_timeout(200ms));
    std::vector<db::Connection> connections;
    std::vector<coaio::Task<db::Rows>> tasks;
    for (int i = 0; i < 4; ++i) {
        connections.push_back(co_await pool.acquire());
        tasks.push_back(coaio::create_task(connections.back().query("select pg_sleep(60)")));
        co_await await_activity(pool, connections.back().pid());
    }
    coaio::Duration longest{};
    auto ticking = coaio::create_task(tick(longest));
    {
        const Frozen frozen(postmaster);
        for (auto& task : tasks) {
            const auto took = co_await time_to_cancel(task);
            CHECK(took < 5s);
        }
    }
    ticking.cancel();
    CHECK(longest < 1s);
    connections.clear();
    CHECK(pool.statistics().in_use == 0);
    const int fine = co_await pool.query_value<int>("select 1");
    CHECK(fine == 1);
}

/// Six queries are cancelled at once, and what asks the server for it is slow on its way.
Coro<> cancel_six(tests::PostgresProxy& proxy, std::string url, const tests::Postgres& server) {
    const db::Pool pool(url, db::PoolOptions().max_size(6).cancel_timeout(10s));
    std::vector<coaio::Task<db::Rows>> tasks;
    for (int i = 0; i < 6; ++i) tasks.push_back(coaio::create_task(pool.query("select pg_sleep(60)")));
    const bool all_run = co_await coaio::to_thread([&server] {
        return server.await_value("select count(*) from pg_stat_activity where wait_event = 'PgSleep'", "6");
    });
    CHECK(all_run);
    for (auto& task : tasks) task.cancel();
    co_await coaio::wait(tasks);
    const bool all_asked = co_await coaio::to_thread(
        [&proxy] { return proxy.await_seen(tests::Way::to_server, tests::message::cancel, 6); });
    CHECK(all_asked);
    const int fine = co_await pool.query_value<int>("select 1");
    CHECK(fine == 1);
    CHECK(pool.statistics().size == 6);
}

Coro<> freeze_at_commit(std::string url) {
    db::Pool pool(url, db::PoolOptions().max_size(2).commit_timeout(300ms));
    co_await pool.execute("create table t (n int)");
    std::optional<Frozen> frozen;
    auto body = [&frozen](Transaction& tx) -> Coro<> {
        co_await tx.execute("insert into t values (1)");
        frozen.emplace(co_await tx.query_value<int>("select pg_backend_pid()"));
    };
    const bool unknown = co_await tests::throws<db::CommitUnknownError>(pool.transaction(body));
    CHECK(unknown);
    frozen.reset();
    CHECK(pool.statistics().in_use == 0);
}

Coro<> pass_over_silent_hosts(std::string socket, std::string dbname, std::string silent) {
    const auto began = Clock::now();
    auto connection = co_await db::Connection::connect("host=127.0.0.1,127.0.0.1," + socket + " port=" + silent + "," +
                                                           silent + ",5432 user=postgres dbname=" + dbname,
                                                       db::ConnectOptions().connect_timeout(3s));
    const auto took = Clock::now() - began;
    CHECK(took >= 1500ms);
    CHECK(took < 15s);
    const int fine = co_await connection.query_value<int>("select 1");
    CHECK(fine == 1);
}

Coro<std::string> failure(std::string url) {
    try {
        auto connection = co_await db::Connection::connect(url, db::ConnectOptions().connect_timeout(200ms));
    } catch (const db::ConnectionError& error) {
        co_return error.what();
    }
    co_return "connected";
}

Coro<> fail_often(std::string refused, std::string silent, int times) {
    for (int i = 0; i < times; ++i) {
        const auto why = co_await failure("user=me host=127.0.0.1 port=" + refused);
        CHECK_THAT(why, tests::contains("refused"));
    }
    const auto why = co_await failure("user=me host=127.0.0.1 port=" + silent);
    CHECK_THAT(why, tests::contains("no answer within"));
    auto task = coaio::create_task(failure("user=me host=127.0.0.1 port=" + silent));
    co_await coaio::sleep(10ms);
    task.cancel();
    const bool cancelled =
        co_await tests::throws<coaio::CancelledError>([](coaio::Task<std::string> it) -> Coro<> { co_await it; }(task));
    CHECK(cancelled);
}

Coro<> stray_in_savepoint(std::string url) {
    db::Pool pool(url, db::PoolOptions().max_size(1));
    co_await pool.execute("create table t (n int)");
    std::optional<coaio::Task<db::Rows>> stray;
    auto body = [&stray](Transaction& tx) -> Coro<> {
        auto inner = [&stray](Transaction& sub) -> Coro<> {
            co_await sub.execute("insert into t values (1)");
            stray.emplace(coaio::create_task(sub.query("select pg_sleep(60)")));
            co_await coaio::sleep(20ms);
            throw std::runtime_error("while it runs");
        };
        const bool thrown = co_await tests::throws<std::runtime_error>(tx.transaction(inner));
        CHECK(thrown);
        const bool lost = co_await tests::throws<db::Error>(tx.query("select 1"));
        CHECK(lost);
    };
    const bool failed = co_await tests::throws<db::Error>(pool.transaction(body));
    CHECK(failed);
    const bool stray_failed =
        co_await tests::throws<db::ConnectionError>([](coaio::Task<db::Rows> it) -> Coro<> { co_await it; }(*stray));
    CHECK(stray_failed);
    const int rows = co_await pool.query_value<int>("select count(*)::int from t");
    CHECK(rows == 0);
}

}  // namespace

TEST_CASE("CAN-05: a cancel that the server does not hear ends within its time", "[pgtest]") {
    tests::Database database;
    tests::run_timely(freeze_backend(database.conninfo()));
}

TEST_CASE("LPQ-03 CAN-07: cancel requests that block hold up neither the loop nor their tasks", "[pgtest]") {
    tests::Database database;
    tests::run_timely(freeze_postmaster(database.conninfo(), database.server().pid()));
}

TEST_CASE("CAN-07: of many cancel requests at once no more than four have a connection", "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    proxy.on(tests::Spot(tests::Way::to_server, tests::message::cancel).nth(0).times(0), tests::Fault::delay(200ms));
    tests::run_timely(cancel_six(proxy, proxy.conninfo(database.name()), database.server()));
    CHECK(proxy.most_open() <= 6 + 4);
    CHECK(proxy.accepted() == 6 + 6);
}

TEST_CASE("CMT-01: a COMMIT that is never answered is unknown after its time", "[pgtest]") {
    tests::Database database;
    tests::run_timely(freeze_at_commit(database.conninfo()));
}

TEST_CASE("CON-03: every address gets its share of the time", "[pgtest]") {
    tests::Database database;
    const SilentPort silent(true);
    tests::run_timely(pass_over_silent_hosts(database.server().socket_folder(), database.name(), silent.port()));
}

TEST_CASE("CON-01 FLT-11: refused and silent servers are told apart, and nothing is left behind") {
    const SilentPort closed(false);
    const SilentPort silent(true);
    tests::run_timely(fail_often(closed.port(), silent.port(), 1));
    const auto before = entries("/proc/self/fd");
    const auto threads = entries("/proc/self/task");
    tests::run_timely(fail_often(closed.port(), silent.port(), 1000));
    CHECK(entries("/proc/self/fd") == before);
    CHECK(entries("/proc/self/task") == threads);
}

TEST_CASE("what still runs in a transaction that is undone is ended with its session", "[pgtest]") {
    tests::Database database;
    tests::run_timely(stray_in_savepoint(database.conninfo()));
}
