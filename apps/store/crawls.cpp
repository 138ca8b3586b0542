// SPDX-License-Identifier: MIT
#include "store/crawls.hpp"

#include <utility>

#include <coaio/db/array.hpp>

namespace store {
namespace {

constexpr std::int64_t lock_class = std::int64_t{0x636f6169} << 32;

// Whoever had it last may have died before it wrote down what it had committed. Crawls of workers are always exact.
constexpr std::string_view count_again =
    "update crawls c set done = p.done, failed = p.failed, disallowed = p.disallowed, bytes = p.bytes from "
    "(select count(*) filter (where state = 'done') as done, count(*) filter (where state = 'failed') as failed, "
    "count(*) filter (where state = 'disallowed') as disallowed, coalesce(sum(size), 0)::bigint as bytes "
    "from pages where crawl_id = $1) p "
    "where c.id = $1 and c.run_by in ($2, $3) and c.state in ('running', 'cancelled') and c.started_at is not null";

template <class Queries>
coaio::Coro<> count_pages_with(const Queries& queries, std::int64_t crawl) {
    static_cast<void>(co_await queries.execute(count_again, crawl, by_server, by_program));
}

}  // namespace

std::int64_t lock_of(std::int64_t crawl) noexcept { return lock_class | crawl; }

coaio::Coro<bool> try_to_hold(const coaio::db::Connection& session, std::int64_t crawl) {
    co_return co_await session.query_value<bool>("select pg_try_advisory_lock($1)", lock_of(crawl));
}

coaio::Coro<> let_go(const coaio::db::Connection& session, std::int64_t crawl) {
    static_cast<void>(co_await session.query("select pg_advisory_unlock($1)", lock_of(crawl)));
}

coaio::Coro<> count_pages(const coaio::db::Pool& pool, std::int64_t crawl) { return count_pages_with(pool, crawl); }
coaio::Coro<> count_pages(const coaio::db::Connection& session, std::int64_t crawl) {
    return count_pages_with(session, crawl);
}

coaio::Coro<std::optional<Work>> take_up(const coaio::db::Connection& session, std::int64_t crawl,
                                         std::string_view run_by) {
    const auto ended = co_await session.execute("update crawls set state = 'cancelled', ended_at = now(), error = '' "
                                                "where id = $1 and cancel_requested and state in ('queued', 'running')",
                                                crawl);
    if (ended != 0) {
        co_await count_pages(session, crawl);
        co_return std::nullopt;
    }
    const auto rows =
        co_await session.query("update crawls set state = 'running', started_at = coalesce(started_at, now()), "
                               "ended_at = null, error = '' "
                               "where id = $1 and run_by = $2 and state in ('queued', 'running') "
                               "returning urls, settings::text, exists (select from pages where crawl_id = $1)",
                               crawl, run_by);
    if (rows.empty()) co_return std::nullopt;
    Work work;
    work.id = crawl;
    work.urls = rows.front()[0].as<std::vector<std::string>>();
    work.settings = rows.front()[1].as<std::string>();
    work.resumed = rows.front()[2].as<bool>();
    co_return work;
}

namespace {

template <class Queries>
coaio::Coro<bool> save_progress_with(const Queries& queries, std::int64_t crawl, const crawl::Crawler& crawler,
                                     const PageStore& store) {
    const CrawlCounts counts = store.counts();
    const auto waiting = static_cast<std::int64_t>(crawler.frontier().queued() + crawler.frontier().running());
    // As long as pages of earlier runs are being recalled, the row knows more.
    const auto asked = co_await queries.template query_value<std::optional<bool>>(
        "update crawls set done = greatest(done, $2), failed = greatest(failed, $3), "
        "disallowed = greatest(disallowed, $4), waiting = $5, bytes = greatest(bytes, $6) "
        "where id = $1 and state = 'running' returning cancel_requested",
        crawl, counts.done, counts.failed, counts.disallowed, waiting, counts.bytes);
    co_return asked.value_or(false);
}

template <class Queries>
coaio::Coro<> leave_with(const Queries& queries, std::int64_t crawl, std::string state, std::string error) {
    static_cast<void>(co_await queries.execute(
        "update crawls set state = $2, error = $3, ended_at = case when $2 <> 'queued' then now() end "
        "where id = $1 and state = 'running'",
        crawl, state, error));
}

}  // namespace

coaio::Coro<bool> save_progress(const coaio::db::Pool& pool, std::int64_t crawl, const crawl::Crawler& crawler,
                                const PageStore& store) {
    return save_progress_with(pool, crawl, crawler, store);
}
coaio::Coro<bool> save_progress(const coaio::db::Connection& session, std::int64_t crawl, const crawl::Crawler& crawler,
                                const PageStore& store) {
    return save_progress_with(session, crawl, crawler, store);
}

coaio::Coro<> leave(const coaio::db::Pool& pool, std::int64_t crawl, std::string state, std::string error) {
    return leave_with(pool, crawl, std::move(state), std::move(error));
}
coaio::Coro<> leave(const coaio::db::Connection& session, std::int64_t crawl, std::string state, std::string error) {
    return leave_with(session, crawl, std::move(state), std::move(error));
}

}  // namespace store
