// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include <coaio/core/coro.hpp>
#include <coaio/db/pool.hpp>
#include <coaio/http/access_log.hpp>
#include <coaio/http/router.hpp>

#include "server/metrics.hpp"

namespace server {

/// What all workers of one server have in common. Each may use it from its own thread.
class Shared {
public:
    std::string database;  // a connection string of libpq
    std::size_t pool_size = 8;
    bool debug_tasks = false;
    bool debug_tasks_anybody = false;
    bool guarded = false;              // it listens on loopback: see guard_api
    std::string public_host;           // a name of its own all the same
    coaio::http::LogSink access_sink;  // empty: no access log
    Metrics metrics;
    /// Whether new work should be sent here.
    std::atomic<bool> ready{false};
    /// Stopping: streams that would go on for ever end.
    std::atomic<bool> stopping{false};

    /// Who is to be called, on any thread, when a crawl was asked for or is to end; empty: nobody.
    void on_crawls_changed(std::function<void()> listener);
    void crawls_changed() const;

private:
    mutable std::mutex mutex_;
    std::function<void()> listener_;
};

/// The whole application for one worker: made on its loop, with a pool of its own.
/// Lifetime: `shared` outlives it.
[[nodiscard]] coaio::Coro<coaio::http::Router> build_app(Shared& shared);

/// Middleware: what goes wrong is answered as application/problem+json, and counted.
[[nodiscard]] coaio::http::Middleware report_problems();
[[nodiscard]] coaio::http::Middleware count_requests(std::shared_ptr<WorkerMetrics> metrics);

void add_health_routes(coaio::http::Router& app, const coaio::db::Pool& pool, Shared& shared);
void add_crawl_routes(coaio::http::Router& app, const coaio::db::Pool& pool, Shared& shared);
void add_page_routes(coaio::http::Router& app, const coaio::db::Pool& pool);
void add_event_routes(coaio::http::Router& app, const coaio::db::Pool& pool, Shared& shared);

/// The `limit` of a list's query, and its default.
[[nodiscard]] std::int64_t limit_of(const coaio::http::Request& request, std::int64_t preset = 100);
/// `{"items": […], "next": …}`: `next` is what to ask for with `after`, null at the end of the list.
[[nodiscard]] coaio::http::Response list_response(const std::string& items, const std::optional<std::string>& next);

}  // namespace server
