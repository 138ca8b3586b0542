// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>
#include <coaio/db/observer.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/event.hpp>
#include <coaio/core/gather.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/postgres_proxy.hpp"
#include "support/throws.hpp"

#include <memory>
#include <string>
#include <vector>

namespace db = coaio::db;
using coaio::Coro;
using db::Operation;
using namespace std::chrono_literals;

namespace {

/// What was told, as text where it points to what goes.
struct Told {
    Operation operation;
    coaio::Duration took;
    std::string sql;
    int session;
    std::uint64_t rows;
    std::uint64_t bytes;
    int attempt;
    std::exception_ptr error;
};

class Notes final : public db::Observer {
public:
    void observe(const db::Observation& it) noexcept override {
        all.push_back(
            {it.operation, it.took, std::string(it.sql), it.session, it.rows, it.bytes, it.attempt, it.error});
    }
    /// Those of one kind since the last call.
    std::vector<Told> take(Operation operation) {
        std::vector<Told> found;
        for (const Told& each : all) {
            if (each.operation == operation) found.push_back(each);
        }
        all.clear();
        return found;
    }
    std::vector<Told> all;
};

template <class E>
bool is(const std::exception_ptr& error) {
    try {
        if (error) std::rethrow_exception(error);
    } catch (const E&) {
        return true;
    } catch (...) {
        return false;
    }
    return false;
}

/// Exactly one of its kind was told.
Told only(Notes& notes, Operation operation) {
    const auto found = notes.take(operation);
    REQUIRE(found.size() == 1);
    return found.front();
}

Coro<> tell_of_statements(std::string url) {
    const auto notes = std::make_shared<Notes>();
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1).observer(notes));
    const Told connected = only(*notes, Operation::connect);
    CHECK(connected.attempt == 1);
    CHECK(connected.took > 0s);
    CHECK_FALSE(connected.error);

    const std::string many = "select n, repeat('x', 10) from generate_series(1, $1::int) n";
    co_await pool.query(many, 5);
    REQUIRE(notes->all.size() == 3);
    CHECK(notes->all[0].operation == Operation::acquire);
    CHECK(notes->all[1].operation == Operation::prepare);
    CHECK(notes->all[1].sql == many);
    const Told query = only(*notes, Operation::query);
    CHECK(query.sql == many);
    CHECK(query.rows == 5);
    CHECK(query.bytes == 5 * (4 + 10));
    CHECK(query.session > 0);
    CHECK(query.took > 0s);
    co_await pool.query(many, 5);
    CHECK(notes->take(Operation::prepare).empty());

    co_await pool.execute("create temporary table t (n int, text text)");
    notes->all.clear();
    co_await pool.execute("insert into t select n, 'a' from generate_series(1, 7) n");
    CHECK(only(*notes, Operation::query).rows == 7);
    const bool failed = co_await tests::throws<db::Error>(pool.query("select 1 / 0"));
    CHECK(failed);
    CHECK(is<db::Error>(only(*notes, Operation::query).error));

    {
        auto stream = pool.stream<int>("select n from generate_series(1, 1000) n");
        while (auto row = co_await stream.next()) CHECK(*row > 0);
    }
    const Told streamed = only(*notes, Operation::query);
    CHECK(streamed.rows == 1000);
    CHECK(streamed.bytes == 4000);
    {
        auto left = pool.stream<int>("select n from generate_series(1, 1000000) n");
        static_cast<void>(co_await left.next());
    }
    CHECK(only(*notes, Operation::query).rows < 1'000'000);

    auto body = [](db::CopyRows<int, std::string>& copy) -> Coro<> {
        for (int i = 0; i < 9; ++i) co_await copy.write(i, "text");
    };
    notes->all.clear();
    co_await pool.copy_rows<int, std::string>("t (n, text)", body);
    const Told copied = only(*notes, Operation::copy);
    CHECK(copied.rows == 9);
    CHECK(copied.bytes >= 9 * 8);
    auto lines = pool.copy_out("copy t to stdout");
    std::size_t bytes = 0;
    while (auto line = co_await lines.next()) bytes += line->size();
    const Told out = only(*notes, Operation::copy);
    CHECK(out.rows == 16);
    CHECK(out.bytes == bytes);

    db::Batch batch;
    batch.add("select 1");
    batch.add("select 2 / $1::int", 0);
    batch.add("select 3");
    const bool batch_failed = co_await tests::throws<db::Error>(pool.batch(std::move(batch)));
    CHECK(batch_failed);
    const Told told_batch = only(*notes, Operation::batch);
    CHECK(told_batch.sql == "select 1");
    CHECK(is<db::Error>(told_batch.error));
    CHECK_FALSE(is<db::BatchError>(told_batch.error));
}

