// SPDX-License-Identifier: MIT
#include "commit.hpp"

#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>

#include "support/catch.hpp"
#include "support/postgres_proxy.hpp"
#include "support/throws.hpp"
#include "support/timely.hpp"
#include "support/token_table.hpp"

#include <csignal>

namespace db = coaio::db;
using coaio::Coro;
using db::Outcome;
using db::Transaction;
using tests::Fault;
using tests::PostgresProxy;
using tests::Spot;
using tests::Way;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

const Spot commit_sent = Spot(Way::to_server, 'Q').containing("commit\0"s).nth(0);
const Spot commit_answered = Spot(Way::to_client, 'C').containing("COMMIT");

db::PoolOptions quick() {
    return db::PoolOptions().max_size(1).commit_timeout(300ms).resolve_timeout(1200ms).cancel_timeout(300ms);
}

Coro<int> insert_one(const Transaction& tx) {
    co_await tx.execute("insert into t values (1)");
    co_return 7;
}

/// What the transaction says of itself.
Coro<Outcome> outcome_of(const db::Pool& pool, db::TransactionOptions options = {}) {
    auto body = [](Transaction& tx) -> Coro<int> { return insert_one(tx); };
    try {
        const int got = co_await pool.transaction(body, options);
        CHECK(got == 7);
    } catch (const db::CommitUnknownError& error) {
        CHECK_FALSE(error.retryable());
        co_return error.outcome();
    } catch (const db::ConnectionError& error) {
        CHECK(error.retryable());
        co_return error.outcome();
    }
    co_return Outcome::committed;
}

struct Scene {
    explicit Scene(bool with_table = true) : proxy(database.server()), url(proxy.conninfo(database.name())) {
        database.sql("create table t (n int)");
        if (with_table) database.sql(tests::token_table);
    }
    [[nodiscard]] int rows() const { return std::stoi(database.value("select count(*) from t")); }

    tests::Database database;
    PostgresProxy proxy;
    std::string url;
};

/// One transaction that something happens to, and then another one, to show that the pool is whole.
Coro<Outcome> one_transaction(Scene& scene, db::TransactionOptions options = {}) {
    db::Pool pool(scene.url, quick());
    const Outcome outcome = co_await outcome_of(pool, options);
    CHECK(pool.statistics().in_use == 0);
    scene.proxy.clear();
    const int one = co_await pool.query_value<int>("select 1");
    CHECK(one == 1);
    CHECK(pool.statistics().size == 1);
    co_await pool.close();
    co_return outcome;
}

Outcome run_one(Scene& scene, db::TransactionOptions options = {}) {
    coaio::Runner runner;
    const tests::StepLimit limit(runner.get_loop());
    const Outcome outcome = runner.run(one_transaction(scene, options));
    limit.check();
    return outcome;
}

Coro<> lose_before_commit(Scene& scene) {
    db::Pool pool(scene.url, quick());
    co_await pool.query("select 1");
    auto body = [&scene](Transaction& tx) -> Coro<int> {
        const int got = co_await insert_one(tx);
        scene.proxy.cut_all();
        co_return got;
    };
    Outcome outcome = Outcome::committed;
    try {
        co_await pool.transaction(body);
    } catch (const db::ConnectionError& error) {
        outcome = error.outcome();
    }
    CHECK(outcome == Outcome::rolled_back);
}

// The server gave the transaction up, so its COMMIT can only end in a ROLLBACK, whose tag is lost.
Coro<Outcome> lose_what_had_failed(Scene& scene) {
    db::Pool pool(scene.url, quick());
    auto body = [](Transaction& tx) -> Coro<> {
        (void)co_await insert_one(tx);
        const bool refused = co_await tests::throws<db::Error>(tx.query("select 1/0"));
        CHECK(refused);
    };
    Outcome outcome = Outcome::committed;
    try {
        co_await pool.transaction(body);
    } catch (const db::ConnectionError& error) {
        outcome = error.outcome();
    }
    co_await pool.close();
    co_return outcome;
}

enum class Freeze { never, before_commit, in_commit };

Coro<> freeze_when_asleep(std::string url, int pid) {
    auto connection = co_await db::Connection::connect(url);
    for (bool asleep = false; !asleep;) {
        asleep = co_await connection.query_value<bool>(
            "select coalesce(wait_event, '') = 'PgSleep' from pg_stat_activity where pid = $1", pid);
    }
    ::kill(pid, SIGSTOP);
}

