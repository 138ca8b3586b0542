// SPDX-License-Identifier: MIT
#include <coaio/db/job_worker.hpp>

#include "job_worker_state.hpp"

#include <coaio/core/finally.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/core/wait.hpp>

#include <algorithm>
#include <array>
#include <utility>

#include <unistd.h>

namespace coaio::db {

using namespace std::chrono_literals;

namespace {

// What a stop allows for one step of it that needs the database.
constexpr Duration step_limit = 5s;
constexpr Duration day = 24h;

std::string own_name() {
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
    return std::string(host.data()) + ":" + std::to_string(::getpid());
}

}  // namespace

JobWorkerOptions& JobWorkerOptions::concurrency(std::size_t value) {
    concurrency_ = std::max<std::size_t>(value, 1);
    return *this;
}

JobWorkerOptions& JobWorkerOptions::prefetch(std::size_t value) {
    prefetch_ = value;
    return *this;
}

JobWorkerOptions& JobWorkerOptions::batch(std::size_t value) {
    batch_ = std::max<std::size_t>(value, 1);
    return *this;
}

JobWorkerOptions& JobWorkerOptions::lease(Duration value) {
    if (value < 10ms) throw UsageError("a lease of less than 10 ms cannot be kept");
    lease_ = std::min<Duration>(value, day);
    return *this;
}

JobWorkerOptions& JobWorkerOptions::poll(Duration least, Duration most) {
    if (least <= Duration::zero() || most < least) throw UsageError("a poll interval must be above zero");
    poll_least_ = least;
    poll_most_ = most;
    return *this;
}

JobWorkerOptions& JobWorkerOptions::backoff(Duration first, Duration most) {
    backoff_first_ = std::clamp<Duration>(first, Duration::zero(), 365 * day);
    backoff_most_ = std::clamp<Duration>(most, Duration::zero(), 365 * day);
    return *this;
}

JobWorkerOptions& JobWorkerOptions::grace(Duration value) {
    grace_ = std::clamp<Duration>(value, Duration::zero(), day);
    return *this;
}

JobWorkerOptions& JobWorkerOptions::listen(std::string url) {
    listen_ = std::move(url);
    return *this;
}

JobWorkerOptions& JobWorkerOptions::name(std::string value) {
    name_ = std::move(value);
    return *this;
}

JobWorkerOptions& JobWorkerOptions::on_trouble(std::function<void(std::string_view)> handler) {
    on_trouble_ = std::move(handler);
    return *this;
}

JobWorker::JobWorker(JobQueue queue, JobHandler handler, JobWorkerOptions options)
    : state_(std::make_shared<detail::JobWorkerState>(std::move(queue), std::move(handler), std::move(options))) {}

Coro<> JobWorker::run() const { return detail::JobWorkerState::run(state_); }

void JobWorker::stop() const { state_->stop(); }

JobWorkerStats JobWorker::statistics() const { return state_->statistics(); }

namespace detail {

JobWorkerState::JobWorkerState(JobQueue queue, JobHandler handler, JobWorkerOptions options)
    : queue_(std::move(queue)),
      handler_(std::move(handler)),
      options_(std::move(options)),
      prefetch_(options_.prefetch_.value_or(options_.concurrency_)) {
    if (!handler_) throw UsageError("a job worker needs a handler");
    if (options_.name_.empty()) options_.name_ = own_name();
    options_.name_ = storable(options_.name_, 200);
}

JobWorkerState::~JobWorkerState() { std::erase(queue_.state()->nudges, &nudge_); }

JobWorkerStats JobWorkerState::statistics() const {
    JobWorkerStats stats = stats_;
    stats.running = at_work_;
    stats.waiting = waiting_.size();
    stats.ending = ending_count_;
    return stats;
}

Coro<> JobWorkerState::run(std::shared_ptr<JobWorkerState> self) {
    if (self->running_) throw UsageError("the job worker runs already");
    self->running_ = true;
    JobWorkerState& worker = *self;
    auto body = [&worker](Scope&) -> Coro<> {
        worker.begin();
        co_await worker.over_.wait();
    };
    auto cleanup = [&worker](Scope&) -> Coro<> { return worker.shut_down(); };
    std::exception_ptr failure;
    try {
        co_await finally(body, cleanup, {.deadline = self->options_.grace_ + 6 * step_limit});
    } catch (...) {
        failure = std::current_exception();
    }
    self->running_ = self->stopping_ = false;
    self->over_.clear();
    std::exception_ptr own = std::exchange(self->failure_, nullptr);
    if (!failure) failure = std::move(own);
    if (failure) std::rethrow_exception(failure);
}

void JobWorkerState::begin() {
    queue_.state()->nudges.push_back(&nudge_);
    start("job-taker", take_jobs());
    start("job-reaper", reap());
    start("job-watch", watch_health());
    start("job-cleaner", keep_clean());
    if (!options_.listen_.empty()) start("job-listener", listen());
    takers_.swap(keepers_);
    start("job-ends", write_endings());
    start("job-leases", renew_leases());
    start("job-deadlines", watch_deadlines());
}

void JobWorkerState::start(std::string_view name, Coro<> loop) {
    keepers_.push_back(create_task(guarded(shared_from_this(), std::move(loop)), {.name = name, .eager_start = false}));
}

// The loop may outlast the run by the time that a server which is silent takes to be given up.
Coro<> JobWorkerState::guarded(std::shared_ptr<JobWorkerState> self, Coro<> loop) {
    const std::shared_ptr<JobWorkerState> alive = std::move(self);
    try {
        co_await std::move(loop);
    } catch (const std::exception&) {
        fail(std::current_exception());
    }
}

void JobWorkerState::fail(std::exception_ptr failure) noexcept {
    if (!failure_) failure_ = std::move(failure);
    over_.set();
}

void JobWorkerState::tell(const std::string& trouble) const {
    if (!options_.on_trouble_) return;
    try {
        options_.on_trouble_(trouble);
    } catch (...) {  // who cannot be told of trouble must not make more of it
    }
}

Coro<> JobWorkerState::bear(std::exception_ptr failure, const char* what) {
    if (!passes_by_itself(failure)) std::rethrow_exception(failure);
    ++stats_.trouble;
    tell("job queue " + queue_.name() + ": " + what + " failed, and is tried again: " + words_of(failure));
    const auto jitter = static_cast<std::int64_t>(get_running_loop().random() % 100);
    co_await sleep(std::min<Duration>(50ms + std::chrono::milliseconds(jitter), options_.lease_ / 20));
}

// Waits for the event, but not for ever.
Coro<bool> JobWorkerState::settled(Event& event, Duration limit) {
    try {
        co_await wait_for(event.wait(), limit);
        co_return true;
    } catch (const TimeoutError&) {
        co_return false;
    }
}

Coro<> JobWorkerState::end_tasks(std::vector<Task<>> tasks) {
    for (const Task<>& task : tasks) task.cancel();
    if (!tasks.empty()) co_await wait(tasks, ALL_COMPLETED, step_limit);
}

Coro<> JobWorkerState::shut_down() {
    stopping_ = true;
    std::erase(queue_.state()->nudges, &nudge_);
    nudge_.set();
    room_.set();
    if (!takers_.empty()) {
        // The first of them takes jobs: what it has asked for is waited for, so that it can be given back.
        const std::vector<Task<>> taker(takers_.begin(), takers_.begin() + 1);
        std::vector<Task<>> others(takers_.begin() + 1, takers_.end());
        co_await end_tasks(std::move(others));
        co_await wait(taker, ALL_COMPLETED, step_limit);
        co_await end_tasks(taker);
    }
    while (!waiting_.empty()) {
        Held& held = *waiting_.front();
        waiting_.pop_front();
        finish(held, ending_of(held, Kind::returned));
    }
    bool idle = at_work_ == 0;
    if (!idle) {
        idle_.clear();
        idle = co_await settled(idle_, options_.grace_);
    }
    if (!idle) {
        std::vector<Held*> working;
        for (const auto& [key, held] : held_) {
            if (held->phase == Phase::running) working.push_back(held.get());
        }
        idle_.clear();
        for (Held* held : working) cancel_handler(*held, "the job worker stops");
        if (at_work_ > 0) idle = co_await settled(idle_, step_limit);
        if (at_work_ > 0) {
            tell("job queue " + queue_.name() + ": " + std::to_string(at_work_) +
                 " handlers do not end when they are cancelled; their leases run out");
        }
    }
    // Whoever ends the loop may have cancelled the writer together with everything else.
    const bool gone = std::all_of(keepers_.begin(), keepers_.end(), [](const Task<>& task) { return task.done(); });
    if (gone && !failure_) start("job-ends", write_endings());
    if (!endings_.empty() || !sending_.empty()) {
        written_.clear();
        const bool written = co_await settled(written_, step_limit);
        if (!written) tell("job queue " + queue_.name() + ": not every end could be written; leases run out");
    }
    co_await end_tasks(std::exchange(keepers_, {}));
    takers_.clear();
}

}  // namespace detail
}  // namespace coaio::db
