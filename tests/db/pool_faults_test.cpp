// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/event.hpp>
#include <coaio/core/gather.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/to_thread.hpp>

#include "support/catch.hpp"
#include "support/postgres_proxy.hpp"
#include "support/throws.hpp"
#include "support/timely.hpp"
#include "support/token_table.hpp"

#include <csignal>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace db = coaio::db;
using coaio::Clock;
using coaio::Coro;
using db::Transaction;
using tests::Fault;
using tests::PostgresProxy;
using tests::Spot;
using tests::Way;
using namespace std::chrono_literals;

namespace {

// --- a server that goes away under load -------------------------------------------------------------------------------

struct Outage {
    std::optional<coaio::TimePoint> began, over;
    std::size_t untimely = 0;  ///< errors while the server was there
};

Coro<> ask_through(db::Pool pool, Outage& outage) {
    for (int right = 0; right < 100;) {
        const bool is_over = outage.over.has_value();
        try {
            const int value = co_await pool.query_value<int>("select 3");
            REQUIRE(value == 3);
            if (is_over) ++right;
        } catch (const db::ConnectionError&) {
            if (is_over || !outage.began) ++outage.untimely;
        }
    }
}

Coro<> restart_under_load(tests::Postgres& server, tests::Stop how) {
    const db::Pool pool(server.conninfo(), db::PoolOptions().max_size(8).acquire_timeout(60s));
    Outage outage;
    std::vector<coaio::Task<>> tasks;
    for (int i = 0; i < 16; ++i) tasks.push_back(coaio::create_task(ask_through(pool, outage)));
    while (pool.statistics().size < 8) co_await coaio::sleep(1ms);
    outage.began = Clock::now();
    co_await coaio::to_thread([&server, how] { server.restart(how); });
    outage.over = Clock::now();
    for (auto& task : tasks) co_await task;
    CHECK(outage.untimely == 0);
    CHECK(pool.statistics().in_use == 0);
    co_await pool.close();
}

Coro<std::string> words_of_the_end(db::Pool pool) {
    try {
        co_await pool.query("select pg_sleep(60)");
    } catch (const db::ConnectionError& error) {
        CHECK_FALSE(error.connection_good());
        co_return error.what();
    }
    co_return "none";
}

Coro<> hear_the_farewell(tests::Postgres& server) {
    const db::Pool pool(server.conninfo(), db::PoolOptions().max_size(1));
    auto task = coaio::create_task(words_of_the_end(pool));
    const bool slept = co_await coaio::to_thread([&server] {
        const bool sleeps =
            server.await_value("select count(*) from pg_stat_activity where wait_event = 'PgSleep'", "1");
        server.stop(tests::Stop::immediate);
        return sleeps;
    });
    CHECK(slept);
    const std::string words = co_await task;
    CHECK_THAT(words, tests::contains("57P0"));
    CHECK_THAT(words, tests::contains("terminating connection"));
}

// --- what comes back to the pool ---------------------------------------------------------------------------------------

Coro<> rollback_unheard(PostgresProxy& proxy, std::string url) {
    std::string warned;
    const db::Pool pool(
        url, db::PoolOptions().max_size(1).cancel_timeout(100ms).on_notice(
                 [&warned](const db::ErrorFields& notice) { warned += notice.severity + " " + notice.message; }));
    co_await pool.execute("create table t (n int)");
    proxy.on(Spot(Way::to_server, 'Q').containing("rollback"), Fault::swallow());
    {
        auto connection = co_await pool.acquire();
        co_await connection.execute("begin");
        co_await connection.execute("insert into t values (1)");
    }
    const int rows = co_await pool.query_value<int>("select count(*)::int from t");
    CHECK(rows == 0);
    CHECK(proxy.fired() == 1);
    CHECK_THAT(warned, tests::contains("WARNING a connection came back to the pool in a transaction"));
    CHECK_THAT(warned, tests::contains("pool_faults_test.cpp:"));
    CHECK(pool.statistics().closed_by.unclean == 1);
    CHECK(pool.statistics().opened == 2);
}

Coro<> release_what_has_failed(std::string url) {
    const db::Pool pool(url, db::PoolOptions().max_size(1));
    {
        auto connection = co_await pool.acquire();
        co_await connection.execute("begin");
        const bool failed = co_await tests::throws<db::Error>(connection.query("select 1/0"));
        CHECK(failed);
    }
    const int fine = co_await pool.query_value<int>("select 1");
    CHECK(fine == 1);
    CHECK(pool.statistics().opened == 1);
    CHECK(pool.statistics().closed == 0);
}

Coro<> take_another(db::Pool pool) {
    auto one = co_await pool.acquire();
    auto two = co_await pool.acquire();
}

Coro<> take_two(std::string url) {
    const db::Pool pool(url, db::PoolOptions().max_size(1).acquire_timeout(60s));
    coaio::get_running_loop().set_debug(true);
    std::string text;
    try {
        co_await take_another(pool);
    } catch (const db::UsageError& error) {
        text = error.what();
    }
    CHECK_THAT(text, tests::contains("a deadlock"));
    CHECK_THAT(text, tests::contains("take_another"));
    CHECK_THAT(text, tests::contains("take_two"));
    const int fine = co_await pool.query_value<int>("select 1");
    CHECK(fine == 1);
}

// --- refused ------------------------------------------------------------------------------------------------------------

Coro<> be_refused_by_many(PostgresProxy& proxy, std::string url) {
    const db::Pool pool(url, db::PoolOptions().max_size(10));
    const auto attempt = [](db::Pool from) -> Coro<std::string> {
        try {
            auto connection = co_await from.acquire();
        } catch (const db::ConnectionError& error) {
            co_return error.sqlstate();
        }
        co_return "connected";
    };
    std::vector<Coro<std::string>> all;
    for (int i = 0; i < 50; ++i) all.push_back(attempt(pool));
    auto states = co_await coaio::gather(std::move(all));
    for (const auto& state : states) REQUIRE(state == "28P01");
    CHECK(proxy.accepted() <= 10);
    // From now on it is careful.
    proxy.forget_counts();
    all.clear();
    for (int i = 0; i < 50; ++i) all.push_back(attempt(pool));
    states = co_await coaio::gather(std::move(all));
    for (const auto& state : states) REQUIRE(state == "28P01");
    CHECK(proxy.accepted() == 1);
    const auto before = Clock::now();
    for (int i = 0; i < 4; ++i) {
        const std::string state = co_await attempt(pool);
        CHECK(state == "28P01");
    }
    CHECK(Clock::now() - before > 200ms);
    CHECK(proxy.accepted() == 5);
    CHECK(proxy.most_sessions() == 1);
}

// --- transactions ----------------------------------------------------------------------------------------------------

Coro<> fail_with_the_backend(std::string url, const tests::Database& database) {
    const db::Pool pool(url, db::PoolOptions().max_size(1));
    co_await pool.execute("create table t (n int)");
    auto body = [&database](Transaction& tx) -> Coro<> {
        co_await tx.execute("insert into t values (1)");
        const int pid = co_await tx.query_value<int>("select pg_backend_pid()");
        database.sql("select pg_terminate_backend(" + std::to_string(pid) + ", 20000)");
        throw std::out_of_range("the body's own");
    };
    std::string why;
    try {
        co_await pool.transaction(body);
    } catch (const std::out_of_range& error) {
        why = error.what();
    }
    CHECK(why == "the body's own");
    const int rows = co_await pool.query_value<int>("select count(*)::int from t");
    CHECK(rows == 0);
    CHECK(pool.statistics().in_use == 0);
}

const std::string with_tokens = std::string("create table t (n int); ") + tests::token_table;

Coro<> write_once(db::Pool pool, int n) {
    auto body = [n](Transaction& tx) -> Coro<> { co_await tx.execute("insert into t values ($1)", n); };
    co_await pool.transaction(body);
}

// The answers to all COMMITs are lost at once, so that all are looked up while others want the connections.
Coro<> look_up_many(PostgresProxy& proxy, std::string url) {
    const db::Pool pool(url, db::PoolOptions().max_size(4).commit_timeout(300ms));
    proxy.on(Spot(Way::to_client, 'C').containing("COMMIT").times(4), Fault::freeze_way());
    std::vector<Coro<>> all;
    for (int i = 0; i < 20; ++i) all.push_back(write_once(pool, i));
    co_await coaio::gather(std::move(all));
    CHECK(proxy.fired() == 4);
    CHECK(proxy.most_sessions() <= 4);
    const auto rows = co_await pool.query_value<int>("select count(distinct n)::int from t");
    CHECK(rows == 20);
    CHECK(pool.statistics().in_use == 0);
}

// The connection is given back, and wanted by somebody else, while another session asks what became of its COMMIT.
Coro<> give_back_in_a_look_up(PostgresProxy& proxy, std::string url) {
    const db::Pool pool(url, db::PoolOptions().max_size(1).commit_timeout(300ms));
    coaio::Event asked;
    proxy.on(Spot(Way::to_client, 'C').containing("COMMIT"), Fault::freeze_way());
    proxy.on(Spot(Way::to_server, 'Q').containing("lock_timeout"),
             Fault::delay(100ms).telling([&asked, &loop = coaio::get_running_loop()] {
                 loop.call_soon_threadsafe([&asked] { asked.set(); });
             }));
    auto taken = co_await pool.acquire();
    std::optional<db::Connection> connection(std::move(taken));
    auto body = [](Transaction& tx) -> Coro<> { co_await tx.execute("insert into t values (1)"); };
    auto commit = coaio::create_task(connection->transaction(body));
    co_await asked.wait();
    connection.reset();
    CHECK(pool.statistics().in_use == 1);
    const int rows = co_await pool.query_value<int>("select count(*)::int from t");
    CHECK(rows == 1);
    co_await commit;
    CHECK(proxy.fired() == 2);
    CHECK(proxy.most_sessions() == 1);
    CHECK(pool.statistics().in_use == 0);
}

}  // namespace

