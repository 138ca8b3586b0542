// SPDX-License-Identifier: MIT
#include "job_worker_state.hpp"

#include <coaio/core/loop.hpp>

#include <algorithm>
#include <utility>

namespace coaio::db::detail {

void JobWorkerState::dispatch() {
    // A handler that never suspends ends inside of the loop below, and frees a place.
    if (dispatching_ || stopping_) return;
    struct Dispatching {
        explicit Dispatching(bool& flag) : on(&flag) { *on = true; }
        Dispatching(const Dispatching&) = delete;
        Dispatching& operator=(const Dispatching&) = delete;
        ~Dispatching() { *on = false; }
        bool* on;
    };
    const Dispatching dispatching(dispatching_);
    while (at_work_ < options_.concurrency_ && !waiting_.empty()) {
        Held& held = *waiting_.front();
        waiting_.pop_front();
        // A step that took long may have come before the look at deadlines.
        if (is_over(held, Clock::now())) {
            lose(held, "its lease could not be renewed in time");
            continue;
        }
        held.phase = Phase::running;
        ++at_work_;
        try {
            const Key key(held.job.id(), held.job.attempt());
            const std::string name = "job-" + std::to_string(key.first);
            auto task = create_task(work(shared_from_this(), held), {.name = name, .eager_start = true});
            // It may be over, and gone.
            const auto at = held_.find(key);
            if (at != held_.end() && at->second->phase == Phase::running) at->second->task.emplace(std::move(task));
        } catch (...) {  // no memory for it
            --at_work_;
            held.phase = Phase::waiting;
            waiting_.push_front(&held);
            throw;
        }
    }
}

Coro<> JobWorkerState::work(std::shared_ptr<JobWorkerState> self, Held& held) {
    const std::shared_ptr<JobWorkerState> alive = std::move(self);
    held.begun = true;
    JobEnding ending;
    try {
        co_await handler_(held.job);
        ending = ending_of(held, held.job.snoozed() ? Kind::snoozed : Kind::completed);
        if (held.job.snoozed()) ending.delay = *held.job.snoozed();
    } catch (const CancelledError&) {
        if (stopping_) {
            ending = ending_of(held, Kind::returned);
        } else {
            ending = failure_of(held, "the handler was cancelled", false);
        }
    } catch (const GiveUp& error) {
        ending = failure_of(held, error.what(), true);
    } catch (const std::exception& error) {
        ending = failure_of(held, error.what(), false);
    } catch (...) {
        ending = failure_of(held, "an unknown error", false);
    }
    finish(held, std::move(ending));
}

JobEnding JobWorkerState::ending_of(const Held& held, Kind kind) const {
    JobEnding ending;
    ending.id = held.job.id();
    ending.attempt = held.job.attempt();
    ending.kind = kind;
    ending.done_before = held.job.completed();
    return ending;
}

JobEnding JobWorkerState::failure_of(const Held& held, const std::string& error, bool hopeless) const {
    const bool dies = hopeless || held.job.failures() + 1 >= held.job.max_attempts();
    JobEnding ending = ending_of(held, dies ? Kind::died : Kind::failed);
    ending.error = storable(error);
    if (!dies) {
        Duration delay = options_.backoff_first_;
        for (int i = 0; i < held.job.failures() && delay < options_.backoff_most_; ++i) delay *= 2;
        delay = std::min(delay, options_.backoff_most_);
        const auto half = static_cast<std::uint64_t>(delay.count()) / 2;
        ending.delay = delay - Duration(static_cast<std::int64_t>(get_running_loop().random() % (half + 1)));
    }
    return ending;
}

void JobWorkerState::finish(Held& held, JobEnding ending) {
    if (held.phase == Phase::running && --at_work_ == 0) idle_.set();
    if (held.lost) {
        ++stats_.lost;
        drop(held);
    } else {
        held.phase = Phase::ending;
        held.task.reset();
        ++ending_count_;
        endings_.push_back(std::move(ending));
        to_write_.set();
    }
    room_.set();
    dispatch();
}

void JobWorkerState::drop(const Held& held) { held_.erase(Key(held.job.id(), held.job.attempt())); }

void JobWorkerState::cancel_handler(Held& held, const std::string& why) {
    if (held.phase != Phase::running || !held.task) return;
    held.task->cancel(why);
    // A task that is cancelled before its first step never takes it.
    if (!held.begun) finish(held, ending_of(held, Kind::returned));
}

}  // namespace coaio::db::detail