Coro<> tell_of_the_rest(std::string url, tests::PostgresProxy& proxy, std::string through) {
    const auto notes = std::make_shared<Notes>();
    const auto more = std::make_shared<Notes>();
    auto pool = co_await db::Pool::connect(
        url, db::PoolOptions().max_size(1).acquire_timeout(50ms).observer(notes).observer(more));
    auto fine = [](db::Transaction& tx) -> Coro<> { co_await tx.execute("select 1"); };
    notes->all.clear();
    co_await pool.transaction(fine);
    const Told committed = only(*notes, Operation::transaction);
    CHECK(committed.took > 0s);
    CHECK(committed.session > 0);
    CHECK_FALSE(committed.error);
    CHECK(more->take(Operation::transaction).size() == 1);

    int runs = 0;
    auto fails = [&runs](db::Transaction& tx) -> Coro<> {
        co_await tx.transaction([](db::Transaction& inner) -> Coro<> { co_await inner.execute("select 1"); });
        if (++runs < 3) co_await tx.execute("do $$ begin raise exception using errcode = '40001'; end $$");
        throw std::runtime_error("enough");
    };
    const bool failed = co_await tests::throws<std::runtime_error>(pool.retry_transaction(fails));
    CHECK(failed);
    const auto attempts = notes->take(Operation::transaction);
    REQUIRE(attempts.size() == 3);
    CHECK(is<db::SerializationError>(attempts[0].error));
    CHECK(attempts[1].attempt == 2);
    CHECK(attempts[2].attempt == 3);
    CHECK(is<std::runtime_error>(attempts[2].error));

    auto sleeping = coaio::create_task(pool.execute("select pg_sleep(60)"));
    while (notes->all.size() < 2) co_await coaio::sleep(0s);  // it has its connection, and is prepared
    notes->all.clear();
    const bool full = co_await tests::throws<db::PoolTimeout>(pool.query("select 1"));
    CHECK(full);
    const Told refused = only(*notes, Operation::acquire);
    CHECK(is<db::PoolTimeout>(refused.error));
    CHECK(refused.took >= 50ms);
    sleeping.cancel();
    const bool cancelled = co_await tests::throws<coaio::CancelledError>(sleeping);
    CHECK(cancelled);
    REQUIRE(notes->all.size() == 2);
    CHECK(notes->all[0].operation == Operation::cancel);
    CHECK_FALSE(notes->all[0].error);
    CHECK(is<coaio::CancelledError>(only(*notes, Operation::query).error));

    proxy.listen(tests::Listen::reset);
    const bool unreachable = co_await tests::throws<db::ConnectionError>(
        db::Connection::connect(through + " connect_timeout=5", db::ConnectOptions().observer(notes)));
    CHECK(unreachable);
    const Told connect = only(*notes, Operation::connect);
    CHECK(is<db::ConnectionError>(connect.error));
    CHECK(connect.attempt == 1);
}