TEST_CASE("FLT-03: of a restart under load nobody sees more than the server's absence", "[pgtest]") {
    const auto how = GENERATE(tests::Stop::fast, tests::Stop::immediate);
    tests::Postgres server;
    coaio::run(restart_under_load(server, how));
}

TEST_CASE("ERR-06: an immediate shutdown is named by the error of what it ended", "[pgtest]") {
    tests::Postgres server;
    coaio::run(hear_the_farewell(server));
}

TEST_CASE("POL-16: where the ROLLBACK is not answered the connection is closed, with a warning", "[pgtest]") {
    tests::Database database;
    PostgresProxy proxy(database.server());
    coaio::run(rollback_unheard(proxy, proxy.conninfo(database.name())));
}

TEST_CASE("POL-17: a connection that comes back in a failed transaction is made clean", "[pgtest]") {
    tests::Database database;
    coaio::run(release_what_has_failed(database.conninfo()));
}

TEST_CASE("POL-28: a coroutine that waits for a second connection of a pool of one is shown in the task tree",
          "[pgtest]") {
    tests::Database database;
    tests::run_timely(take_two(database.conninfo()));
}

TEST_CASE("AUT-05: however many want a connection, a wrong password is tried seldom, and by one at a time",
          "[pgtest]") {
    const tests::Postgres::Settings settings{{"listen_addresses", "127.0.0.1"}};
    tests::Postgres server(settings);
    server.sql("postgres", "create role scram login password 'right'");
    server.set("hba_file", server.write_file("hba", "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"));
    server.restart(tests::Stop::fast);
    PostgresProxy proxy(server);
    coaio::run(be_refused_by_many(proxy, proxy.conninfo("postgres") + " user=scram password=wrong"));
}

TEST_CASE("TXN-01: the error of a body arrives also where its ROLLBACK fails", "[pgtest]") {
    tests::Database database;
    coaio::run(fail_with_the_backend(database.conninfo(), database));
}

TEST_CASE("POL-01: who looks up what became of a COMMIT opens no session above the pool's size", "[pgtest]") {
    tests::Database database;
    database.sql(with_tokens);
    PostgresProxy proxy(database.server());
    coaio::run(look_up_many(proxy, proxy.conninfo(database.name())));
}

TEST_CASE("POL-01: a connection that is given back while its COMMIT is looked up keeps its place", "[pgtest]") {
    tests::Database database;
    database.sql(with_tokens);
    PostgresProxy proxy(database.server());
    tests::run_timely(give_back_in_a_look_up(proxy, proxy.conninfo(database.name())));
}
