// SPDX-License-Identifier: MIT
// The program as a worker: several of them, killed and terminated.
#include <coaio/core/event.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>
#include <coaio/http/request.hpp>
#include <coaio/http/response.hpp>
#include <coaio/http/router.hpp>
#include <coaio/http/server.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/until.hpp"

#include <chrono>
#include <csignal>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support.hpp"

using namespace std::chrono_literals;
using coaio::http::Request;
using coaio::http::Response;
using tests::contains;
using tests::CrawlProgram;

namespace {

constexpr int host_count = 3;
constexpr int page_count = 20;
// Of a host: `/`, its pages, and one that is not there.
constexpr int addresses_of_a_host = page_count + 2;
constexpr auto longest_wait = 50s;
constexpr auto no_lease = "not exists (select from coaio.coaio_job where lease_until > clock_timestamp())";

/// Sites on 127.0.0.1, 127.0.0.2, …, each a host of its own, whose pages link to each other's. It sees who is at which
/// host, by User-Agent, and can hold its answers back.
class Sites {
public:
    Sites() {
        for (int host = 0; host < host_count; ++host) {
            names_.push_back("127.0.0." + std::to_string(host + 1));
            servers_.push_back(std::make_unique<coaio::http::Server>(
                [this, host] { return build(host); }, coaio::http::ServeOptions{.host = names_.back(), .port = 0}));
        }
    }
    Sites(const Sites&) = delete;
    Sites& operator=(const Sites&) = delete;

    coaio::Coro<> start() {
        for (const auto& each : servers_) {
            co_await each->start();
            urls_.push_back(each->url());
        }
    }
    coaio::Coro<> stop() {
        for (const auto& each : servers_) co_await each->stop();
    }
    [[nodiscard]] const std::vector<std::string>& urls() const noexcept { return urls_; }

    /// So many answers are given, those that follow wait until `open`; `held` is set when so many wait.
    void hold_after(int answers, int waiting = 1) {
        left_ = answers;
        wanted_waiting_ = waiting;
        waiting_ = 0;
        held_.clear();
        gate_.clear();
    }
    [[nodiscard]] coaio::Event& held() noexcept { return held_; }
    /// All answers wait until so many workers have come.
    void hold_until_workers(std::size_t count) {
        left_ = 0;
        wanted_workers_ = count;
    }
    void open() {
        left_ = -1;
        gate_.set();
    }
    void forget_requests() { requests_.clear(); }

    /// How often each address was asked for, robots.txt aside.
    [[nodiscard]] const std::map<std::string, int>& requests() const noexcept { return requests_; }
    [[nodiscard]] int overlaps() const noexcept { return overlaps_; }
    [[nodiscard]] const std::set<std::string>& workers() const noexcept { return workers_; }

private:
    class Visit {
    public:
        Visit(Sites& sites, int host, std::string worker) : at_(&sites.at_[host]), worker_(std::move(worker)) {
            ++(*at_)[worker_];
            if (at_->size() > 1) ++sites.overlaps_;
        }
        Visit(const Visit&) = delete;
        Visit& operator=(const Visit&) = delete;
        ~Visit() {
            if (--(*at_)[worker_] == 0) at_->erase(worker_);
        }

    private:
        std::map<std::string, int>* at_;
        std::string worker_;
    };

    coaio::Coro<Response> answer(int host, Request& request, std::string html) {
        const std::string worker(request.header("User-Agent").value_or(""));
        const Visit visit(*this, host, worker);
        workers_.insert(worker);
        if (wanted_workers_ != 0 && workers_.size() >= wanted_workers_) open();
        if (left_ == 0) {
            if (++waiting_ >= wanted_waiting_) held_.set();
            co_await gate_.wait();
        }
        if (left_ > 0) --left_;
        if (request.path() == "/robots.txt" || html.empty())
            co_return Response::text("not here", coaio::http::Status(404));
        co_return Response::html(std::move(html));
    }
    coaio::Coro<Response> page(int host, Request& request, int number) {
        ++requests_[urls_[static_cast<std::size_t>(host)] + std::string(request.path())];
        std::string html;
        for (int i = 0; i < host_count && number < page_count; ++i) {
            // Each page is linked from two pages of each host.
            const auto& base = urls_[static_cast<std::size_t>(i)];
            for (const int next : {number + 1, number + 2})
                html += "<a href=" + base + "/" + std::to_string(next) + ">x</a>\n";
        }
        return answer(host, request, number <= page_count ? html + "<p>page" : "");
    }
    coaio::Coro<coaio::http::Router> build(int host) {
        coaio::http::Router app;
        app.get("/robots.txt", [this, host](Request& request) { return answer(host, request, ""); });
        app.get("/", [this, host](Request& request) { return page(host, request, 0); });
        app.get("/{number}",
                [this, host](Request& request) { return page(host, request, request.param<int>("number")); });
        co_return app;
    }