Coro<> tell_of_a_pipeline(std::string url) {
    const auto notes = std::make_shared<Notes>();
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1).pipelining(32).observer(notes));
    const std::string sql = "select 100 / $1::int";
    for (int i = 0; i < 2; ++i) co_await pool.query(sql, 1);
    notes->all.clear();
    std::vector<Coro<int>> all;
    all.reserve(20);
    for (int i = 0; i < 20; ++i) all.push_back(pool.query_value<int>(sql, i));
    const auto answers = co_await coaio::gather(coaio::return_exceptions, std::move(all));
    CHECK_FALSE(answers[0].has_value());
    const auto told = notes->take(Operation::query);
    REQUIRE(told.size() == 20);
    int failed = 0;
    for (const Told& each : told) {
        CHECK(each.sql == sql);
        if (each.error)
            ++failed;
        else
            CHECK(each.rows == 1);
    }
    CHECK(failed == 1);
}

Coro<> log_slow_ones(std::string url) {
    std::vector<std::string> lines;
    const auto log =
        std::make_shared<db::SlowQueryLog>(100ms, [&lines](std::string_view line) { lines.emplace_back(line); });
    const auto patient =
        std::make_shared<db::SlowQueryLog>(1h, [&lines](std::string_view line) { lines.emplace_back(line); });
    auto quick = co_await db::Pool::connect(url, db::PoolOptions().max_size(1).observer(patient));
    co_await quick.query("select 1");
    CHECK(lines.empty());
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(1).observer(log));
    co_await pool.query("select  pg_sleep(0.12), 'secret' -- of 4711\n where 1 = 1");
    REQUIRE(lines.size() == 1);
    CHECK_THAT(lines[0], tests::contains(" ms, 1 row, session "));
    CHECK_THAT(lines[0], tests::contains(": select pg_sleep(?), ? where ? = ?"));
    CHECK(lines[0].find("secret") == std::string::npos);
    const bool failed = co_await tests::throws<db::Error>(
        pool.query("do $$ begin perform pg_sleep(0.12); raise exception 'with 4711'; end $$"));
    CHECK(failed);
    REQUIRE(lines.size() == 2);
    CHECK_THAT(lines[1], tests::contains(", failed with P0001: do ?"));
}

Coro<> trace_some(std::string url) {
    std::string context;
    auto options = db::PoolOptions().max_size(1).trace([&context] { return context; });
    auto pool = co_await db::Pool::connect(url, options);
    const std::string sql = "select query from pg_stat_activity where pid = pg_backend_pid()";
    const std::string prepared = "select count(*)::int from pg_prepared_statements where statement like $1";
    const auto plain = co_await pool.query_value<std::string>(sql);
    CHECK(plain == sql);
    context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const auto traced = co_await pool.query_value<std::string>(sql);
    CHECK(traced == sql + "\n/*traceparent='" + context + "'*/");
    auto body = [&](db::Transaction& tx) -> Coro<> {
        const auto inside = co_await tx.query_value<std::string>(sql);
        CHECK_THAT(inside, tests::contains("/*traceparent='00-4bf"));
    };
    co_await pool.transaction(body);
    auto stream = pool.stream<std::string>(sql);
    const auto streamed = co_await stream.next();
    CHECK_THAT(*streamed, tests::contains("/*traceparent='00-4bf"));
    co_await stream.close();
    // What could end the comment is not sent.
    context = "'*/ drop table x; /*'";
    const auto refused = co_await pool.query_value<std::string>(sql);
    CHECK(refused == sql);
    const int kept = co_await pool.query_value<int>(prepared, "%traceparent%");
    CHECK(kept == 0);
}

Coro<> hold_all(db::Pool pool, coaio::Event& holds) {
    const auto first = co_await pool.acquire();
    const auto second = co_await pool.acquire();
    holds.set();
    co_await second.query("select pg_sleep(60), 'secret'");
}

