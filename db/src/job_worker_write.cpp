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
        if (endings_.empty()) {
            written_.set();
            to_write_.clear();
            co_await to_write_.wait();
            continue;
        }
        std::vector<JobEnding> completed;
        std::vector<JobEnding> others;
        for (std::size_t i = 0; i < most_in_a_batch && !endings_.empty(); ++i) {
            auto& list = endings_.front().kind == Kind::completed ? completed : others;
            list.push_back(std::move(endings_.front()));
            endings_.pop_front();
        }
        writing_ = true;
        if (!completed.empty()) co_await write(std::move(completed));
        if (!others.empty()) co_await write(std::move(others));
        writing_ = false;
        room_.set();
    }
}

Coro<> JobWorkerState::write(std::vector<JobEnding> batch) {
    const bool completed = batch.front().kind == Kind::completed;
    bool again = false;
    for (;;) {
        std::optional<Rows> rows;
        std::exception_ptr failure;
        try {
            rows = co_await wait_for(send(batch, completed), options_.lease_);
        } catch (const std::exception&) {
            failure = std::current_exception();
        }
        if (failure) {
            again = true;
            co_await bear(failure, "ending jobs");
            continue;
        }
        std::set<std::int64_t> written;
        for (const std::int64_t id : rows->as<std::int64_t>()) written.insert(id);
        const TimePoint now = Clock::now();
        for (const JobEnding& ending : batch) {
            // What was sent twice may have been written by the first; nobody else could within the lease.
            const auto at = held_.find(Key(ending.id, ending.attempt));
            const bool ours = again && at != held_.end() && now < at->second->deadline;
            acknowledge(ending, ours || written.contains(ending.id));
        }
        co_return;
    }
}

Coro<Rows> JobWorkerState::send(const std::vector<JobEnding>& batch, bool completed) const {
    std::vector<std::int64_t> ids;
    std::vector<std::int32_t> attempts;
    std::vector<std::string> states;
    std::vector<std::int64_t> delays;
    std::vector<std::optional<std::string>> errors;
    std::vector<bool> counted;
    for (const JobEnding& ending : batch) {
        ids.push_back(ending.id);
        attempts.push_back(ending.attempt);
        states.emplace_back(ending.kind == Kind::died ? "dead" : "ready");
        delays.push_back(milliseconds_of(ending.delay));
        errors.push_back(ending.error);
        counted.push_back(ending.kind == Kind::failed || ending.kind == Kind::died);
    }
    const Pool& pool = queue_.state()->pool;
    if (completed) return pool.query(job_sql::complete, ids, attempts);
    return pool.query(job_sql::put_back, ids, attempts, states, delays, errors, counted);
}

void JobWorkerState::acknowledge(const JobEnding& ending, bool written) {
    held_.erase(Key(ending.id, ending.attempt));
    --ending_count_;
    if (!written) {
        ++stats_.lost;
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
