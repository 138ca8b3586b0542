// SPDX-License-Identifier: MIT
// Workers that share crawls, in one process, over a real database and sites in memory.
#include "store/worker.hpp"

#include <coaio/core/gather.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "../crawler/site.hpp"
#include "crawler/crawler.hpp"
#include "store/schema.hpp"
#include "store/shared_crawls.hpp"

using namespace std::chrono_literals;
using tests::contains;

namespace {

/// Who asks which host at the same time.
class Visits {
public:
    void enter(const std::string& host, int worker) {
        auto& there = at_[host];
        ++there[worker];
        if (there.size() > 1) ++overlaps_;
        came_.insert(worker);
    }
    void leave(const std::string& host, int worker) {
        if (--at_[host][worker] == 0) at_[host].erase(worker);
    }
    [[nodiscard]] int overlaps() const noexcept { return overlaps_; }
    [[nodiscard]] std::size_t workers() const noexcept { return came_.size(); }

private:
    std::map<std::string, std::map<int, int>> at_;
    std::set<int> came_;
    int overlaps_ = 0;
};

/// What one worker sees of the sites.
class Eyes final : public crawl::Fetcher {
public:
    Eyes(tests::Site& site, Visits& visits, int worker, std::function<void()>& stall)
        : site_(&site), visits_(&visits), worker_(worker), stall_(stall) {}
    coaio::Coro<crawl::Answer> fetch(coaio::http::Url url, crawl::FetchOptions options) override {
        const Visit visit(*visits_, url.host(), worker_);
        if (stall_ && url.path() != "/") std::exchange(stall_, nullptr)();
        co_return co_await site_->fetch(std::move(url), options);
    }

private:
    class Visit {
    public:
        Visit(Visits& visits, std::string host, int worker)
            : visits_(&visits), host_(std::move(host)), worker_(worker) {
            visits_->enter(host_, worker_);
        }
        Visit(const Visit&) = delete;
        Visit& operator=(const Visit&) = delete;
        ~Visit() { visits_->leave(host_, worker_); }

    private:
        Visits* visits_;
        std::string host_;
        int worker_;
    };
    tests::Site* site_;
    Visits* visits_;
    int worker_;
    std::function<void()>& stall_;
};

/// Workers on one loop.
class Crew {
public:
    Crew(std::string conninfo, tests::Site& site) : site_(&site), screen_(output()) { options.database_url = conninfo; }

    void add_worker() {
        const int number = static_cast<int>(workers_.size());
        auto make = [this, number](const crawl::Options&) {
            return std::make_unique<Eyes>(*site_, visits, number, stall);
        };
        workers_.push_back(std::make_unique<store::Worker>(options, std::move(make), screen_));
    }
    coaio::Coro<> run(int count) {
        std::vector<coaio::Task<>> running;
        for (int i = 0; i < count; ++i) {
            add_worker();
            running.push_back(coaio::create_task(workers_.back()->run()));
        }
        co_await coaio::gather(std::move(running));
    }
    [[nodiscard]] store::Worker& worker(std::size_t number) { return *workers_.at(number); }
    [[nodiscard]] std::string log() const { return log_.str(); }

