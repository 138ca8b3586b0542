// SPDX-License-Identifier: MIT
#include <coaio/db/pool.hpp>

#include <coaio/core/run.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/to_thread.hpp>

#include "support/catch.hpp"
#include "support/postgres_proxy.hpp"
#include "support/token_table.hpp"

#include <string>

// Commits that wait for a standby, which is not there.

namespace db = coaio::db;
using coaio::Coro;
using db::Transaction;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

struct Lonely {
    Lonely() {
        const std::string tables = std::string("create table t (n int); ") + tests::token_table;
        server.sql("postgres", "set synchronous_commit = local; " + tables);
    }
    [[nodiscard]] bool await_waiting() const {
        return server.await_value("select count(*) from pg_stat_activity where wait_event = 'SyncRep'", "1");
    }
    static tests::Postgres::Settings settings() {
        auto all = tests::Postgres::for_standbys();
        all["synchronous_standby_names"] = "nobody";
        return all;
    }
    tests::Postgres server{settings()};
};

Coro<> insert_one(db::Pool pool) {
    auto body = [](Transaction& tx) -> Coro<> { co_await tx.execute("insert into t values (1)"); };
    co_await pool.transaction(body);
}

Coro<> stop_waiting(const Lonely& lonely) {
    std::string heard;
    const db::Pool pool(lonely.server.conninfo(),
                        db::PoolOptions().max_size(1).on_notice([&heard](const db::ErrorFields& notice) {
                            heard += notice.severity + " " + notice.sqlstate + " " + notice.message;
                        }));
    auto task = coaio::create_task(insert_one(pool));
    co_await coaio::to_thread([&lonely] {
        CHECK(lonely.await_waiting());
        lonely.server.sql("postgres",
                          "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'");
    });
    co_await task;
    CHECK_THAT(heard, tests::contains("WARNING 01000 canceling wait for synchronous replication"));
}

// It is held up by the transaction in doubt until that session is ended, and finds it committed then.
Coro<> lose_it_while_waiting(tests::PostgresProxy& proxy) {
    const db::Pool pool(proxy.conninfo("postgres"),
                        db::PoolOptions().max_size(1).resolve_timeout(20s).commit_timeout(20s));
    proxy.on(tests::Spot(tests::Way::to_server, 'Q').containing("commit\0"s), tests::Fault::cut_after());
    co_await insert_one(pool);
    CHECK(proxy.fired() == 1);
    CHECK(proxy.accepted() >= 3);  // the first look-up was held up
}

}  // namespace

TEST_CASE("CMT-09: a COMMIT that a standby was not waited for is a commit, with the server's warning", "[pgtest]") {
    const Lonely lonely;
    coaio::run(stop_waiting(lonely));
    CHECK(lonely.server.value("postgres", "select count(*) from t") == "1");
}

TEST_CASE("CMT-06: a COMMIT that waits for a standby is in doubt; its session is ended, and it is committed",
          "[pgtest]") {
    const Lonely lonely;
    tests::PostgresProxy proxy(lonely.server);
    coaio::run(lose_it_while_waiting(proxy));
    CHECK(lonely.server.value("postgres", "select count(*) from t") == "1");
    CHECK(lonely.server.value("postgres", "select count(*) from coaio_commit where at <> 'infinity'") == "1");
}
