// SPDX-License-Identifier: MIT
#include "deadlines.hpp"

#include <coaio/core/loop.hpp>

#include <algorithm>

namespace coaio::http::detail {

Deadlines::~Deadlines() {
    if (timer_) timer_->cancel();
}

void Deadlines::set(Kind kind, Duration timeout) {
    if (timeout <= Duration::zero() || !task_) return clear(kind);
    const TimePoint now = Clock::now();
    at(kind) = coaio::detail::later(now, timeout);
    if (!timer_) arm(std::min(at(kind), coaio::detail::later(now, shortest_)));
}

void Deadlines::arm(TimePoint when) {
    timer_.emplace(get_running_loop().call_at(when, [this] { fire(); }));
}

void Deadlines::fire() {
    timer_.reset();
    const TimePoint now = Clock::now();
    TimePoint next = never;
    for (std::size_t i = 0; i < when_.size(); ++i) {
        if (when_[i] > now) {
            next = std::min(next, when_[i]);
            continue;
        }
        when_[i] = never;
        if (expired_[0] || expired_[1]) continue;
        expired_[i] = true;
        task_->cancel();
    }
    if (next != never) arm(std::min(next, coaio::detail::later(now, shortest_)));
}

bool Deadlines::take_expired(Kind kind) {
    bool& expired = expired_[static_cast<std::size_t>(kind)];
    if (!expired) return false;
    expired = false;
    return task_->uncancel() == 0;
}

}  // namespace coaio::http::detail
