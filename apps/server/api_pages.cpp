// SPDX-License-Identifier: MIT
#include "server/app.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <coaio/http/error.hpp>
#include <coaio/http/request.hpp>
#include <coaio/http/response.hpp>

#include "crawler/charset.hpp"

namespace server {
namespace {

using coaio::http::BadRequest;
using coaio::http::Request;
using coaio::http::Response;
using coaio::http::Status;

constexpr std::size_t longest_question = 1000;
constexpr std::int64_t found_at_a_time = 20;  // each reads a whole text for its snippet

// For the database.
bool is_text(std::string_view value) { return crawl::is_valid_utf8(value) && value.find('\0') == std::string::npos; }

coaio::Coro<> expect_crawl(std::int64_t id, const coaio::db::Pool& pool) {
    const auto there = co_await pool.query_value<bool>("select exists (select from crawls where id = $1)", id);
    if (!there) throw BadRequest("there is no crawl " + std::to_string(id), Status::not_found);
}

Response list_of(const coaio::db::Rows& rows) {
    return list_response(rows.front()[0].as<std::string>(), rows.front()[1].as<std::optional<std::string>>());
}

coaio::Coro<Response> pages(Request& request, const coaio::db::Pool& pool) {
    const auto crawl = request.param<std::int64_t>("id");
    const auto limit = limit_of(request);
    const auto after = request.query<std::int64_t>("after").value_or(0);
    const auto state = request.query("state").value_or("");
    const auto status = request.query<std::int32_t>("status").value_or(0);
    if (!state.empty() && state != "done" && state != "failed" && state != "disallowed") {
        throw BadRequest("state is none of done, failed, disallowed");
    }
    co_await expect_crawl(crawl, pool);
    const auto rows = co_await pool.query(
        "select coalesce(json_agg(t order by id), '[]')::text, case when count(*) = $3 then max(id)::text end "
        "from (select id, url, state, status, kind, depth, tries, type, size, elapsed_ms, error, title, lang, "
        "canonical, "
        "fetched_at from pages where crawl_id = $1 and id > $2 and ($4 = '' or state = $4) and ($5 = 0 or status = $5) "
        "order by id limit $3) t",
        crawl, after, limit, state, status);
    co_return list_of(rows);
}

// A page that answers with an error, or not at all, and a fragment that its page does not have. Links stand for their
// pages: what no page links to, such as a start, has no referrers and is listed all the same.
constexpr std::string_view broken_links =
    "with broken as ("
    " select p.id, p.url, '' as fragment, p.status,"
    "  case when p.state = 'failed' then p.error else p.status::text end as reason"
    " from pages p where p.crawl_id = $1 and p.id > $2 and (p.state = 'failed' or p.status >= 400)"
    " order by p.id limit $3),"
    "told as ("
    " select b.*, (select count(*) from links l where l.crawl_id = $1 and md5(l.target) = md5(b.url)"
    "   and l.target = b.url) as referrer_count,"
    "  coalesce((select json_agg(r) from (select p.url, l.kind, l.line, l.text from links l join pages p"
    "   on p.id = l.page_id where l.crawl_id = $1 and md5(l.target) = md5(b.url) and l.target = b.url"
    "   order by l.page_id, l.ordinal limit 10) r), '[]') as referrers"
    " from broken b) "
    "select coalesce(json_agg(json_build_object('url', url, 'status', status, 'reason', reason,"
    " 'referrer_count', referrer_count, 'referrers', referrers) order by id), '[]')::text,"
    " case when count(*) = $3 then max(id)::text end from told";

coaio::Coro<Response> broken(Request& request, const coaio::db::Pool& pool) {
    const auto crawl = request.param<std::int64_t>("id");
    const auto limit = limit_of(request);
    const auto after = request.query<std::int64_t>("after").value_or(0);
    co_await expect_crawl(crawl, pool);
    const auto rows = co_await pool.query(broken_links, crawl, after, limit);
    co_return list_of(rows);
}

// A set against a set: a hundred thousand links take half a second. "top" and nothing stand for the beginning of any page
// (HTML standard, 7.4.6.4), and what follows ":~:" is for the browser.
constexpr std::string_view broken_fragments =
    "with have as materialized ("
    " select p.url, f.fragment from pages p, unnest(p.fragments) f(fragment) where p.crawl_id = $1 and "
    "p.has_fragments),"
    "bad as ("
    " select l.page_id, l.ordinal, l.target, l.fragment, l.line, l.text from links l"
    " join pages p on p.crawl_id = $1 and p.url = l.target and p.has_fragments"
    " where l.crawl_id = $1 and l.fragment <> '' and lower(split_part(l.fragment, ':~:', 1)) not in ('', 'top')"
    " and not exists (select from have h where h.url = l.target and h.fragment = split_part(l.fragment, ':~:', 1))"
    " and (l.target, l.fragment) > ($3, $4)),"
    "told as ("
    " select target, fragment, count(*) as referrer_count, (array_agg(page_id order by page_id, ordinal))[1:10] as ids,"
    "  (array_agg(line order by page_id, ordinal))[1:10] as lines,"
    "  (array_agg(text order by page_id, ordinal))[1:10] as texts"
    " from bad group by target, fragment order by target, fragment limit $2) "
    "select coalesce(json_agg(json_build_object('url', target || '#' || fragment, 'status', 200,"
    " 'reason', 'no element has the id \"' || split_part(fragment, ':~:', 1) || '\"', 'referrer_count', "
    "referrer_count, 'referrers',"
    " (select json_agg(json_build_object('url', p.url, 'kind', 'anchor', 'line', r.line, 'text', r.text) order by r.n)"
    "  from unnest(ids, lines, texts) with ordinality r(id, line, text, n) join pages p on p.id = r.id))"
    "  order by target, fragment), '[]')::text,"
    " case when count(*) = $2 then"
    "  (array_agg(target || '#' || fragment order by target desc, fragment desc))[1] end from told";

/// After which link the list of fragments goes on.
struct AfterFragment {
    std::string target;
    std::string fragment;
};

AfterFragment after_fragment(const Request& request) {
    AfterFragment after;
    const std::string text(request.query("after").value_or(""));
    if (text.empty()) return after;
    const auto hash = text.find('#');
    if (hash == std::string::npos || !is_text(text)) throw BadRequest("after is no next of this list");
    after.target = text.substr(0, hash);
    after.fragment = text.substr(hash + 1);
    return after;
}

coaio::Coro<Response> fragments(Request& request, const coaio::db::Pool& pool) {
    const auto crawl = request.param<std::int64_t>("id");
    const auto limit = limit_of(request);
    const auto after = after_fragment(request);
    co_await expect_crawl(crawl, pool);
    const auto rows = co_await pool.query(broken_fragments, crawl, limit, after.target, after.fragment);
    co_return list_of(rows);
}

// The words found stand between ⟦ and ⟧.
constexpr std::string_view search_pages =
    "with found as ("
    " select p.id, p.crawl_id, p.url, p.title, p.text, ts_rank_cd(p.search, q, 1) as rank"
    " from pages p, websearch_to_tsquery('simple', $2) q"
    " where ($1 = 0 or p.crawl_id = $1) and p.search @@ q order by rank desc, p.id limit $3) "
    "select coalesce(json_agg(json_build_object('id', id, 'crawl_id', crawl_id, 'url', url, 'title', title, 'rank', "
    "rank,"
    " 'snippet', ts_headline('simple', text, websearch_to_tsquery('simple', $2),"
    " 'StartSel=⟦, StopSel=⟧, MaxWords=30, MinWords=10, MaxFragments=2, FragmentDelimiter=\" … \"'))"
    " order by rank desc, id), '[]')::text, null::text from found";

coaio::Coro<Response> search_in(Request& request, const coaio::db::Pool& pool, std::int64_t crawl) {
    const auto limit = limit_of(request, found_at_a_time);
    const auto question = request.query("q").value_or("");
    if (question.empty()) throw BadRequest("say what to look for with q");
    if (request.query("after")) throw BadRequest("a search has the best first, and no after: ask for more with limit");
    if (question.size() > longest_question || !is_text(question)) {
        throw BadRequest("q is longer than " + std::to_string(longest_question) + " bytes, or no text in UTF-8");
    }
    const auto rows = co_await pool.query(search_pages, crawl, question, limit);
    co_return list_of(rows);
}

coaio::Coro<Response> search(Request& request, const coaio::db::Pool& pool) {
    const auto crawl = request.param<std::int64_t>("id");
    co_await expect_crawl(crawl, pool);
    co_return co_await search_in(request, pool, crawl);
}

}  // namespace

void add_page_routes(coaio::http::Router& app, const coaio::db::Pool& pool) {
    app.get("/api/crawls/{id}/pages", [pool](Request& request) { return pages(request, pool); });
    app.get("/api/crawls/{id}/broken", [pool](Request& request) { return broken(request, pool); });
    app.get("/api/crawls/{id}/broken-fragments", [pool](Request& request) { return fragments(request, pool); });
    app.get("/api/crawls/{id}/search", [pool](Request& request) { return search(request, pool); });
    app.get("/api/search", [pool](Request& request) { return search_in(request, pool, 0); });
}

}  // namespace server
