// SPDX-License-Identifier: MIT
#include <coaio/core/event.hpp>

#include <coaio/core/activity.hpp>

namespace coaio::detail {

WaitInfo EventAwaiter::describe() const {
    if (!linked()) return {.what = "event"};
    const std::size_t waiting = event_->waiters_.count();
    WaitInfo info{.what = "event (" + std::to_string(waiting) + " waiting)"};
    info.object = event_;
    info.fact("waiting", waiting);
    return info;
}

}  // namespace coaio::detail
