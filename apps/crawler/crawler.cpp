// SPDX-License-Identifier: MIT
#include "crawler/crawler.hpp"

#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/net/error.hpp>

namespace crawl {
namespace {

coaio::AsyncGenerator<PageId> items_of(coaio::Queue<PageId>& queue) {
    try {
        for (;;) {
            const auto id = co_await queue.get();
            co_yield id;
        }
    } catch (const coaio::QueueShutDown&) {  // the crawl is over
    }
}

}  // namespace

Store::~Store() = default;

coaio::Coro<std::vector<std::string>> Store::known() { co_return std::vector<std::string>(); }

coaio::Coro<bool> Store::recall(FinishedPage& /*page*/) { co_return false; }

coaio::Coro<> Store::recover(std::exception_ptr failure) {
    std::rethrow_exception(failure);
    co_return;
}

double random_fraction() {
    constexpr int bits_of_a_double = 53;
    return static_cast<double>(coaio::get_running_loop().random() >> (64 - bits_of_a_double)) /
           static_cast<double>(std::uint64_t{1} << bits_of_a_double);
}

TimePoint loop_now() { return TimePoint(coaio::Clock::now().time_since_epoch()); }

Crawler::Crawler(Options options, Fetcher& fetcher, Store* store)
    : options_(std::move(options)),
      fetcher_(&fetcher),
      store_(store),
      frontier_(options_.scope, options_.manners),
      slots_(options_.concurrency) {
    for (const auto& text : options_.urls) frontier_.add_start(coaio::http::Url::parse(text));
}

Crawler::Crawler(Options options, Fetcher& fetcher, FrontierStore& store)
    : options_(std::move(options)),
      fetcher_(&fetcher),
      store_(&store),
      lead_(&store),
      frontier_(options_.scope, options_.manners),
      slots_(options_.concurrency),
      may_lead_on_(true) {
    for (const auto& text : options_.urls) frontier_.add_to_scope(coaio::http::Url::parse(text));
}

void Crawler::wind_down() noexcept {
    winds_down_ = true;
    changed_.set();
}

void Crawler::end_share() noexcept {
    share_is_over_ = true;
    changed_.set();
}

coaio::AsyncGenerator<PageId> Crawler::finished() {
    if (finished_ != nullptr) throw coaio::RuntimeError("the finished pages of a crawl are for one listener");
    finished_ = std::make_unique<coaio::Queue<PageId>>();
    if (ended_) finished_->shutdown();
    return items_of(*finished_);
}

std::chrono::milliseconds Crawler::elapsed() const {
    if (!began_) return {};
    const auto end = ended_ ? *ended_ : loop_now();
    return std::chrono::duration_cast<std::chrono::milliseconds>(end - *began_);
}

Summary Crawler::summary(std::string trouble) const { return summarise(frontier_, elapsed(), std::move(trouble)); }

coaio::Coro<> Crawler::run() {
    if (began_) throw coaio::RuntimeError("a crawl runs only once");
    began_ = loop_now();
    std::exception_ptr failure;
    try {
        auto body = [this](coaio::TaskGroup& group) { return dispatch(group); };
        co_await coaio::task_group(body);
    } catch (...) {
        failure = std::current_exception();
    }
    ended_ = loop_now();
    if (finished_ != nullptr) finished_->shutdown();
    if (failure) std::rethrow_exception(failure);
}

coaio::Coro<> Crawler::dispatch(coaio::TaskGroup& group) {
    if (store_ != nullptr && options_.scope.max_pages != 0) co_await reserve_known();
    if (lead_ != nullptr) {
        co_await begin_sites(group);
    } else if (options_.ignore_robots) {
        for (PageId id = 0; id < frontier_.pages().size(); ++id) read_sitemaps_of(group, frontier_.page(id).host);
    }
    while (!is_done()) {
        if (wants_more()) co_await ask_for_more();
        auto slot = co_await slots_.scoped();
        const auto now = loop_now();
        const auto id = begins_none() ? std::nullopt : frontier_.take(now);
        if (id) {
            group.create_task(visit(group, *id, std::move(slot)), {.name = frontier_.page(*id).url});
            continue;
        }
        slot.release();
        if (wants_more() || is_done()) continue;
        co_await wait_for_change(begins_none() ? std::nullopt : frontier_.next_time(now));
    }
    // Those that still read sitemaps, which are read again another time.
    if (winds_down_) group.cancel();
}

coaio::Coro<> Crawler::ask_for_more() {
    may_lead_on_ = false;  // unless something is committed meanwhile
    const auto ask = [this] { return lead_->next(); };
    const auto more = co_await insist(*store_, ask);
    for (const auto& each : more) frontier_.add_known(each);
    if (!more.empty()) may_lead_on_ = true;
}

// Between the look that found nothing and this nothing may suspend, or a change would be missed.
coaio::Coro<> Crawler::wait_for_change(std::optional<TimePoint> until) {
    changed_.clear();
    if (!until) {
        co_await changed_.wait();
        co_return;
    }
    try {
        co_await coaio::wait_for(changed_.wait(), *until - loop_now());
    } catch (const coaio::TimeoutError&) {  // the time has come
    }
}

coaio::Coro<> Crawler::visit(coaio::TaskGroup& group, PageId id, coaio::SemaphoreGuard slot) {
    const coaio::SemaphoreGuard held = std::move(slot);
    const auto& page = frontier_.page(id);
    const bool has_rules = options_.ignore_robots || robots_.find(page.host, loop_now()) != nullptr;
    // A page that is known needs no leave of its site. But sitemaps are kept nowhere: they are read again, and first.
    if (store_ != nullptr && (has_rules || !has_unread_sitemaps(page.host))) {
        const auto known = co_await recall(id);
        if (known) co_return;
    }
    if (!options_.ignore_robots) {
        // Looked for again: others may have learned them, or newer ones, meanwhile.
        const auto* const rules = robots_.find(page.host, loop_now());
        if (rules == nullptr) {
            // The page's turn goes to robots.txt; when it is taken again, that says how soon.
            const auto how = co_await learn_robots(group, page.host);
            frontier_.give_back(id, how, loop_now());
            changed_.set();
            co_return;
        }
        if (!rules->allows(coaio::http::Url::parse(page.url).target())) {
            FinishedPage finished;
            finished.id = id;
            finished.page = &page;
            const auto why = unreachable_.find(page.host);
            finished.state = why == unreachable_.end() ? PageState::disallowed : PageState::failed;
            if (why != unreachable_.end()) finished.result.error = why->second;
            co_await commit(finished, {});
            co_return;
        }
    }
    co_await fetch_page(id);
}

coaio::Coro<Crawler::Attempt> Crawler::attempt(coaio::http::Url url, FetchOptions options) {
    Attempt result;
    try {
        auto fetching = fetcher_->fetch(std::move(url), options);
        result.answer = co_await coaio::wait_for(std::move(fetching), options_.timeout);
        result.how.status = result.answer.status;
        result.how.retry_after = parse_retry_after(result.answer.retry_after, coaio::get_running_loop().wall_time());
    } catch (const coaio::TimeoutError&) {
        result.error = "no answer within " + human_time(options_.timeout);
    } catch (const coaio::net::TlsError& error) {
        using Reason = coaio::net::TlsError::Reason;
        result.how.for_good = error.reason() == Reason::certificate || error.reason() == Reason::configuration;
        result.error = error.what();
    } catch (const FetchRefused&) {
        throw;
    } catch (const std::exception& error) {
        result.error = error.what();
    }
    co_return result;
}

}  // namespace crawl
