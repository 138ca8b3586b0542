// SPDX-License-Identifier: MIT
#include "connect.hpp"
#include "link_pq.hpp"

#include <coaio/db/pool.hpp>

#include <coaio/core/gather.hpp>
#include <coaio/core/io.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/to_thread.hpp>

#include "db/asking.hpp"
#include "db/next_answer.hpp"
#include "db/wire.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/postgres_proxy.hpp"

#include <array>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace db = coaio::db;
using coaio::Coro;
using tests::ask;
using tests::echo;
using tests::sharing;
using tests::state_of;
using tests::warm_up;
using tests::Way;
using namespace std::chrono_literals;

namespace {

Coro<> ask_together(std::string url, const tests::PostgresProxy& proxy) {
    auto pool = co_await db::Pool::connect(url, sharing(1, true));
    co_await warm_up(pool, echo, 1);
    const std::size_t asked = proxy.seen(Way::to_server, 'B');
    const std::size_t ended = proxy.seen(Way::to_server, 'S');
    std::vector<Coro<>> all;
    for (int i = 0; i < 30; ++i) all.push_back(ask(pool, i, 1));
    co_await coaio::gather(std::move(all));
    CHECK(proxy.seen(Way::to_server, 'B') == asked + 30);
    CHECK(proxy.seen(Way::to_server, 'S') <= ended + 3);
}

// A view with an effect, which the text of what reads from it does not show.
Coro<> take_effect_once(std::string url, const tests::Database& database) {
    database.sql(
        "create table seen (n int); "
        "create function see() returns int language sql volatile as 'insert into seen values (1) returning n'; "
        "create view sees as select see() as n");
    auto pool = co_await db::Pool::connect(url, sharing(1, true));
    const std::string read = "select n from sees";
    const std::string divide = "select 100 / $1::int";
    co_await warm_up(pool, read, std::nullopt);
    co_await warm_up(pool, divide, 1);
    co_await pool.execute("truncate seen");
    std::vector<Coro<std::string>> all;
    for (int i = 0; i < 12; ++i) {
        all.push_back(state_of(pool.query_value<int>(read)));
        if (i == 4 || i == 7) all.push_back(state_of(pool.query_value<int>(divide, 0)));
        if (i == 5) all.push_back(state_of(pool.query_value<int>(divide, 5)));
    }
    const auto states = co_await coaio::gather(std::move(all));
    CHECK(std::multiset<std::string>(states.begin(), states.end()).count("22012") == 2);
    CHECK(std::multiset<std::string>(states.begin(), states.end()).count("") == 13);
    const int seen = co_await pool.query_value<int>("select count(*)::int from seen");
    CHECK(seen == 12);
    CHECK(pool.statistics().opened == 1);
}

// All answers come, and the end of their transaction does not.
Coro<> lose_the_end(std::string url, tests::PostgresProxy& proxy) {
    auto pool = co_await db::Pool::connect(url, sharing(1, true));
    co_await warm_up(pool, echo, 1);
    co_await ask(pool, 1, 1);
    std::vector<Coro<int>> all;
    for (int i = 0; i < 10; ++i) all.push_back(pool.query_value<int>(echo, i));
    proxy.on(tests::Spot(Way::to_client, 'Z').nth(1), tests::Fault::cut_before());  // the first asks alone
    const auto answers = co_await coaio::gather(coaio::return_exceptions, std::move(all));
    int answered = 0;
    for (const auto& each : answers) {
        try {
            static_cast<void>(each.value());
            ++answered;
        } catch (const db::ConnectionError& error) {
            CHECK(error.outcome() == db::Outcome::unknown);
        }
    }
    CHECK(proxy.fired() == 1);
    CHECK(answered <= 1);
}

Coro<std::unique_ptr<db::detail::Link>> connect(std::string url) {
    db::detail::PqConnector connector(url, {});
    co_return co_await connector.connect();
}

Coro<> fail_at_the_end(std::string url, const tests::Database& database) {
    database.sql("create table t (n int unique deferrable initially deferred)");
    const auto link = co_await connect(url);
    db::detail::PqLink& lane = *link->libpq();
    const std::string insert = "insert into t values ($1)";
    lane.enter_lane(true);
    for (const int n : {1, 2, 1}) lane.lane_send(insert, db::Params::of(n));
    for (int i = 0; i < 3; ++i) {
        const auto answer = co_await tests::next_answer(lane);
        CHECK(answer.undone);
        REQUIRE(answer.failure.has_value() == (i == 2));
        if (answer.failure) CHECK(answer.failure->sqlstate == "23505");
    }
    lane.lane_send(insert, db::Params::of(1));
    const auto alone = co_await tests::next_answer(lane);
    CHECK_FALSE(alone.undone);
    CHECK_FALSE(alone.failure);
    lane.lane_send(insert, db::Params::of(1));
    const auto twice = co_await tests::next_answer(lane);
    CHECK_FALSE(twice.undone);
    REQUIRE(twice.failure);
    CHECK(twice.failure->sqlstate == "23505");
    // The failure of one's end comes before the answers of the next.
    lane.lane_send(insert, db::Params::of(1));
    for (int i = 0; i < 2; ++i) co_await coaio::sleep(0s);
    for (int n = 7; n < 9; ++n) lane.lane_send("select $1::int", db::Params::of(n));
    const auto failed = co_await tests::next_answer(lane);
    REQUIRE(failed.failure);
    for (int n = 7; n < 9; ++n) {
        const auto answer = co_await tests::next_answer(lane);
        CHECK_FALSE(answer.undone);
        REQUIRE_FALSE(answer.failure);
        CHECK(answer.rows.value<int>() == n);
    }
    co_await lane.leave_lane();
    const auto rows = co_await lane.run("select count(*)::int from t", {});
    CHECK(rows.value<int>() == 1);
}

// What fails stands between such as do not; of each answer it is known whose it is.
Coro<> fail_in_the_middle(std::string url) {
    const auto link = co_await connect(url);
    db::detail::PqLink& lane = *link->libpq();
    lane.enter_lane(true);
    for (const char* sql : {"select 1", "select nothing", "select 2", "select 1 / 0"}) lane.lane_send(sql, {});
    for (int i = 0; i < 4; ++i) {
        const auto answer = co_await tests::next_answer(lane);
        CHECK(answer.undone);
        REQUIRE(answer.failure.has_value() == (i == 1));
        if (answer.failure) CHECK(answer.failure->sqlstate == "42703");
    }
    for (int i = 0; i < 3; ++i) lane.lane_send("select 1", {});
    lane.lane_send("select 2", {});
    for (const int n : {1, 1, 1, 2}) {
        const auto answer = co_await tests::next_answer(lane);
        CHECK_FALSE(answer.undone);
        REQUIRE_FALSE(answer.failure);
        CHECK(answer.rows.value<int>() == n);
    }
    co_await lane.leave_lane();
    const auto rows = co_await lane.run("select count(*)::int from pg_prepared_statements", {});
    CHECK(rows.value<int>() == 3);  // this one, and those two once
}

// The Sync of what has failed is not there yet when its lane ends.
Coro<> end_behind_a_failure(std::string url, tests::PostgresProxy& proxy, bool shares_sync) {
    const auto link = co_await connect(url);
    db::detail::PqLink& lane = *link->libpq();
    lane.enter_lane(true);
    proxy.on(tests::Spot(Way::to_client, 'Z'), tests::Fault::delay(1500ms));
    for (const char* sql : {"select 1", "select 1 / 0"}) lane.lane_send(sql, {});
    const std::size_t ended = proxy.seen(Way::to_server, 'S');
    co_await lane.lane_wait();  // they are sent
    const auto until_failed = [&proxy] {
        while (proxy.fired() == 0) std::this_thread::yield();
    };
    co_await coaio::to_thread(until_failed);
    co_await lane.lane_wait();
    CHECK_FALSE(lane.lane_take());
    lane.lane_send("select 2", {});  // would go at once, as libpq has it, so it has a Sync of its own
    CHECK(proxy.await_seen(Way::to_server, 'S', ended + 2));  // while this loop stands still
    co_await lane.end_lane(std::make_exception_ptr(coaio::CancelledError()));
    REQUIRE(link->state() == db::detail::LinkState::idle);
    lane.enter_lane(shares_sync);
    for (const char* sql : {"select 1", "select 2"}) lane.lane_send(sql, {});
    for (int i = 0; i < 2; ++i) {
        const auto answer = co_await tests::next_answer(lane);
        CHECK_FALSE(answer.undone);
        CHECK_FALSE(answer.failure);
    }
    lane.lane_send("select 1 / 0", {});
    const auto failed = co_await tests::next_answer(lane);
    CHECK(failed.failure);
    co_await lane.leave_lane();
}

// One is asked again of which it is known that it was not prepared.
Coro<> prepare_what_was_not(std::string url) {
    const auto link = co_await connect(url);
    db::detail::PqLink& lane = *link->libpq();
    lane.enter_lane(true);
    for (const char* sql : {"select 1 / 0", "select 5"}) lane.lane_send(sql, {});
    const auto failed = co_await tests::next_answer(lane);
    CHECK(failed.failure);
    lane.lane_send("select 5", {});
    const auto undone = co_await tests::next_answer(lane);
    CHECK(undone.undone);
    const auto answer = co_await tests::next_answer(lane);
    REQUIRE_FALSE(answer.failure);
    CHECK(answer.rows.value<int>() == 5);
    co_await lane.leave_lane();
}

Coro<> know_who_shares(std::string url) {
    const auto link = co_await connect(url);
    db::detail::PqLink& lane = *link->libpq();
    lane.enter_lane(true);
    CHECK_FALSE(lane.lane_shares_next());
    lane.lane_send("select 1", {});
    for (int i = 0; i < 2; ++i) co_await coaio::sleep(0s);
    for (int i = 0; i < 3; ++i) lane.lane_send("select 1", {});
    CHECK_FALSE(lane.lane_shares_next());
    for (const std::size_t further : {0U, 2U, 1U, 0U}) {
        const auto answer = co_await tests::next_answer(lane);
        CHECK(answer.further == further);
    }
    co_await lane.leave_lane();
}

// They stand in the buffer, without a Sync.
Coro<> end_before_all_is_sent(std::string url, bool cancelled) {
    const auto link = co_await connect(url);
    db::detail::PqLink& lane = *link->libpq();
    lane.enter_lane(true);
    lane.lane_send("select 1", {});
    static_cast<void>(co_await tests::next_answer(lane));
    for (int i = 0; i < 3; ++i) lane.lane_send("select 1", {});
    if (cancelled) co_await lane.end_lane(std::make_exception_ptr(coaio::CancelledError()));
    if (!cancelled) {
        for (int i = 0; i < 3; ++i) static_cast<void>(co_await tests::next_answer(lane));
        co_await lane.leave_lane();
    }
    CHECK(link->state() == db::detail::LinkState::idle);
    const auto rows = co_await lane.run("select 7", {});
    CHECK(rows.value<int>() == 7);
}

Coro<> begin_after_rows(std::string url) {
    const auto link = co_await connect(url);
    db::detail::PqLink& lane = *link->libpq();
    co_await lane.begin_rows("select 1", {});  // after which a pipeline begins with a Sync of its own
    while (lane.flowing()) static_cast<void>(co_await lane.next_rows());
    lane.enter_lane(true);
    for (int i = 0; i < 3; ++i) lane.lane_send("select $1::int", db::Params::of(i));
    for (int i = 0; i < 3; ++i) {
        const auto answer = co_await tests::next_answer(lane);
        REQUIRE_FALSE(answer.failure);
        CHECK(answer.rows.value<int>() == i);
    }
    co_await lane.leave_lane();
    CHECK(link->state() == db::detail::LinkState::idle);
}

// More than libpq keeps, so not all of it shares a Sync.
Coro<> ask_much(std::string url, const tests::PostgresProxy& proxy) {
    const auto link = co_await connect(url);
    db::detail::PqLink& lane = *link->libpq();
    lane.enter_lane(true);
    const std::size_t ended = proxy.seen(Way::to_server, 'S');
    const std::string text(3000, 'x');
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 40; ++i) lane.lane_send("select $1::text", db::Params::of(text + std::to_string(i)));
        for (int i = 0; i < 40; ++i) {
            const auto answer = co_await tests::next_answer(lane);
            REQUIRE_FALSE(answer.failure);
            REQUIRE(answer.rows.value<std::string>() == text + std::to_string(i));
        }
    }
    CHECK(proxy.seen(Way::to_server, 'S') == ended + 3 * 20);
    co_await lane.leave_lane();
}