Coro<> in_doubt(Scene& scene, Freeze freeze, Outcome wanted) {
    scene.database.sql(
        "create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(60); return null; end "
        "$$; "
        "create constraint trigger slow after insert on t deferrable initially deferred for each row execute function "
        "slow()");
    // Its session has to be stopped before it is ended.
    db::Pool pool(scene.url, freeze == Freeze::in_commit ? quick().commit_timeout(2s) : quick());
    co_await pool.execute("set datestyle to sql, dmy");  // in which the session that asks reads no date
    const int pid = co_await pool.query_value<int>("select pg_backend_pid()");
    std::optional<coaio::Task<>> watcher;
    if (freeze == Freeze::in_commit) watcher = coaio::create_task(freeze_when_asleep(scene.url, pid));
    auto body = [freeze, pid](Transaction& tx) -> Coro<int> {
        const int got = co_await insert_one(tx);
        if (freeze == Freeze::before_commit) ::kill(pid, SIGSTOP);
        co_return got;
    };
    Outcome outcome = Outcome::committed;
    const auto began = coaio::Clock::now();
    try {
        co_await pool.transaction(body);
    } catch (const db::ConnectionError& error) {
        outcome = error.outcome();
    }
    const auto took = coaio::Clock::now() - began;
    if (freeze != Freeze::never) ::kill(pid, SIGCONT);
    CHECK(outcome == wanted);
    CHECK(took < 10s);
    if (freeze == Freeze::never) CHECK(took >= 600ms);  // in which it might have ended by itself
}

Coro<> no_way_back(Scene& scene) {
    db::Pool pool(scene.url, quick());
    auto body = [&scene](Transaction& tx) -> Coro<int> {
        const int got = co_await insert_one(tx);
        scene.proxy.listen(tests::Listen::refuse);
        co_return got;
    };
    const auto began = coaio::Clock::now();
    const bool unknown = co_await tests::throws<db::CommitUnknownError>(pool.transaction(body));
    CHECK(unknown);
    const auto took = coaio::Clock::now() - began;
    CHECK(took >= 1s);
    CHECK(took < 3s);
}

/// What an autocommit statement says of itself.
Coro<Outcome> outcome_alone(const db::Connection& connection, std::string sql) {
    try {
        co_await connection.execute(sql);
    } catch (const db::ConnectionError& error) {
        CHECK(error.retryable() == (error.outcome() != Outcome::unknown));
        co_return error.outcome();
    }
    co_return Outcome::committed;
}

Coro<> alone(Scene& scene, std::string url) {
    auto connection = co_await db::Connection::connect(url);
    const std::string sql = "insert into t values (1)";
    Outcome outcome = co_await outcome_alone(connection, sql);
    CHECK(outcome == Outcome::committed);
    scene.proxy.on(Spot(Way::to_client, 'C'), Fault::cut_before());
    outcome = co_await outcome_alone(connection, sql);
    CHECK(outcome == Outcome::unknown);

    connection = co_await db::Connection::connect(url);
    scene.proxy.cut_all();
    outcome = co_await outcome_alone(connection, sql);
    CHECK(outcome == Outcome::not_sent);

    // Ended by hand, COMMIT is as decisive as ever; what stands before it is not.
    connection = co_await db::Connection::connect(url);
    co_await connection.execute("begin");
    co_await connection.execute(sql);
    scene.proxy.clear();
    scene.proxy.on(Spot(Way::to_client, 'C'), Fault::cut_before());
    outcome = co_await outcome_alone(connection, "/* a /* b */ */ Commit");
    CHECK(outcome == Outcome::unknown);
    connection = co_await db::Connection::connect(url);
    co_await connection.execute("begin");
    scene.proxy.clear();
    scene.proxy.on(Spot(Way::to_client, 'C'), Fault::cut_before());
    outcome = co_await outcome_alone(connection, sql);
    CHECK(outcome == Outcome::rolled_back);

    // A session that cannot write has nothing to lose.
    connection = co_await db::Connection::connect(url + " options='-c default_transaction_read_only=on'");
    scene.proxy.clear();
    scene.proxy.on(Spot(Way::to_client, 'C'), Fault::cut_before());
    outcome = co_await outcome_alone(connection, "select 1");
    CHECK(outcome == Outcome::rolled_back);
}

// Its rest is still to come when the transaction ends.
Coro<> leave_a_copy(Scene& scene) {
    db::Pool pool(scene.url, quick());
    auto body = [](Transaction& tx) -> Coro<int> {
        const int got = co_await insert_one(tx);
        auto lines = tx.copy_out("copy (select generate_series(1, 3)) to stdout");
        const auto first = co_await lines.next();
        CHECK(first == "1\n");
        co_return got;
    };
    const int got = co_await pool.transaction(body);
    CHECK(got == 7);
}

