// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <coaio/core/coro.hpp>
#include <coaio/core/event.hpp>
#include <coaio/core/time.hpp>
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include "crawler/app.hpp"
#include "crawler/crawler.hpp"
#include "crawler/options.hpp"
#include "store/page_store.hpp"
#include "store/trouble.hpp"

namespace store {

/// How a crawl is kept.
struct KeepOptions {
    coaio::Duration patience = std::chrono::seconds(60);  // with a database that is away in mid-crawl
    coaio::Duration lock_wait = std::chrono::seconds(2);  // for a crawl whose process has just died
    std::size_t sessions = 8;
};

/// A crawl of coaio-crawl in a database: a new one, or the one of the same addresses and settings that has not ended
/// and now goes on. It is held by an advisory lock of a session of its own, so that no two programs run it, and so that
/// its death frees it.
///
/// Lifetime: belongs to the loop on which it runs.
class KeptCrawl {
public:
    /// Connects to the options' database, makes the tables where they are missing, and takes up the crawl.
    /// Errors: those of the database; `coaio::Error` where another process runs this crawl.
    [[nodiscard]] static coaio::Coro<std::unique_ptr<KeptCrawl>> begin(crawl::Options options, KeepOptions keep);
    KeptCrawl(const KeptCrawl&) = delete;
    KeptCrawl& operator=(const KeptCrawl&) = delete;
    ~KeptCrawl() = default;

    [[nodiscard]] std::int64_t id() const noexcept { return id_; }
    /// "crawl 8 begins", or "crawl 7 goes on: 123 pages are in the database".
    [[nodiscard]] const std::string& greeting() const noexcept { return greeting_; }
    [[nodiscard]] crawl::Store& store() noexcept { return *pages_; }

    /// Runs the crawler, whose store is `store()`, and keeps the crawl's row up to date. While the database is away
    /// everything is tried again.
    /// Errors: those of the crawler, `DatabaseAway`, and `coaio::Error` where the end of the crawl was asked for in the
    /// database, or another process has taken it. Cancellation: the crawl can go on later.
    [[nodiscard]] coaio::Coro<> run(crawl::Crawler& crawler, Say say);

private:
    class PatientStore;

    KeptCrawl(std::string database, KeepOptions keep);
    coaio::Coro<> claim(const crawl::Options& options);
    coaio::Coro<> hold_again();
    coaio::Coro<> take_back();
    coaio::Coro<> keep_up(const crawl::Crawler& crawler);
    coaio::Coro<> note(const crawl::Crawler& crawler);
    coaio::Coro<> write_end(const crawl::Crawler& crawler, std::string state, std::string error);
    coaio::Coro<> finish(const crawl::Crawler& crawler);
    coaio::Coro<> say_last_words(const crawl::Crawler& crawler, std::string state, std::string error);

    std::string database_;
    coaio::db::Pool pool_;
    KeepOptions keep_;
    Patience patience_;                             // of the pages
    Patience lock_patience_;                        // of the lock, and the row
    std::optional<coaio::db::Connection> session_;  // which holds the lock
    std::int64_t id_ = 0;
    std::string said_;  // the state that the row may have been given already as its last
    std::string greeting_;
    std::unique_ptr<PageStore> pages_;
    coaio::Event over_;
};

/// The whole of coaio-crawl with a database: `crawl::crawl_sites` of a crawl that is kept in `options.database_url`.
[[nodiscard]] coaio::Coro<int> crawl_and_keep(crawl::Options options, crawl::Fetcher& fetcher, crawl::Output output,
                                              KeepOptions keep = {});

}  // namespace store