struct Pipe {
    Pipe() { REQUIRE(::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) == 0); }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe() {
        for (const int end : ends) ::close(end);
    }
    std::array<int, 2> ends{};
};

constexpr const char* read = "select count(*)::int from t";

Coro<> ask_when_told(Pipe& pipe, db::detail::PqLink& lane) {
    co_await coaio::io::wait_readable(pipe.ends[0]);
    lane.lane_send(read, {});
}

Coro<> write_and_ask_when_told(Pipe& pipe, tests::Wire& wire, db::detail::PqLink& lane) {
    const std::string begun =
        "select query_start::text from pg_stat_activity where pid = " + std::to_string(lane.pid());
    const auto before = wire.query(begun).value<std::string>();
    co_await coaio::io::wait_readable(pipe.ends[0]);
    for (int i = 0; i < 100 && wire.query(begun).value<std::string>() == before; ++i) {}
    wire.query("insert into t values (1)");
    lane.lane_send(read, {});
}

// In one turn of the loop one is asked, an answer is read, something is committed elsewhere, and another one is asked.
Coro<> read_what_was_written(std::string url, const tests::Database& database) {
    database.sql("create table t (n int); alter database " + database.name() +
                 " set default_transaction_isolation to 'repeatable read'");
    tests::Wire wire(url);
    tests::Wire holder(url);
    Pipe first;
    Pipe second;
    const auto link = co_await connect(url);
    db::detail::PqLink& lane = *link->libpq();
    lane.enter_lane(true);
    holder.query("begin");
    holder.query("lock table t in access exclusive mode");
    lane.lane_send(read, {});
    auto answer = coaio::create_task(tests::next_answer(lane));
    const std::string waits = "select wait_event_type is not distinct from 'Lock' from pg_stat_activity where pid = ";
    while (!wire.query(waits + std::to_string(lane.pid())).value<bool>()) co_await coaio::sleep(0s);
    auto asked = coaio::create_task(ask_when_told(first, lane));
    auto written = coaio::create_task(write_and_ask_when_told(second, wire, lane));
    co_await coaio::sleep(0s);  // both wait
    // All that follows is there before the loop looks outside, in this order.
    REQUIRE(::write(first.ends[1], "x", 1) == 1);
    holder.query("commit");
    const std::string state = "select state from pg_stat_activity where pid = ";
    while (wire.query(state + std::to_string(lane.pid())).value<std::string>() != "idle") {}
    REQUIRE(::write(second.ends[1], "x", 1) == 1);
    static_cast<void>(co_await answer);
    co_await asked;
    co_await written;
    static_cast<void>(co_await tests::next_answer(lane));
    const auto last = co_await tests::next_answer(lane);
    CHECK(last.rows.value<int>() == 1);
    co_await lane.leave_lane();
}

}  // namespace

