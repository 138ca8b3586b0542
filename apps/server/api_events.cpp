// SPDX-License-Identifier: MIT
#include "server/app.hpp"

#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <coaio/core/sleep.hpp>
#include <coaio/core/time.hpp>
#include <coaio/http/body.hpp>
#include <coaio/http/error.hpp>
#include <coaio/http/request.hpp>
#include <coaio/http/response.hpp>

namespace server {
namespace {

using coaio::http::BodyWriter;
using coaio::http::Request;
using coaio::http::Response;
using coaio::http::Status;
using namespace std::chrono_literals;

constexpr auto look_again = 400ms;
constexpr auto heartbeat = 15s;
constexpr std::int64_t pages_a_look = 200;

/// Up to where a watcher has heard of pages: by the transactions that committed them, since numbers are given before the
/// commit, so that a smaller one may turn up after a larger.
struct Position {
    std::uint64_t xact = 0;
    std::int64_t id = 0;
};

Position read_position(std::string_view text) {
    Position position;
    const std::size_t dot = text.find('.');
    if (dot == std::string_view::npos) return {};
    const char* const end = text.data() + text.size();
    const auto first = std::from_chars(text.data(), text.data() + dot, position.xact);
    const auto second = std::from_chars(text.data() + dot + 1, end, position.id);
    if (first.ec != std::errc() || second.ec != std::errc() || second.ptr != end) return {};
    return position;
}

// Pages of transactions before the oldest that still runs: none of those can turn up later. Once the crawl is over there
// are none to come. (A bare xact in the order would be the text that is selected.)
constexpr std::string_view new_pages =
    "select xact::text, id, json_build_object('id', id, 'url', url, 'state', state, 'status', status, 'title', title, "
    "'elapsed_ms', elapsed_ms, 'size', size, 'error', error)::text from pages "
    "where crawl_id = $1 and (xact, id) > ($2::text::xid8, $3) "
    "and ($4 or xact < pg_snapshot_xmin(pg_current_snapshot())) order by pages.xact, pages.id limit $5";

constexpr std::string_view crawl_now =
    "select json_build_object('id', id, 'state', state, 'error', error, 'done', done, 'failed', failed, "
    "'disallowed', disallowed, 'waiting', waiting, 'bytes', bytes)::text, state in ('done', 'cancelled', 'failed') "
    "from crawls where id = $1";

std::string event(std::string_view name, std::string_view data, std::string_view id = {}) {
    std::string text = "event: " + std::string(name) + "\n";
    if (!id.empty()) text += "id: " + std::string(id) + "\n";
    return text + "data: " + std::string(data) + "\n\n";
}

coaio::Coro<> watch(std::int64_t crawl, Position position, coaio::db::Pool pool, const Shared& shared,
                    BodyWriter& out) {
    std::string told;
    coaio::TimePoint last = coaio::Clock::now();
    co_await out.write("retry: 1000\n\n");
    while (!shared.stopping) {
        const auto now = co_await pool.query(crawl_now, crawl);
        if (now.empty()) co_return;
        const bool over = now.front()[1].as<bool>();
        const auto pages =
            co_await pool.query(new_pages, crawl, std::to_string(position.xact), position.id, over, pages_a_look);
        std::string text;
        for (const auto& [xact, id, json] : pages.as<std::string, std::int64_t, std::string>()) {
            text += event("page", json, xact + "." + std::to_string(id));
            position.id = id;
            std::from_chars(xact.data(), xact.data() + xact.size(), position.xact);
        }
        auto progress = now.front()[0].as<std::string>();
        if (progress != told) text += event("progress", progress);
        told = std::move(progress);
        const bool all = std::int64_t(pages.size()) < pages_a_look;
        if (over && all) text += event("end", told);
        if (text.empty() && coaio::Clock::now() - last > heartbeat) text = ": still here\n\n";
        if (!text.empty()) {
            co_await out.write(text);
            last = coaio::Clock::now();
        }
        if (over && all) co_return;
        if (all) co_await coaio::sleep(look_again);
    }
}

coaio::Coro<Response> events(Request& request, const coaio::db::Pool& pool, const Shared& shared) {
    const auto crawl = request.param<std::int64_t>("id");
    const Position position = read_position(request.header("Last-Event-ID").value_or(""));
    const auto there = co_await pool.query_value<bool>("select exists (select from crawls where id = $1)", crawl);
    if (!there) co_return Response::problem(Status::not_found, "there is no crawl " + std::to_string(crawl));
    const auto body = [crawl, position, pool, &shared](BodyWriter& out) {
        return watch(crawl, position, pool, shared, out);
    };
    Response response = Response::stream("text/event-stream", body);
    response.header("Cache-Control", "no-store");
    co_return response;
}

}  // namespace

void add_event_routes(coaio::http::Router& app, const coaio::db::Pool& pool, Shared& shared) {
    app.get("/api/crawls/{id}/events", [pool, &shared](Request& request) { return events(request, pool, shared); });
}

}  // namespace server
