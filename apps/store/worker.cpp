// SPDX-License-Identifier: MIT
#include "store/worker.hpp"

#include <exception>
#include <optional>
#include <ostream>
#include <utility>

#include <coaio/core/error.hpp>
#include <coaio/core/mask.hpp>
#include <coaio/core/shield.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>

#include "store/schema.hpp"
#include "store/settings.hpp"
#include "store/trouble.hpp"

namespace store {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view program = "coaio-crawl worker";
constexpr auto progress_every = 5s;
constexpr auto look_for_end_every = 500ms;
constexpr auto connection_wait = 5s;
// Beyond the grace time: what JobWorker takes to write down how its jobs ended.
constexpr auto stop_limit = 1min;
constexpr std::size_t queue_sessions = 3;
constexpr std::size_t sessions_a_host = 2;
constexpr std::size_t most_sessions = 20;
constexpr std::size_t broken_shown = 200;

constexpr std::string_view select_referrers =
    "select p.url, l.line from links l join pages p on p.id = l.page_id "
    "where l.crawl_id = $1 and md5(l.target) = md5($2) and l.target = $2 order by p.id, l.ordinal limit 3";

// A worker that stands still in a transaction holds rows that whoever has its hosts next must write: for its lease. What
// of it waits for a row by then gives up before, or it would have the row next, and hold it as long.
coaio::db::Pool pool_of(const crawl::WorkerOptions& options, std::size_t sessions) {
    auto settings = pool_options(sessions, std::string(program)).acquire_timeout(connection_wait);
    settings.setting("idle_in_transaction_session_timeout", std::to_string(options.lease.count()) + "ms");
    settings.setting("lock_timeout", std::to_string(options.lease.count() / 2) + "ms");
    return coaio::db::Pool(options.database_url, std::move(settings));
}

coaio::db::JobWorkerOptions job_options(const crawl::WorkerOptions& options, crawl::Screen& screen) {
    coaio::db::JobWorkerOptions jobs;
    // A host that is held is worked on.
    jobs.concurrency(options.hosts).prefetch(0).lease(options.lease).grace(options.grace);
    jobs.poll(250ms, 1s).backoff(1s, 1min).listen(options.database_url);
    jobs.on_trouble([&screen](std::string_view text) { screen.line(crawl::one_line(text, 1000)); });
    return jobs;
}

/// Stands in a set for as long as it lives.
class Entry {
public:
    Entry(std::set<crawl::Crawler*>& set, crawl::Crawler& crawler) : set_(&set), crawler_(&crawler) {
        set_->insert(crawler_);
    }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    ~Entry() { set_->erase(crawler_); }

private:
    std::set<crawl::Crawler*>* set_;
    crawl::Crawler* crawler_;
};

/// Asks the host for nothing once another worker may have it. The share is cancelled by then, unless this process stood
/// still and has just woken up.
class HeldFetcher final : public crawl::Fetcher {
public:
    HeldFetcher(std::unique_ptr<crawl::Fetcher> fetcher, const coaio::db::Job& job, const Hold& hold)
        : fetcher_(std::move(fetcher)), job_(&job), hold_(&hold) {}

    coaio::Coro<crawl::Answer> fetch(coaio::http::Url url, crawl::FetchOptions options) override {
        if (coaio::Clock::now() >= job_->lease_until()) {
            throw crawl::FetchRefused("the lease of " + hold_->host + " is over: another worker may have it");
        }
        return fetcher_->fetch(std::move(url), options);
    }

private:
    std::unique_ptr<crawl::Fetcher> fetcher_;
    const coaio::db::Job* job_;
    const Hold* hold_;
};

coaio::Coro<> end_later(crawl::Crawler& crawler, std::chrono::milliseconds after) {
    co_await coaio::sleep(after);
    crawler.end_share();
}

coaio::Coro<> await_task(coaio::Task<> task) { co_await task; }

// What a failure of `work` that passes by itself takes away is not worth the rest that the host is to have.
coaio::Coro<> unless_it_passes(coaio::Coro<> work) {
    std::exception_ptr failure;
    try {
        co_await std::move(work);
    } catch (const std::exception&) {
        failure = std::current_exception();
    }
    if (failure && !is_passing(failure)) std::rethrow_exception(failure);
}

}  // namespace

Worker::Worker(crawl::WorkerOptions options, MakeFetcher make_fetcher, crawl::Screen& screen)
    : options_(std::move(options)),
      make_fetcher_(std::move(make_fetcher)),
      screen_(&screen),
      pool_(pool_of(options_, std::min(most_sessions, options_.hosts * sessions_a_host))),
      queue_(host_queue(pool_of(options_, queue_sessions))),
      worker_(queue_, [this](coaio::db::Job& job) { return work_on(job); }, job_options(options_, screen)) {}