TEST_CASE("PIP-01: what is asked in one turn of the loop goes under one Sync where the program says so", "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    // The clock stands still while an answer is awaited, so nothing is late.
    coaio::testing::run(ask_together(proxy.conninfo(database.name()), proxy));
}

TEST_CASE("PIP-09: what shares its Sync with statements that fail takes effect once", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(take_effect_once(database.conninfo(), database));
}

TEST_CASE("PIP-08: nothing under a shared Sync is answered before its end has come", "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    coaio::testing::run(lose_the_end(proxy.conninfo(database.name()), proxy));
}

TEST_CASE("PIP-09: where the end of what shares a Sync fails all of it is undone", "[pgtest]") {
    tests::Database database;
    coaio::run(fail_at_the_end(database.conninfo(), database));
}

TEST_CASE("PIP-09: of what shares a Sync it is known which has failed, and what was prepared", "[pgtest]") {
    tests::Database database;
    coaio::run(fail_in_the_middle(database.conninfo()));
}

TEST_CASE("CAN-09: a shared connection ends well with statements that have no Sync yet", "[pgtest]") {
    tests::Database database;
    coaio::run(end_before_all_is_sent(database.conninfo(), GENERATE(false, true)));
}

TEST_CASE("PIP-01: a shared Sync stands behind that of a stream", "[pgtest]") {
    tests::Database database;
    coaio::run(begin_after_rows(database.conninfo()));
}

TEST_CASE("PIP-06: no more shares a Sync than libpq keeps", "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    coaio::run(ask_much(proxy.conninfo(database.name()), proxy));
}

TEST_CASE("PIP-09: a failure that ends with its lane is not told of another statement", "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    coaio::run(end_behind_a_failure(proxy.conninfo(database.name()), proxy, GENERATE(false, true)));
}

TEST_CASE("PIP-09: what was not prepared, as one in front of it failed, is prepared anew", "[pgtest]") {
    tests::Database database;
    coaio::run(prepare_what_was_not(database.conninfo()));
}

TEST_CASE("PIP-01: of each answer it is known how many share its Sync", "[pgtest]") {
    tests::Database database;
    coaio::run(know_who_shares(database.conninfo()));
}

TEST_CASE("what is asked after a commit sees it, whatever shares its Sync", "[pgtest]") {
    tests::Database database;
    coaio::run(read_what_was_written(database.conninfo(), database));
}
