// SPDX-License-Identifier: MIT
#include "server/app.hpp"

#include <chrono>
#include <exception>
#include <optional>
#include <utility>

#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/db/error.hpp>
#include <coaio/db/job_queue.hpp>
#include <coaio/http/access_log.hpp>
#include <coaio/http/debug.hpp>
#include <coaio/http/error.hpp>
#include <coaio/http/request.hpp>
#include <coaio/http/response.hpp>

#include <nlohmann/json.hpp>

#include "server/dashboard.hpp"
#include "server/guard.hpp"
#include "store/schema.hpp"

namespace server {
namespace {

using coaio::http::Next;
using coaio::http::Request;
using coaio::http::Response;
using coaio::http::Status;
using namespace std::chrono_literals;

constexpr std::int64_t largest_limit = 1000;
constexpr int client_closed_request = 499;
constexpr auto longest_wait = 5s;  // of a request for the database, before its client is told to come back

// What others' figures are read from: they belong to the worker's own loop.
coaio::Coro<> note_figures(coaio::db::Pool pool, std::shared_ptr<WorkerMetrics> metrics) {
    for (;;) {
        metrics->note(pool.statistics(), coaio::get_running_loop().stats());
        co_await coaio::sleep(1s);
    }
}

// Of all workers the first one does it, now and then, since it costs the database more than reading a figure.
coaio::Coro<> note_jobs(coaio::db::Pool pool, Metrics& metrics) {
    for (;;) {
        try {
            metrics.note_jobs(co_await coaio::db::JobQueue::counts_by_queue(pool));
        } catch (const std::exception&) {  // the database is away: the figures stay as they were
        }
        co_await coaio::sleep(10s);
    }
}

Response response_to(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const coaio::http::BadRequest& error) {
        return Response::problem(error.status(), error.what());
    } catch (const coaio::http::ProtocolError&) {
        throw;  // the connection is done for: the server answers and closes it
    } catch (const coaio::db::PoolFull&) {
        return Response::problem(Status::service_unavailable,
                                 "too many requests wait for the database; come back later");
    } catch (const coaio::db::PoolTimeout&) {
        return Response::problem(Status::service_unavailable, "the database is too busy; come back later");
    } catch (const coaio::db::CommitUnknownError&) {
        return Response::problem(
            Status::internal_server_error,
            "the database was lost while it committed: look whether it was done before you repeat it");
    } catch (const coaio::db::ConnectionError&) {
        return Response::problem(Status::service_unavailable, "the database cannot be reached; come back later");
    } catch (const std::exception&) {
        coaio::get_running_loop().call_exception_handler({.message = "a request failed", .exception = failure});
        return Response::problem(Status::internal_server_error);
    }
}

}  // namespace

void Shared::on_crawls_changed(std::function<void()> listener) {
    const std::lock_guard lock(mutex_);
    listener_ = std::move(listener);
}

void Shared::crawls_changed() const {
    const std::lock_guard lock(mutex_);
    if (listener_) listener_();
}

coaio::http::Middleware report_problems() {
    return [](Request& request, Next next) -> coaio::Coro<Response> {
        std::exception_ptr failure;
        std::optional<Response> response;
        try {
            response.emplace(co_await next(request));
        } catch (const std::exception&) {
            failure = std::current_exception();
        }
        if (failure) response.emplace(response_to(failure));
        const bool failed = response->status() >= Status::bad_request;
        const auto type = response->headers().get("Content-Type");
        if (failed && (!type || !type->starts_with("application/problem+json"))) {
            Response problem = Response::problem(response->status());
            const auto allow = response->headers().get("Allow");
            if (allow) problem.header("Allow", *allow);
            co_return problem;
        }
        co_return std::move(*response);
    };
}

coaio::http::Middleware count_requests(std::shared_ptr<WorkerMetrics> metrics) {
    return [metrics](Request& request, Next next) -> coaio::Coro<Response> {
        class Count {
        public:
            explicit Count(WorkerMetrics& to) : to_(&to), begin_(coaio::Clock::now()) { to_->began(); }
            Count(const Count&) = delete;
            Count& operator=(const Count&) = delete;
            ~Count() { to_->ended(status, coaio::Clock::now() - begin_); }
            int status = client_closed_request;

        private:
            WorkerMetrics* to_;
            coaio::TimePoint begin_;
        };
        Count count(*metrics);
        try {
            Response response = co_await next(request);
            count.status = response.status();
            co_return response;
        } catch (const std::exception&) {
            count.status = Status::internal_server_error;
            throw;
        }
    };
}

std::int64_t limit_of(const Request& request, std::int64_t preset) {
    const auto limit = request.query<std::int64_t>("limit").value_or(preset);
    if (limit < 1 || limit > largest_limit) {
        throw coaio::http::BadRequest("limit is not between 1 and " + std::to_string(largest_limit));
    }
    return limit;
}

Response list_response(const std::string& items, const std::optional<std::string>& next) {
    std::string text = "{\"items\":" + items + ",\"next\":";
    text += next ? nlohmann::json(*next).dump() : "null";
    return Response::json_text(text + "}");
}

void add_health_routes(coaio::http::Router& app, const coaio::db::Pool& pool, Shared& shared) {
    app.get("/livez", [](Request&) -> coaio::Coro<Response> { co_return Response::text("ok\n"); });
    app.get("/readyz", [pool, &shared](Request&) -> coaio::Coro<Response> {
        if (!shared.ready) co_return Response::problem(Status::service_unavailable, "starting or stopping");
        std::string trouble;
        try {
            static_cast<void>(co_await coaio::wait_for(pool.query_value<int>("select 1"), 2s));
        } catch (const std::exception&) {
            trouble = "the database does not answer";
        }
        if (!trouble.empty()) co_return Response::problem(Status::service_unavailable, trouble);
        co_return Response::text("ok\n");
    });
    app.get("/metrics", [&shared](Request&) -> coaio::Coro<Response> {
        co_return Response(Status::ok, shared.metrics.text(), "text/plain; version=0.0.4; charset=utf-8");
    });
    if (!shared.debug_tasks && !shared.debug_tasks_anybody) return;
    coaio::http::DebugOptions debug;
    debug.anybody = shared.debug_tasks_anybody;
    app.get("/debug/tasks", coaio::http::debug_tasks(debug));
}

coaio::Coro<coaio::http::Router> build_app(Shared& shared) {
    auto options = store::pool_options(shared.pool_size, "coaio-server");
    options.acquire_timeout(longest_wait);
    const auto pool = co_await coaio::db::Pool::connect(shared.database, options);
    const auto metrics = shared.metrics.add_worker();
    coaio::create_task(note_figures(pool, metrics), {.name = "figures"});
    if (shared.metrics.takes_jobs()) coaio::create_task(note_jobs(pool, shared.metrics), {.name = "job-figures"});

    coaio::http::Router app;
    if (shared.access_sink) app.use(coaio::http::access_log(shared.access_sink));
    app.use(count_requests(metrics));
    app.use(report_problems());
    if (shared.guarded) app.use(guard_api(shared.public_host));
    add_health_routes(app, pool, shared);
    add_crawl_routes(app, pool, shared);
    add_page_routes(app, pool);
    add_event_routes(app, pool, shared);
    add_dashboard_routes(app);
    co_return app;
}

}  // namespace server
