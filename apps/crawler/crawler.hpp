// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <coaio/core/coro.hpp>
#include <coaio/core/event.hpp>
#include <coaio/core/generator.hpp>
#include <coaio/core/queue.hpp>
#include <coaio/core/semaphore.hpp>
#include <coaio/core/task_group.hpp>
#include <coaio/http/url.hpp>

#include "crawler/document.hpp"
#include "crawler/fetcher.hpp"
#include "crawler/frontier.hpp"
#include "crawler/options.hpp"
#include "crawler/robots.hpp"
#include "crawler/store.hpp"
#include "crawler/summary.hpp"

namespace crawl {

/// One crawl: takes pages from the frontier, as many at a time as the options allow, fetches and reads them, and puts
/// what they link to back into the frontier, until there is nothing left.
///
/// Lifetime: outlives its run; fetcher and store outlive it. Belongs to the loop on which it runs.
class Crawler {
public:
    /// The options' URLs are where it begins. `store` may be null: then all is in memory only.
    Crawler(Options options, Fetcher& fetcher, Store* store = nullptr);
    /// A share of a crawl that stands in `store`, whose hosts are those of the options' URLs.
    Crawler(Options options, Fetcher& fetcher, FrontierStore& store);
    Crawler(const Crawler&) = delete;
    Crawler& operator=(const Crawler&) = delete;

    /// Runs to the end, once. What servers and pages do wrong is part of the result, and no error.
    /// Errors: an `ExceptionGroup` of what the store threw.
    /// Cancellation: pages whose fetch had not ended are left; what is being committed is committed first.
    [[nodiscard]] coaio::Coro<> run();

    /// The run ends when the pages under way are finished; the others stay queued.
    void wind_down() noexcept;
    /// The share has lasted long enough: once it has got on with a page, it begins no other one. What is lost with it is
    /// waited for: pages under way, and the sitemaps that are being read.
    void end_share() noexcept;

    /// The pages as they are finished, for one listener, to be asked for before the run. It ends with the run.
    [[nodiscard]] coaio::AsyncGenerator<PageId> finished();

    [[nodiscard]] const Frontier& frontier() const noexcept { return frontier_; }
    [[nodiscard]] const Options& options() const noexcept { return options_; }
    /// Since the run began, until now or its end. For the running loop.
    [[nodiscard]] std::chrono::milliseconds elapsed() const;
    /// What has been found so far.
    [[nodiscard]] Summary summary(std::string trouble = {}) const;

private:
    /// One request and how it ended.
    struct Attempt {
        Answer answer;
        Ended how;
        std::string error;
    };

    [[nodiscard]] bool is_done() const noexcept {
        if (winds_down_) return frontier_.running() == 0;
        if (begins_none()) return frontier_.running() == 0 && sitemap_readers_ == 0;
        return frontier_.is_done() && sitemap_readers_ == 0 && !may_lead_on_;
    }
    // A site may take longer to say no word than a share lasts: one that ended with nothing done would be begun for ever.
    [[nodiscard]] bool begins_none() const noexcept { return winds_down_ || (share_is_over_ && got_on_); }
    [[nodiscard]] bool wants_more() const noexcept {
        return may_lead_on_ && !begins_none() && frontier_.queued() < options_.concurrency;
    }
    coaio::Coro<> dispatch(coaio::TaskGroup& group);
    coaio::Coro<> ask_for_more();
    coaio::Coro<> wait_for_change(std::optional<TimePoint> until);
    coaio::Coro<> visit(coaio::TaskGroup& group, PageId id, coaio::SemaphoreGuard slot);
    coaio::Coro<> fetch_page(PageId id);
    coaio::Coro<> read_answer(const coaio::http::Url& url, Answer answer, FinishedPage& finished);
    coaio::Coro<> collect_links(const coaio::http::Url& url, Document document, FinishedPage& finished);
    coaio::Coro<> commit(FinishedPage& finished, Ended how);
    coaio::Coro<> reserve_known();
    coaio::Coro<bool> recall(PageId id);
    coaio::Coro<> enter(FinishedPage& finished, std::optional<Ended> how);
    coaio::Coro<Attempt> attempt(coaio::http::Url url, FetchOptions options);

    coaio::Coro<Ended> learn_robots(coaio::TaskGroup& group, std::string origin);
    coaio::Coro<Attempt> fetch_robots(std::string origin);
    [[nodiscard]] bool has_unread_sitemaps(const std::string& origin) const;
    coaio::Coro<> begin_sites(coaio::TaskGroup& group);
    coaio::Coro<> begin_site(coaio::TaskGroup& group, std::string origin);
    void read_sitemaps_of(coaio::TaskGroup& group, const std::string& origin);
    coaio::Coro<> read_sitemaps(std::string origin, std::vector<std::string> named);
    coaio::Coro<bool> hand_over(std::vector<FoundLink>& found);
    coaio::Coro<std::string> fetch_sitemap(coaio::http::Url url);
    coaio::Coro<> await_turn(std::string host);

    Options options_;
    Fetcher* fetcher_;
    Store* store_;
    FrontierStore* lead_ = nullptr;  // it, where it says what is to be fetched
    Frontier frontier_;
    RobotsCache robots_;
    coaio::Semaphore slots_;
    coaio::Event changed_;  // set whenever there may be something to take, or the end has come
    std::map<std::string, std::shared_ptr<coaio::Event>> learning_;  // robots.txt that is being fetched, by origin
    std::map<std::string, std::string> unreachable_;                 // why a robots.txt was not answered, by origin
    std::set<std::string> unread_sites_;                             // where the store leads
    std::set<std::string> sitemap_origins_;
    std::set<std::string> sitemaps_seen_;
    std::size_t sitemap_readers_ = 0;
    bool may_lead_on_ = false;  // the store may have more to fetch
    bool winds_down_ = false;
    bool share_is_over_ = false;
    bool got_on_ = false;  // a page was asked for
    std::unique_ptr<coaio::Queue<PageId>> finished_;
    std::optional<TimePoint> began_;
    std::optional<TimePoint> ended_;
};

/// The loop's time as the frontier counts it.
[[nodiscard]] TimePoint loop_now();

/// From the loop's random source: from 0 up to, not including, 1.
[[nodiscard]] double random_fraction();

}  // namespace crawl