Coro<> warn_at_commit(std::string url) {
    std::string heard;
    db::Pool pool(url, db::PoolOptions().on_notice(
                           [&heard](const db::ErrorFields& notice) { heard += notice.sqlstate + notice.message; }));
    auto body = [](Transaction& tx) -> Coro<int> { return insert_one(tx); };
    const int got = co_await pool.transaction(body);
    CHECK(got == 7);
    CHECK(heard == "01000not on the standby yet");
}

}  // namespace

TEST_CASE("CMT-03: lost before COMMIT was written, it is rolled back, and nobody looks it up", "[pgtest]") {
    Scene scene;
    scene.proxy.on(commit_sent, Fault::none());
    tests::run_timely(lose_before_commit(scene));
    CHECK(scene.rows() == 0);
    CHECK(scene.proxy.accepted() == 1);
    CHECK(scene.proxy.fired() == 0);
}

TEST_CASE("CMT-03: the lost COMMIT of a transaction that the server had given up is rolled back for certain",
          "[pgtest]") {
    Scene scene;
    scene.proxy.on(Spot(Way::to_client, 'C').containing("ROLLBACK"), Fault::cut_before());
    CHECK(coaio::run(lose_what_had_failed(scene)) == Outcome::rolled_back);
    CHECK(scene.rows() == 0);
    CHECK(scene.proxy.fired() == 1);
}

TEST_CASE("CMT-04 CMT-11: a lost COMMIT is found out by its token, and never sent again", "[pgtest]") {
    Scene scene;
    int wanted = 0;
    bool either = false;
    std::size_t fired = 1;  // the fault, and each COMMIT that it is not for
    SECTION("it did not reach the server") { scene.proxy.on(commit_sent, Fault::cut_before()); }
    SECTION("it was swallowed") { scene.proxy.on(commit_sent, Fault::swallow()); }
    SECTION("nothing passes any more") { scene.proxy.on(commit_sent, Fault::freeze()); }
    SECTION("its answer was cut off") {
        wanted = 1;
        fired = 2;
        scene.proxy.on(commit_answered, Fault::cut_before());
    }
    SECTION("its answer was swallowed") {
        wanted = 1;
        fired = 2;
        scene.proxy.on(commit_answered, Fault::freeze_way());
    }
    SECTION("the connection was reset when it had been sent") {
        either = true;  // the look-up may be faster than the server
        scene.proxy.on(commit_sent, Fault::reset_after());
    }
    scene.proxy.on(Spot(commit_sent).times(0), Fault::none());
    const Outcome outcome = run_one(scene);
    if (either) wanted = outcome == Outcome::committed ? 1 : 0;
    CHECK(outcome == (wanted == 1 ? Outcome::committed : Outcome::rolled_back));
    CHECK(scene.rows() == wanted);
    CHECK(scene.database.value("select count(*) from coaio_commit") == "1");
    CHECK(scene.database.value("select at = 'infinity' from coaio_commit") == (wanted == 1 ? "f" : "t"));
    CHECK(scene.database.value("select substr(token::text, 15, 1) from coaio_commit") == "7");
    CHECK(scene.proxy.fired() == fired);
}

TEST_CASE("CMT-04: a COPY that is left in the middle takes no token from its transaction's COMMIT", "[pgtest]") {
    Scene scene;
    scene.proxy.on(commit_answered, Fault::cut_before());
    tests::run_timely(leave_a_copy(scene));
    CHECK(scene.rows() == 1);
    CHECK(scene.proxy.fired() == 1);
}

TEST_CASE("CMT-04: without the table, or where it is not wanted, a lost COMMIT is unknown", "[pgtest]") {
    const bool with_table = GENERATE(false, true);
    Scene scene(with_table);
    scene.proxy.on(commit_answered, Fault::cut_before());
    CHECK(run_one(scene, {.resolve = !with_table}) == Outcome::unknown);
    CHECK(scene.rows() == 1);
}

TEST_CASE("CMT-04: the answer to the look-up may be lost as well", "[pgtest]") {
    Scene scene;
    scene.proxy.on(commit_sent, Fault::cut_before());
    scene.proxy.on(Spot(Way::to_client, 'C').containing("INSERT").connection(2), Fault::cut_before());
    CHECK(run_one(scene) == Outcome::rolled_back);
    CHECK(scene.proxy.fired() == 2);
    CHECK(scene.rows() == 0);
}

