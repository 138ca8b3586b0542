// SPDX-License-Identifier: MIT
#include "store/addresses.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include <coaio/db/array.hpp>

#include "store/hosts.hpp"

namespace store {
namespace {

constexpr std::string_view select_unknown =
    "select n from unnest($2::text[]) with ordinality t (url, n) where not exists "
    "(select from frontier f where f.crawl_id = $1 and md5(f.url) = md5(t.url) and f.url = t.url) order by n";

constexpr std::string_view select_room =
    "select case when max_pages > 0 then greatest(0, max_pages - accepted) end "
    "from (select accepted, coalesce((settings->>'max_pages')::bigint, 0) as max_pages from crawls where id = $1 "
    "for no key update) t";

// Others may have added some of them since they were unknown; with the crawl's row in hand that is over. To run into the
// conflict would be to wait for whoever is finishing that address, and waits for the crawl's row.
constexpr std::string_view insert_pages =
    "insert into frontier (crawl_id, host, url, kind, depth, hops, start) "
    "select $1, host, url, kind, depth, hops, start from "
    "unnest($2::text[], $3::text[], $4::text[], $5::int[], $6::int[], $7::bool[]) "
    "with ordinality t (host, url, kind, depth, hops, start, n) where not exists "
    "(select from frontier f where f.crawl_id = $1 and md5(f.url) = md5(t.url) and f.url = t.url) "
    "order by n limit $8 on conflict (crawl_id, md5(url)) do nothing returning url";

constexpr std::string_view insert_sites =
    "insert into frontier (crawl_id, host, url, kind, depth, hops, start) select $1, host, url, $4, 0, 0, false "
    "from unnest($2::text[], $3::text[]) t (host, url) where not exists "
    "(select from frontier f where f.crawl_id = $1 and md5(f.url) = md5(t.url) and f.url = t.url) "
    "on conflict (crawl_id, md5(url)) do nothing";

struct Columns {
    std::vector<std::string> hosts, urls, kinds;
    std::vector<std::int32_t> depths, hops;
    std::vector<bool> starts;
};

Columns columns_of(const std::vector<Address>& addresses) {
    Columns columns;
    for (const Address& each : addresses) {
        columns.hosts.push_back(host_of(each.url));
        columns.urls.push_back(each.text);
        columns.kinds.emplace_back(crawl::name(each.kind));
        columns.depths.push_back(static_cast<std::int32_t>(each.reach.depth));
        columns.hops.push_back(static_cast<std::int32_t>(each.reach.hops));
        columns.starts.push_back(each.reach.start);
    }
    return columns;
}

std::vector<std::string> others_of(std::vector<std::string> hosts, const std::string& own_host) {
    std::sort(hosts.begin(), hosts.end());
    hosts.erase(std::unique(hosts.begin(), hosts.end()), hosts.end());
    std::erase(hosts, own_host);
    return hosts;
}

}  // namespace

coaio::Coro<std::vector<Address>> unknown_of(const coaio::db::Transaction& transaction, std::int64_t crawl,
                                             std::vector<Address> addresses) {
    std::vector<Address> unknown;
    if (addresses.empty()) co_return unknown;
    const Columns columns = columns_of(addresses);
    const auto rows = co_await transaction.query(select_unknown, crawl, columns.urls);
    for (const auto row : rows) {
        unknown.push_back(std::move(addresses.at(static_cast<std::size_t>(row[0].as<std::int64_t>() - 1))));
    }
    co_return unknown;
}

coaio::Coro<Added> add_addresses(const coaio::db::Transaction& transaction, const coaio::db::JobQueue& queue,
                                 std::int64_t crawl, const std::vector<Address>& addresses,
                                 const std::string& own_host) {
    Added added;
    if (addresses.empty()) co_return added;
    const Columns columns = columns_of(addresses);
    auto room = co_await transaction.query_value<std::optional<std::int64_t>>(select_room, crawl);
    const bool starts = addresses.front().kind == crawl::LinkKind::start;
    if (starts) room.reset();
    const auto rows = co_await transaction.query(insert_pages, crawl, columns.hosts, columns.urls, columns.kinds,
                                                 columns.depths, columns.hops, columns.starts, room);
    std::set<std::string_view> urls;
    for (const auto row : rows) urls.insert(row[0].as<std::string_view>());
    added.pages = static_cast<std::int64_t>(urls.size());
    added.full = room && added.pages >= *room;

    std::set<std::pair<std::string, std::string>> sites;
    std::vector<std::string> waiting;
    for (const Address& each : addresses) {
        if (urls.count(each.text) == 0) continue;
        waiting.push_back(host_of(each.url));
        if (each.has_site) sites.emplace(waiting.back(), each.url.origin());
    }
    std::vector<std::string> site_hosts;
    std::vector<std::string> site_urls;
    for (const auto& [host, origin] : sites) {
        site_hosts.push_back(host);
        site_urls.push_back(origin);
    }
    if (!sites.empty()) {
        const auto count = co_await transaction.execute(insert_sites, crawl, site_hosts, site_urls, site_kind);
        added.sites = static_cast<std::int64_t>(count);
    }
    const auto to_put = others_of(std::move(waiting), own_host);
    if (!to_put.empty()) {
        co_await put_jobs(transaction, queue, to_put);
        added.jobs = true;
    }
    co_return added;
}

}  // namespace store
