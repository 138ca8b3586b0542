// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/to_thread.hpp>

#include "support/catch.hpp"
#include "support/postgres_proxy.hpp"
#include "support/throws.hpp"

namespace db = coaio::db;
using coaio::Coro;
using db::Transaction;
using tests::Postgres;
using tests::PostgresProxy;
using namespace std::chrono_literals;

namespace {

/// A primary, and a standby that follows it.
struct Pair {
    Pair() {
        primary.sql("postgres", "create table t (n int)");
        REQUIRE(standby->await_replay(primary));
    }

    /// Both, in this order, or one of them.
    [[nodiscard]] static std::string url(const std::string& hosts, const std::string& target) {
        std::string made = "port=5432 user=postgres dbname=postgres host=" + hosts;
        if (!target.empty()) made += " target_session_attrs=" + target;
        return made;
    }
    [[nodiscard]] std::string first() const { return primary.socket_folder(); }
    [[nodiscard]] std::string second() const { return standby->socket_folder(); }

    Postgres primary{Postgres::for_standbys()};
    std::unique_ptr<Postgres> standby = Postgres::standby_of(primary);
};

/// "primary", "standby", or why not.
Coro<std::string> reached(std::string url, db::ConnectOptions options = db::ConnectOptions()) {
    try {
        auto connection = co_await db::Connection::connect(url, options);
        const bool standby = co_await connection.query_value<bool>("select pg_is_in_recovery()");
        co_return standby ? "standby" : "primary";
    } catch (const db::ConnectionError& error) {
        co_return error.what();
    }
}

Coro<int> primaries_of(int count, std::string url, bool balance) {
    int found = 0;
    for (int i = 0; i < count; ++i) {
        const auto where = co_await reached(url, db::ConnectOptions().balance_hosts(balance));
        if (where == "primary") ++found;
    }
    co_return found;
}

Coro<bool> at_standby(db::Pool pool) { return pool.query_value<bool>("select pg_is_in_recovery()"); }

Coro<std::string> state_of(Coro<std::uint64_t> statement) {
    try {
        co_await std::move(statement);
    } catch (const db::Error& error) {
        co_return error.sqlstate();
    }
    co_return "done";
}

Coro<> hold_two(db::Pool pool) {
    const auto one = co_await pool.acquire();
    const auto two = co_await pool.acquire();
}

// The proxy is the address that moves from one server to the other.
Coro<> follow_the_address(Pair& pair, PostgresProxy& address, std::size_t pipelining) {
    db::Pool pool(address.conninfo("postgres"), db::PoolOptions().max_size(2).pipelining(pipelining));
    co_await hold_two(pool);
    co_await pool.execute("insert into t values (1)");
    CHECK(pool.statistics().size == 2);

    address.lead_to(*pair.standby);
    co_await coaio::to_thread([&address] { address.cut_all(); });
    co_await hold_two(pool);
    const bool there = co_await at_standby(pool);
    CHECK(there);
    CHECK(pool.statistics().size == 2);
    const auto closed = pool.statistics().closed;
    const auto refused = co_await state_of(pool.execute("insert into t values (2)"));
    CHECK(refused == db::sqlstate::read_only_transaction);
    CHECK(pool.statistics().closed == closed + 2);

    address.lead_to(pair.primary);
    const auto written = co_await state_of(pool.execute("insert into t values (3)"));
    CHECK(written == "done");
    // Whoever asks for it may not write, but the server may.
    auto body = [](Transaction& tx) -> Coro<> { co_await tx.execute("insert into t values (4)"); };
    const bool asked_for = co_await tests::throws<db::Error>(pool.transaction(body, {.read_only = true}));
    CHECK(asked_for);
    CHECK(pool.statistics().closed == closed + 2);
}

Coro<> outlive_the_primary(Pair& pair) {
    db::Pool pool(Pair::url(pair.first() + "," + pair.second(), "read-write"), db::PoolOptions().max_size(2));
    co_await hold_two(pool);
    co_await pool.execute("insert into t values (1)");
    const bool replayed = co_await coaio::to_thread([&pair] { return pair.standby->await_replay(pair.primary); });
    CHECK(replayed);
    pair.primary.stop(tests::Stop::immediate);
    // It waits for a server that takes it.
    auto write = coaio::create_task(pool.execute("insert into t values (2)"));
    co_await coaio::to_thread([&pair] { pair.standby->promote(); });
    const auto rows = co_await write;
    CHECK(rows == 1);
    const int kept = co_await pool.query_value<int>("select count(*)::int from t");
    CHECK(kept == 2);
}

// A session that was opened on a standby, and lives through its promotion.
Coro<> leave_the_promoted(Pair& pair, std::string target) {
    db::Pool pool(Pair::url(pair.second(), target),
                  db::PoolOptions().max_size(2).acquire_timeout(target == "prefer-standby" ? 20s : 2s));
    co_await hold_two(pool);
    co_await coaio::to_thread([&pair] { pair.standby->promote(); });
    // It is told so with the answer.
    const bool standby = co_await at_standby(pool);
    CHECK_FALSE(standby);
    CHECK(pool.statistics().closed == 2);
    std::string why = "reached";
    try {
        co_await at_standby(pool);
    } catch (const db::PoolTimeout& error) {
        why = error.what();
    }
    if (target == "prefer-standby") {
        CHECK(why == "reached");
    } else {
        CHECK_THAT(why, tests::contains(target == "standby" ? "not in hot standby" : "not read-only"));
    }
}

Coro<> go_back(Pair& pair) {
    db::Pool pool(Pair::url(pair.first() + "," + pair.second(), "prefer-standby"),
                  db::PoolOptions().max_size(2).go_back_after(200ms));
    co_await hold_two(pool);
    const bool first = co_await at_standby(pool);
    CHECK(first);
    co_await coaio::to_thread([&pair] { pair.standby->stop(tests::Stop::fast); });
    const bool without = co_await at_standby(pool);
    CHECK_FALSE(without);
    co_await coaio::to_thread([&pair] { pair.standby->start(); });
    bool back = false;
    while (!back) {
        co_await coaio::sleep(20ms);
        back = co_await at_standby(pool);
    }
    // And stays.
    const auto opened = pool.statistics().opened;
    co_await coaio::sleep(300ms);
    back = co_await at_standby(pool);
    CHECK(back);
    CHECK(pool.statistics().opened == opened);
}

Coro<> read_own_writes(Pair& pair) {
    db::Pool pool(Pair::url(pair.first() + "," + pair.second(), ""), db::PoolOptions().max_size(4));
    db::Pool reads(Pair::url(pair.first() + "," + pair.second(), "standby"));
    co_await reads.query("select pg_wal_replay_pause()");
    for (int i = 1; i <= 50; ++i) {
        co_await pool.execute("insert into t values ($1)", i);
        const int seen = co_await pool.query_value<int>("select count(*)::int from t");
        REQUIRE(seen == i);
    }
    const int elsewhere = co_await reads.query_value<int>("select count(*)::int from t");
    CHECK(elsewhere == 0);
}

}  // namespace