    crawl::WorkerOptions options;
    Visits visits;
    std::function<void()> stall;  // once, in the step in which a page is asked for that is no start

private:
    crawl::Output output() {
        crawl::Output out;
        out.out = &log_;
        out.log = &log_;
        return out;
    }
    std::ostringstream log_;
    tests::Site* site_;
    crawl::Screen screen_;
    std::vector<std::unique_ptr<store::Worker>> workers_;
};

coaio::Coro<std::int64_t> put(std::string conninfo, crawl::Options options) {
    const coaio::db::Pool pool(conninfo, store::pool_options(1, "test"));
    co_await store::create_schema(pool);
    co_await store::host_queue(pool).prepare();
    co_return co_await store::put_crawl(pool, std::move(options));
}

std::string address(int host, int page) {
    return "http://" + std::string(1, static_cast<char>('a' + host)) + "/" + (page == 0 ? "" : std::to_string(page));
}

// Three hosts that link to each other, with all that can be wrong with a page.
void fill(tests::Site& site) {
    constexpr int pages = 24;
    std::minstd_rand random(7);
    for (int host = 0; host < 3; ++host) {
        const auto name = address(host, 0);
        site.add(name + "robots.txt", tests::text("User-agent: *\nDisallow: /13\nSitemap: " + name + "map.txt\n"));
        site.add(name + "map.txt", tests::text(std::string(name).append("hidden\n").append(name).append("1\n")));
        site.add(name + "hidden", tests::page("only the sitemap knows it"));
        for (int number = 0; number < pages; ++number) {
            std::vector<std::string> targets = {address(host, number + 1), "http://elsewhere/"};
            for (int i = 0; i < 5; ++i) {
                targets.push_back(address(static_cast<int>(random() % 3), static_cast<int>(random() % pages)));
            }
            const auto url = address(host, number);
            if (number % 10 == 7) {
                site.add(url, tests::redirect(targets.back()));
            } else if (number % 10 == 9) {
                site.add(url, tests::status(500)).add(url, tests::links(targets));
            } else {
                site.add(url, tests::links(targets));
            }
        }
    }
}

crawl::Options three_hosts() {
    auto options = tests::crawl_of({address(0, 0), address(1, 0), address(2, 0)});
    options.sitemaps = true;
    return options;
}

std::map<std::string, std::string> found_by(const crawl::Crawler& crawler) {
    std::map<std::string, std::string> found;
    for (const auto& page : crawler.frontier().pages()) {
        if (page.state == crawl::PageState::refused) continue;
        found.emplace(page.url, std::string(crawl::name(page.state)) + std::to_string(page.status));
    }
    return found;
}

std::map<std::string, std::string> stored_in(const tests::Database& database) {
    std::map<std::string, std::string> found;
    for (const auto& row : database.sql("select url, state || status from coaio.pages")) {
        found.emplace(row.at(0).value(), row.at(1).value());
    }
    return found;
}

std::string figures(const tests::Database& database) {
    return database.value("select state || ', ' || waiting || ' waiting, ' || (accepted = done + failed + disallowed) "
                          "|| ', ' || (accepted = (select count(*) from coaio.pages)) from coaio.crawls");
}

coaio::Coro<> share_a_crawl() {
    const tests::Database database;
    tests::Site alone;
    fill(alone);
    crawl::Crawler crawler(three_hosts(), alone);
    co_await crawler.run();

    tests::Site site;
    fill(site);
    co_await put(database.conninfo(), three_hosts());
    Crew crew(database.conninfo(), site);
    crew.options.hosts = 2;
    crew.options.share = 12;
    crew.options.until_done = true;
    co_await crew.run(3);
    INFO(crew.log());
    CHECK(stored_in(database) == found_by(crawler));
    CHECK(figures(database) == "done, 0 waiting, true, true");
    CHECK(crew.visits.overlaps() == 0);
    CHECK(crew.visits.workers() > 1);
    for (const auto& request : site.requests()) {
        if (request.url.ends_with("robots.txt")) continue;
        INFO(request.url);
        CHECK(site.count(request.url) == alone.count(request.url));
    }
    // Each address stands there once, as does each site; nothing is left.
    CHECK(database.value("select count(*) from coaio.frontier where not done") == "0");
    CHECK(database.value("select count(*) from coaio.frontier where kind = 'site'") == "3");
    CHECK(database.value("select count(*) from coaio.coaio_job where state = 'running'") == "0");
    // Whoever waits for another waits one way only.
    CHECK(database.value("select deadlocks from pg_stat_database where datname = current_database()") == "0");
}

}  // namespace

TEST_CASE("three workers find what one crawler does, each page once, and never two at one host") {
    coaio::run(share_a_crawl());
}

