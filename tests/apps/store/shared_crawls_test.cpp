// SPDX-License-Identifier: MIT
// Who may write what of a crawl that workers share.
#include "store/shared_crawls.hpp"

#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/db/job_worker.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/throws.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../crawler/site.hpp"
#include "store/addresses.hpp"
#include "store/hosts.hpp"
#include "store/schema.hpp"
#include "store/settings.hpp"
#include "store/share_store.hpp"

using namespace std::chrono_literals;
using coaio::db::Transaction;
using store::Hold;

namespace {

Hold hold_of(const std::string& host, std::int64_t job, std::int32_t attempt) {
    Hold hold;
    hold.host = host;
    hold.job = job;
    hold.attempt = attempt;
    return hold;
}

/// A crawl of http://a/ in a database of its own.
struct Scene {
    Scene() : pool(database.conninfo(), store::pool_options(4, "test")), options(tests::crawl_of({"http://a/"})) {}
    Scene(const Scene&) = delete;
    Scene& operator=(const Scene&) = delete;

    coaio::Coro<> put() {
        co_await store::create_schema(pool);
        co_await store::host_queue(pool).prepare();
        static_cast<void>(co_await store::put_crawl(pool, options));
    }
    [[nodiscard]] store::ShareStore share(const Hold& hold) { return {pool, hold, 1, options, store::ShareOptions()}; }