Coro<> print_holders(std::string url) {
    auto pool = co_await db::Pool::connect(url, db::PoolOptions().max_size(2).min_size(2).acquire_timeout(50ms));
    while (pool.statistics().idle < 2) co_await coaio::sleep(1ms);
    coaio::Event holds;
    auto holder = coaio::create_task(hold_all(pool, holds), {.name = "the holder"});
    co_await holds.wait();
    const auto prepared = [&pool] { return pool.dump().find("in the midst of query") != std::string::npos; };
    while (!prepared()) co_await coaio::sleep(0s);
    const std::string text = pool.dump();
    CAPTURE(text);
    CHECK_THAT(text, tests::contains(": 2 of 2 connections in use, 0 being opened, 0 tasks wait\nsession "));
    CHECK_THAT(text, tests::contains("name='the holder'"));
    CHECK_THAT(text, tests::contains("taken at "));
    CHECK_THAT(text, tests::contains("hold_all"));
    CHECK_THAT(text, tests::contains(" at observer_test.cpp:"));
    CHECK_THAT(text, tests::contains("in the midst of query \"select pg_sleep(60), '…'\""));
    CHECK(text.find("secret") == std::string::npos);

    const auto timeout_text = [](db::Pool of) -> Coro<std::string> {
        try {
            co_await of.query("select 1");
        } catch (const db::PoolTimeout& error) {
            co_return error.what();
        }
        co_return std::string();
    };
    const std::string brief = co_await timeout_text(pool);
    CHECK(brief.find("hold_all at observer") == std::string::npos);
    coaio::get_running_loop().set_debug(true);
    const std::string whole = co_await timeout_text(pool);
    CHECK_THAT(whole, tests::contains("in the midst of query"));
    holder.cancel();
    const bool cancelled = co_await tests::throws<coaio::CancelledError>(holder);
    CHECK(cancelled);
}

}  // namespace

TEST_CASE("OBS-01: an observer is told of connects, acquires, prepares, queries, streams, batches and COPYs",
          "[pgtest]") {
    tests::Database database;
    coaio::run(tell_of_statements(database.conninfo()));
}

TEST_CASE("OBS-01: an observer is told of transactions and their attempts, cancels, and what fails", "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    coaio::run(tell_of_the_rest(database.conninfo(), proxy, proxy.conninfo(database.name())));
}

TEST_CASE("OBS-01: an observer is told of each statement of a pipeline", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(tell_of_a_pipeline(database.conninfo()));
}

TEST_CASE("OBS-02: statements in a log have no literals") {
    CHECK(db::normalized_sql("select 1") == "select ?");
    CHECK(db::normalized_sql("  select\n\t a1,b  from t2 ; ") == "select a1,b from t2 ;");
    CHECK(db::normalized_sql("select 'it''s', E'a\\'b', x'ff', U&'\\0041', n'x', $1, $tag$ 5 $tag$") ==
          "select ?, ?, ?, ?, ?, $1, ?");
    CHECK(db::normalized_sql("where a > 1.5e-10 and b=-3 and c<.5 and d = 0xFF") ==
          "where a > ? and b=-? and c<? and d = ?");
    CHECK(db::normalized_sql("select \"Col 1\", a[1], '2'::int /* 3 /* 4 */ */ -- 5") ==
          "select \"Col 1\", a[?], ?::int");
    CHECK(db::normalized_sql("limit/* no */5") == "limit ?");
    CHECK(db::normalized_sql("select 'open") == "select ?");
    CHECK(db::normalized_sql(std::string(10'000, 'x')).size() < 2'060);
    std::string wide = "x";
    for (int i = 0; i < 2'000; ++i) wide += "ü";
    const std::string cut = db::normalized_sql(wide);
    CHECK(cut == wide.substr(0, cut.size() - 3) + "…");
    CHECK(cut.size() % 2 == 0);  // no half of a letter
    CHECK(db::normalized_sql("").empty());
}

TEST_CASE("OBS-02: what takes long is logged, without what it was asked for", "[pgtest]") {
    tests::Database database;
    coaio::run(log_slow_ones(database.conninfo()));
}

TEST_CASE("OBS-02: the context of a trace travels as a comment where it is asked for, and such statements are not kept",
          "[pgtest]") {
    tests::Database database;
    coaio::testing::run(trace_some(database.conninfo()));
}

TEST_CASE("OBS-03: an exhausted pool prints who holds it, with the coroutines on their stacks", "[pgtest]") {
    tests::Database database;
    coaio::run(print_holders(database.conninfo()));
}
