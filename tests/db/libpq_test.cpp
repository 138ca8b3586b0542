// SPDX-License-Identifier: MIT
#include "libpq.hpp"

#include "db/wire.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/postgres_proxy.hpp"

#include <thread>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace db = coaio::db;
using tests::Wire;

TEST_CASE("ERR-01: a server's error arrives with all its fields", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    wire.query("create schema s");
    wire.query("create table s.t (id int primary key, n int constraint positive check (n > 0), r int not null)");
    wire.query("insert into s.t values (1, 1, 1)");
    try {
        wire.query("insert into s.t values ($1, 1, 1)", db::Params::of(1));
        FAIL("accepted");
    } catch (const db::UniqueViolation& error) {
        CHECK(error.severity() == "ERROR");
        CHECK(error.sqlstate() == "23505");
        CHECK(error.schema() == "s");
        CHECK(error.table() == "t");
        CHECK(error.constraint() == "t_pkey");
        CHECK_THAT(error.detail(), tests::contains("(id)=(1)"));
        CHECK(error.outcome() == db::Outcome::rolled_back);
        CHECK(error.connection_good());
    }
    CHECK_THROWS_AS(wire.query("insert into s.t values (2, 0, 1)"), db::CheckViolation);
    try {
        wire.query("insert into s.t values (2, 1, null)");
        FAIL("accepted");
    } catch (const db::NotNullViolation& error) {
        CHECK(error.column() == "r");
    }
    try {
        wire.query("select nme from s.t as t(name)");
        FAIL("accepted");
    } catch (const db::Error& error) {
        CHECK(error.is(db::sqlstate::undefined_column));
        CHECK(error.position() == 8);
        CHECK_THAT(error.hint(), tests::contains("name"));
    }
    try {
        wire.query("do $$ begin raise exception 'mine' using errcode = 'XX123', datatype = 'dt'; end $$");
        FAIL("accepted");
    } catch (const db::Error& error) {
        CHECK(error.sqlstate() == "XX123");
        CHECK(error.message() == "mine");
        CHECK(error.datatype() == "dt");
        CHECK_THAT(error.where(), tests::contains("PL/pgSQL"));
    }
    CHECK(wire.value<int>("select count(*) from s.t") == 1);
}

TEST_CASE("TYP-19: a wrong number of parameters is the server's error and 65535 pass", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    CHECK_THROWS_AS(wire.query("select $1::int + $2::int", db::Params::of(1)), db::Error);
    db::Params params;
    std::string sql = "select 1";
    for (int i = 1; i <= 65535; ++i) {
        params.add(i);
        if (i % 1000 == 0 || i == 65535) sql += " + $" + std::to_string(i) + "::int - " + std::to_string(i);
    }
    CHECK(wire.value<int>(sql, params) == 1);
}

TEST_CASE("a statement with a NUL byte is not sent", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    CHECK_THROWS_AS(wire.query(std::string("select 1\0; drop table t", 23)), db::ParameterError);
    CHECK(wire.value<int>("select 1") == 1);
}

TEST_CASE("a session's socket is readable when as much has come as is waited for", "[pgtest]") {
    tests::Database database;
    Wire local(database.conninfo());
    CHECK_FALSE(local.session().counts_bytes());
    tests::PostgresProxy proxy(database.server());
    Wire wire(proxy.conninfo(database.name()));
    db::pq::Session& session = wire.session();
    CHECK(session.counts_bytes());
    const auto readable = [&session] {
        pollfd state{.fd = session.socket(), .events = POLLIN, .revents = 0};
        return poll(&state, 1, 0) == 1;
    };
    session.wake_at(4000);
    session.send_query("select 1", {}, db::Format::binary);
    wire.flush();
    while (session.at_hand() == 0) std::this_thread::yield();
    CHECK(session.at_hand() < 4000);
    CHECK_FALSE(readable());
    session.wake_at(1);
    CHECK(readable());
    CHECK(wire.finish().size() == 1);
    session.wake_at(4000);
    session.send_query("select repeat('x', 5000)", {}, db::Format::binary);
    wire.flush();
    while (session.at_hand() < 5000) std::this_thread::yield();
    CHECK(readable());
    session.wake_at(1);
    CHECK(wire.finish().size() == 1);
    session.hang_up();
    CHECK(readable());
}

