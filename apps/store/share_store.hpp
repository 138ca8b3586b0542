// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <unordered_set>
#include <vector>

#include <coaio/core/coro.hpp>
#include <coaio/db/job_queue.hpp>
#include <coaio/db/pool.hpp>
#include <coaio/db/transaction.hpp>

#include "crawler/frontier.hpp"
#include "crawler/options.hpp"
#include "crawler/scope.hpp"
#include "crawler/store.hpp"
#include "store/addresses.hpp"
#include "store/hosts.hpp"
#include "store/shared_crawls.hpp"

namespace store {

/// What a share may be, and who is told of it.
class ShareOptions {
public:
    std::size_t pages = 100;  // at most
    std::function<void(const crawl::FinishedPage&)> on_commit;
    std::function<void()> on_cancel;  // the end of the crawl is asked for
};

/// A share of a crawl: addresses of one host, from the crawl's frontier in the database. Every page is committed with what
/// it adds to the frontier, and only while the host is held.
///
/// Errors of all: those of the database that do not pass by themselves, `HoldLost`, `CrawlOver`.
class ShareStore final : public crawl::FrontierStore {
public:
    /// `crawl_options` are those of the crawl, `urls` being where it starts.
    ShareStore(coaio::db::Pool pool, Hold hold, std::int64_t crawl, const crawl::Options& crawl_options,
               ShareOptions options);

    /// What the host has been asked already, which tells traps. Before all else.
    [[nodiscard]] coaio::Coro<> prepare();

    [[nodiscard]] coaio::Coro<std::vector<crawl::KnownAddress>> next() override;
    [[nodiscard]] coaio::Coro<std::vector<std::string>> unread_sites() override;
    [[nodiscard]] coaio::Coro<bool> add_from_sitemaps(const std::vector<crawl::FoundLink>& links) override;
    [[nodiscard]] coaio::Coro<> site_is_read(const std::string& origin) override;
    [[nodiscard]] coaio::Coro<> commit(const crawl::FinishedPage& page) override;
    [[nodiscard]] coaio::Coro<> recover(std::exception_ptr failure) override;

    /// Writes down how often the pages that are left were tried.
    [[nodiscard]] coaio::Coro<> keep_tries(const crawl::Frontier& frontier);

private:
    coaio::Coro<std::vector<Address>> addresses_of(const std::vector<crawl::FoundLink>& links, const crawl::Page* from);
    coaio::Coro<Added> add(const coaio::db::Transaction& transaction, const std::vector<Address>& addresses);
    [[nodiscard]] bool admits(const Address& address);
    void noted(const Added& added, bool cancel_requested);

    coaio::db::Pool pool_;
    coaio::db::JobQueue queue_;
    Hold hold_;
    std::int64_t crawl_;
    bool sitemaps_;
    ShareOptions options_;
    crawl::Scope scope_;
    std::unordered_set<std::string> admitted_;
    std::int64_t last_ = 0;  // that was given to be fetched
};

}  // namespace store
