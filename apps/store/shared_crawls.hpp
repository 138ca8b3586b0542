// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <coaio/core/coro.hpp>
#include <coaio/core/error.hpp>
#include <coaio/db/pool.hpp>
#include <coaio/db/transaction.hpp>

#include "crawler/options.hpp"

// The rows of crawls that workers share.
namespace store {

/// Values of the column `run_by`, beside `by_server` and `by_program`.
inline constexpr std::string_view by_workers = "workers";

/// Nobody is to fetch anything more for the crawl: it was cancelled.
class CrawlOver final : public coaio::Error {
public:
    using Error::Error;
};

/// A crawl that has addresses of a host waiting.
struct SharedCrawl {
    std::int64_t id = 0;
    std::vector<std::string> starts;  // what it was given, and where that was redirected to
    std::string settings;             // JSON
};

/// By how much the figures of a crawl change.
struct Progress {
    std::int64_t done = 0;
    std::int64_t failed = 0;
    std::int64_t disallowed = 0;
    std::int64_t bytes = 0;
    std::int64_t waiting = 0;
    std::int64_t accepted = 0;
};

/// Puts a crawl of the options' addresses, for workers to run, and gives its number.
[[nodiscard]] coaio::Coro<std::int64_t> put_crawl(coaio::db::Pool pool, crawl::Options options);

/// The oldest crawl that has addresses of the host waiting; it is `running` then.
[[nodiscard]] coaio::Coro<std::optional<SharedCrawl>> next_crawl(const coaio::db::Pool& pool, const std::string& host);

/// Whether there is a crawl that has not ended.
[[nodiscard]] coaio::Coro<bool> has_open_crawls(const coaio::db::Pool& pool);

/// With the transaction the figures change; the crawl is `done` when nothing waits. Gives whether its end is asked for.
/// Errors: `CrawlOver`.
[[nodiscard]] coaio::Coro<bool> note(const coaio::db::Transaction& transaction, std::int64_t crawl,
                                     const Progress& change);

}  // namespace store