TEST_CASE("CMT-04: a table that a crash would empty is not relied on", "[pgtest]") {
    Scene scene(false);
    scene.database.sql("create unlogged table coaio_commit (token uuid primary key, at timestamptz default now())");
    scene.proxy.on(commit_answered, Fault::cut_before());
    CHECK(run_one(scene) == Outcome::unknown);
}

TEST_CASE("a transaction that has written nothing leaves no token and has no outcome to look up", "[pgtest]") {
    Scene scene;
    const auto read = [](std::string url) -> Coro<> {
        db::Pool pool(url, quick());
        auto body = [](Transaction& tx) -> Coro<> { co_await tx.query("select 1"); };
        co_await pool.transaction(body);
        const bool known = co_await tests::throws<db::ConnectionError>(pool.transaction(body, {.read_only = true}));
        CHECK(known);
        const bool unknown = co_await tests::throws<db::CommitUnknownError>(pool.transaction(body, {.resolve = false}));
        CHECK_FALSE(unknown);
    };
    scene.proxy.on(Spot(Way::to_client, 'C').containing("COMMIT").nth(2), Fault::cut_before());
    tests::run_timely(read(scene.url));
    CHECK(scene.proxy.fired() == 1);
    CHECK(scene.database.value("select count(*) from coaio_commit") == "0");
}

TEST_CASE("CMT-06: a transaction in doubt is waited for, then ended, then answered", "[pgtest]") {
    Scene scene;
    tests::run_timely(in_doubt(scene, Freeze::never, Outcome::rolled_back));
    CHECK(scene.rows() == 0);
}

TEST_CASE("CMT-06: what was found to be rolled back stays so, even if its COMMIT comes to life later", "[pgtest]") {
    Scene scene;
    tests::run_timely(in_doubt(scene, Freeze::before_commit, Outcome::rolled_back));
    CHECK(scene.database.server().await_sessions(scene.database.name(), 0));
    CHECK(scene.rows() == 0);
}

TEST_CASE("CMT-07: what cannot be found out in time stays unknown", "[pgtest]") {
    Scene scene;
    SECTION("the old session does not end") { tests::run_timely(in_doubt(scene, Freeze::in_commit, Outcome::unknown)); }
    SECTION("the server cannot be reached") {
        scene.proxy.on(commit_answered, Fault::cut_before());
        tests::run_timely(no_way_back(scene));
    }
}

TEST_CASE("CMT-08: a statement of its own is committed, not sent or unknown; one that only reads can be run again",
          "[pgtest]") {
    Scene scene(false);
    tests::run_timely(alone(scene, scene.url));
}

TEST_CASE("CMT-09: a warning with COMMIT is passed on, and it is committed", "[pgtest]") {
    Scene scene;
    scene.database.sql(
        "create function warn() returns trigger language plpgsql as $$ begin raise warning 'not on the standby yet'; "
        "return null; end $$; create constraint trigger warn after insert on t deferrable initially deferred for each "
        "row execute function warn()");
    tests::run_timely(warn_at_commit(scene.url));
    CHECK(scene.rows() == 1);
}

TEST_CASE("what ends a transaction is recognised behind comments, in any case") {
    using db::detail::ends_transaction;
    CHECK(ends_transaction("commit"));
    CHECK(ends_transaction("  -- now\n END;"));
    CHECK(ends_transaction("/* x /* y */ commit */ ; COMMIT and chain"));
    CHECK(ends_transaction("prepare transaction 'x'"));
    for (const char* chain : {"commit and chain", "END AND CHAIN;", "rollback /* x */ work and chain",
                              "-- now\nabort\ttransaction and  chain"}) {
        INFO(chain);
        CHECK_THROWS_AS(db::detail::refuse_chain(chain), db::UsageError);
    }
    for (const char* other : {"commit", "commit and no chain", "rollback to savepoint chain", "select 1 as chain"}) {
        INFO(other);
        CHECK_NOTHROW(db::detail::refuse_chain(other));
    }
    CHECK_FALSE(ends_transaction("/* commit"));
    CHECK_FALSE(ends_transaction("rollback"));
    CHECK_FALSE(ends_transaction("committed"));
    CHECK_FALSE(ends_transaction("select 'commit'"));
    CHECK_FALSE(ends_transaction("-- commit"));
    CHECK_FALSE(ends_transaction(""));
}
