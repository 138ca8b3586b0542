// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <coaio/core/coro.hpp>
#include <coaio/db/job_queue.hpp>
#include <coaio/db/transaction.hpp>
#include <coaio/http/url.hpp>

#include "crawler/page.hpp"

// The frontier of crawls that workers share: every address of a crawl, once, with what is still to be done.
namespace store {

/// What stands for a site in the frontier, in place of the kind of a link: its sitemaps are to be read.
inline constexpr std::string_view site_kind = "site";

/// An address as a crawl comes upon it.
class Address {
public:
    Address(const coaio::http::Url& found, crawl::LinkKind how, crawl::Reach where)
        : url(found.without_fragment().without_credentials()), text(url.to_string()), kind(how), reach(where) {}

    coaio::http::Url url;  // without fragment and credentials
    std::string text;      // the same
    crawl::LinkKind kind;
    crawl::Reach reach;
    bool has_site = false;  // whose sitemaps are to be read
};

/// What was added to a crawl.
struct Added {
    std::int64_t pages = 0;
    std::int64_t sites = 0;
    bool full = false;  // `max_pages` lets no more in
    bool jobs = false;  // were put, for which the queue is to be woken
};

/// Those of the addresses that the crawl does not know, in their order.
[[nodiscard]] coaio::Coro<std::vector<Address>> unknown_of(const coaio::db::Transaction& transaction,
                                                           std::int64_t crawl, std::vector<Address> addresses);

/// Adds those of the addresses that the crawl does not know, as far as `max_pages` lets more in, which those that it
/// starts with need not care about, and puts jobs for their hosts. `own_host` needs none: the caller has it.
/// The crawl's row is locked until the transaction ends.
[[nodiscard]] coaio::Coro<Added> add_addresses(const coaio::db::Transaction& transaction,
                                               const coaio::db::JobQueue& queue, std::int64_t crawl,
                                               const std::vector<Address>& addresses, const std::string& own_host);

}  // namespace store
