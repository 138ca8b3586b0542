// SPDX-License-Identifier: MIT
#include "server/crawl_runner.hpp"

#include <chrono>
#include <exception>
#include <utility>

#include <coaio/core/error.hpp>
#include <coaio/core/mask.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/db/array.hpp>
#include <coaio/db/error.hpp>
#include <coaio/http/client.hpp>

#include "crawler/http_fetcher.hpp"
#include "crawler/summary.hpp"
#include "server/crawl_settings.hpp"
#include "server/schema.hpp"

namespace server {
namespace {

using namespace std::chrono_literals;

constexpr auto look_again = 1s;
constexpr std::int64_t lock_class = std::int64_t{0x636f6169} << 32;

// What fails because the database is away passes, and the crawl then goes on.
bool is_passing(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const coaio::ExceptionGroup& group) {
        for (const std::exception_ptr& each : group.exceptions()) {
            if (is_passing(each)) return true;
        }
        return false;
    } catch (const coaio::db::ConnectionError&) {
        return true;
    } catch (const coaio::db::PoolTimeout&) {
        return true;
    } catch (const coaio::db::Error& error) {
        return error.retryable();
    } catch (...) {
        return false;
    }
}

std::string reason_of(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const coaio::ExceptionGroup& group) {
        return reason_of(group.exceptions().front());
    } catch (const std::exception& error) {
        return error.what();
    } catch (...) {
        return "an unknown error";
    }
}

}  // namespace

CrawlRunner::CrawlRunner(Shared& shared, std::size_t most, std::function<void(std::string_view)> log)
    : shared_(&shared), most_(most), log_(std::move(log)), pool_(shared.database, pool_options(shared.pool_size)) {}

coaio::Coro<> CrawlRunner::run() {
    for (;;) {
        std::exception_ptr failure;
        try {
            const auto body = [this](coaio::TaskGroup& group) { return hold_session(group); };
            co_await coaio::task_group(body);
        } catch (const std::exception&) {
            failure = std::current_exception();
        }
        // With the session the locks are gone, too; its crawls were cancelled with it.
        running_.clear();
        ended_.clear();
        if (failure) log_("crawls wait for the database: " + reason_of(failure));
        co_await coaio::sleep(look_again);
    }
}

coaio::Coro<> CrawlRunner::hold_session(coaio::TaskGroup& group) {
    coaio::db::ConnectOptions options;
    options.setting("search_path", "coaio, public").setting("application_name", "coaio-server crawls");
    const auto session = co_await coaio::db::Connection::connect(shared_->database, options);
    for (;;) {
        changed_.clear();
        co_await look(group, session);
        try {
            co_await coaio::wait_for(changed_.wait(), look_again);
        } catch (const coaio::TimeoutError&) {  // crawls of other servers' making, and cancellations, give no sign
        }
    }
}

coaio::Coro<> CrawlRunner::look(coaio::TaskGroup& group, const coaio::db::Connection& session) {
    while (!ended_.empty()) {
        const std::int64_t id = ended_.back();
        static_cast<void>(co_await session.query("select pg_advisory_unlock($1)", lock_class | id));
        ended_.pop_back();
    }
    const auto open = co_await session.query(
        "select id, cancel_requested from crawls where state in ('queued', 'running') order by id limit 1000");
    for (const auto& [id, cancel_requested] : open.as<std::int64_t, bool>()) {
        const auto found = running_.find(id);
        if (found != running_.end()) {
            if (cancel_requested && !std::exchange(found->second.cancel_requested, true)) found->second.task.cancel();
            continue;
        }
        if (running_.size() >= most_ && !cancel_requested) continue;
        auto work = co_await claim(id, session);
        if (!work) continue;
        auto task = group.create_task(run_crawl(std::move(*work)), {.name = "crawl " + std::to_string(id)});
        running_.emplace(id, Running{std::move(task)});
    }
}

