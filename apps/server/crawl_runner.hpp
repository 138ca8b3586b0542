// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <coaio/core/coro.hpp>
#include <coaio/core/event.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/task_group.hpp>
#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include "crawler/crawler.hpp"
#include "server/app.hpp"
#include "store/crawls.hpp"
#include "store/page_store.hpp"

namespace server {

/// Runs the crawls that stand in the database, some at a time, each by one server only: that is the one whose session
/// holds the advisory lock of the crawl's number, so one that dies gives up its crawls at once. A crawl that was begun
/// before goes on from what is committed.
///
/// Lifetime: belongs to the loop on which it runs; `shared` outlives it.
class CrawlRunner {
public:
    /// `log` takes a line for an operator.
    CrawlRunner(Shared& shared, std::size_t most, std::function<void(std::string_view)> log);
    CrawlRunner(const CrawlRunner&) = delete;
    CrawlRunner& operator=(const CrawlRunner&) = delete;

    /// Until it is cancelled: crawls that run then stay as they are in the database, and go on with the next start.
    /// While the database is away it tries again. A crawl whose own trouble with the database passes by itself goes on
    /// after a moment, and is no other one's trouble.
    [[nodiscard]] coaio::Coro<> run();
    /// There may be something to do. For the loop's thread.
    void wake() noexcept { changed_.set(); }

private:
    struct Running {
        coaio::Task<> task;
        bool cancel_requested = false;
    };

    coaio::Coro<> hold_session(coaio::TaskGroup& group);
    coaio::Coro<> look(coaio::TaskGroup& group, const coaio::db::Connection& session);
    coaio::Coro<std::optional<store::Work>> claim(std::int64_t id, const coaio::db::Connection& session);
    coaio::Coro<> run_crawl(store::Work work);
    coaio::Coro<> crawl_to_the_end(const store::Work& work);
    coaio::Coro<> note_progress(std::int64_t id, const crawl::Crawler& crawler, const store::PageStore& pages);

    Shared* shared_;
    std::size_t most_;
    std::function<void(std::string_view)> log_;
    coaio::db::Pool pool_;
    coaio::Event changed_;
    std::map<std::int64_t, Running> running_;
    std::set<std::int64_t> ended_;    // whose locks are to be given back
    std::set<std::int64_t> counted_;  // whose pages of earlier runs were counted
};

}  // namespace server
