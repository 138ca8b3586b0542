// SPDX-License-Identifier: MIT
#pragma once

#include "job_wakeups.hpp"

#include <coaio/db/job_queue.hpp>

#include <coaio/core/event.hpp>

#include <memory>
#include <string>
#include <vector>

namespace coaio::db::detail {

/// The channel on which workers hear of jobs; the payload is the queue's name.
inline constexpr std::string_view job_channel = "coaio_job";

/// What the copies of a `JobQueue` share.
class JobQueueState {
public:
    JobQueueState(Pool jobs, std::string queue, JobQueueOptions values)
        : pool(std::move(jobs)), name(std::move(queue)), options(values) {}
    JobQueueState(const JobQueueState&) = delete;
    JobQueueState& operator=(const JobQueueState&) = delete;
    ~JobQueueState() = default;

    Pool pool;
    std::string name;
    JobQueueOptions options;
    std::vector<Event*> nudges;           ///< of the workers of this handle
    std::shared_ptr<JobWakeups> wakeups;  ///< once it has woken workers
};

/// Whether it failed because the database is away, or busy with others: that passes.
[[nodiscard]] bool passes_by_itself(const std::exception_ptr& failure);

/// The text of an exception.
[[nodiscard]] std::string words_of(const std::exception_ptr& failure);

/// Text that the server takes: what is not UTF-8, and NUL, becomes `?`; cut after about `limit` bytes.
[[nodiscard]] std::string storable(std::string_view text, std::size_t limit = 1000);

/// `value`, or the greatest number of milliseconds that Postgres can add to a time of ours.
[[nodiscard]] std::int64_t milliseconds_of(Duration value) noexcept;

}  // namespace coaio::db::detail
