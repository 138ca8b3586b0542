// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/timeout.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/postgres_proxy.hpp"
#include "support/throws.hpp"

#include <optional>

namespace db = coaio::db;
using coaio::Coro;
using db::CopyIn;
using db::CopyRows;
using db::Transaction;
using namespace std::chrono_literals;

namespace {

std::string lines(std::size_t bytes) {
    std::string text;
    text.reserve(bytes + 100);
    while (text.size() < bytes) text.append(99, 'x').push_back('\n');
    return text;
}

/// While it lives, a COPY into `t` stands still at its first row, and so does whoever writes to it.
class Blocked {
public:
    static Coro<Blocked> make(std::string url) {
        auto connection = co_await db::Connection::connect(url);
        co_await connection.execute("create table t (s text)");
        co_await connection.execute(
            "create function stand_still() returns trigger language plpgsql as $$ begin perform "
            "pg_advisory_xact_lock_shared(7); return new; end $$");
        co_await connection.execute(
            "create trigger stand_still before insert on t for each row execute function stand_still()");
        co_await connection.query("select pg_advisory_lock(7)");
        co_return Blocked(std::move(connection));
    }
    Coro<> go_on() { co_await ignore(connection_.query("select pg_advisory_unlock(7)")); }

private:
    static Coro<> ignore(Coro<db::Rows> answer) { co_await std::move(answer); }
    explicit Blocked(db::Connection connection) : connection_(std::move(connection)) {}
    db::Connection connection_;
};

struct Stray {
    std::string text = lines(32U << 20U);
    std::optional<coaio::Task<>> writer;

    auto failing() {
        return [this](CopyIn& copy) -> Coro<> {
            writer.emplace(coaio::create_task(copy.write(text)));
            co_await coaio::sleep(0s);
            co_await coaio::sleep(0s);
            throw std::runtime_error("the body");
        };
    }
    auto careless() {
        return [this](CopyIn& copy) -> Coro<> {
            writer.emplace(coaio::create_task(copy.write(text)));
            co_await coaio::sleep(0s);
            co_await coaio::sleep(0s);
        };
    }
};

Coro<> await_failure(std::optional<coaio::Task<>> writer) {
    const bool failed = co_await tests::throws<db::Error>(coaio::wait_for(std::move(*writer), 10s));
    CHECK(failed);
}

Coro<> leave_a_write(std::string url) {
    auto blocked = co_await Blocked::make(url);
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1).acquire_timeout(10s));
    {
        Stray stray;
        const bool thrown =
            co_await tests::throws<std::runtime_error>(pool.copy_in("copy t from stdin", stray.failing()));
        CHECK(thrown);
        const int fine = co_await pool.query_value<int>("select 1");
        CHECK(fine == 1);
        co_await await_failure(std::move(stray.writer));
    }
    {
        Stray stray;
        const bool thrown = co_await tests::throws<db::UsageError>(pool.copy_in("copy t from stdin", stray.careless()));
        CHECK(thrown);
        co_await await_failure(std::move(stray.writer));
    }
    {
        Stray stray;
        auto body = [&stray](Transaction& tx) -> Coro<> { co_await tx.copy_in("copy t from stdin", stray.failing()); };
        const bool thrown = co_await tests::throws<std::runtime_error>(pool.transaction(body));
        CHECK(thrown);
        co_await await_failure(std::move(stray.writer));
    }
    co_await blocked.go_on();
    const int rows = co_await pool.query_value<int>("select count(*)::int from t");
    CHECK(rows == 0);
    CHECK(pool.statistics().idle == 1);
}

Coro<> write_late(std::string url) {
    auto connection = co_await db::Connection::connect(url);
    co_await connection.execute("create table t (s text)");
    const std::string text = lines(1U << 20U);
    std::optional<Coro<>> late;
    auto first = [&](CopyIn& copy) -> Coro<> {
        late.emplace(copy.write(text));
        co_await coaio::sleep(0s);
        throw std::runtime_error("the body");
    };
    const bool thrown = co_await tests::throws<std::runtime_error>(connection.copy_in("copy t from stdin", first));
    CHECK(thrown);
    auto second = [&](CopyIn& copy) -> Coro<> {
        const bool over = co_await tests::throws<db::UsageError>(std::move(*late));
        CHECK(over);
        co_await copy.write("one\n");
    };
    const auto rows = co_await connection.copy_in("copy t from stdin", second);
    CHECK(rows == 1);
}

