// SPDX-License-Identifier: MIT
#include "connect.hpp"
#include "link_pq.hpp"

#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/timeout.hpp>

#include "db/next_answer.hpp"
#include "db/wire.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/postgres_proxy.hpp"

#include <chrono>
#include <exception>
#include <string>
#include <utility>

namespace db = coaio::db;
using coaio::Coro;
using tests::Wire;
using namespace std::chrono_literals;

namespace {

Coro<> leave_without_statements(std::string url) {
    db::detail::PqConnector connector(url, {});
    const auto link = co_await connector.connect();
    db::detail::PqLink& lane = *link->libpq();
    co_await lane.begin_rows("select 1", {});  // after which a pipeline begins with a Sync of its own
    while (lane.flowing()) static_cast<void>(co_await lane.next_rows());
    lane.enter_lane(false);
    co_await lane.leave_lane();
    CHECK(link->state() == db::detail::LinkState::idle);
}

Coro<std::exception_ptr> answer_lost(db::detail::PqLink& lane) {
    std::exception_ptr failure;
    try {
        static_cast<void>(co_await tests::next_answer(lane));
    } catch (const db::ConnectionError&) {
        failure = std::current_exception();
    }
    co_return failure;
}

Coro<> take(db::detail::PqLink& lane, int first, int count) {
    for (int i = first; i < first + count; ++i) {
        const auto answer = co_await tests::next_answer(lane);
        REQUIRE(!answer.failure);
        REQUIRE(answer.rows.value<int>() == i);
    }
}

Coro<> stop_behind_the_first(std::string url, std::string by_tcp) {
    Wire wire(url);
    db::detail::PqConnector connector(by_tcp, {});
    const auto link = co_await connector.connect();
    db::detail::PqLink& lane = *link->libpq();
    lane.enter_lane(false);
    for (int i = 0; i < 100; ++i) lane.lane_send("select $1::int", db::Params::of(i));
    co_await take(lane, 0, 100);  // so fast that many are waited for together
    wire.query("select pg_advisory_lock(1)");
    for (int i = 0; i < 2; ++i) lane.lane_send("select $1::int", db::Params::of(i));
    lane.lane_send("select 2 from pg_advisory_xact_lock_shared(1)", {});
    for (int i = 3; i < 100; ++i) lane.lane_send("select $1::int", db::Params::of(i));
    co_await take(lane, 0, 2);
    wire.query("select pg_advisory_unlock(1)");
    co_await take(lane, 2, 98);
    for (int i = 0; i < 100; ++i) lane.lane_send("select $1::int", db::Params::of(i));
    for (int i = 0; i < 2; ++i) co_await coaio::sleep(coaio::Duration::zero());
    wire.query("select pg_sleep(0.1)");  // so all are there before the first is waited for
    co_await take(lane, 0, 100);
    co_await lane.leave_lane();
    const auto rows = co_await lane.run("select 1", {});
    CHECK(rows.value<int>() == 1);
}

/// Both without a turn of the loop.
void end_backend(Wire& wire, int pid) {
    wire.query("select pg_terminate_backend(" + std::to_string(pid) + ")");
    const std::string alive = "select exists (select from pg_stat_activity where pid = " + std::to_string(pid) + ")";
    while (wire.query(alive).value<bool>()) {}
}

Coro<> send_to_nobody(std::string url) {
    Wire wire(url);
    db::detail::PqConnector connector(url, {});
    const auto link = co_await connector.connect();
    db::detail::PqLink& lane = *link->libpq();
    lane.enter_lane(false);
    lane.lane_send("select pg_sleep(60)", {});
    auto answer = coaio::create_task(answer_lost(lane));
    co_await coaio::sleep(coaio::Duration::zero());
    co_await coaio::sleep(coaio::Duration::zero());
    end_backend(wire, lane.pid());
    try {
        for (int i = 0; i < 1000; ++i) lane.lane_send("select 1", {});
    } catch (const db::Error&) {
        link->close();
    }
    const std::exception_ptr lost = co_await answer;
    REQUIRE(lost);
    const std::exception_ptr judged = co_await lane.end_lane(lost);
    CHECK_THROWS_AS(std::rethrow_exception(judged), db::ConnectionError);
}

}  // namespace

TEST_CASE("a shared connection on which nothing was asked is left whole", "[pgtest]") {
    tests::Database database;
    coaio::run(leave_without_statements(database.conninfo()));
}

TEST_CASE("PIP-01: of answers that are waited for together those that have come are given when the rest is late",
          "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    auto stopping = stop_behind_the_first(database.conninfo(), proxy.conninfo(database.name()));
    coaio::run(coaio::wait_for(std::move(stopping), 30s));
}

TEST_CASE("PIP-08: who waits for an answer hears that its connection was found dead by others", "[pgtest]") {
    tests::Database database;
    coaio::run(send_to_nobody(database.conninfo()));
}
