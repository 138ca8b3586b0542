// SPDX-License-Identifier: MIT
#include "job_worker_state.hpp"

#include "job_sql.hpp"

#include <coaio/db/listener.hpp>

#include <coaio/core/loop.hpp>
#include <coaio/core/mask.hpp>
#include <coaio/core/sleep.hpp>

#include <algorithm>
#include <utility>

namespace coaio::db::detail {
namespace {

using namespace std::chrono_literals;

// Drawn anew each time, so that many workers do not come all at once.
Duration between(Duration least, Duration most) {
    const auto span = static_cast<std::uint64_t>((most - least).count()) + 1;
    return least + Duration(static_cast<std::int64_t>(get_running_loop().random() % span));
}

}  // namespace

// Few statements that take many: not before half of what was held ready is used up.
std::size_t JobWorkerState::wanted() const noexcept {
    if (waiting_.size() * 2 > prefetch_) return 0;
    const std::size_t most = options_.concurrency_ + prefetch_;
    return most > held_.size() ? std::min(options_.batch_, most - held_.size()) : 0;
}

Coro<> JobWorkerState::take_jobs() {
    while (!stopping_) {
        const std::size_t most = wanted();
        if (most == 0) {
            room_.clear();
            co_await room_.wait();
            continue;
        }
        nudge_.clear();
        std::size_t taken = 0;
        std::exception_ptr failure;
        try {
            // What the server has given is not to be lost, whoever cancels.
            auto claiming = claim(most);
            taken = co_await masked(std::move(claiming), {.deadline = std::min<Duration>(options_.lease_, 5s)});
        } catch (const std::exception&) {
            failure = std::current_exception();
        }
        if (failure) {
            co_await bear(failure, "taking jobs");
            continue;
        }
        if (stopping_) co_return;
        dispatch();
        if (taken == most) continue;
        const bool nudged = co_await settled(nudge_, between(options_.poll_least_, options_.poll_most_));
        static_cast<void>(nudged);
    }
}

Coro<std::size_t> JobWorkerState::claim(std::size_t most) {
    // The lease begins later than this, by the server's clock.
    const TimePoint sent = Clock::now();
    auto claiming = queue_.state()->pool.query(job_sql::claim, queue_.name(), most, milliseconds_of(options_.lease_),
                                               options_.name_);
    const Rows rows = co_await std::move(claiming);
    ++stats_.claims;
    stats_.taken += rows.size();
    for (const Row row : rows) {
        auto held = std::make_unique<Held>(row[0].as<std::int64_t>(), row[4].as<Json>(), row[1].as<int>(),
                                           row[2].as<int>(), row[3].as<int>());
        held->renewed = sent;
        held->job.hold_until(sent + options_.lease_);
        const Key key(held->job.id(), held->job.attempt());
        const auto [at, is_new] = held_.emplace(key, std::move(held));
        // A database that went back in time may give what is held: its handler goes on, and ends it.
        if (is_new) waiting_.push_back(at->second.get());
    }
    co_return rows.size();
}

Coro<> JobWorkerState::listen() {
    for (;;) {
        std::exception_ptr failure;
        try {
            co_await listen_once();
        } catch (const std::exception&) {
            failure = std::current_exception();
        }
        if (!passes_by_itself(failure)) std::rethrow_exception(failure);
        ++stats_.trouble;
        tell("job queue " + queue_.name() + ": listening failed, and is tried again: " + words_of(failure));
        co_await sleep(between(options_.poll_least_, options_.poll_most_));
    }
}

Coro<> JobWorkerState::listen_once() {
    auto listener = co_await Listener::connect(options_.listen_);
    co_await listener.listen(job_channel);
    // What was sent while nobody listened is lost.
    nudge_.set();
    for (;;) {
        const Notification heard = co_await listener.next();
        if (heard.gap == Gap::session_lost) {
            ++stats_.trouble;
            tell("job queue " + queue_.name() + ": nobody listened for a while, since the session was lost");
        }
        if (heard.gap != Gap::none || heard.payload == queue_.name()) nudge_.set();
    }
}

}  // namespace coaio::db::detail