TEST_CASE("CUR-06: an empty statement, no rows, no columns and command tags have a form", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    CHECK(wire.query("").command().empty());
    CHECK(wire.query("create table t (a int)").command() == "CREATE TABLE");
    CHECK(wire.query("insert into t select generate_series(1, 5)").affected() == 5);
    CHECK(wire.query("update t set a = a + 1 where a > 3").affected() == 2);
    CHECK(wire.query("select a from t where a < 0").column_count() == 1);
    CHECK(wire.query("select a from t where a < 0").empty());
    CHECK(wire.query("select from t").size() == 5);
    CHECK(wire.query("select from t").column_count() == 0);
}

TEST_CASE("a statement is prepared, described and run by name", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    auto params = db::Params::of(20, "x");
    wire.session().send_prepare("s1", "select $1::int8 as n, $2::inet as i", params.types());
    (void)wire.finish();
    wire.session().send_describe("s1");
    wire.flush();
    auto described = wire.next();
    REQUIRE(described);
    CHECK(described->column_types() == std::vector<db::Oid>{db::Oid::int8, static_cast<db::Oid>(869)});
    CHECK(described->parameter_types().size() == 2);
    CHECK_FALSE(wire.next());
    wire.session().send_prepared("s1", db::Params::of(20, "::1"), db::Format::text);
    auto [number, address] = wire.finish().one<int, std::string>();
    CHECK(number == 20);
    CHECK(address == "::1");
}

TEST_CASE("PIP-09 LPQ-07: in a pipeline each statement with a Sync of its own fails alone", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    auto& session = wire.session();
    session.enter_pipeline();
    for (const char* sql : {"select 1", "selec 2", "select 3"}) {
        session.send_query(sql, {}, db::Format::binary);
        session.send_sync();
    }
    wire.flush();
    std::vector<db::pq::Kind> kinds;
    for (int query = 0; query < 3; ++query) {
        while (auto result = wire.next()) kinds.push_back(result->kind());
        auto sync = wire.next();
        REQUIRE(sync);
        CHECK(sync->kind() == db::pq::Kind::sync);
    }
    CHECK(kinds == std::vector<db::pq::Kind>{db::pq::Kind::rows, db::pq::Kind::error, db::pq::Kind::rows});
    session.exit_pipeline();
    CHECK_FALSE(session.in_pipeline());
    CHECK(wire.value<int>("select 4") == 4);
}

TEST_CASE("LPQ-11: notices come to the handler, and the last warning is kept", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    std::vector<std::string> heard;
    wire.session().on_notice([&heard](const db::pq::Notice& notice) {
        heard.push_back(notice.fields.severity + " " + notice.fields.message);
        throw std::runtime_error("a handler that fails");
    });
    wire.query("do $$ begin raise notice 'one'; raise warning 'two'; end $$");
    CHECK(heard == std::vector<std::string>{"NOTICE one", "WARNING two"});
    CHECK_THAT(wire.session().last_warning(), tests::contains("two"));
    CHECK(wire.value<int>("select 1") == 1);
}

TEST_CASE("a notification carries channel, payload and sender", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    wire.query("listen c");
    wire.query("select pg_notify('c', 'hello')");
    auto notification = wire.session().next_notification();
    REQUIRE(notification);
    CHECK(notification->channel == "c");
    CHECK(notification->payload == "hello");
    CHECK(notification->pid == wire.session().backend_pid());
    CHECK_FALSE(wire.session().next_notification());
}

