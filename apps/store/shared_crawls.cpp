// SPDX-License-Identifier: MIT
#include "store/shared_crawls.hpp"

#include <utility>

#include <coaio/db/array.hpp>
#include <coaio/db/values.hpp>
#include <coaio/http/url.hpp>

#include "store/addresses.hpp"
#include "store/claim.hpp"
#include "store/hosts.hpp"
#include "store/settings.hpp"

namespace store {
namespace {

constexpr std::string_view cancel_crawls = "update crawls set state = 'cancelled', ended_at = now(), error = '' "
                                           "where run_by = $1 and cancel_requested and state in ('queued', 'running')";

// What is left of crawls that were cancelled.
constexpr std::string_view forget_addresses =
    "delete from frontier f using crawls c where f.host = $1 and not f.done and c.id = f.crawl_id "
    "and c.state not in ('queued', 'running')";

constexpr std::string_view take_crawl =
    "update crawls c set state = 'running', started_at = coalesce(started_at, now()) where c.id = "
    "(select id from crawls where state in ('queued', 'running') and exists "
    "(select from frontier f where f.host = $1 and f.crawl_id = crawls.id and not f.done) order by id limit 1) "
    "and c.state in ('queued', 'running') "
    "returning id, c.urls || array(select url from frontier f where f.crawl_id = c.id and start), settings::text";

constexpr std::string_view note_progress =
    "update crawls set done = done + $2, failed = failed + $3, disallowed = disallowed + $4, bytes = bytes + $5, "
    "waiting = waiting + $6, accepted = accepted + $7, "
    "state = case when waiting + $6 = 0 then 'done' else state end, "
    "ended_at = case when waiting + $6 = 0 then clock_timestamp() end "
    "where id = $1 and state in ('queued', 'running') returning cancel_requested";

}  // namespace

coaio::Coro<std::int64_t> put_crawl(coaio::db::Pool pool, crawl::Options options) {
    const auto queue = host_queue(pool);
    const auto urls = urls_of(options);
    const coaio::db::Json settings(settings_of(options));
    std::vector<Address> addresses;
    for (const auto& url : urls) {
        crawl::Reach reach;
        reach.start = true;
        auto& added = addresses.emplace_back(coaio::http::Url::parse(url), crawl::LinkKind::start, reach);
        added.has_site = options.sitemaps;
    }
    std::int64_t id = 0;
    const auto body = [&](coaio::db::Transaction& transaction) -> coaio::Coro<> {
        id = co_await transaction.query_value<std::int64_t>(
            "insert into crawls (urls, settings, run_by) values ($1, $2, $3) returning id", urls, settings, by_workers);
        const auto added = co_await add_addresses(transaction, queue, id, addresses, "");
        Progress progress;
        progress.accepted = added.pages;
        progress.waiting = added.pages + added.sites;
        static_cast<void>(co_await note(transaction, id, progress));
    };
    co_await pool.transaction(body, {.isolation = coaio::db::Isolation::read_committed});
    queue.wake();
    co_return id;
}

coaio::Coro<std::optional<SharedCrawl>> next_crawl(const coaio::db::Pool& pool, const std::string& host) {
    static_cast<void>(co_await pool.execute(cancel_crawls, by_workers));
    static_cast<void>(co_await pool.execute(forget_addresses, host));
    const auto rows = co_await pool.query(take_crawl, host);
    if (rows.empty()) co_return std::nullopt;
    SharedCrawl crawl;
    crawl.id = rows.front()[0].as<std::int64_t>();
    crawl.starts = rows.front()[1].as<std::vector<std::string>>();
    crawl.settings = rows.front()[2].as<std::string>();
    co_return crawl;
}

coaio::Coro<bool> has_open_crawls(const coaio::db::Pool& pool) {
    return pool.query_value<bool>(
        "select exists (select from crawls where run_by = $1 and state in ('queued', 'running'))", by_workers);
}

coaio::Coro<bool> note(const coaio::db::Transaction& transaction, std::int64_t crawl, const Progress& change) {
    const auto asked = co_await transaction.query_value<std::optional<bool>>(
        note_progress, crawl, change.done, change.failed, change.disallowed, change.bytes, change.waiting,
        change.accepted);
    if (!asked) throw CrawlOver(named(crawl) + " was ended");
    co_return *asked;
}

}  // namespace store
