// SPDX-License-Identifier: MIT
#include "store/page_store.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <coaio/core/sleep.hpp>
#include <coaio/db/array.hpp>

#include "crawler/charset.hpp"
#include "crawler/summary.hpp"
#include "store/words.hpp"

namespace store {
namespace {

// A tsvector ends at 1 MiB, and a text of this size stays below that whatever its words are.
constexpr std::size_t longest_text = 256 * 1024;
constexpr std::size_t longest_line = 1000;
// So many links are worked on before other tasks have their turn.
constexpr std::size_t links_a_turn = 250;

// Postgres takes UTF-8 only, and of that no NUL, and cuts nothing by itself.
std::string storable(std::string_view text, std::size_t most) {
    std::string copy(crawl::utf8_prefix(text, most));
    if (!crawl::is_valid_utf8(copy)) {
        copy = crawl::to_utf8(copy, "UTF-8");  // which makes three bytes of a bad one
        copy.resize(crawl::utf8_prefix(copy, most).size());
    }
    std::replace(copy.begin(), copy.end(), '\0', ' ');
    return copy;
}

struct LinkColumns {
    std::vector<std::string> targets, fragments, kinds, texts;
    std::vector<bool> nofollow;
    std::vector<std::int32_t> lines;
};

// A fragment is compared with ids as it is meant, not as it is encoded (HTML standard, "find a potential indicated
// element").
std::string fragment_of(const coaio::http::Url& url) {
    const std::string raw = url.fragment().value_or("");
    const auto meant = coaio::http::percent_decode(raw);
    const bool is_text = meant && crawl::one_line(*meant, longest_line) == *meant;
    return storable(is_text ? *meant : raw, longest_line);
}

LinkColumns columns_of(std::span<const crawl::FoundLink> links) {
    LinkColumns columns;
    for (const crawl::FoundLink& found : links) {
        columns.targets.push_back(found.url.without_fragment().without_credentials().to_string());
        columns.fragments.push_back(fragment_of(found.url));
        columns.kinds.emplace_back(crawl::name(found.link.kind));
        columns.texts.push_back(storable(crawl::one_line(found.link.text), longest_line));
        columns.nofollow.push_back(found.link.nofollow);
        columns.lines.push_back(static_cast<std::int32_t>(found.link.line));
    }
    return columns;
}

constexpr std::string_view insert_page =
    "insert into pages (crawl_id, url, state, status, kind, depth, tries, type, size, elapsed_ms, error, title, lang, "
    "canonical, has_fragments, fragments, text) "
    "values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) "
    "on conflict (crawl_id, md5(url)) do nothing returning id";

constexpr std::string_view insert_links =
    "insert into links (page_id, ordinal, crawl_id, target, fragment, kind, nofollow, line, text) "
    "select $1, $9::int + n, $2, target, fragment, kind, nofollow, line, text from "
    "unnest($3::text[], $4::text[], $5::text[], $6::bool[], $7::int[], $8::text[]) "
    "with ordinality t(target, fragment, kind, nofollow, line, text, n)";

coaio::db::Params page_values(std::int64_t crawl, const crawl::FinishedPage& finished) {
    const crawl::Page& page = *finished.page;
    const crawl::Fetched& result = finished.result;
    std::vector<std::string> fragments;
    for (const std::string& each : result.fragments) fragments.push_back(storable(each, longest_line));
    return coaio::db::Params::of(crawl, page.url, std::string(crawl::name(finished.state)), std::int32_t{result.status},
                                 std::string(crawl::name(page.kind)), static_cast<std::int32_t>(page.depth),
                                 static_cast<std::int32_t>(result.tries), storable(result.type, longest_line),
                                 static_cast<std::int64_t>(result.size), std::int64_t{result.elapsed.count()},
                                 crawl::one_line(result.error, longest_line), storable(result.title, longest_line),
                                 storable(finished.lang, longest_line), storable(finished.canonical, longest_line * 4),
                                 result.has_fragments, fragments, storable(finished.text, longest_text));
}

constexpr std::string_view select_page =
    "select id, state, status, tries, type, size, elapsed_ms, error, title, has_fragments, fragments from pages "
    "where crawl_id = $1 and md5(url) = md5($2) and url = $2";

constexpr std::string_view select_links =
    "select target, fragment, kind, nofollow, line, text from links where page_id = $1 order by ordinal";

void read_page(const coaio::db::Row& row, crawl::FinishedPage& page) {
    page.state = value_of(row["state"].as<std::string_view>(), crawl::PageState::refused);
    crawl::Fetched& result = page.result;
    result.status = row["status"].as<std::int32_t>();
    result.tries = static_cast<unsigned>(row["tries"].as<std::int32_t>());
    result.type = row["type"].as<std::string>();
    result.size = static_cast<std::uint64_t>(row["size"].as<std::int64_t>());
    result.elapsed = std::chrono::milliseconds(row["elapsed_ms"].as<std::int64_t>());
    result.error = row["error"].as<std::string>();
    result.title = row["title"].as<std::string>();
    result.has_fragments = row["has_fragments"].as<bool>();
    result.fragments = row["fragments"].as<std::vector<std::string>>();
}

void read_link(const coaio::db::Row& row, crawl::FinishedPage& page) {
    auto target = row["target"].as<std::string>();
    const auto fragment = row["fragment"].as<std::string_view>();
    if (!fragment.empty()) target.append("#").append(fragment);
    auto url = coaio::http::Url::try_parse(target);
    if (!url) return;
    crawl::Link link;
    link.kind = value_of(row["kind"].as<std::string_view>(), crawl::LinkKind::form);
    link.nofollow = row["nofollow"].as<bool>();
    link.line = static_cast<unsigned>(row["line"].as<std::int32_t>());
    link.text = row["text"].as<std::string>();
    link.target = std::move(target);
    page.links.push_back({std::move(*url), std::move(link)});
}

}  // namespace

coaio::Coro<std::vector<std::string>> PageStore::known() {
    std::vector<std::string> urls;
    if (!resumed_) co_return urls;
    const auto rows = co_await pool_.query("select url from pages where crawl_id = $1", crawl_);
    urls.reserve(rows.size());
    for (const auto row : rows) urls.push_back(row[0].as<std::string>());
    co_return urls;
}

coaio::Coro<bool> PageStore::recall(crawl::FinishedPage& page) {
    if (!resumed_) co_return false;
    const auto rows = co_await pool_.query(select_page, crawl_, page.page->url);
    if (rows.empty()) co_return false;
    read_page(rows.front(), page);
    const auto links = co_await pool_.query(select_links, rows.front()["id"].as<std::int64_t>());
    for (const auto row : links) {
        read_link(row, page);
        if (page.links.size() % links_a_turn == 0) co_await coaio::sleep(coaio::Duration::zero());
    }
    count(page.state, page.result.size);
    co_return true;
}

coaio::Coro<bool> write_page(const coaio::db::Transaction& transaction, std::int64_t crawl,
                             const crawl::FinishedPage& page) {
    auto inserting = transaction.query(insert_page, page_values(crawl, page));
    const auto rows = co_await std::move(inserting);
    if (rows.empty()) co_return false;
    const auto id = rows.value<std::int64_t>();
    const std::span<const crawl::FoundLink> all(page.links);
    for (std::size_t done = 0; done < all.size(); done += links_a_turn) {
        const LinkColumns links = columns_of(all.subspan(done, std::min(links_a_turn, all.size() - done)));
        static_cast<void>(co_await transaction.execute(insert_links, id, crawl, links.targets, links.fragments,
                                                       links.kinds, links.nofollow, links.lines, links.texts,
                                                       static_cast<std::int32_t>(done)));
    }
    co_return true;
}

coaio::Coro<> PageStore::commit(const crawl::FinishedPage& page) {
    const auto body = [this, &page](coaio::db::Transaction& transaction) -> coaio::Coro<> {
        // Another run of this crawl may have it already, and have died before it could know.
        static_cast<void>(co_await write_page(transaction, crawl_, page));
    };
    co_await pool_.transaction(body);
    count(page.state, page.result.size);
    if (on_commit_) on_commit_();
}

void PageStore::count(crawl::PageState state, std::uint64_t size) {
    if (state == crawl::PageState::done) ++counts_.done;
    if (state == crawl::PageState::failed) ++counts_.failed;
    if (state == crawl::PageState::disallowed) ++counts_.disallowed;
    counts_.bytes += static_cast<std::int64_t>(size);
}

}  // namespace store
