// SPDX-License-Identifier: MIT
#include "mailbox.hpp"

#include "poller.hpp"

#include <utility>

namespace coaio::detail {

bool Mailbox::post(std::shared_ptr<Posted> item) {
    const std::lock_guard lock(mutex_);
    if (poller_ == nullptr) return false;
    posted_.push_back(std::move(item));
    filled_.store(true, std::memory_order_release);
    // One wake-up is enough for all that come before the loop has looked.
    if (posted_.size() == 1) poller_->wake();
    return true;
}

void Mailbox::take(std::vector<std::shared_ptr<Posted>>& batch) {
    const std::lock_guard lock(mutex_);
    batch.swap(posted_);
    filled_.store(false, std::memory_order_release);
}

std::vector<std::shared_ptr<Posted>> Mailbox::close() {
    const std::lock_guard lock(mutex_);
    poller_ = nullptr;
    return std::exchange(posted_, {});
}

}  // namespace coaio::detail
