// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <coaio/core/coro.hpp>
#include <coaio/core/task_group.hpp>
#include <coaio/core/time.hpp>
#include <coaio/db/job_worker.hpp>
#include <coaio/db/pool.hpp>

#include "crawler/console.hpp"
#include "crawler/crawler.hpp"
#include "crawler/fetcher.hpp"
#include "crawler/summary.hpp"
#include "crawler/worker_options.hpp"
#include "store/hosts.hpp"
#include "store/share_store.hpp"
#include "store/shared_crawls.hpp"

namespace store {

/// Makes what fetches the pages of one share.
using MakeFetcher = std::function<std::unique_ptr<crawl::Fetcher>(const crawl::Options&)>;

/// One of the workers that share the crawls of a database, by host. See docs/crawl-workers.md.
///
/// Lifetime: belongs to the loop on which it runs; `screen` outlives it.
class Worker {
public:
    Worker(crawl::WorkerOptions options, MakeFetcher make_fetcher, crawl::Screen& screen);
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// Until it is cancelled, or, where that is wished, no crawl is left. While the database is away it tries again.
    /// Errors: those of the database that do not pass by themselves.
    /// Cancellation: pages under way are finished within the grace time, and the hosts are given back.
    [[nodiscard]] coaio::Coro<> run();

    /// What this worker has done.
    [[nodiscard]] crawl::Summary summary() const;
    /// The broken addresses that this worker has met, with pages that link to them, for a person. Errors: the database's.
    [[nodiscard]] coaio::Coro<std::string> broken_text();
    [[nodiscard]] bool met_broken() const noexcept { return broken_count_ != 0; }

private:
    struct Broken {
        std::int64_t crawl = 0;
        std::string url;
        std::string reason;
    };

    void stop();
    coaio::Coro<> make_tables();
    coaio::Coro<> work_until_stopped();
    coaio::Coro<> show_progress();
    coaio::Coro<> stop_when_done();
    coaio::Coro<> work_on(coaio::db::Job& job);
    coaio::Coro<> work_on_host(coaio::db::Job& job, const Hold& hold);
    coaio::Coro<> look_for_others(bool& others);
    coaio::Coro<std::chrono::milliseconds> crawl_share(const SharedCrawl& crawl, const coaio::db::Job& job,
                                                       const Hold& hold);
    coaio::Coro<> run_share(crawl::Crawler& crawler);
    void count(std::int64_t crawl, const crawl::FinishedPage& page);

    crawl::WorkerOptions options_;
    MakeFetcher make_fetcher_;
    crawl::Screen* screen_;
    coaio::db::Pool pool_;
    coaio::db::JobQueue queue_;
    coaio::db::JobWorker worker_;
    std::set<crawl::Crawler*> shares_;  // under way
    bool stopping_ = false;
    std::size_t hosts_ = 0;  // at work
    coaio::TimePoint began_;
    crawl::Summary done_;
    std::vector<Broken> broken_;  // the first of them
    std::size_t broken_count_ = 0;
};

/// The whole of `coaio-crawl enqueue`: puts the crawl into its database and says its number.
[[nodiscard]] coaio::Coro<int> enqueue(crawl::Options options, crawl::Output output);

/// The whole of `coaio-crawl worker`: works, shows progress, and ends with a summary and the exit code.
[[nodiscard]] coaio::Coro<int> work(crawl::WorkerOptions options, MakeFetcher make_fetcher, crawl::Output output);

}  // namespace store
