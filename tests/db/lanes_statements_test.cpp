// SPDX-License-Identifier: MIT
#include "connect.hpp"
#include "link_pq.hpp"

#include <coaio/db/pool.hpp>

#include <coaio/core/gather.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>

#include "db/asking.hpp"
#include "db/cut.hpp"
#include "db/next_answer.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/throws.hpp"

#include <set>

namespace db = coaio::db;
using coaio::Coro;
using tests::ask;
using tests::echo;
using tests::sharing;
using tests::state_of;
using tests::warm_up;
using namespace std::chrono_literals;

namespace {

Coro<> go_stale(std::string url, bool shared_sync) {
    auto pool = co_await db::Pool::connect(url, sharing(1, shared_sync));
    co_await pool.execute("create table t (a int)");
    co_await pool.execute("insert into t values (1)");
    const std::string all_of = "select *, $1::int from t";
    co_await warm_up(pool, all_of, 1);
    co_await pool.execute("alter table t add column b text");
    std::vector<Coro<db::Rows>> all;
    for (int i = 0; i < 10; ++i) all.push_back(pool.query(all_of, i));
    const auto answers = co_await coaio::gather(std::move(all));
    for (const auto& each : answers) CHECK(each.column_count() == 3);
}

// What differs in no more than a number, so that each is one to prepare.
std::string numbered(int number) { return "select $1::int + " + std::to_string(number); }

Coro<> use_many(std::string url, bool shared_sync) {
    auto pool = co_await db::Pool::connect(url, sharing(1, shared_sync).pipelining(4).statement_cache(2));
    const std::string count = "select count(*)::int from pg_prepared_statements";
    co_await warm_up(pool, count, std::nullopt);
    for (int i = 0; i < 20; ++i) co_await warm_up(pool, numbered(i), 0);
    std::vector<Coro<int>> all;
    for (int i = 0; i < 60; ++i) all.push_back(pool.query_value<int>(numbered(i % 20), i));
    all.push_back(pool.query_value<int>(count));
    const auto answers = co_await coaio::gather(std::move(all));
    for (int i = 0; i < 60; ++i) REQUIRE(answers[static_cast<std::size_t>(i)] == i + i % 20);
    CHECK(answers.back() <= 12);  // the cache, what is under way and what has been evicted just now
}

Coro<> change_types(std::string url, bool shared_sync) {
    auto pool = co_await db::Pool::connect(url, sharing(1, shared_sync));
    co_await pool.execute("create table t (a int)");
    co_await pool.execute("insert into t values (1)");
    const std::string all_of = "select a from t where $1::int > 0";
    co_await warm_up(pool, all_of, 1);
    co_await pool.execute("alter table t alter a type point using point(a, 2)");
    pool.expire();
    std::vector<Coro<db::Rows>> all;
    for (int i = 1; i < 10; ++i) all.push_back(pool.query(all_of, i));
    const auto answers = co_await coaio::gather(std::move(all));
    for (const auto& each : answers) CHECK(each.value<std::string>() == "(1,2)");
}

Coro<> fail_to_prepare(std::string url, bool shared_sync) {
    auto pool = co_await db::Pool::connect(url, sharing(1, shared_sync));
    const std::string sql = "select count(*)::int from t where $1::int > 0";
    for (int i = 0; i < 2; ++i) {
        const std::string alone = co_await state_of(pool.query(sql, 1));
        REQUIRE(alone == "42P01");
    }
    co_await pool.execute("create table t (a int)");
    co_await warm_up(pool, sql, 1);
    co_await pool.execute("drop table t");
    pool.expire();  // so that it is prepared in a pipeline
    std::vector<Coro<std::string>> all;
    for (int i = 0; i < 5; ++i) all.push_back(state_of(pool.query(sql, i)));
    const auto states = co_await coaio::gather(std::move(all));
    for (const auto& each : states) CHECK(each == "42P01");
    co_await pool.execute("create table t (a int)");
    const int none = co_await pool.query_value<int>(sql, 1);
    CHECK(none == 0);
    CHECK(pool.statistics().opened == 2);
}

Coro<> prepare_unheard(std::string url, bool shared_sync) {
    auto other = co_await db::Connection::connect(url);
    auto pool = co_await db::Pool::connect(url, sharing(1, shared_sync).cancel_timeout(20s));
    co_await pool.execute("create table t (n int)");
    const std::string read = "select count(*)::int from t";
    co_await warm_up(pool, read, std::nullopt);
    pool.expire();
    co_await warm_up(pool, echo, 1);
    co_await other.execute("begin");
    co_await other.execute("lock table t in access exclusive mode");
    auto alone = coaio::create_task(pool.query(echo, 1));
    auto stuck = coaio::create_task(pool.query(read));  // in its preparation
    co_await alone;
    co_await coaio::sleep(0s);
    stuck.cancel();
    const bool cancelled = co_await tests::throws<coaio::CancelledError>(stuck);
    CHECK(cancelled);
    co_await ask(pool, 1, 1);  // when that has ended in the server
    co_await other.execute("rollback");
    co_await warm_up(pool, read, std::nullopt);
    std::vector<Coro<>> all;
    for (int i = 0; i < 5; ++i) all.push_back(ask(pool, i, 1));
    co_await coaio::gather(std::move(all));
    const int prepared = co_await pool.query_value<int>(
        "select count(*)::int from pg_prepared_statements where statement like '%from t'");
    CHECK(prepared == 1);
    CHECK(pool.statistics().opened == 2);
}

// An answer that is on its way when the statement that waits for it is cut, turn by turn, and the next one's way.
Coro<> cut_preparing(tests::Bench& bench) {
    db::Pool pool = bench.open();
    for (int i = 0; i < 3; ++i) static_cast<void>(co_await pool.query(numbered(i), 1));
}

Coro<> prepare_again(tests::Bench&, db::Pool pool) {
    for (int i = 0; i < 4; ++i) {
        const int answer = co_await pool.query_value<int>(numbered(i), 1);
        REQUIRE(answer == i + 1);
    }
    const int prepared = co_await pool.query_value<int>(
        "select count(*)::int from pg_prepared_statements where statement like 'select $1::int + %'");
    REQUIRE(prepared == 4);
}

// So that each statement of a connection comes with notices.
Coro<> chatter(std::string url, bool shared_sync) {
    int heard = 0;
    bool listening = false;
    const auto hear = [&](const db::ErrorFields& notice) {
        if (listening && notice.severity == "DEBUG") ++heard;
    };
    auto pool = co_await db::Pool::connect(
        url, sharing(1, shared_sync).on_notice(hear).setting("client_min_messages", "debug5"));
    co_await warm_up(pool, echo, 1);
    std::vector<Coro<>> all;
    for (int i = 0; i < 20; ++i) all.push_back(ask(pool, i, 2));
    listening = true;
    co_await coaio::gather(std::move(all));
    CHECK(heard >= 40);
}

Coro<> go_stale_beside_a_type_of_ones_own(std::string url, const tests::Database& database) {
    const std::string stale = "select * from t";
    const std::string mood = "select 'fine'::mood";
    database.sql("create type mood as enum ('fine'); create table t (n int)");
    db::detail::PqConnector connector(url, {});
    auto link = co_await connector.connect();
    db::detail::PqLink& lane = *link->libpq();
    for (const std::string& each : {stale, mood}) static_cast<void>(co_await lane.run(each, {}));
    database.sql("alter table t add column m int");
    lane.enter_lane(false);
    for (const std::string& each : {stale, mood}) lane.lane_send(each, {});
    auto failed = co_await tests::next_answer(lane);
    REQUIRE(failed.failure);
    CHECK(lane.lane_stale(stale, {}, db::make_error(std::move(*failed.failure))));
    const auto answer = co_await tests::next_answer(lane);
    CHECK(answer.rows.value<std::string>() == "fine");
    co_await lane.leave_lane();
}

Coro<> notify_between(std::string url) {
    auto other = co_await db::Connection::connect(url);
    db::detail::PqConnector connector(url, {});
    auto link = co_await connector.connect();
    db::detail::PqLink& lane = *link->libpq();
    lane.keep_notifications();
    static_cast<void>(co_await lane.command("listen c", db::detail::OnCancel::wait));
    co_await other.execute("notify c, 'other'");
    lane.enter_lane(false);
    for (int i = 0; i < 6; ++i) {
        const auto params = db::Params::of(std::to_string(i));
        if (i % 2 == 0) lane.lane_send("select pg_notify('c', $1)", params);
        if (i % 2 == 1) lane.lane_send("select $1::text", params);
    }
    for (int i = 0; i < 6; ++i) {
        const auto answer = co_await tests::next_answer(lane);
        REQUIRE_FALSE(answer.failure);
        if (i % 2 == 1) CHECK(answer.rows.value<std::string>() == std::to_string(i));
    }
    co_await lane.leave_lane();
    std::multiset<std::string> heard;
    while (heard.size() < 4) {
        co_await lane.hear();
        for (const auto& each : lane.take_heard()) heard.insert(each.payload);
    }
    CHECK(heard == std::multiset<std::string>{"0", "2", "4", "other"});
}

}  // namespace

