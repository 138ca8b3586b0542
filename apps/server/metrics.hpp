// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <coaio/core/loop.hpp>
#include <coaio/core/time.hpp>
#include <coaio/db/job_queue.hpp>
#include <coaio/db/pool.hpp>

namespace server {

/// What one worker counts. Its loop writes, the worker that is asked for /metrics reads: each number is an atomic of its
/// own, relaxed, since none says anything about another.
class WorkerMetrics {
public:
    /// Upper bounds of the durations' classes, in seconds; one more class has no bound.
    static constexpr std::array<double, 11> bounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5};

    void began() noexcept { add(running_, 1); }
    void ended(int status, coaio::Duration took) noexcept;
    /// Takes down what pool and loop say of themselves.
    void note(const coaio::db::PoolStats& pool, const coaio::LoopStats& loop) noexcept;

private:
    friend class Metrics;
    using Number = std::atomic<std::uint64_t>;
    static void add(Number& number, std::uint64_t value) noexcept {
        number.fetch_add(value, std::memory_order_relaxed);
    }

    Number running_{0};
    std::array<Number, 6> by_class_{};  // of the status: 1xx to 5xx, and others
    std::array<Number, bounds.size() + 1> by_duration_{};
    Number nanoseconds_{0};

    Number pool_size_{0}, pool_idle_{0}, pool_in_use_{0}, pool_waiting_{0};
    Number pool_acquires_{0}, pool_waits_{0}, pool_timeouts_{0}, pool_opened_{0}, pool_connect_errors_{0};
    Number pool_waited_{0}, pool_cleaning_{0};
    std::array<Number, 7> pool_closed_{};  // by reason
    Number loop_turns_{0}, loop_tasks_{0}, loop_timers_{0}, loop_longest_step_{0};
};

/// The numbers of all workers, and of the crawls, which run on one of them.
class Metrics {
public:
    /// For one worker; lives as long as both.
    [[nodiscard]] std::shared_ptr<WorkerMetrics> add_worker();
    void crawl_began() noexcept { crawls_running_.fetch_add(1, std::memory_order_relaxed); }
    void crawl_ended() noexcept { crawls_running_.fetch_sub(1, std::memory_order_relaxed); }
    void page_committed() noexcept { pages_.fetch_add(1, std::memory_order_relaxed); }
    /// Whether the caller is the one that takes down the jobs: the first one that asks.
    [[nodiscard]] bool takes_jobs() noexcept { return !jobs_taken_.exchange(true); }
    void note_jobs(std::map<std::string, coaio::db::JobCounts> jobs);

    /// In Prometheus' text format 0.0.4.
    [[nodiscard]] std::string text() const;

private:
    mutable std::mutex mutex_;
    std::vector<std::shared_ptr<WorkerMetrics>> workers_;
    std::atomic<std::uint64_t> crawls_running_{0};
    std::atomic<std::uint64_t> pages_{0};
    std::atomic<bool> jobs_taken_{false};
    std::map<std::string, coaio::db::JobCounts> jobs_;  // by queue
};

}  // namespace server