    std::vector<std::string> names_;
    std::vector<std::unique_ptr<coaio::http::Server>> servers_;
    std::vector<std::string> urls_;
    std::map<int, std::map<std::string, int>> at_;
    std::set<std::string> workers_;
    std::map<std::string, int> requests_;
    int left_ = -1;
    int waiting_ = 0;
    int wanted_waiting_ = 1;
    std::size_t wanted_workers_ = 0;
    int overlaps_ = 0;
    coaio::Event held_;
    coaio::Event gate_;
};

/// The sites, the database, and the words for the program.
struct Scene {
    Scene() : database_word("--database-url=" + database.conninfo()) {}
    Scene(const Scene&) = delete;
    Scene& operator=(const Scene&) = delete;

    coaio::Coro<> enqueue(std::vector<std::string> more = {}) {
        co_await sites.start();
        std::vector<std::string> words = {"enqueue", database_word, "--no-sitemaps", "--retries=0"};
        words.insert(words.end(), more.begin(), more.end());
        for (const auto& url : sites.urls()) words.push_back(url + "/");
        CrawlProgram program(std::move(words));
        const int code = co_await program.ended();
        INFO(program.log());
        CHECK(code == 0);
        CHECK(program.out() == "crawl 1 is queued\n");
    }
    [[nodiscard]] std::vector<std::string> worker(const std::string& name, std::vector<std::string> more = {}) const {
        more.insert(more.begin(), {"worker", database_word, "--user-agent=" + name});
        return more;
    }
    // Everything is there, once, and the crawl is over.
    void check_whole() const {
        const auto all = std::to_string(host_count * addresses_of_a_host);
        const auto bad = std::to_string(host_count);
        CHECK(database.value("select state || ',' || done || ',' || waiting from coaio.crawls") ==
              "done," + all + ",0");
        CHECK(database.value("select count(distinct url) || ',' || count(*) filter (where status = 404) "
                             "from coaio.pages") == all + "," + bad);
        // A page has its links all or not at all, and each page but the last has as many.
        CHECK(database.value("select count(*) from coaio.links") ==
              std::to_string(host_count * page_count * host_count * 2));
        CHECK(sites.overlaps() == 0);
    }

