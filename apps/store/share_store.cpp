// SPDX-License-Identifier: MIT
#include "store/share_store.hpp"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

#include <coaio/core/sleep.hpp>
#include <coaio/db/array.hpp>

#include "store/page_store.hpp"
#include "store/trouble.hpp"
#include "store/words.hpp"

namespace store {
namespace {

using namespace std::chrono_literals;
using coaio::db::Transaction;

constexpr auto try_again = 250ms;
constexpr std::size_t pages_a_statement = 64;
// So many links are worked on before other tasks have their turn.
constexpr std::size_t links_a_turn = 250;
// Each statement has to see what was committed before it.
constexpr coaio::db::TransactionOptions each_sees_the_last{.isolation = coaio::db::Isolation::read_committed};

constexpr std::string_view select_next =
    "select id, url, kind, depth, hops, start, tries from frontier where host = $1 and crawl_id = $2 and not done "
    "and kind <> $3 and id > $4 order by id limit $5";

constexpr std::string_view select_sites =
    "select url from frontier where host = $1 and crawl_id = $2 and not done and kind = $3 order by id";

constexpr std::string_view select_queries =
    "select split_part(url, '?', 1), count(*) from frontier where crawl_id = $1 and host = $2 and strpos(url, '?') > 0 "
    "group by 1";

constexpr std::string_view finish_address =
    "update frontier set done = true where crawl_id = $1 and md5(url) = md5($2) and url = $2 and not done";

constexpr std::string_view make_starts =
    "update frontier f set start = true from unnest($2::text[]) t (url) "
    "where f.crawl_id = $1 and md5(f.url) = md5(t.url) and f.url = t.url and not f.start";

constexpr std::string_view write_tries =
    "update frontier f set tries = t.tries from unnest($2::text[], $3::int[]) t (url, tries) "
    "where f.crawl_id = $1 and md5(f.url) = md5(t.url) and f.url = t.url";

}  // namespace

ShareStore::ShareStore(coaio::db::Pool pool, Hold hold, std::int64_t crawl, const crawl::Options& crawl_options,
                       ShareOptions options)
    : pool_(std::move(pool)),
      queue_(host_queue(pool_)),
      hold_(std::move(hold)),
      crawl_(crawl),
      sitemaps_(crawl_options.sitemaps),
      options_(std::move(options)),
      scope_(crawl_options.scope) {
    for (const auto& text : crawl_options.urls) {
        const auto url = coaio::http::Url::parse(text);
        scope_.add_start(crawl::view_of(url, text));
    }
}

coaio::Coro<> ShareStore::prepare() {
    const auto rows = co_await pool_.query(select_queries, crawl_, hold_.host);
    for (const auto& [text, count] : rows.as<std::string, std::int64_t>()) {
        const auto url = coaio::http::Url::try_parse(text);
        if (url) scope_.add_queries(crawl::view_of(*url, text), static_cast<std::size_t>(count));
    }
}

coaio::Coro<std::vector<crawl::KnownAddress>> ShareStore::next() {
    std::vector<crawl::KnownAddress> addresses;
    const std::size_t most = std::min(options_.pages, pages_a_statement);
    if (most == 0) co_return addresses;
    const auto rows = co_await pool_.query(select_next, hold_.host, crawl_, site_kind, last_, most);
    for (const auto row : rows) {
        auto& address = addresses.emplace_back();
        last_ = row["id"].as<std::int64_t>();
        address.url = row["url"].as<std::string>();
        address.kind = value_of(row["kind"].as<std::string_view>(), crawl::LinkKind::form);
        address.reach.depth = static_cast<unsigned>(row["depth"].as<std::int32_t>());
        address.reach.hops = static_cast<unsigned>(row["hops"].as<std::int32_t>());
        address.reach.start = row["start"].as<bool>();
        address.tries = static_cast<unsigned>(row["tries"].as<std::int32_t>());
    }
    options_.pages -= addresses.size();
    co_return addresses;
}

coaio::Coro<std::vector<std::string>> ShareStore::unread_sites() {
    std::vector<std::string> origins;
    const auto rows = co_await pool_.query(select_sites, hold_.host, crawl_, site_kind);
    for (const auto row : rows) origins.push_back(row[0].as<std::string>());
    co_return origins;
}

coaio::Coro<bool> ShareStore::add_from_sitemaps(const std::vector<crawl::FoundLink>& links) {
    const auto addresses = co_await addresses_of(links, nullptr);
    Added added;
    bool asked = false;
    const auto body = [&](Transaction& transaction) -> coaio::Coro<> {
        co_await keep(transaction, hold_);
        added = co_await add(transaction, addresses);
        Progress progress;
        progress.accepted = added.pages;
        progress.waiting = added.pages + added.sites;
        asked = co_await note(transaction, crawl_, progress);
    };
    co_await pool_.transaction(body, each_sees_the_last);
    noted(added, asked);
    co_return !added.full;
}

coaio::Coro<> ShareStore::site_is_read(const std::string& origin) {
    bool asked = false;
    const auto body = [&](Transaction& transaction) -> coaio::Coro<> {
        co_await keep(transaction, hold_);
        Progress progress;
        progress.waiting = -static_cast<std::int64_t>(co_await transaction.execute(finish_address, crawl_, origin));
        asked = co_await note(transaction, crawl_, progress);
    };
    co_await pool_.transaction(body, each_sees_the_last);
    noted(Added(), asked);
}

coaio::Coro<> ShareStore::commit(const crawl::FinishedPage& page) {
    const auto addresses = co_await addresses_of(page.links, page.page);
    Added added;
    bool asked = false;
    bool fresh = false;
    const auto body = [&](Transaction& transaction) -> coaio::Coro<> {
        co_await keep(transaction, hold_);
        fresh = co_await write_page(transaction, crawl_, page);
        // It was committed, and the answer lost.
        if (!fresh) co_return;
        const auto finished = co_await transaction.execute(finish_address, crawl_, page.page->url);
        added = co_await add(transaction, addresses);
        Progress progress;
        progress.done = page.state == crawl::PageState::done ? 1 : 0;
        progress.failed = page.state == crawl::PageState::failed ? 1 : 0;
        progress.disallowed = page.state == crawl::PageState::disallowed ? 1 : 0;
        progress.bytes = static_cast<std::int64_t>(page.result.size);
        progress.accepted = added.pages;
        progress.waiting = added.pages + added.sites - static_cast<std::int64_t>(finished);
        asked = co_await note(transaction, crawl_, progress);
    };
    co_await pool_.transaction(body, each_sees_the_last);
    noted(added, asked);
    if (options_.on_commit) options_.on_commit(page);
}

// As long as the host is held: when the lease is over, the whole share is cancelled.
coaio::Coro<> ShareStore::recover(std::exception_ptr failure) {
    if (!is_passing(failure)) std::rethrow_exception(failure);
    co_await coaio::sleep(try_again);
}

coaio::Coro<> ShareStore::keep_tries(const crawl::Frontier& frontier) {
    std::vector<std::string> urls;
    std::vector<std::int32_t> tries;
    for (const auto& page : frontier.pages()) {
        if (page.state != crawl::PageState::queued || page.tries == 0) continue;
        urls.push_back(page.url);
        tries.push_back(static_cast<std::int32_t>(page.tries));
    }
    if (!urls.empty()) static_cast<void>(co_await pool_.execute(write_tries, crawl_, urls, tries));
}

// Of each address its first link decides.
coaio::Coro<std::vector<Address>> ShareStore::addresses_of(const std::vector<crawl::FoundLink>& links,
                                                           const crawl::Page* from) {
    std::vector<Address> addresses;
    std::unordered_set<std::string> seen;
    std::size_t count = 0;
    for (const auto& found : links) {
        if (++count % links_a_turn == 0) co_await coaio::sleep(coaio::Duration::zero());
        if (!found.url.is_http() || found.url.host().empty()) continue;
        crawl::Reach reach;
        if (from != nullptr) {
            const auto reached = crawl::reach_of(*from, found.link.kind);
            if (!reached) continue;
            reach = *reached;
        }
        Address address(found.url, found.link.kind, reach);
        if (!seen.insert(address.text).second) continue;
        const auto view = crawl::view_of(address.url, address.text);
        if (reach.start) scope_.add_start(view);
        const bool inside = scope_.is_inside(view);
        if (!inside && !scope_.options().check_external) continue;
        address.has_site = sitemaps_ && inside;
        addresses.push_back(std::move(address));
    }
    co_return addresses;
}

// What is known is not asked for again, and so counts once for what makes a trap.
coaio::Coro<Added> ShareStore::add(const Transaction& transaction, const std::vector<Address>& addresses) {
    std::vector<std::string> starts;
    for (const Address& each : addresses) {
        if (each.reach.start) starts.push_back(each.text);
    }
    if (!starts.empty()) static_cast<void>(co_await transaction.execute(make_starts, crawl_, starts));
    auto fresh = co_await unknown_of(transaction, crawl_, addresses);
    std::erase_if(fresh, [this](const Address& each) { return !admits(each); });
    co_return co_await add_addresses(transaction, queue_, crawl_, fresh, hold_.host);
}

bool ShareStore::admits(const Address& address) {
    if (admitted_.count(address.text) != 0) return true;
    const auto view = crawl::view_of(address.url, address.text);
    if (scope_.admit(view, address.reach.depth, address.kind) != crawl::Refusal::none) return false;
    admitted_.insert(address.text);
    return true;
}

void ShareStore::noted(const Added& added, bool cancel_requested) {
    if (added.jobs) queue_.wake();
    if (cancel_requested && options_.on_cancel) options_.on_cancel();
}

}  // namespace store
