// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <coaio/core/coro.hpp>
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include "crawler/crawler.hpp"
#include "store/page_store.hpp"

// The rows of `crawls`: who has one, and how it stands.
namespace store {

/// Values of the column `run_by`: any coaio-server takes up those of servers; a program's are its own.
inline constexpr std::string_view by_server = "server";
inline constexpr std::string_view by_program = "coaio-crawl";

/// What is needed to run a crawl.
struct Work {
    std::int64_t id = 0;
    std::vector<std::string> urls;
    std::string settings;  // JSON
    bool resumed = false;  // there are pages
};

/// The advisory lock of a crawl: whoever's session holds it runs the crawl; the death of the session frees it.
[[nodiscard]] std::int64_t lock_of(std::int64_t crawl) noexcept;
[[nodiscard]] coaio::Coro<bool> try_to_hold(const coaio::db::Connection& session, std::int64_t crawl);
[[nodiscard]] coaio::Coro<> let_go(const coaio::db::Connection& session, std::int64_t crawl);

/// Makes the row of a crawl that is held say `running`; nothing where there is nothing left to do for `run_by`, or the
/// end was asked for, which it then says.
[[nodiscard]] coaio::Coro<std::optional<Work>> take_up(const coaio::db::Connection& session, std::int64_t crawl,
                                                       std::string_view run_by);

/// Counts the pages of earlier runs, of which there may be many, for the row.
[[nodiscard]] coaio::Coro<> count_pages(const coaio::db::Pool& pool, std::int64_t crawl);
[[nodiscard]] coaio::Coro<> count_pages(const coaio::db::Connection& session, std::int64_t crawl);

// One that is not `running` any more, such as one that was cancelled meanwhile, both of these leave as it is.

/// Writes down how far the crawl is: what has been counted never becomes less. Gives whether its end was asked for.
[[nodiscard]] coaio::Coro<bool> save_progress(const coaio::db::Pool& pool, std::int64_t crawl,
                                              const crawl::Crawler& crawler, const PageStore& store);
[[nodiscard]] coaio::Coro<bool> save_progress(const coaio::db::Connection& session, std::int64_t crawl,
                                              const crawl::Crawler& crawler, const PageStore& store);

/// `state`: done, cancelled or failed, `error` then says why; or queued: it goes on later.
[[nodiscard]] coaio::Coro<> leave(const coaio::db::Pool& pool, std::int64_t crawl, std::string state,
                                  std::string error);
[[nodiscard]] coaio::Coro<> leave(const coaio::db::Connection& session, std::int64_t crawl, std::string state,
                                  std::string error);

}  // namespace store
