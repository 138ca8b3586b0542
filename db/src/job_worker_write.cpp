// SPDX-License-Identifier: MIT
#include "job_worker_state.hpp"

#include "job_sql.hpp"

#include <coaio/core/timeout.hpp>

#include <algorithm>
#include <set>
#include <utility>

namespace coaio::db::detail {
namespace {

constexpr std::size_t most_in_a_batch = 1000;

}  // namespace

// While one batch is on its way the next one gathers, so that batches are the larger the more there is to do.
Coro<> JobWorkerState::write_endings() {
    for (;;) {
        if (sending_.empty()) gather_batch();
        if (sending_.empty()) {
            written_.set();
            to_write_.clear();
            co_await to_write_.wait();
            continue;
        }
        co_await write();
        sending_.clear();
        sent_ = false;
        room_.set();
    }
}

// Those that are done, or those that are not: each sort is one statement.
void JobWorkerState::gather_batch() {
    std::deque<JobEnding> rest;
    for (JobEnding& ending : endings_) {
        const bool fits =
            sending_.empty() || (sending_.size() < most_in_a_batch &&
                                 (sending_.front().kind == Kind::completed) == (ending.kind == Kind::completed));
        if (fits) {
            sending_.push_back(std::move(ending));
        } else {
            rest.push_back(std::move(ending));
        }
    }
    endings_ = std::move(rest);
}

Coro<> JobWorkerState::write() {
    for (;;) {
        std::optional<Rows> rows;
        std::exception_ptr failure;
        const bool again = std::exchange(sent_, true);
        try {
            rows = co_await wait_for(send(), options_.lease_);
        } catch (const std::exception&) {
            failure = std::current_exception();
        }
        if (failure) {
            co_await bear(failure, "ending jobs");
            continue;
        }
        std::set<std::int64_t> written;
        for (const std::int64_t id : rows->as<std::int64_t>()) written.insert(id);
        const TimePoint now = Clock::now();
        for (const JobEnding& ending : sending_) {
            // What was sent twice may have been written by the first; nobody else could within the lease.
            const auto at = held_.find(Key(ending.id, ending.attempt));
            const bool ours = again && at != held_.end() && now < at->second->job.lease_until();
            acknowledge(ending, ours || written.contains(ending.id));
        }
        co_return;
    }
}

Coro<Rows> JobWorkerState::send() const {
    std::vector<std::int64_t> ids;
    std::vector<std::int32_t> attempts;
    std::vector<std::string> states;
    std::vector<std::int64_t> delays;
    std::vector<std::optional<std::string>> errors;
    std::vector<bool> counted;
    for (const JobEnding& ending : sending_) {
        ids.push_back(ending.id);
        attempts.push_back(ending.attempt);
        states.emplace_back(ending.kind == Kind::died ? "dead" : "ready");
        delays.push_back(milliseconds_of(ending.delay));
        errors.push_back(ending.error);
        counted.push_back(ending.kind == Kind::failed || ending.kind == Kind::died);
    }
    const Pool& pool = queue_.state()->pool;
    if (sending_.front().kind == Kind::completed) return pool.query(job_sql::complete, ids, attempts);
    return pool.query(job_sql::put_back, ids, attempts, states, delays, errors, counted);
}

void JobWorkerState::acknowledge(const JobEnding& ending, bool written) {
    held_.erase(Key(ending.id, ending.attempt));
    --ending_count_;
    if (!written) {
        ++(ending.done_before ? stats_.completed : stats_.lost);
        return;
    }
    switch (ending.kind) {
    case Kind::completed: ++stats_.completed; break;
    case Kind::failed: ++stats_.failed; break;
    case Kind::died: ++stats_.died; break;
    case Kind::snoozed: ++stats_.snoozed; break;
    case Kind::returned: ++stats_.returned; break;
    }
}

}  // namespace coaio::db::detail
