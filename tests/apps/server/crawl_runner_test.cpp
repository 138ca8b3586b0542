// SPDX-License-Identifier: MIT
// The crawls of one server, in this process, over a real database and sites on loopback.
#include "server/crawl_runner.hpp"

#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task_group.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/db/pool.hpp>
#include <coaio/db/transaction.hpp>
#include <coaio/http/server.hpp>

#include "apps/held_site.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/schema.hpp"

using namespace std::chrono_literals;

namespace {

/// A site on a port of its own.
struct Held {
    Held() : server([this] { return site.build(); }, {.port = 0}) {}
    tests::HeldSite site{2};
    coaio::http::Server server;
};

struct Scene {
    Scene() : pool(database.conninfo(), store::pool_options(2, "test")) {
        shared.database = database.conninfo();
        runner.emplace(shared, 4, [this](std::string_view line) { said.emplace_back(line); });
    }
    Scene(const Scene&) = delete;
    Scene& operator=(const Scene&) = delete;

    coaio::Coro<> begin() {
        co_await store::create_schema(pool);
        co_await one.server.start();
        co_await other.server.start();
    }
    /// The first is crawl 1, and so on.
    void add_crawl(const Held& held) const {
        database.sql("insert into coaio.crawls (urls, settings) values ('{" + held.server.url() +
                     "/}', '{\"sitemaps\": false, \"ignore_robots\": true}')");
    }
    [[nodiscard]] std::string states() const {
        return database.value("select string_agg(state, ',' order by id) from coaio.crawls");
    }
    /// Of which crawls a session has the lock.
    [[nodiscard]] std::string locks() const {
        return database.value("select coalesce(string_agg(objid::text, ',' order by objid), '') from pg_locks where "
                              "locktype = 'advisory' and database = "
                              "(select oid from pg_database where datname = current_database())");
    }
    coaio::Coro<> until(std::string statement, std::string value) {
        while (database.value(statement) != value) co_await coaio::sleep(1ms);
    }
    // The sites wait for no answer that is held.
    coaio::Coro<> end() {
        one.site.open();
        other.site.open();
        co_await one.server.stop(0s);
        co_await other.server.stop(0s);
    }

    tests::Database database;
    coaio::db::Pool pool;
    server::Shared shared;
    Held one;
    Held other;
    std::vector<std::string> said;
    std::optional<server::CrawlRunner> runner;
};

/// What a test does while the crawls run.
using Body = coaio::Coro<> (*)(Scene&, coaio::TaskGroup&);

coaio::Coro<> with_scene(Body body) {
    Scene scene;
    co_await scene.begin();
    const auto all = [&](coaio::TaskGroup& group) -> coaio::Coro<> {
        co_await body(scene, group);
        group.cancel();
    };
    co_await coaio::task_group(all);
    co_await scene.end();
}

// The second crawl's row is held while it is taken up.
coaio::Coro<> end_while_another_begins(Scene& scene, coaio::TaskGroup& group) {
    scene.add_crawl(scene.one);
    scene.add_crawl(scene.other);
    scene.one.site.hold_after(0);
    scene.other.site.hold_after(0);
    const auto body = [&](coaio::db::Transaction& transaction) -> coaio::Coro<> {
        static_cast<void>(co_await transaction.query("select from crawls where id = 2 for update"));
        group.create_task(scene.runner->run());
        co_await scene.until("select count(*) from pg_stat_activity where wait_event_type = 'Lock'", "1");
        scene.one.site.open();
        co_await scene.until("select state from coaio.crawls where id = 1", "done");
    };
    co_await scene.pool.transaction(body);
    co_await scene.other.site.held().wait();
    while (scene.locks().size() != 1) co_await coaio::sleep(1ms);
    CHECK(scene.locks() == "2");
    CHECK(scene.states() == "done,running");
}

// As a lock does for which one waits too long: of the first crawl, a page twice, and its end once.
coaio::Coro<> meet_passing_trouble(Scene& scene, coaio::TaskGroup& group) {
    scene.database.sql(
        "create sequence coaio.pages_refused; create sequence coaio.ends_refused;"
        "create function coaio.refuse_page() returns trigger language plpgsql as $$ begin "
        "if new.crawl_id = 1 and nextval('coaio.pages_refused') <= 2 then raise 'busy' using errcode = '55P03'; end if;"
        "return new; end $$;"
        "create function coaio.refuse_end() returns trigger language plpgsql as $$ begin "
        "if new.state = 'done' and nextval('coaio.ends_refused') <= 1 then raise 'busy' using errcode = '55P03'; "
        "end if; return new; end $$;"
        "create trigger refuse before insert on coaio.pages for each row execute function coaio.refuse_page();"
        "create trigger refuse before update on coaio.crawls for each row execute function coaio.refuse_end()");
    scene.add_crawl(scene.one);
    scene.add_crawl(scene.other);
    scene.other.site.hold_after(0);
    group.create_task(scene.runner->run());
    co_await scene.until("select state from coaio.crawls where id = 1", "done");
    CHECK(scene.states() == "done,running");
    CHECK(scene.database.value("select count(*) from coaio.pages") == "4");
    CHECK(scene.other.site.requests().at("/") == 1);
    CHECK(scene.said.size() == 3);
    for (const auto& line : scene.said) CHECK_THAT(line, tests::contains("crawl 1 waits for the database"));
    while (scene.locks() != "2") co_await coaio::sleep(1ms);
}

}  // namespace

TEST_CASE("a crawl that the database is too busy for goes on, and the others with it") {
    coaio::run(coaio::wait_for(with_scene(meet_passing_trouble), 60s));
}

TEST_CASE("a crawl that ends while another one is taken up gives its own lock back, and no other") {
    coaio::run(coaio::wait_for(with_scene(end_while_another_begins), 60s));
}