    tests::Database database;
    coaio::db::Pool pool;
    crawl::Options options;
};

crawl::FinishedPage finished(const crawl::Page& page, const std::vector<std::string>& links) {
    crawl::FinishedPage finished;
    finished.page = &page;
    finished.result.status = 200;
    for (const auto& each : links) finished.links.push_back({coaio::http::Url::parse(each), crawl::Link()});
    return finished;
}

crawl::Page page_of(const std::string& url) {
    crawl::Page page;
    page.url = url;
    return page;
}

coaio::Coro<> fence_off() {
    Scene scene;
    co_await scene.put();
    const auto old = hold_of("a", 1, 1);
    const auto page = page_of("http://a/");
    const auto found = finished(page, {"http://a/1"});
    co_await store::take_over(scene.pool, old);
    auto share = scene.share(old);
    co_await store::take_over(scene.pool, hold_of("a", 1, 2));
    const bool refused = co_await tests::throws<store::HoldLost>(share.commit(found));
    CHECK(refused);
    const bool late = co_await tests::throws<store::HoldLost>(store::take_over(scene.pool, old));
    CHECK(late);
    CHECK(scene.database.value("select count(*) from coaio.pages") == "0");
    CHECK(scene.database.value("select count(*) from coaio.frontier") == "1");
    // A later job of the host, whatever its attempt, is a later holder.
    co_await store::take_over(scene.pool, hold_of("a", 2, 1));
    auto newer = scene.share(hold_of("a", 2, 1));
    co_await newer.commit(found);
    co_await newer.commit(found);  // whoever does not know whether it was
    CHECK(scene.database.value("select done || ',' || waiting || ',' || accepted from coaio.crawls") == "1,1,2");
}

coaio::Coro<> take_over_while_committing() {
    Scene scene;
    co_await scene.put();
    const auto old = hold_of("a", 1, 1);
    co_await store::take_over(scene.pool, old);
    std::optional<coaio::Task<>> taking;
    bool taken = false;
    const auto take = [](coaio::db::Pool pool, bool& done) -> coaio::Coro<> {
        co_await store::take_over(pool, hold_of("a", 1, 2));
        done = true;
    };
    const auto body = [&](Transaction& transaction) -> coaio::Coro<> {
        co_await store::keep(transaction, old);
        taking = coaio::create_task(take(scene.pool, taken));
        const std::string waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
        while (scene.database.value(waiting) == "0") co_await coaio::sleep(1ms);
        CHECK_FALSE(taken);
    };
    co_await scene.pool.transaction(body);
    co_await *taking;
    CHECK(taken);
}

// Both orders in which a page that adds addresses of a host and the end of that host's job may meet.
coaio::Coro<> lose_no_wake_up() {
    Scene scene;
    co_await scene.put();
    static_cast<void>(co_await scene.pool.execute("update frontier set done = true"));
    const auto queue = store::host_queue(scene.pool);
    const auto add = [&queue](const Transaction& transaction) -> coaio::Coro<store::Added> {
        const std::vector<store::Address> more(
            1, store::Address(coaio::http::Url::parse("http://a/1"), crawl::LinkKind::anchor, crawl::Reach()));
        co_return co_await store::add_addresses(transaction, queue, 1, more, "b");
    };
    const std::string waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
    std::vector<bool> ends;
    const auto handler = [&](coaio::db::Job& job) -> coaio::Coro<> {
        const auto hold = hold_of(store::host_of(job), job.id(), job.attempt());
        co_await store::take_over(scene.pool, hold);
        if (ends.empty()) {
            std::optional<coaio::Task<bool>> ending;
            const auto body = [&](Transaction& transaction) -> coaio::Coro<> {
                static_cast<void>(co_await add(transaction));
                ending = coaio::create_task(store::end_if_idle(scene.pool, job, hold));
                while (scene.database.value(waiting) == "0") co_await coaio::sleep(1ms);
            };
            co_await scene.pool.transaction(body);
            const bool first = co_await *ending;
            ends.push_back(first);
            static_cast<void>(co_await scene.pool.execute("delete from frontier where url = 'http://a/1'"));
        }
        const bool second = co_await store::end_if_idle(scene.pool, job, hold);
        ends.push_back(second);
    };
    const coaio::db::JobWorker worker(queue, handler, coaio::db::JobWorkerOptions().poll(10ms, 20ms));
    const auto running = coaio::create_task(worker.run());
    while (ends.size() < 2) co_await coaio::sleep(1ms);
    worker.stop();
    co_await running;
    CHECK(ends == std::vector<bool>{false, true});
    CHECK(scene.database.value("select count(*) from coaio.coaio_job") == "0");
    store::Added added;
    const auto body = [&](Transaction& transaction) -> coaio::Coro<> { added = co_await add(transaction); };
    co_await scene.pool.transaction(body);
    CHECK(added.jobs);
    CHECK(scene.database.value("select string_agg(key || payload || state, ',') from coaio.coaio_job") ==
          "a\"a\"ready");
}

coaio::Coro<> remember_traps() {
    Scene scene;
    co_await scene.put();
    static_cast<void>(co_await scene.pool.execute(
        "insert into frontier (crawl_id, host, url, kind, depth, hops, start) "
        "select 1, 'a', 'http://a/calendar?day=' || n, 'anchor', 1, 0, false from generate_series(1, 998) n"));
    const auto hold = hold_of("a", 1, 1);
    co_await store::take_over(scene.pool, hold);
    auto share = scene.share(hold);
    co_await share.prepare();
    const auto page = page_of("http://a/");
    const auto found = finished(page, {"http://a/calendar?day=1", "http://a/calendar?day=x", "http://a/calendar?day=y",
                                       "http://a/calendar?day=z", "http://a/other?day=z"});
    co_await share.commit(found);
    CHECK(scene.database.value("select string_agg(url, ' ' order by id) from coaio.frontier where id > 999") ==
          "http://a/calendar?day=x http://a/calendar?day=y http://a/other?day=z");
}

coaio::Coro<> remember_tries() {
    Scene scene;
    co_await scene.put();
    const auto hold = hold_of("a", 1, 1);
    co_await store::take_over(scene.pool, hold);
    crawl::Frontier frontier(scene.options.scope, scene.options.manners);
    auto share = scene.share(hold);
    const auto first = co_await share.next();
    REQUIRE(first.size() == 1);
    CHECK(first.front().tries == 0);
    CHECK(first.front().reach.start);
    const auto none = co_await share.next();
    CHECK(none.empty());
    frontier.add_known(first.front());
    const auto now = crawl::loop_now();
    const auto id = frontier.take(now);
    REQUIRE(id.has_value());
    frontier.put_back(*id, crawl::Ended(), now + 1s, now);
    co_await share.keep_tries(frontier);
    auto again = scene.share(hold);
    const auto second = co_await again.next();
    REQUIRE(second.size() == 1);
    CHECK(second.front().tries == 1);
}

coaio::Coro<> tell_of_room() {
    Scene scene;
    scene.options.scope.max_pages = 3;
    co_await scene.put();
    const auto hold = hold_of("a", 1, 1);
    co_await store::take_over(scene.pool, hold);
    auto share = scene.share(hold);
    const auto page = page_of("");
    const auto some = finished(page, {"http://a/1"});
    const auto more = finished(page, {"http://a/2", "http://a/3"});
    const bool room = co_await share.add_from_sitemaps(some.links);
    CHECK(room);
    const bool known = co_await share.add_from_sitemaps(some.links);
    CHECK(known);
    const bool still = co_await share.add_from_sitemaps(more.links);
    CHECK_FALSE(still);
    CHECK(scene.database.value("select count(*) from coaio.frontier") == "3");
}

coaio::Coro<> take_the_oldest() {
    Scene scene;
    co_await scene.put();
    auto other = tests::crawl_of({"http://a/other"});
    other.scope.max_depth = 7;
    other.user_agent = "somebody";
    const auto id = co_await store::put_crawl(scene.pool, other);
    CHECK(scene.database.value("select string_agg(key, ',') from coaio.coaio_job") == "a");
    const auto first = co_await store::next_crawl(scene.pool, "a");
    REQUIRE(first.has_value());
    CHECK(first->id == 1);
    CHECK(first->starts == std::vector<std::string>{"http://a/", "http://a/"});
    static_cast<void>(co_await scene.pool.execute("update crawls set cancel_requested = true where id = 1"));
    const auto second = co_await store::next_crawl(scene.pool, "a");
    REQUIRE(second.has_value());
    CHECK(second->id == id);
    const auto options = store::options_of(second->starts, second->settings);
    CHECK(options.scope.max_depth == 7);
    CHECK(options.user_agent == "somebody");
    CHECK(store::settings_of(options) == store::settings_of(other));
    CHECK(scene.database.value("select string_agg(state, ',' order by id) from coaio.crawls") == "cancelled,running");
    const auto page = page_of("http://a/");
    const auto found = finished(page, {});
    co_await store::take_over(scene.pool, hold_of("a", 1, 1));
    auto share = scene.share(hold_of("a", 1, 1));
    const bool refused = co_await tests::throws<store::CrawlOver>(share.commit(found));
    CHECK(refused);
    CHECK(scene.database.value("select count(*) from coaio.pages") == "0");
}

}  // namespace

TEST_CASE("a worker that lost its host commits nothing about it any more") { coaio::run(fence_off()); }

TEST_CASE("who takes a host over waits for what the one before is committing") {
    coaio::run(take_over_while_committing());
}

TEST_CASE("a job ends either after an address was added, or before that makes another job") {
    coaio::run(lose_no_wake_up());
}

TEST_CASE("what a share knows of a trap the next one knows, too") { coaio::run(remember_traps()); }

TEST_CASE("how often an address was tried outlives the share") { coaio::run(remember_tries()); }

TEST_CASE("whoever reads sitemaps is told when the crawl has no room for more") { coaio::run(tell_of_room()); }

TEST_CASE("a host's job works on the oldest crawl that is not over, with its settings") {
    coaio::run(take_the_oldest());
}
