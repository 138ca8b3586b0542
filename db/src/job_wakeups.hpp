// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/time.hpp>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace coaio::db::detail {

/// When the workers of a queue were told of its jobs, and whether they are about to be: one for all handles of the
/// process that mean the same queue of the same server and user, on whatever loop. It holds no loop and no session.
class JobWakeups {
public:
    [[nodiscard]] static std::shared_ptr<JobWakeups> of(const std::string& target, const std::string& queue);

    /// False where somebody is about to tell them: of what there is now, too.
    [[nodiscard]] bool begin();
    /// How long to wait before they are told again.
    [[nodiscard]] Duration left(Duration interval) const;
    /// They are told in this moment, and not again within the interval.
    void tell(Duration interval);
    void give_up() noexcept;

private:
    /// It says nothing any more to a handle that comes.
    [[nodiscard]] bool over() const;

    mutable std::mutex mutex_;
    bool under_way_ = false;
    std::optional<TimePoint> told_;
    TimePoint kept_until_{};
};

/// That workers are to be told, by whoever has this.
class JobWakeup {
public:
    /// After `begin`.
    explicit JobWakeup(std::shared_ptr<JobWakeups> wakeups) noexcept : wakeups_(std::move(wakeups)) {}
    JobWakeup(JobWakeup&& other) noexcept = default;
    JobWakeup& operator=(JobWakeup&&) = delete;
    ~JobWakeup() {
        if (wakeups_) wakeups_->give_up();
    }

    [[nodiscard]] Duration left(Duration interval) const { return wakeups_->left(interval); }
    void tell(Duration interval) { std::exchange(wakeups_, nullptr)->tell(interval); }

private:
    std::shared_ptr<JobWakeups> wakeups_;
};

}  // namespace coaio::db::detail