TEST_CASE("FLT-09: target_session_attrs finds its server wherever it stands in the list", "[pgtest]") {
    Pair pair;
    const std::string p = pair.first();
    const std::string s = pair.second();
    const std::string ours = p + "," + s;
    const std::string turned = s + "," + p;
    const auto found = [](const std::string& hosts, const std::string& target) {
        return coaio::run(reached(Pair::url(hosts, target)));
    };
    CHECK(found(ours, "any") == "primary");
    CHECK(found(turned, "any") == "standby");
    for (const std::string target : {"read-write", "primary"}) {
        INFO(target);
        CHECK(found(ours, target) == "primary");
        CHECK(found(turned, target) == "primary");
        CHECK_THAT(found(s, target),
                   tests::contains("server is in hot standby mode") || tests::contains("session is read-only"));
    }
    for (const std::string target : {"read-only", "standby", "prefer-standby"}) {
        INFO(target);
        CHECK(found(ours, target) == "standby");
        CHECK(found(turned, target) == "standby");
    }
    CHECK_THAT(found(p, "read-only"), tests::contains("session is not read-only"));
    CHECK_THAT(found(p, "standby"), tests::contains("server is not in hot standby mode"));
    CHECK(found(p, "prefer-standby") == "primary");
    CHECK(found("/nowhere," + p, "prefer-standby") == "primary");
    CHECK_THROWS_WITH(db::Pool(Pair::url(p, "secondary")), tests::contains("not \"secondary\""));

    // Sessions spread over the hosts where that is asked for, and only then.
    const int ordered = coaio::run(primaries_of(10, Pair::url(ours, ""), false));
    CHECK(ordered == 10);
    const int balanced = coaio::run(primaries_of(40, Pair::url(ours, ""), true));
    CHECK(balanced > 0);
    CHECK(balanced < 40);
    const int primaries = coaio::run(primaries_of(10, Pair::url(ours, "primary"), true));
    CHECK(primaries == 10);
}

TEST_CASE("FLT-08: a refusal to write retires what leads to a standby, and writes go where the address leads then",
          "[pgtest]") {
    Pair pair;
    PostgresProxy address(pair.primary);
    coaio::run(follow_the_address(pair, address, 1));
    address.cut_all();
    coaio::run(follow_the_address(pair, address, 8));
}

TEST_CASE("FLT-08: when the primary is lost, writes wait for the new one", "[pgtest]") {
    Pair pair;
    coaio::run(outlive_the_primary(pair));
}

TEST_CASE("FLT-08: sessions of a standby that was promoted are left", "[pgtest]") {
    Pair pair;
    const std::string target = GENERATE("standby", "read-only", "prefer-standby");
    coaio::run(leave_the_promoted(pair, target));
}

TEST_CASE("FLT-10: a pool that reads on standbys goes back to them when they return", "[pgtest]") {
    Pair pair;
    coaio::run(go_back(pair));
}

TEST_CASE("FLT-12: reads are not sent to a standby by themselves, where they could miss what was just written",
          "[pgtest]") {
    Pair pair;
    coaio::run(read_own_writes(pair));
}