// Nothing where another server has it, or there is nothing left to do.
coaio::Coro<std::optional<CrawlRunner::Work>> CrawlRunner::claim(std::int64_t id,
                                                                 const coaio::db::Connection& session) {
    const auto mine = co_await session.query_value<bool>("select pg_try_advisory_lock($1)", lock_class | id);
    if (!mine) co_return std::nullopt;
    ended_.push_back(id);  // unless it is begun below
    const auto ended = co_await session.execute("update crawls set state = 'cancelled', ended_at = now() "
                                                "where id = $1 and cancel_requested and state in ('queued', 'running')",
                                                id);
    if (ended != 0) co_return std::nullopt;
    const auto rows =
        co_await session.query("update crawls set state = 'running', started_at = coalesce(started_at, now()) "
                               "where id = $1 and state in ('queued', 'running') "
                               "returning urls, settings::text, exists (select from pages where crawl_id = $1)",
                               id);
    if (rows.empty()) co_return std::nullopt;
    ended_.pop_back();
    Work work;
    work.id = id;
    work.urls = rows.front()[0].as<std::vector<std::string>>();
    work.settings = rows.front()[1].as<std::string>();
    work.resumed = rows.front()[2].as<bool>();
    co_return work;
}

coaio::Coro<> CrawlRunner::run_crawl(Work work) {
    const std::int64_t id = work.id;
    shared_->metrics.crawl_began();
    std::exception_ptr failure;
    bool cancelled = false;
    try {
        co_await crawl_to_the_end(work);
    } catch (const coaio::CancelledError&) {
        cancelled = true;
    } catch (const std::exception&) {
        failure = std::current_exception();
    }
    shared_->metrics.crawl_ended();
    const auto self = running_.find(id);
    const bool asked = self != running_.end() && self->second.cancel_requested;
    // One that is interrupted, with the server or with the database, stays as it is and goes on later.
    if (cancelled && !asked) throw coaio::CancelledError("the crawl is interrupted");
    if (failure && is_passing(failure)) std::rethrow_exception(failure);
    if (failure) log_("crawl " + std::to_string(id) + " failed: " + reason_of(failure));
    std::string state = "done";
    if (cancelled) state = "cancelled";
    if (failure) state = "failed";
    std::string reason;
    if (failure) reason = crawl::one_line(reason_of(failure), 2000);
    auto finishing = finish(id, std::move(state), std::move(reason));
    co_await coaio::masked(std::move(finishing), {.deadline = crawl::commit_deadline});
    running_.erase(id);
    ended_.push_back(id);
    changed_.set();
}

coaio::Coro<> CrawlRunner::crawl_to_the_end(const Work& work) {
    auto options = crawl_options(work.urls, work.settings);
    crawl::HttpFetcher fetcher{coaio::http::Client(crawl::client_options(options))};
    PageStore store(pool_, work.id, work.resumed, shared_->metrics);
    crawl::Crawler crawler(std::move(options), fetcher, &store);
    const auto body = [&](coaio::TaskGroup& group) -> coaio::Coro<> {
        group.create_task(note_progress(work.id, crawler, store));
        std::exception_ptr failure;
        try {
            co_await crawler.run();
        } catch (...) {
            failure = std::current_exception();
        }
        auto saving = save_progress(work.id, crawler, store);
        if (!failure || !is_passing(failure)) {
            co_await coaio::masked(std::move(saving), {.deadline = crawl::commit_deadline});
        }
        if (failure) std::rethrow_exception(failure);
        group.cancel();
    };
    co_await coaio::task_group(body);
}

coaio::Coro<> CrawlRunner::note_progress(std::int64_t id, const crawl::Crawler& crawler, const PageStore& store) {
    for (;;) {
        co_await coaio::sleep(500ms);
        co_await save_progress(id, crawler, store);
    }
}

coaio::Coro<> CrawlRunner::save_progress(std::int64_t id, const crawl::Crawler& crawler, const PageStore& store) {
    const CrawlCounts counts = store.counts();
    const auto waiting = static_cast<std::int64_t>(crawler.frontier().queued() + crawler.frontier().running());
    static_cast<void>(co_await pool_.execute(
        "update crawls set done = $2, failed = $3, disallowed = $4, waiting = $5, bytes = $6 where id = $1", id,
        counts.done, counts.failed, counts.disallowed, waiting, counts.bytes));
}

coaio::Coro<> CrawlRunner::finish(std::int64_t id, std::string state, std::string error) {
    static_cast<void>(co_await pool_.execute("update crawls set state = $2, error = $3, ended_at = now() where id = $1",
                                             id, state, error));
}

}  // namespace server