TEST_CASE("a cancelled statement fails with 57014 and leaves the session usable", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    auto canceller = wire.session().canceller();
    wire.session().send_query("select pg_sleep(60)", {}, db::Format::binary);
    wire.flush();
    while (database.value(
               "select count(*) from pg_stat_activity where state = 'active' and query like 'select pg_sl%'") != "1") {
        std::this_thread::yield();
    }
    CHECK(canceller.cancel().empty());
    CHECK_THROWS_AS(wire.finish(), db::QueryCanceledError);
    CHECK(wire.value<int>("select 1") == 1);
}

TEST_CASE("FLT-01: a terminated session says so and counts as gone", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    database.sql("select pg_terminate_backend(" + std::to_string(wire.session().backend_pid()) + ")");
    try {
        wire.query("select 1");
        FAIL("answered");
    } catch (const db::ConnectionError& error) {
        CHECK_FALSE(error.connection_good());
    }
    CHECK_FALSE(wire.session().good());
}

TEST_CASE("a session is silent until something comes, be it its end", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    CHECK(wire.session().silent());
    wire.session().send_query("select 1", {}, db::Format::binary);
    wire.flush();
    while (wire.session().silent()) {}
    wire.finish();
    CHECK(wire.session().silent());
    database.sql("select pg_terminate_backend(" + std::to_string(wire.session().backend_pid()) + ")");
    while (wire.session().silent()) {}
    CHECK_THROWS_AS(wire.query("select 1"), db::ConnectionError);
}

namespace {

bool corked(const db::pq::Session& session) {
    int on = 0;
    socklen_t size = sizeof on;
    return ::getsockopt(session.socket(), IPPROTO_TCP, TCP_CORK, &on, &size) == 0 && on != 0;
}

}  // namespace

TEST_CASE("LPQ-05: what is held back waits until it is let go, where the socket can do that", "[pgtest]") {
    tests::Database database;
    tests::PostgresProxy proxy(database.server());
    Wire far(proxy.conninfo(database.name()));
    far.session().hold_back();
    CHECK(corked(far.session()) == !db::pq::features().async_cancel);  // 17 sends when it is told to
    far.session().let_go();
    CHECK_FALSE(corked(far.session()));
    CHECK(far.value<int>("select 1") == 1);
    Wire near(database.conninfo());
    near.session().hold_back();
    CHECK_FALSE(corked(near.session()));
    CHECK(near.value<int>("select 1") == 1);
}

TEST_CASE("ERR-06: an immediate shutdown announces itself by a warning", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    wire.session().send_query("select pg_sleep(60)", {}, db::Format::binary);
    wire.flush();
    // A statement that the server has not read yet when it dies resets the connection, and the warning is lost.
    const std::string running = "select count(*) from pg_stat_activity where state = 'active' and pid = " +
                                std::to_string(wire.session().backend_pid());
    while (database.value(running) != "1") {}
    database.server().stop(tests::Stop::immediate);
    CHECK_THROWS_AS(wire.finish(), db::ConnectionError);
    CHECK_THAT(wire.session().last_warning(), tests::contains("57P0"));
    database.server().start();
}

TEST_CASE("a server that is not there, a database that is not there, a role that is not there", "[pgtest]") {
    tests::Database database;
    CHECK_THROWS_AS(Wire("host=/nonexistent user=me"), db::ConnectionError);
    try {
        Wire wire(database.server().conninfo("no_such_database"));
        FAIL("connected");
    } catch (const db::ConnectionError& error) {
        CHECK_THAT(error.what(), tests::contains("no_such_database"));
    }
}

TEST_CASE("the session tells what the server is and what transaction it is in", "[pgtest]") {
    tests::Database database;
    Wire wire(database.conninfo());
    auto& session = wire.session();
    CHECK(session.server_version() >= 150000);
    CHECK(session.parameter("client_encoding") == "UTF8");
    CHECK(session.transaction() == db::pq::TxStatus::idle);
    wire.query("begin");
    CHECK(session.transaction() == db::pq::TxStatus::in_transaction);
    CHECK_THROWS_AS(wire.query("selec"), db::Error);
    CHECK(session.transaction() == db::pq::TxStatus::failed);
    wire.query("rollback");
    CHECK(session.transaction() == db::pq::TxStatus::idle);
}
