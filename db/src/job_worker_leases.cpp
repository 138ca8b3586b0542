// SPDX-License-Identifier: MIT
#include "job_worker_state.hpp"

#include "job_sql.hpp"

#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/timeout.hpp>

#include <algorithm>
#include <utility>

namespace coaio::db::detail {

// A lease is renewed after a quarter to a third of it, and what fails is tried again soon: a statement that fails ends
// nothing before the lease is really over.
Coro<> JobWorkerState::renew_leases() {
    for (;;) {
        co_await sleep(options_.lease_ / 12);
        std::exception_ptr failure;
        try {
            co_await renew();
        } catch (const std::exception&) {
            failure = std::current_exception();
        }
        if (failure) co_await bear(failure, "renewing leases");
    }
}

Coro<> JobWorkerState::renew() {
    const TimePoint sent = Clock::now();
    std::vector<Key> keys;
    std::vector<std::int64_t> ids;
    std::vector<std::int32_t> attempts;
    for (const auto& [key, held] : held_) {
        if (held->lost || sent - held->renewed < options_.lease_ / 4) continue;
        if (held->phase != Phase::ending && held->job.lease_until() <= sent) continue;  // it is about to be lost
        keys.push_back(key);
        ids.push_back(key.first);
        attempts.push_back(key.second);
    }
    if (keys.empty()) co_return;
    auto renewing = queue_.state()->pool.query(job_sql::renew, ids, attempts, milliseconds_of(options_.lease_));
    const Rows rows = co_await wait_for(std::move(renewing), options_.lease_ / 3);
    std::map<Key, bool> found;
    for (const auto [id, attempt, renewed] : rows.as<std::int64_t, int, bool>()) found[Key(id, attempt)] = renewed;
    for (const Key& key : keys) {
        const auto at = held_.find(key);
        if (at == held_.end()) continue;
        Held& held = *at->second;
        const auto answer = found.find(key);
        if (answer == found.end() && held.job.completed()) {
            held.renewed = TimePoint::max();  // it is done, and its handler may go on
            held.job.hold_until(held.renewed);
        } else if (answer == found.end()) {
            if (held.phase != Phase::ending) lose(held, "it was given to others, or removed");
        } else if (answer->second) {
            held.renewed = sent;
            held.job.hold_until(sent + options_.lease_);  // by the server it ends later
        }
    }
}

// Handlers are stopped a little before others may begin.
bool JobWorkerState::is_over(const Held& held, TimePoint now) const {
    const Duration margin = std::min<Duration>(options_.lease_ / 10, std::chrono::seconds(2));
    return held.job.lease_until() - margin <= now;
}

Coro<> JobWorkerState::watch_deadlines() {
    for (;;) {
        co_await sleep(options_.lease_ / 20);
        const TimePoint now = Clock::now();
        std::vector<Held*> over;
        for (const auto& [key, held] : held_) {
            if (!held->lost && held->phase != Phase::ending && is_over(*held, now)) over.push_back(held.get());
        }
        for (Held* held : over) {
            if (held->phase != Phase::ending) lose(*held, "its lease could not be renewed in time");
        }
    }
}

void JobWorkerState::lose(Held& held, const char* why) {
    tell("job queue " + queue_.name() + ": job " + std::to_string(held.job.id()) + " is lost: " + why);
    if (held.phase == Phase::waiting) {
        // No handler has seen it: where nobody else has it yet, it is no failure.
        std::erase(waiting_, &held);
        finish(held, ending_of(held, Kind::returned));
    } else {
        held.lost = true;
        cancel_handler(held, std::string("the job is lost: ") + why);
    }
}

Coro<> JobWorkerState::reap() {
    for (;;) {
        std::exception_ptr failure;
        std::size_t reaped = 0;
        try {
            auto reaping = queue_.state()->pool.query(job_sql::reap);
            const Rows rows = co_await wait_for(std::move(reaping), options_.lease_);
            reaped = rows.size();
        } catch (const std::exception&) {
            failure = std::current_exception();
        }
        if (failure) co_await bear(failure, "looking for lost jobs");
        stats_.reaped += reaped;
        if (reaped > 0) nudge_.set();
        const auto quarter = static_cast<std::uint64_t>((options_.lease_ / 4).count());
        const auto jitter = static_cast<std::int64_t>(get_running_loop().random() % quarter);
        co_await sleep(options_.lease_ / 4 + Duration(jitter));
    }
}

}  // namespace coaio::db::detail
