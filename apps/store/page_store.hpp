// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <coaio/db/pool.hpp>
#include <coaio/db/transaction.hpp>

#include "crawler/store.hpp"

namespace store {

/// What a crawl has come to so far.
struct CrawlCounts {
    std::int64_t done = 0;
    std::int64_t failed = 0;
    std::int64_t disallowed = 0;
    std::int64_t bytes = 0;
};

/// The page and its links; false, and nothing, where the crawl has it already.
[[nodiscard]] coaio::Coro<bool> write_page(const coaio::db::Transaction& transaction, std::int64_t crawl,
                                           const crawl::FinishedPage& page);

/// Keeps the finished pages of one crawl in the database, each with its links and its state in one transaction.
class PageStore : public crawl::Store {
public:
    /// `resumed`: the crawl has run before, and may have pages. `on_commit` is called for every page committed.
    PageStore(coaio::db::Pool pool, std::int64_t crawl, bool resumed, std::function<void()> on_commit = {})
        : pool_(std::move(pool)), crawl_(crawl), resumed_(resumed), on_commit_(std::move(on_commit)) {}

    [[nodiscard]] coaio::Coro<std::vector<std::string>> known() override;
    [[nodiscard]] coaio::Coro<bool> recall(crawl::FinishedPage& page) override;
    [[nodiscard]] coaio::Coro<> commit(const crawl::FinishedPage& page) override;

    /// Others have run the crawl meanwhile: from now on there may be pages.
    void resume() noexcept { resumed_ = true; }

    /// Of the pages committed, or found committed, through this object.
    [[nodiscard]] const CrawlCounts& counts() const noexcept { return counts_; }

private:
    void count(crawl::PageState state, std::uint64_t size);

    coaio::db::Pool pool_;
    std::int64_t crawl_;
    bool resumed_;
    std::function<void()> on_commit_;
    CrawlCounts counts_;
};

}  // namespace store
