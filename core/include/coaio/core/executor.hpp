// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/job.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace coaio {

/// A bounded pool of threads for what blocks: started one by one when a job finds no idle thread, jobs in order.
///
/// Threads: any. A job that was begun runs to its end. Signals are blocked in the pool's threads.
/// Lifetime: its threads keep what they need, so it may go at any time: they still run the jobs that wait, and end.
class ThreadPoolExecutor {
public:
    /// `max_threads` 0: four more than there are processors, 32 at most. `name` is shown by the system's tools.
    explicit ThreadPoolExecutor(std::size_t max_threads = 0, std::string name = "coaio-worker");
    ThreadPoolExecutor(const ThreadPoolExecutor&) = delete;
    ThreadPoolExecutor& operator=(const ThreadPoolExecutor&) = delete;
    ~ThreadPoolExecutor();

    [[nodiscard]] std::size_t max_threads() const noexcept;
    /// Threads that are alive.
    [[nodiscard]] std::size_t threads() const;

    /// Takes no more jobs; what waits is still run; then the threads end. `ended` is called once, on the last thread, or
    /// here and now when there is none.
    void shutdown(std::function<void()> ended);

    /// For the library. Throws `RuntimeError` after `shutdown`, or when no thread can be started.
    void submit(std::shared_ptr<detail::Job> job);

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace coaio
