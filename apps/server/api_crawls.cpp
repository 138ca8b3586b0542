// SPDX-License-Identifier: MIT
#include "server/app.hpp"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include <coaio/db/array.hpp>
#include <coaio/db/transaction.hpp>
#include <coaio/db/values.hpp>
#include <coaio/http/error.hpp>
#include <coaio/http/media_type.hpp>
#include <coaio/http/request.hpp>
#include <coaio/http/response.hpp>

#include "server/crawl_settings.hpp"
#include "store/crawls.hpp"

namespace server {
namespace {

using coaio::http::BadRequest;
using coaio::http::Request;
using coaio::http::Response;
using coaio::http::Status;

constexpr std::uint64_t largest_body = 256 * 1024;

// A crawl as its JSON.
#define CRAWL_JSON                                                                                                     \
    "json_build_object('id', id, 'state', state, 'run_by', run_by, 'urls', urls, 'settings', settings, 'error', "      \
    "error, "                                                                                                          \
    "'cancel_requested', cancel_requested, 'created_at', created_at, 'started_at', started_at, 'ended_at', ended_at, " \
    "'done', done, 'failed', failed, 'disallowed', disallowed, 'waiting', waiting, 'bytes', bytes)"

coaio::Coro<Response> create(Request& request, const coaio::db::Pool& pool, Shared& shared) {
    // Of another type a page of any site could send it from a reader's browser, without asking first.
    const auto type = coaio::http::MediaType::parse(request.header("Content-Type").value_or(""));
    if (!type || !type->is("application/json")) {
        throw BadRequest("send the crawl as application/json", Status::unsupported_media_type);
    }
    request.set_body_limit(largest_body);
    const std::string body = co_await request.body();
    const CrawlSettings settings = read_settings(body);
    const coaio::db::Json json(settings.json);
    std::string text;
    std::int64_t id = 0;
    const auto insert = [&](coaio::db::Transaction& transaction) -> coaio::Coro<> {
        const auto rows = co_await transaction.query(
            "insert into crawls (urls, settings) values ($1, $2::jsonb) returning id, " CRAWL_JSON "::text",
            settings.urls, json);
        id = rows.front()[0].as<std::int64_t>();
        text = rows.front()[1].as<std::string>();
    };
    co_await pool.transaction(insert);
    shared.crawls_changed();
    Response response = Response::json_text(std::move(text), Status::created);
    response.header("Location", "/api/crawls/" + std::to_string(id));
    co_return response;
}

coaio::Coro<Response> list(Request& request, const coaio::db::Pool& pool) {
    const auto limit = limit_of(request);
    const auto before = request.query<std::int64_t>("after").value_or(std::numeric_limits<std::int64_t>::max());
    const auto rows = co_await pool.query("select coalesce(json_agg(" CRAWL_JSON " order by id desc), '[]')::text, "
                                          "case when count(*) = $2 then min(id)::text end "
                                          "from (select * from crawls where id < $1 order by id desc limit $2) t",
                                          before, limit);
    co_return list_response(rows.front()[0].as<std::string>(), rows.front()[1].as<std::optional<std::string>>());
}

coaio::Coro<Response> show(Request& request, const coaio::db::Pool& pool) {
    const auto id = request.param<std::int64_t>("id");
    auto text = co_await pool.query_value<std::optional<std::string>>(
        "select " CRAWL_JSON "::text from crawls where id = $1", id);
    if (!text) co_return Response::problem(Status::not_found, "there is no crawl " + std::to_string(id));
    co_return Response::json_text(std::move(*text));
}

// One that waits for its turn ends at once, one that runs when its runner has heard of it. One of coaio-crawl that failed
// would be gone on with.
coaio::Coro<Response> cancel(Request& request, const coaio::db::Pool& pool, Shared& shared) {
    const auto id = request.param<std::int64_t>("id");
    auto text = co_await pool.query_value<std::optional<std::string>>(
        "update crawls set cancel_requested = true, "
        "ended_at = case when state = 'running' then ended_at else now() end, "
        "error = case when state = 'running' then error else '' end, "
        "state = case when state = 'running' then state else 'cancelled' end "
        "where id = $1 and (state in ('queued', 'running') or (state = 'failed' and run_by = $2)) "
        "returning " CRAWL_JSON "::text",
        id, store::by_program);
    if (text) {
        shared.crawls_changed();
        co_return Response::json_text(std::move(*text), Status::accepted);
    }
    const auto state =
        co_await pool.query_value<std::optional<std::string>>("select state from crawls where id = $1", id);
    const std::string name = "crawl " + std::to_string(id);
    if (!state) co_return Response::problem(Status::not_found, "there is no " + name);
    co_return Response::problem(Status::conflict, name + " is over: its state is " + *state);
}

}  // namespace

void add_crawl_routes(coaio::http::Router& app, const coaio::db::Pool& pool, Shared& shared) {
    app.post("/api/crawls", [pool, &shared](Request& request) { return create(request, pool, shared); });
    app.get("/api/crawls", [pool](Request& request) { return list(request, pool); });
    app.get("/api/crawls/{id}", [pool](Request& request) { return show(request, pool); });
    app.del("/api/crawls/{id}", [pool, &shared](Request& request) { return cancel(request, pool, shared); });
}

}  // namespace server