coaio::Coro<> Worker::run() {
    began_ = coaio::Clock::now();
    co_await make_tables();
    const auto body = [this](coaio::TaskGroup& group) -> coaio::Coro<> {
        if (!options_.quiet) group.create_task(show_progress(), {.name = "progress"});
        if (options_.until_done) group.create_task(stop_when_done(), {.name = "look for the end"});
        co_await work_until_stopped();
        group.cancel();
    };
    co_await coaio::task_group(body);
}

// With patience for whoever reads the tables for long.
coaio::Coro<> Worker::make_tables() {
    const coaio::db::Pool pool(options_.database_url, pool_options(1, std::string(program)));
    co_await create_schema(pool);
    co_await host_queue(pool).prepare();
}

void Worker::stop() {
    stopping_ = true;
    for (auto* share : shares_) share->wind_down();
    worker_.stop();
}

coaio::Coro<> Worker::work_until_stopped() {
    const auto working = coaio::create_task(worker_.run(), {.name = "jobs"});
    bool cancelled = false;
    try {
        co_await coaio::shield(working);
    } catch (const coaio::CancelledError&) {
        cancelled = true;
    }
    if (!cancelled) co_return;
    stop();
    auto ending = await_task(working);
    co_await coaio::masked(std::move(ending), {.deadline = options_.grace + stop_limit});
    throw coaio::CancelledError("the worker is stopped");
}

coaio::Coro<> Worker::show_progress() {
    for (;;) {
        co_await coaio::sleep(progress_every);
        const auto so_far = summary();
        screen_->line(std::to_string(so_far.fetched + so_far.failed) + " pages, " + std::to_string(hosts_) +
                      (hosts_ == 1 ? " host" : " hosts") + " at work, " + std::to_string(broken_count_) + " bad, " +
                      crawl::human_time(so_far.elapsed));
    }
}

coaio::Coro<> Worker::stop_when_done() {
    for (;;) {
        bool open = true;
        std::exception_ptr failure;
        try {
            open = co_await has_open_crawls(pool_);
        } catch (const std::exception&) {
            failure = std::current_exception();
        }
        if (failure && !is_passing(failure)) std::rethrow_exception(failure);
        if (!open) break;
        co_await coaio::sleep(look_for_end_every);
    }
    stop();
}

coaio::Coro<> Worker::work_on(coaio::db::Job& job) {
    Hold hold;
    hold.host = host_of(job);
    hold.job = job.id();
    hold.attempt = job.attempt();
    ++hosts_;
    std::exception_ptr failure;
    try {
        co_await work_on_host(job, hold);
    } catch (...) {
        failure = std::current_exception();
    }
    --hosts_;
    if (!failure) co_return;
    if (!holds<coaio::CancelledError>(failure)) {
        screen_->line(crawl::one_line(hold.host) + " is tried again later: " + crawl::one_line(reason_of(failure)));
    }
    std::rethrow_exception(failure);
}

coaio::Coro<> Worker::work_on_host(coaio::db::Job& job, const Hold& hold) {
    co_await take_over(pool_, hold);
    std::chrono::milliseconds rest{0};
    bool others = false;
    while (!stopping_ && !others && rest.count() == 0) {
        const auto crawl = co_await next_crawl(pool_, hold.host);
        if (crawl) {
            rest = co_await crawl_share(*crawl, job, hold);
            others = true;  // where it cannot be known
            auto looking = look_for_others(others);
            co_await unless_it_passes(std::move(looking));
            continue;
        }
        const bool ended = co_await end_if_idle(pool_, job, hold);
        if (ended) co_return;
    }
    if (stopping_) {
        const bool ended = co_await end_if_idle(pool_, job, hold);
        if (ended) co_return;
    }
    job.snooze(rest);
}

coaio::Coro<> Worker::look_for_others(bool& others) { others = co_await queue_.has_ready(); }

// Gives how long the host wants to be left alone.
coaio::Coro<std::chrono::milliseconds> Worker::crawl_share(const SharedCrawl& crawl, const coaio::db::Job& job,
                                                           const Hold& hold) {
    auto options = options_of(crawl.starts, crawl.settings);
    if (!options_.user_agent.empty()) options.user_agent = options_.user_agent;
    HeldFetcher fetcher(make_fetcher_(options), job, hold);
    crawl::Crawler* running = nullptr;
    ShareOptions share;
    share.pages = options_.share;
    share.on_commit = [this, id = crawl.id](const crawl::FinishedPage& page) { count(id, page); };
    share.on_cancel = [&running] {
        if (running != nullptr) running->wind_down();
    };
    ShareStore pages(pool_, hold, crawl.id, options, std::move(share));
    co_await pages.prepare();
    crawl::Crawler crawler(std::move(options), fetcher, pages);
    running = &crawler;
    const Entry entry(shares_, crawler);
    if (stopping_) crawler.wind_down();
    std::exception_ptr failure;
    try {
        co_await run_share(crawler);
    } catch (const std::exception&) {
        failure = std::current_exception();
    }
    if (failure && !holds<CrawlOver>(failure)) std::rethrow_exception(failure);
    const auto rest = crawler.frontier().rest(crawl::loop_now());
    if (!failure) {
        auto keeping = pages.keep_tries(crawler.frontier());
        co_await unless_it_passes(std::move(keeping));
    }
    co_return rest;
}

