// SPDX-License-Identifier: MIT
#include "server/crawl_runner.hpp"

#include <chrono>
#include <exception>
#include <utility>

#include <coaio/core/error.hpp>
#include <coaio/core/mask.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/http/client.hpp>

#include "crawler/at_end.hpp"
#include "crawler/http_fetcher.hpp"
#include "crawler/summary.hpp"
#include "store/crawls.hpp"
#include "store/schema.hpp"
#include "store/settings.hpp"
#include "store/trouble.hpp"

namespace server {
namespace {

using namespace std::chrono_literals;

constexpr auto look_again = 1s;
constexpr auto connection_wait = 5s;

// A page may have waited for a lock of others' for longer than it may take.
bool passes(const std::exception_ptr& failure) { return store::is_passing(failure) || store::is_timeout(failure); }

}  // namespace

CrawlRunner::CrawlRunner(Shared& shared, std::size_t most, std::function<void(std::string_view)> log)
    : shared_(&shared),
      most_(most),
      log_(std::move(log)),
      pool_(shared.database, store::pool_options(shared.pool_size, "coaio-server").acquire_timeout(connection_wait)) {}

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
        if (failure) log_("crawls wait for the database: " + store::reason_of(failure));
        co_await coaio::sleep(look_again);
    }
}

coaio::Coro<> CrawlRunner::hold_session(coaio::TaskGroup& group) {
    const auto options = store::session_options("coaio-server crawls");
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
    const auto ended = std::exchange(ended_, {});
    for (const std::int64_t id : ended) co_await store::let_go(session, id);
    const auto open =
        co_await session.query("select id, cancel_requested from crawls where state in ('queued', 'running') "
                               "and (run_by = $1 or cancel_requested) order by id limit 1000",
                               store::by_server);
    for (const auto& [id, cancel_requested] : open.as<std::int64_t, bool>()) {
        const auto found = running_.find(id);
        if (found != running_.end()) {
            if (cancel_requested && !std::exchange(found->second.cancel_requested, true)) found->second.task.cancel();
            continue;
        }
        // A lock that the session has, and is to give back, it would get a second time.
        if (ended_.count(id) != 0 || (running_.size() >= most_ && !cancel_requested)) continue;
        auto work = co_await claim(id, session);
        if (!work) continue;
        auto task = group.create_task(run_crawl(std::move(*work)), {.name = "crawl " + std::to_string(id)});
        running_.emplace(id, Running{std::move(task)});
    }
}

// Nothing where somebody else has it, or there is nothing left to do.
coaio::Coro<std::optional<store::Work>> CrawlRunner::claim(std::int64_t id, const coaio::db::Connection& session) {
    const auto mine = co_await store::try_to_hold(session, id);
    if (!mine) co_return std::nullopt;
    ended_.insert(id);  // unless it is begun below
    auto work = co_await store::take_up(session, id, store::by_server);
    if (work) ended_.erase(id);
    co_return work;
}

coaio::Coro<> CrawlRunner::run_crawl(store::Work work) {
    const std::int64_t id = work.id;
    auto leave = [this, id] {
        running_.erase(id);
        ended_.insert(id);
    };
    const crawl::AtEnd at_end(std::move(leave));
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
    const std::string name = "crawl " + std::to_string(id);
    if (failure && passes(failure)) {
        log_(name + " waits for the database: " + store::reason_of(failure));
        co_return;  // the next look takes it up again
    }
    if (failure) log_(name + " failed: " + store::reason_of(failure));
    std::string state = "done";
    if (cancelled) state = "cancelled";
    if (failure) state = "failed";
    std::string reason;
    if (failure) reason = crawl::one_line(store::reason_of(failure), 2000);
    auto finishing = store::leave(pool_, id, std::move(state), std::move(reason));
    std::exception_ptr trouble;
    try {
        co_await coaio::masked(std::move(finishing), {.deadline = crawl::commit_deadline});
        changed_.set();
    } catch (const std::exception&) {
        trouble = std::current_exception();
    }
    if (trouble) log_(name + " waits for the database to end: " + store::reason_of(trouble));
}

coaio::Coro<> CrawlRunner::crawl_to_the_end(const store::Work& work) {
    if (work.resumed && counted_.insert(work.id).second) co_await store::count_pages(pool_, work.id);
    auto options = store::options_of(work.urls, work.settings);
    crawl::HttpFetcher fetcher{coaio::http::Client(crawl::client_options(options))};
    store::PageStore pages(pool_, work.id, work.resumed, [this] { shared_->metrics.page_committed(); });
    crawl::Crawler crawler(std::move(options), fetcher, &pages);
    const auto body = [&](coaio::TaskGroup& group) -> coaio::Coro<> {
        group.create_task(note_progress(work.id, crawler, pages));
        std::exception_ptr failure;
        try {
            co_await crawler.run();
        } catch (...) {
            failure = std::current_exception();
        }
        auto saving = store::save_progress(pool_, work.id, crawler, pages);
        if (!failure || !passes(failure)) {
            static_cast<void>(co_await coaio::masked(std::move(saving), {.deadline = crawl::commit_deadline}));
        }
        if (failure) std::rethrow_exception(failure);
        group.cancel();
    };
    co_await coaio::task_group(body);
}

coaio::Coro<> CrawlRunner::note_progress(std::int64_t id, const crawl::Crawler& crawler,
                                         const store::PageStore& pages) {
    for (;;) {
        co_await coaio::sleep(500ms);
        std::exception_ptr failure;
        try {
            static_cast<void>(co_await store::save_progress(pool_, id, crawler, pages));
        } catch (const std::exception&) {
            failure = std::current_exception();
        }
        if (failure && !passes(failure)) std::rethrow_exception(failure);
    }
}

}  // namespace server
