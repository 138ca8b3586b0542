// SPDX-License-Identifier: MIT
#include "store/schema.hpp"

#include <coaio/core/gather.hpp>
#include <coaio/core/run.hpp>
#include <coaio/db/connection.hpp>
#include <coaio/db/migrations.hpp>
#include <coaio/db/pool.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"

#include <string>

namespace {

coaio::Coro<> create(std::string conninfo) {
    const coaio::db::Pool pool(conninfo, store::pool_options(1, "test"));
    co_await store::create_schema(pool);
    co_await pool.close();
}

coaio::Coro<> create_at_once(std::string conninfo) {
    co_await coaio::gather(create(conninfo), create(conninfo), create(conninfo));
}

coaio::Coro<> read_settings(const tests::Postgres& postgres) {
    // What the server says of keepalives of a Unix socket is nothing.
    const auto conninfo = "host=127.0.0.1 port=" + std::to_string(postgres.port()) + " user=postgres dbname=postgres";
    const std::string settings =
        "select string_agg(setting || coalesce(unit, ''), ' ' order by name) from pg_settings where name like "
        "'tcp_keepalives%' or name = 'idle_in_transaction_session_timeout'";
    const coaio::db::Pool pool(conninfo, store::pool_options(1, "test"));
    const auto in_pool = co_await pool.query_value<std::string>(settings);
    CHECK(in_pool == "60000ms 3 30s 10s");
    co_await pool.close();
    const auto options = store::session_options("test");
    const auto session = co_await coaio::db::Connection::connect(conninfo, options);
    const auto alone = co_await session.query_value<std::string>(settings);
    CHECK(alone == in_pool);
}

}  // namespace

TEST_CASE("a session whose machine is gone, or whose program stands still in a transaction, ends before long") {
    const tests::Postgres::Settings with_tcp{{"listen_addresses", "127.0.0.1"}};
    const tests::Postgres postgres(with_tcp);
    coaio::run(read_settings(postgres));
}

TEST_CASE("the tables are made once, whoever comes first") {
    const tests::Database database;
    coaio::run(create_at_once(database.conninfo()));
    coaio::run(create(database.conninfo()));
    CHECK(database.value("select string_agg(set_name || version, ',') from coaio.coaio_migration") ==
          "crawls1,crawls2");
}

TEST_CASE("a database from before there was a book gets what it lacks, and its crawls are the servers'") {
    const tests::Database database;
    coaio::run(create(database.conninfo()));
    database.sql("alter table coaio.crawls drop column run_by, drop column accepted;"
                 "drop table coaio.coaio_migration, coaio.frontier, coaio.hosts;"
                 "insert into coaio.crawls (urls, settings) values ('{http://a/}', '{}')");
    coaio::run(create(database.conninfo()));
    CHECK(database.value("select run_by from coaio.crawls") == "server");
    CHECK(database.value("select count(*) from coaio.coaio_migration") == "2");
}

TEST_CASE("a database of a newer version is refused, and left as it is") {
    const tests::Database database;
    coaio::run(create(database.conninfo()));
    database.sql("insert into coaio.coaio_migration (set_name, version, name, checksum, applied_at) "
                 "values ('crawls', 3, 'more', '', now())");
    try {
        coaio::run(create(database.conninfo()));
        FAIL("it was taken");
    } catch (const coaio::db::MigrationError& error) {
        CHECK_THAT(error.what(), tests::contains("migration 3 (more)") && tests::contains("set up by a newer version"));
    }
    CHECK(database.value("select count(*) from coaio.coaio_migration") == "3");
}