Coro<> take_no_notice(std::string url) {
    auto blocked = co_await Blocked::make(url);
    db::Pool pool(url, db::PoolOptions().max_size(1).cancel_timeout(50ms));
    const std::string text = lines(32U << 20U);
    auto body = [&text](CopyIn& copy) -> Coro<> {
        const bool timed_out = co_await tests::throws<coaio::TimeoutError>(coaio::wait_for(copy.write(text), 1ms));
        CHECK(timed_out);
        const bool over = co_await tests::throws<db::Error>(copy.write(text));
        CHECK(over);
    };
    for (int i = 0; i < 2; ++i) {
        std::optional<db::Outcome> outcome;
        try {
            if (i == 0) {
                co_await pool.copy_in("copy t from stdin", body);
            } else {
                auto outer = [&body](Transaction& tx) -> Coro<> { co_await tx.copy_in("copy t from stdin", body); };
                co_await pool.transaction(outer);
            }
        } catch (const db::Error& error) {
            outcome = error.outcome();
        }
        CHECK(outcome == db::Outcome::rolled_back);
    }
    co_await blocked.go_on();
    const int rows = co_await pool.query_value<int>("select count(*)::int from t");
    CHECK(rows == 0);
}

Coro<> take_no_notice_of_a_cancellation(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1).cancel_timeout(30s));
    co_await pool.execute("create table t (s text)");
    const std::string text = lines(32U << 20U);
    auto body = [&text](CopyIn& copy) -> Coro<> {
        auto task = coaio::create_task(copy.write(text));
        co_await coaio::sleep(0s);
        task.cancel();
        bool cancelled = false;
        try {
            co_await task;
        } catch (const coaio::CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
    };
    std::optional<db::Outcome> outcome;
    try {
        co_await pool.copy_in("copy t from stdin", body);
    } catch (const db::Error& error) {
        outcome = error.outcome();
    }
    CHECK(outcome == db::Outcome::rolled_back);
    const int rows = co_await pool.query_value<int>("select count(*)::int from t");
    CHECK(rows == 0);
    CHECK(pool.statistics().opened == 1);
}

Coro<> write_large(std::string url, tests::PostgresProxy& proxy) {
    auto connection = co_await db::Connection::connect(url);
    co_await connection.execute("create table t (s text)");
    const std::string text = lines(5U << 20U);
    auto body = [&text](CopyIn& copy) -> Coro<> { co_await copy.write(text); };
    const auto rows = co_await connection.copy_in("copy t from stdin", body);
    CHECK(rows == text.size() / 100);
    CHECK(proxy.seen(tests::Way::to_server, 'd') >= 5);
}

Coro<> write_around_generated(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1));
    co_await pool.execute("create schema s");
    co_await pool.execute(
        "create table s.\"T\" (a int, twice int generated always as (a * 2) stored, gone int, \"b c\" text)");
    co_await pool.execute("alter table s.\"T\" drop column gone");
    auto body = [](CopyRows<int, std::string>& copy) -> Coro<> { co_await copy.write(4, "four"); };
    const auto rows = co_await pool.copy_rows<int, std::string>("s.\"T\"", body);
    CHECK(rows == 1);
    const int twice = co_await pool.query_value<int>("select twice from s.\"T\" where \"b c\" = 'four'");
    CHECK(twice == 8);
}

}  // namespace

TEST_CASE("a COPY whose body leaves a write behind is given up, and nobody shares its connection", "[pgtest]") {
    tests::Database database;
    coaio::run(leave_a_write(database.conninfo()));
}

TEST_CASE("a write that begins when its COPY is over does not reach the next one", "[pgtest]") {
    tests::Database database;
    coaio::run(write_late(database.conninfo()));
}

TEST_CASE("a COPY fails with its write, also where the body takes no notice, and says that nothing is stored",
          "[pgtest]") {
    tests::Database database;
    SECTION("the connection is lost") { coaio::run(take_no_notice(database.conninfo())); }
    SECTION("the connection stays") { coaio::run(take_no_notice_of_a_cancellation(database.conninfo())); }
}

TEST_CASE("CPY-02: what is copied in one write goes in messages that the server takes", "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    coaio::run(write_large(proxy.conninfo(database.name()), proxy));
}

TEST_CASE("CPY-07: rows copied without naming columns leave out those that the server generates", "[pgtest]") {
    tests::Database database;
    coaio::run(write_around_generated(database.conninfo()));
}
