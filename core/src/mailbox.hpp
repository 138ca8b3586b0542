// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/posted.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace coaio::detail {

class Poller;

/// The one thread-safe door into a loop. It outlives the loop for as long as somebody may still knock.
class Mailbox {
public:
    explicit Mailbox(Poller& poller) noexcept : poller_(&poller) {}

    /// From any thread. False when the loop is closed.
    bool post(std::shared_ptr<Posted> item);
    /// The loop's thread: is there anything, from a thread or a signal handler? Costs one load.
    [[nodiscard]] bool filled() const noexcept { return filled_.load(std::memory_order_acquire); }
    /// From a signal handler, before it wakes the poller.
    void mark() noexcept { filled_.store(true, std::memory_order_release); }
    /// Everything that was posted, into `batch`, which is empty.
    void take(std::vector<std::shared_ptr<Posted>>& batch);
    /// Gives what nobody will take any more.
    [[nodiscard]] std::vector<std::shared_ptr<Posted>> close();

private:
    std::mutex mutex_;
    std::vector<std::shared_ptr<Posted>> posted_;
    Poller* poller_;                    // null when closed
    std::atomic<bool> filled_ = false;  // also set by signal handlers, which cannot take the mutex
};

}  // namespace coaio::detail