namespace {

coaio::Coro<> keep_to_the_number() {
    const tests::Database database;
    tests::Site site;
    fill(site);
    auto options = three_hosts();
    options.scope.max_pages = 50;
    co_await put(database.conninfo(), options);
    Crew crew(database.conninfo(), site);
    crew.options.share = 3;
    crew.options.until_done = true;
    co_await crew.run(3);
    CHECK(figures(database) == "done, 0 waiting, true, true");
    CHECK(database.value("select count(*) from coaio.pages") == "50");
}

// The start means the site that it has become, and other sites are asked whether pages are there, by whoever has them.
coaio::Coro<> follow_the_start() {
    const tests::Database database;
    tests::Site alone;
    const auto fill_site = [](tests::Site& site) {
        site.add("http://a/", tests::redirect("http://b/"));
        site.add("http://b/", tests::links({"/1", "http://c/there", "http://c/gone", "http://b:8080/"}));
        site.add("http://b/1", tests::links({"http://b/2#x"}));
        site.add("http://b/2", tests::links({"http://a/"}));
        site.add("http://c/there", tests::links({"/never-asked-for"}));
    };
    fill_site(alone);
    auto options = tests::crawl_of({"http://a/"});
    options.scope.check_external = true;
    crawl::Crawler crawler(options, alone);
    co_await crawler.run();
    tests::Site site;
    fill_site(site);
    co_await put(database.conninfo(), options);
    Crew crew(database.conninfo(), site);
    crew.options.until_done = true;
    co_await crew.run(2);
    CHECK(stored_in(database) == found_by(crawler));
    CHECK(stored_in(database).at("http://c/gone") == "done404");
    CHECK(database.value("select string_agg(host, ',' order by host) from coaio.hosts") == "a,b,c");
    const auto text = co_await crew.worker(0).broken_text();
    const auto other = co_await crew.worker(1).broken_text();
    CHECK_THAT(text + other, contains("  http://c/gone\n    status 404\n    linked from http://b/ line 3\n"));
}

// As a minute is to a site that takes longer than that to say nothing.
coaio::Coro<> end_shares_at_once() {
    const tests::Database database;
    tests::Site site;
    auto refused = tests::status(0);
    refused.failure = "connection refused";
    site.add("http://a/robots.txt", refused);
    site.add("http://b/", tests::links({"/1"}));
    site.add("http://b/1", tests::page("one"));
    site.add("http://b/sitemap.xml", tests::text("http://b/hidden\n"));
    site.add("http://b/hidden", tests::page("only the sitemap knows it"));
    auto options = tests::crawl_of({"http://a/", "http://b/"});
    options.sitemaps = true;
    options.manners.max_retries = 0;
    co_await put(database.conninfo(), options);
    Crew crew(database.conninfo(), site);
    crew.options.longest_share = 0ms;
    crew.options.until_done = true;
    co_await crew.run(2);
    INFO(crew.log());
    CHECK(stored_in(database) == std::map<std::string, std::string>{{"http://a/", "failed0"},
                                                                    {"http://b/", "done200"},
                                                                    {"http://b/1", "done200"},
                                                                    {"http://b/hidden", "done200"}});
    CHECK(figures(database) == "done, 0 waiting, true, true");
    CHECK(site.count("http://b/sitemap.xml") == 1);
}

coaio::Coro<> wait_between_shares() {
    const tests::Database database;
    tests::Site site;
    site.add("http://a/", tests::links({"/1", "/2"}));
    site.add("http://a/1", tests::page("one"));
    site.add("http://a/2", tests::page("two"));
    auto options = tests::crawl_of({"http://a/"});
    options.manners.delay = 300ms;
    options.ignore_robots = true;
    co_await put(database.conninfo(), options);
    Crew crew(database.conninfo(), site);
    crew.options.share = 1;
    crew.options.until_done = true;
    co_await crew.run(2);
    REQUIRE(site.requests().size() == 3);
    for (std::size_t i = 1; i < 3; ++i) CHECK(site.requests()[i].at - site.requests()[i - 1].at >= 300ms);
}

// The whole thread stands still in a step for longer than the lease, and the pages that come next in it are not asked for
// any more. Nor are they broken.
coaio::Coro<> stand_still_in_a_step() {
    const tests::Database database;
    tests::Site site;
    std::map<std::string, std::string> all = {{"http://a/", "done200"}};
    std::vector<std::string> targets;
    for (int i = 1; i <= 3; ++i) {
        targets.push_back(address(0, i));
        site.add(targets.back(), tests::page("here"));
        all.emplace(targets.back(), "done200");
    }
    site.add("http://a/", tests::links(targets));
    auto options = tests::crawl_of({"http://a/"});
    options.ignore_robots = true;
    options.manners.max_retries = 0;
    co_await put(database.conninfo(), options);
    Crew crew(database.conninfo(), site);
    crew.options.lease = 2s;
    crew.options.until_done = true;
    crew.stall = [] {
        const auto until = std::chrono::steady_clock::now() + 2500ms;
        while (std::chrono::steady_clock::now() < until) {}
    };
    co_await crew.run(1);
    INFO(crew.log());
    CHECK(stored_in(database) == all);
    CHECK_THAT(crew.log(), contains("is lost"));
    std::size_t asked = 0;
    for (const auto& each : targets) asked += site.count(each);
    CHECK(asked == 4);  // one, in whose step it stood still, a second time
}

coaio::Coro<> cancel_it() {
    const tests::Database database;
    tests::Site site;
    std::vector<std::string> targets;
    for (int i = 1; i <= 30; ++i) targets.push_back(address(0, i));
    site.add("http://a/", tests::links(targets));
    auto slow = tests::page("slow");
    slow.delay = 50ms;
    for (const auto& each : targets) site.add(each, slow);
    auto options = tests::crawl_of({"http://a/"});
    options.manners.per_host = 1;
    const auto id = co_await put(database.conninfo(), options);
    CHECK(id == 1);
    Crew crew(database.conninfo(), site);
    crew.options.until_done = true;
    auto running = coaio::create_task(crew.run(1));
    while (site.requests().size() < 4) co_await coaio::sleep(5ms);
    const coaio::db::Pool pool(database.conninfo(), store::pool_options(1, "test"));
    static_cast<void>(co_await pool.execute("update crawls set cancel_requested = true"));
    co_await running;
    CHECK(site.requests().size() < 30);
    CHECK(database.value("select state from coaio.crawls") == "cancelled");
    CHECK(database.value("select count(*) from coaio.frontier where not done") == "0");
}

// SIGTERM and SIGINT are a cancellation.
coaio::Coro<> stop_it() {
    const tests::Database database;
    tests::Site site;
    fill(site);
    co_await put(database.conninfo(), three_hosts());
    Crew crew(database.conninfo(), site);
    auto running = coaio::create_task(crew.run(1));
    while (site.requests().size() < 30) co_await coaio::sleep(1ms);
    running.cancel();
    bool cancelled = false;
    try {
        co_await running;
    } catch (const coaio::CancelledError&) {
        cancelled = true;
    }
    CHECK(cancelled);
    const auto asked = site.requests().size();
    CHECK(database.value("select state from coaio.crawls") == "running");
    CHECK(database.value("select string_agg(distinct state || failures, ',') from coaio.coaio_job") == "ready0");
    // What was asked for was committed: of the pages that answer at the first time none is asked for again.
    Crew second(database.conninfo(), site);
    second.options.until_done = true;
    co_await second.run(1);
    CHECK(figures(database) == "done, 0 waiting, true, true");
    CHECK(site.requests().size() > asked);
    for (int host = 0; host < 3; ++host) {
        for (int number = 0; number < 24; ++number) {
            if (number % 10 == 9) continue;
            INFO(address(host, number));
            CHECK(site.count(address(host, number)) <= 1);
        }
    }
}

}  // namespace

TEST_CASE("workers together fetch no more pages than a crawl may have") { coaio::run(keep_to_the_number()); }

TEST_CASE("a start that is redirected to another host, and links to others, make jobs for these hosts") {
    coaio::run(follow_the_start());
}

TEST_CASE("however short shares are, each gets on, and a crawl comes to its end") { coaio::run(end_shares_at_once()); }

TEST_CASE("the delay of a host holds between shares, whoever has them") { coaio::run(wait_between_shares()); }

TEST_CASE("a worker that stood still for longer than its lease asks for nothing more, and nothing is lost") {
    coaio::run(stand_still_in_a_step());
}

TEST_CASE("a crawl that is cancelled is not gone on with") { coaio::run(cancel_it()); }

TEST_CASE("a worker that is stopped commits the pages under way and gives its hosts back") { coaio::run(stop_it()); }