coaio::Coro<> Worker::run_share(crawl::Crawler& crawler) {
    const auto body = [this, &crawler](coaio::TaskGroup& group) -> coaio::Coro<> {
        group.create_task(end_later(crawler, options_.longest_share), {.name = "end of the share"});
        co_await crawler.run();
        group.cancel();
    };
    co_await coaio::task_group(body);
}

void Worker::count(std::int64_t crawl, const crawl::FinishedPage& page) {
    done_.bytes += page.result.size;
    std::string reason;
    switch (page.state) {
    case crawl::PageState::done:
        ++done_.fetched;
        ++done_.statuses[page.result.status];
        if (page.result.status >= 400) reason = "status " + std::to_string(page.result.status);
        break;
    case crawl::PageState::failed:
        ++done_.failed;
        reason = page.result.error.empty() ? "no answer" : page.result.error;
        break;
    default: ++done_.disallowed;
    }
    if (reason.empty() || ++broken_count_ > broken_shown) return;
    auto& broken = broken_.emplace_back();
    broken.crawl = crawl;
    broken.url = page.page->url;
    broken.reason = std::move(reason);
}

crawl::Summary Worker::summary() const {
    auto summary = done_;
    summary.elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(coaio::Clock::now() - began_);
    return summary;
}

coaio::Coro<std::string> Worker::broken_text() {
    std::string out;
    for (const auto& each : broken_) {
        out += "  " + crawl::one_line(each.url) + "\n    " + crawl::one_line(each.reason) + "\n";
        const auto rows = co_await pool_.query(select_referrers, each.crawl, each.url);
        for (const auto& [url, line] : rows.as<std::string, std::int32_t>()) {
            out += "    linked from " + crawl::one_line(url);
            if (line > 0) out += " line " + std::to_string(line);
            out += "\n";
        }
    }
    if (broken_count_ > broken_.size()) {
        out += "  and " + std::to_string(broken_count_ - broken_.size()) + " more; coaio-server has them all\n";
    }
    co_return out;
}

coaio::Coro<int> enqueue(crawl::Options options, crawl::Output output) {
    if (options.database_url.empty()) {
        throw coaio::Error("no database is given to put the crawl into; say which by --database-url, such as "
                           "postgresql://user@host/name");
    }
    if (!options.reports.empty()) throw coaio::Error("workers write no reports: leave out --report");
    const coaio::db::Pool pool(options.database_url, pool_options(1, std::string(program)));
    co_await create_schema(pool);
    co_await host_queue(pool).prepare();
    const auto id = co_await put_crawl(pool, std::move(options));
    *output.out << "crawl " << id << " is queued\n" << std::flush;
    co_return 0;
}

coaio::Coro<int> work(crawl::WorkerOptions options, MakeFetcher make_fetcher, crawl::Output output) {
    crawl::Screen screen(output);
    Worker worker(std::move(options), std::move(make_fetcher), screen);
    crawl::Signals signals(screen);
    std::string trouble;
    auto running = worker.run();
    const auto working = coaio::create_task(std::move(running), {.name = "worker"});
    signals.will_end(working);
    try {
        co_await working;
    } catch (const coaio::CancelledError&) {
        // What was asked for has been done: what follows, the summary, is no longer to be cancelled.
        if (!signals.terminated()) coaio::current_task()->uncancel();
    } catch (const std::exception&) {
        trouble = reason_of(std::current_exception());
    }
    auto summary = worker.summary();
    summary.trouble = trouble;
    std::string broken;
    try {
        broken = co_await worker.broken_text();
    } catch (const std::exception& error) {
        broken = "  and which they are is not known: " + crawl::one_line(error.what()) + "\n";
    }
    *output.out << crawl::numbers_text(summary);
    if (worker.met_broken()) *output.out << "\nbroken:\n" << broken;
    *output.out << std::flush;
    if (!trouble.empty()) co_return 1;
    co_return worker.met_broken() ? 2 : 0;
}

}  // namespace store
