// SPDX-License-Identifier: MIT
#include <coaio/db/migrations.hpp>

#include <coaio/core/gather.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "db/hidden_test.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/throws.hpp"
#include "support/until.hpp"

namespace db = coaio::db;
using namespace std::chrono_literals;
using coaio::Coro;
using db::Migrations;
using State = db::MigrationStep::State;

namespace {

const std::string concurrent_index = "-- coaio: no transaction\ncreate index concurrently t_n on t (n)";

Migrations three_steps() {
    Migrations migrations;
    migrations.add(1, "table", "create table t (n int);\ninsert into t values (1);");
    migrations.add(2, "index", concurrent_index);
    migrations.add(5, "row", "insert into t values (2)");
    return migrations;
}

// The versions and states, as "1 applied, 2 pending".
std::string listed(const std::vector<db::MigrationStep>& steps) {
    std::string text;
    for (const auto& step : steps) {
        if (!text.empty()) text += ", ";
        text += std::to_string(step.version) + " " + std::string(to_string(step.state));
    }
    return text;
}

// What a run, or another look at the database, is refused with.
template <class T>
Coro<std::string> refusal(Coro<T> coro) {
    try {
        co_await std::move(coro);
    } catch (const db::MigrationError& error) {
        co_return error.what();
    }
    co_return "";
}

Coro<> apply_in_order(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    const Migrations migrations = three_steps();
    const auto planned = co_await migrations.plan(pool);
    CHECK(listed(planned) == "1 pending, 2 pending, 5 pending");
    const auto before = co_await migrations.status(pool);
    CHECK(listed(before) == listed(planned));
    CHECK(database.value("select to_regclass('coaio_migration') is null") == "t");

    const auto applied = co_await migrations.run(pool);
    CHECK(listed(applied) == "1 applied, 2 applied, 5 applied");
    CHECK(database.value("select string_agg(n::text, ',' order by n) from t") == "1,2");
    CHECK(database.value("select indisvalid from pg_index where indexrelid = 't_n'::regclass") == "t");
    CHECK(database.value("select string_agg(set_name || version || name, ' ' order by version) from coaio_migration "
                         "where applied_at is not null") == "main1table main2index main5row");
    const auto again = co_await migrations.run(pool);
    CHECK(again.empty());
    const auto after = co_await migrations.status(pool);
    CHECK(listed(after) == "1 applied, 2 applied, 5 applied");
    CHECK_FALSE(after.front().applied_at.empty());
    CHECK(database.value("select count(*) from pg_locks where locktype = 'advisory'") == "0");
}

Coro<> refuse_what_differs(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    co_await three_steps().run(pool);
    Migrations changed;
    changed.add(1, "table", "create table t (n bigint);\ninsert into t values (1);");
    changed.add(2, "index", concurrent_index).add(5, "row", "insert into t values (2)").add(6, "more", "select 1");
    const std::string of_changed = co_await refusal(changed.run(pool));
    CHECK_THAT(of_changed, tests::contains("migration 1 (table)") && tests::contains("changed"));
    const std::string planned = co_await refusal(changed.plan(pool));
    CHECK(planned == of_changed);
    const auto seen = co_await changed.status(pool);
    CHECK(listed(seen) == "1 changed, 2 applied, 5 applied, 6 pending");

    Migrations older;
    older.add(1, "table", "create table t (n int);\r\ninsert into t values (1);").add(2, "index", concurrent_index);
    const std::string of_missing = co_await refusal(older.run(pool));
    CHECK_THAT(of_missing, tests::contains("migration 5 (row)") && tests::contains("newer"));

    Migrations late;
    late.add(1, "table", "create table t (n int);\ninsert into t values (1);").add(2, "index", concurrent_index);
    late.add(3, "late", "insert into t values (3)").add(5, "row", "insert into t values (2)");
    const std::string of_late = co_await refusal(late.run(pool));
    CHECK_THAT(of_late, tests::contains("migration 3 (late)") && tests::contains("later version"));
    CHECK(database.value("select count(*) from t") == "2");

    Migrations other("another");
    other.add(1, "another table", "create table u ()");
    const auto applied = co_await other.run(pool);
    CHECK(applied.size() == 1);
}

Coro<> fail_in_the_middle(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    Migrations bad;
    bad.add(1, "table", "create table t (n int)");
    bad.add(2, "bad", "insert into t values (1);\n\ninsert into t\nvalues ('x');").add(3, "later", "select 1");
    std::string state;
    std::string what;
    try {
        co_await bad.run(pool);
    } catch (const db::MigrationError& error) {
        state = error.sqlstate();
        what = error.what();
    }
    CHECK(state == "22P02");
    CHECK_THAT(what, tests::contains("migration 2 (bad)") && tests::contains("line 3"));
    CHECK(database.value("select count(*) from t") == "0");
    Migrations good;
    good.add(1, "table", "create table t (n int)").add(2, "good", "insert into t values (1)");
    const auto applied = co_await good.run(pool);
    CHECK(listed(applied) == "2 applied");
    CHECK(database.value("select count(*) from pg_locks where locktype = 'advisory'") == "0");
}

Coro<> run_one(std::string url) {
    const db::Pool pool(url);
    co_await three_steps().run(pool);
    co_await pool.close();
}

Coro<> run_ten(std::string url) {
    std::vector<Coro<>> runs;
    for (int i = 0; i < 10; ++i) runs.push_back(run_one(url));
    co_await coaio::gather(std::move(runs));
}

constexpr auto where_to_migrate = "COAIO_TEST_MIGRATE";

Coro<> end_session(const tests::Database& database, std::string which) {
    const std::string found =
        "exists (select from pg_stat_activity where state = 'active' and query like '" + which + "%')";
    co_await tests::until(database, found);
    database.sql("select pg_terminate_backend(pid) from pg_stat_activity where query like '" + which + "%'");
}

Coro<> killed_midway(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    Migrations steps;
    steps.add(1, "table", "create table t (n int)");
    Migrations slow = steps;
    slow.add(2, "slow", "insert into t values (1); select pg_sleep(60)");
    auto run = coaio::create_task(slow.run(pool));
    co_await end_session(database, "select pg_sleep(60)");
    const bool lost = co_await tests::throws<db::ConnectionError>(
        [](coaio::Task<std::vector<db::MigrationStep>> it) -> Coro<> { co_await it; }(run));
    CHECK(lost);
    Migrations quick = steps;
    quick.add(2, "slow", "insert into t values (1)");
    const auto applied = co_await quick.run(pool);
    CHECK(listed(applied) == "2 applied");
    CHECK(database.value("select count(*) from t") == "1");
}

Coro<> killed_without_a_transaction(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    const std::string alone = "-- coaio: no transaction\n";
    Migrations slow;
    slow.add(1, "table", "create table t (n int)").add(2, "slow", alone + "select pg_sleep(60)");
    auto run = coaio::create_task(slow.run(pool));
    co_await end_session(database, "select pg_sleep(60)");
    const bool lost = co_await tests::throws<db::ConnectionError>(
        [](coaio::Task<std::vector<db::MigrationStep>> it) -> Coro<> { co_await it; }(run));
    CHECK(lost);
    const std::string refused = co_await refusal(slow.run(pool));
    CHECK_THAT(refused, tests::contains("migration 2 (slow)") && tests::contains("resolve"));
    co_await slow.resolve(pool, 2, Migrations::Resolution::applied);
    const auto rest = co_await slow.run(pool);
    CHECK(rest.empty());
    const std::string twice = co_await refusal(slow.resolve(pool, 2, Migrations::Resolution::applied));
    CHECK_THAT(twice, tests::contains("not one that was begun"));

    Migrations failing = slow;
    failing.add(3, "unique", alone + "create unique index concurrently t_n on t (n)");
    database.sql("insert into t values (1), (1)");
    const std::string failed = co_await refusal(failing.run(pool));
    CHECK_THAT(failed, tests::contains("migration 3 (unique)"));
    const std::string reported = co_await refusal(failing.run(pool));
    CHECK_THAT(reported, tests::contains("could not create unique index"));
    database.sql("truncate t; drop index t_n");
    co_await failing.resolve(pool, 3, Migrations::Resolution::again);
    const auto applied = co_await failing.run(pool);
    CHECK(listed(applied) == "3 applied");
}

Coro<> cancel_it(std::string url, const tests::Database& database) {
    const db::Pool pool(url, db::PoolOptions().max_size(2));
    Migrations slow;
    slow.add(1, "slow", "create table t (n int); select pg_sleep(60)");
    auto run = coaio::create_task(slow.run(pool));
    co_await tests::until(
        database, "exists (select from pg_stat_activity where state = 'active' and query like 'select pg_sleep%')");
    // Another one has to wait, and gives up.
    Migrations impatient;
    impatient.add(1, "slow", "select 1").patience(80ms);
    const std::string held = co_await refusal(impatient.run(pool));
    CHECK_THAT(held, tests::contains("held by session"));
    run.cancel();
    const bool cancelled = co_await tests::throws<coaio::CancelledError>(
        [](coaio::Task<std::vector<db::MigrationStep>> it) -> Coro<> { co_await it; }(run));
    CHECK(cancelled);
    CHECK(database.value("select count(*) from pg_locks where locktype = 'advisory'") == "0");
    CHECK(database.value("select to_regclass('t') is null") == "t");
}

// Its settings are of no use to whoever uses the pool next, and would hide the book from the next run.
Coro<> cancel_the_commit(std::string url) {
    const db::Pool pool(url, db::PoolOptions().max_size(1));
    const auto path = co_await pool.query_value<std::string>("select current_setting('search_path')");
    Migrations migrations;
    migrations.add(1, "like a dump", R"(
        create schema other;
        select set_config('search_path', 'other', false);
        create table other.t (n int);
        create function other.slow() returns trigger language plpgsql as
            $$ begin perform pg_advisory_xact_lock(7); return null; end $$;
        create constraint trigger slow after insert on other.t deferrable initially deferred
            for each row execute function other.slow();
        insert into other.t values (1))");
    auto holder = co_await db::Connection::connect(url);
    co_await holder.query("select pg_advisory_lock(7)");
    auto run = coaio::create_task(migrations.run(pool));
    for (bool waits = false; !waits;) {
        waits = co_await holder.query_value<bool>(
            "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = "
            "'Lock' and query ilike 'commit%')");
    }
    run.cancel();
    co_await coaio::sleep(0s);
    co_await holder.query("select pg_advisory_unlock(7)");
    const bool cancelled = co_await tests::throws<coaio::CancelledError>(
        [](coaio::Task<std::vector<db::MigrationStep>> it) -> Coro<> { co_await it; }(run));
    CHECK(cancelled);
    const auto path_after = co_await pool.query_value<std::string>("select current_setting('search_path')");
    CHECK(path_after == path);
    const auto rest = co_await migrations.run(pool);
    CHECK(rest.empty());
}

Coro<> drop_what_is_prepared(std::string url) {
    const db::Pool pool(url, db::PoolOptions().max_size(2));
    co_await pool.execute("create table t (a int, b int)");
    co_await pool.execute("insert into t values (1, 2)");
    const auto before = co_await pool.query("select * from t");
    CHECK(before.column_count() == 2);
    const int pid = co_await pool.query_value<int>("select pg_backend_pid()");
    Migrations migrations;
    migrations.add(1, "drop", "alter table t drop column a");
    co_await migrations.run(pool);
    const int now = co_await pool.query_value<int>("select pg_backend_pid()");
    CHECK(now != pid);
    const auto after = co_await pool.query("select * from t");
    CHECK(after.column_count() == 1);
    const auto nothing = co_await migrations.run(pool);
    CHECK(nothing.empty());
    const int same = co_await pool.query_value<int>("select pg_backend_pid()");
    CHECK(same == now);
}

Coro<> leave_tokens(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    co_await Migrations::commit_tokens().run(pool);
    auto body = [](db::Transaction& tx) -> Coro<> { co_await tx.execute("create table t ()"); };
    co_await pool.transaction(body);
    CHECK(database.value("select count(*) from coaio_commit") == "1");
}

Coro<> keep_the_book_elsewhere(std::string url, const tests::Database& database) {
    const db::Pool pool(url, db::PoolOptions().setting("search_path", "\"the app\", public"));
    Migrations migrations("app");
    migrations.schema("the app").add(1, "table", "create table t ()");
    co_await migrations.run(pool);
    CHECK(database.value("select count(*) from \"the app\".coaio_migration") == "1");
    CHECK(database.value("select to_regclass('\"the app\".t') is not null") == "t");
    // Whoever may only read and write finds that there is nothing to do.
    database.sql("create role reader; grant usage on schema \"the app\" to reader; "
                 "grant select on \"the app\".coaio_migration to reader");
    const db::Pool lesser(url, db::PoolOptions().setting("role", "reader"));
    const auto applied = co_await migrations.run(lesser);
    CHECK(applied.empty());
    database.sql("drop owned by reader; drop role reader");
}

Coro<> apply_a_dump(std::string url, const tests::Database& database) {
    const db::Pool pool(url);
    Migrations migrations;
    migrations.add(1, "dump",
                   "set statement_timeout = 0;\nselect pg_catalog.set_config('search_path', '', false);\n"
                   "create table public.t (n integer);");
    migrations.add(2, "unqualified", "create table u (n int)").add(3, "alone", concurrent_index);
    const auto applied = co_await migrations.run(pool);
    CHECK(listed(applied) == "1 applied, 2 applied, 3 applied");
    CHECK(database.value("select to_regclass('public.u') is not null") == "t");
    CHECK(database.value("select count(*) from public.coaio_migration where applied_at is not null") == "3");
}

class Folder {
public:
    Folder() : path_(std::filesystem::temp_directory_path() / ("coaio-migrations-" + std::to_string(::getpid()))) {
        std::filesystem::create_directory(path_);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { std::filesystem::remove_all(path_); }
    void write(const std::string& name, const std::string& text) const { std::ofstream(path_ / name) << text; }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

Coro<> run_folder(std::string url, Migrations migrations, const tests::Database& database) {
    const db::Pool pool(url);
    co_await migrations.run(pool);
    CHECK(database.value("select string_agg(version || name, ' ' order by version) from coaio_migration") ==
          "1users 10more_users");
}

}  // namespace

TEST_CASE("MIG-01: steps are applied once, in order, and a dry run and the status write nothing", "[pgtest]") {
    tests::Database database;
    coaio::run(apply_in_order(database.conninfo(), database));
}

TEST_CASE("MIG-01: a changed, a missing and a late step are refused; sets are kept apart", "[pgtest]") {
    tests::Database database;
    coaio::run(refuse_what_differs(database.conninfo(), database));
}

TEST_CASE("MIG-01: a step that fails is rolled back as a whole, and names its line", "[pgtest]") {
    tests::Database database;
    coaio::run(fail_in_the_middle(database.conninfo(), database));
}

TEST_CASE("MIG-02: ten that start together apply each step once, an index built concurrently among them", "[pgtest]") {
    tests::Database database;
    coaio::run(run_ten(database.conninfo()));
    CHECK(database.value("select string_agg(n::text, ',' order by n) from t") == "1,2");
    CHECK(database.value("select count(*) from coaio_migration where applied_at is not null") == "3");
}

TEST_CASE("MIG-02: ten processes that start together apply each step once", "[pgtest]") {
    tests::Database database;
    ::setenv(where_to_migrate, database.conninfo().c_str(), 1);
    std::vector<pid_t> processes;
    for (int i = 0; i < 10; ++i) processes.push_back(tests::start_hidden_test("[migrates]"));
    for (const pid_t each : processes) {
        int status = -1;
        ::waitpid(each, &status, 0);
        CHECK(status == 0);
    }
    CHECK(database.value("select string_agg(n::text, ',' order by n) from t") == "1,2");
    CHECK(database.value("select count(*) from coaio_migration where applied_at is not null") == "3");
}

TEST_CASE("one of ten processes, for the test before", "[.][migrates]") {
    const char* const url = std::getenv(where_to_migrate);
    REQUIRE(url != nullptr);
    coaio::run(run_one(url));
}

TEST_CASE("MIG-03: a run that was killed midway left nothing of its step, and the next one goes on", "[pgtest]") {
    tests::Database database;
    coaio::run(killed_midway(database.conninfo(), database));
}

TEST_CASE("MIG-03: a step without a transaction that did not finish is reported until somebody resolves it",
          "[pgtest]") {
    tests::Database database;
    coaio::run(killed_without_a_transaction(database.conninfo(), database));
}

TEST_CASE("a cancelled run leaves neither its step nor its lock; another gives up in time", "[pgtest]") {
    tests::Database database;
    coaio::run(cancel_it(database.conninfo(), database));
}

TEST_CASE("MIG-03: a run that is cancelled while a step commits leaves none of its settings in the pool", "[pgtest]") {
    tests::Database database;
    coaio::run(cancel_the_commit(database.conninfo()));
}

TEST_CASE("MIG-05: a pool whose database was migrated forgets what it has prepared", "[pgtest]") {
    tests::Database database;
    coaio::run(drop_what_is_prepared(database.conninfo()));
}

TEST_CASE("the table of commit tokens is made by a migration", "[pgtest]") {
    tests::Database database;
    coaio::run(leave_tokens(database.conninfo(), database));
}

TEST_CASE("migrations keep their book in a schema of their own, and need no right to make it again", "[pgtest]") {
    tests::Database database;
    coaio::run(keep_the_book_elsewhere(database.conninfo(), database));
}

TEST_CASE("a step that empties the search path, as dumps do, is applied, and the next one has it back", "[pgtest]") {
    tests::Database database;
    coaio::run(apply_a_dump(database.conninfo(), database));
}

TEST_CASE("migrations are read from a folder", "[pgtest]") {
    tests::Database database;
    const Folder folder;
    folder.write("0010_more_users.sql", "insert into users values (2);");
    folder.write("0001_users.sql", "create table users (id int);");
    folder.write("README", "not a step");
    coaio::run(run_folder(database.conninfo(), Migrations().add_folder(folder.path()), database));
    folder.write("users.sql", "select 1");
    CHECK_THROWS_AS(Migrations().add_folder(folder.path()), db::UsageError);
    CHECK_THROWS_AS(Migrations().add_folder(folder.path() / "none"), db::UsageError);
}

TEST_CASE("steps that cannot work are refused before anything runs") {
    CHECK_THROWS_AS(Migrations(""), db::UsageError);
    CHECK_THROWS_AS(Migrations().add(0, "zero", "select 1"), db::UsageError);
    CHECK_THROWS_AS(Migrations().add(2, "b", "select 1").add(2, "b", "select 1"), db::UsageError);
    CHECK_THROWS_AS(Migrations().add(1, "empty", " -- nothing"), db::UsageError);
    CHECK_THROWS_AS(Migrations().add(1, "two", "-- coaio: no transaction\nselect 1; select 2"), db::UsageError);
    for (const char* word :
         {"begin", "COMMIT", "start transaction", "rollback", "end", "abort", "Rollback WORK", "rollback transaction",
          "rollback and chain", "rollback /* to */ work", "prepare transaction 'to'", "rollback\n--to a"}) {
        INFO(word);
        CHECK_THROWS_AS(Migrations().add(1, "ends", std::string("select 1; ") + word), db::UsageError);
    }
    for (const char* word : {"rollback to a", "rollback work to savepoint a", "rollback transaction /* all */ TO a",
                             "prepare work as select 1"}) {
        INFO(word);
        CHECK_NOTHROW(Migrations().add(1, "savepoint", std::string("savepoint a; ") + word));
    }
}