TEST_CASE("STM-05 STM-06: a statement that went stale in a pipeline runs again by itself", "[pgtest]") {
    const bool shared_sync = GENERATE(false, true);
    tests::Database database;
    coaio::run(go_stale(database.conninfo(), shared_sync));
}

TEST_CASE("STM-06: a statement that went stale in a pipeline spoils no type of the answers behind it", "[pgtest]") {
    tests::Database database;
    coaio::run(go_stale_beside_a_type_of_ones_own(database.conninfo(), database));
}

TEST_CASE("STM-01: statements that a pipeline evicts are dropped in the server while it goes on", "[pgtest]") {
    const bool shared_sync = GENERATE(false, true);
    tests::Database database;
    coaio::run(use_many(database.conninfo(), shared_sync));
}

TEST_CASE("STM-06: a column whose type has changed is asked for as it is now, also in a pipeline", "[pgtest]") {
    const bool shared_sync = GENERATE(false, true);
    tests::Database database;
    coaio::run(change_types(database.conninfo(), shared_sync));
}

TEST_CASE("STM-03 PIP-09: a statement that cannot be prepared is not kept, alone or in a pipeline", "[pgtest]") {
    const bool shared_sync = GENERATE(false, true);
    tests::Database database;
    coaio::run(fail_to_prepare(database.conninfo(), shared_sync));
}

TEST_CASE("STM-03: a preparation that was cancelled in a pipeline leaves nothing that is in the way", "[pgtest]") {
    const bool shared_sync = GENERATE(false, true);
    tests::Database database;
    coaio::run(prepare_unheard(database.conninfo(), shared_sync));
}

TEST_CASE("STM-03: a preparation cut at any turn leaves no name that is in the way", "[pgtest]") {
    tests::Database database;
    tests::cut_at_every_turn(database, cut_preparing, prepare_again);
}

TEST_CASE("PIP-10: notices between the answers of a pipeline reach their handler", "[pgtest]") {
    const bool shared_sync = GENERATE(false, true);
    tests::Database database;
    coaio::run(chatter(database.conninfo(), shared_sync));
}

TEST_CASE("PIP-10: notifications between the answers of a pipeline are kept for their listener", "[pgtest]") {
    tests::Database database;
    coaio::run(notify_between(database.conninfo()));
}