    tests::Database database;
    Sites sites;
    std::string database_word;
};

coaio::Coro<> two_at_once() {
    Scene scene;
    co_await scene.enqueue();
    // Of three hosts one has two, the other one.
    scene.sites.hold_until_workers(2);
    CrawlProgram first(scene.worker("first", {"--hosts=2", "--share=7", "--until-done"}));
    CrawlProgram second(scene.worker("second", {"--hosts=2", "--share=7", "--until-done"}));
    const int first_code = co_await first.ended();
    const int second_code = co_await second.ended();
    INFO(first.log() + first.out() + second.log() + second.out());
    CHECK(scene.sites.workers().size() == 2);
    scene.check_whole();
    CHECK(scene.sites.requests().size() == static_cast<std::size_t>(host_count * addresses_of_a_host));
    for (const auto& [url, count] : scene.sites.requests()) {
        INFO(url);
        CHECK(count == 1);
    }
    // Whoever met a broken link ends with 2 and names it.
    for (const auto* each : {&first, &second}) {
        const int code = each == &first ? first_code : second_code;
        CHECK(code == (each->out().find("status 404\n    linked from http://127.0.0.") == std::string::npos ? 0 : 2));
    }
    co_await scene.sites.stop();
}

coaio::Coro<> kill_one() {
    Scene scene;
    co_await scene.enqueue();
    scene.sites.hold_after(25);
    CrawlProgram first(scene.worker("first", {"--lease=2"}));
    co_await scene.sites.held().wait();
    first.signal(SIGKILL);
    const int first_code = co_await first.ended();
    CHECK(first_code == 128 + SIGKILL);
    REQUIRE(scene.database.server().await_sessions(scene.database.name(), 0));
    const auto committed = scene.database.sql("select url from coaio.pages");
    CHECK(committed.size() > 3);
    CHECK(scene.database.value("select count(*) from coaio.coaio_job where state = 'running'") ==
          std::to_string(host_count));
    scene.sites.forget_requests();
    CrawlProgram second(scene.worker("second", {"--lease=2", "--until-done"}));
    CrawlProgram third(scene.worker("third", {"--lease=2", "--until-done"}));
    scene.sites.open();
    const int second_code = co_await second.ended();
    const int third_code = co_await third.ended();
    INFO(second.log() + third.log());
    CHECK((second_code == 2 || third_code == 2));
    scene.check_whole();
    for (const auto& row : committed) {
        INFO(row.at(0).value());
        CHECK(scene.sites.requests().count(row.at(0).value()) == 0);
    }
    co_await scene.sites.stop();
}

// One stands still for longer than its leases, and wakes up while another one is at its hosts. It waits for all of them
// when it stops, so that no request is just being sent, which nothing could hold back later.
coaio::Coro<> freeze_one() {
    Scene scene;
    const std::vector<std::string> one_at_a_time = {"--per-host=1"};
    co_await scene.enqueue(one_at_a_time);
    scene.sites.hold_after(25, host_count);
    CrawlProgram first(scene.worker("first", {"--lease=1", "--until-done", "-q"}));
    co_await scene.sites.held().wait();
    first.signal(SIGSTOP);
    scene.sites.open();
    co_await tests::until(scene.database, no_lease);
    scene.sites.hold_after(10);
    CrawlProgram second(scene.worker("second", {"--lease=20", "--until-done"}));
    co_await scene.sites.held().wait();
    first.signal(SIGCONT);
    co_await first.says("is lost");
    CHECK(scene.sites.overlaps() == 0);
    scene.sites.open();
    const int first_code = co_await first.ended();
    const int second_code = co_await second.ended();
    INFO(first.log() + second.log());
    CHECK((first_code == 0 || first_code == 2));
    CHECK((second_code == 0 || second_code == 2));
    scene.check_whole();
    co_await scene.sites.stop();
}

// One stops while its session waits for a row, which it then gets, and holds rows that nobody can go on without.
coaio::Coro<> freeze_in_a_transaction() {
    Scene scene;
    co_await scene.enqueue();
    scene.sites.hold_after(10, host_count);
    CrawlProgram first(scene.worker("first", {"--lease=8", "--until-done"}));
    co_await scene.sites.held().wait();
    const coaio::db::Pool pool(scene.database.conninfo());
    auto holder = co_await pool.acquire();
    co_await holder.execute("begin");
    co_await holder.execute("select from coaio.crawls for update");
    scene.sites.open();
    co_await tests::until(scene.database, "exists (select from pg_stat_activity where wait_event_type = 'Lock')");
    first.signal(SIGSTOP);
    co_await holder.execute("commit");
    co_await tests::until(scene.database, "exists (select from pg_stat_activity where state = 'idle in transaction')");
    CrawlProgram second(scene.worker("second", {"--lease=2", "--until-done"}));
    const int second_code = co_await second.ended();
    INFO(second.log());
    CHECK(second_code == 2);
    scene.check_whole();
    first.signal(SIGCONT);
    const int first_code = co_await first.ended();
    INFO(first.log());
    CHECK((first_code == 0 || first_code == 2));
    co_await scene.sites.stop();
}

// Nobody else has its hosts meanwhile: what it may not ask for any more is no broken page.
coaio::Coro<> freeze_the_only_one() {
    Scene scene;
    co_await scene.enqueue();
    scene.sites.hold_after(25);
    CrawlProgram worker(scene.worker("only", {"--lease=1", "--until-done"}));
    co_await scene.sites.held().wait();
    worker.signal(SIGSTOP);
    scene.sites.open();
    co_await tests::until(scene.database, no_lease);
    worker.signal(SIGCONT);
    const int code = co_await worker.ended();
    INFO(worker.log());
    CHECK(code == 2);
    scene.check_whole();
    co_await scene.sites.stop();
}

coaio::Coro<> terminate_one(int signal) {
    Scene scene;
    co_await scene.enqueue();
    scene.sites.hold_after(25);
    CrawlProgram first(scene.worker("first", {"--grace=40"}));
    co_await scene.sites.held().wait();
    first.signal(signal);
    scene.sites.open();
    const int first_code = co_await first.ended();
    INFO(first.log());
    CHECK((first_code == 0 || first_code == 2));
    CHECK_THAT(first.out(), contains(" pages in "));
    CHECK(scene.database.value("select count(*) from coaio.pages") == std::to_string(scene.sites.requests().size()));
    // Nobody need wait for a lease, and nothing counts as a failure.
    CHECK(scene.database.value("select count(*) from coaio.coaio_job where state <> 'ready' or failures > 0") == "0");
    CrawlProgram second(scene.worker("second", {"--until-done"}));
    const int second_code = co_await second.ended();
    CHECK((second_code == 0 || second_code == 2));
    scene.check_whole();
    for (const auto& [url, count] : scene.sites.requests()) {
        INFO(url);
        CHECK(count == 1);
    }
    co_await scene.sites.stop();
}

coaio::Coro<> say_what_is_missing() {
    const std::vector<std::string> only_worker = {"worker"};
    CrawlProgram worker(only_worker);
    const int worker_code = co_await worker.ended();
    CHECK(worker_code == 1);
    CHECK_THAT(worker.log(), contains("coaio-crawl: no database is given; say where the crawls are"));
    const std::vector<std::string> only_enqueue = {"enqueue", "http://127.0.0.1:1/"};
    CrawlProgram enqueue(only_enqueue);
    const int enqueue_code = co_await enqueue.ended();
    CHECK(enqueue_code == 1);
    CHECK_THAT(enqueue.log(), contains("coaio-crawl: no database is given to put the crawl into"));
    const std::vector<std::string> help = {"worker", "--help"};
    CrawlProgram helper(help);
    const int help_code = co_await helper.ended();
    CHECK(help_code == 0);
    CHECK_THAT(helper.out(), contains("--until-done"));
    const std::vector<std::string> away = {"worker", "--database-url=host=127.0.0.1 port=1 password=geheim"};
    CrawlProgram nowhere(away);
    const int away_code = co_await nowhere.ended();
    CHECK(away_code == 1);
    CHECK((nowhere.log() + nowhere.out()).find("geheim") == std::string::npos);
}

coaio::Coro<> within_limit(coaio::Coro<> work) { co_await coaio::wait_for(std::move(work), longest_wait); }

}  // namespace

TEST_CASE("two workers fetch every page once, and are never at one host together") {
    coaio::run(within_limit(two_at_once()));
}

TEST_CASE("others go on with the hosts of a worker that is killed, and fetch nothing that was committed") {
    coaio::run(within_limit(kill_one()));
}

TEST_CASE("a worker that stood still beyond its leases is at no host that has passed to another one") {
    coaio::run(within_limit(freeze_one()));
}

TEST_CASE("a worker that is stopped in a transaction holds up the others for its lease at most") {
    coaio::run(within_limit(freeze_in_a_transaction()));
}

TEST_CASE("a worker that stood still beyond its leases, and whose hosts nobody took, goes on and loses no page") {
    coaio::run(within_limit(freeze_the_only_one()));
}

TEST_CASE("a worker that gets SIGTERM or SIGINT commits what it has asked for") {
    coaio::run(within_limit(terminate_one(SIGTERM)));
    coaio::run(within_limit(terminate_one(SIGINT)));
}

TEST_CASE("worker and enqueue say what they lack, and no password") { coaio::run(within_limit(say_what_is_missing())); }
