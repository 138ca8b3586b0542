// SPDX-License-Identifier: MIT
#include "link.hpp"

#include "lane_link.hpp"

#include <coaio/db/error.hpp>
#include <coaio/db/listener.hpp>

#include <coaio/core/detail/task_state.hpp>
#include <coaio/core/mask.hpp>
#include <coaio/core/sleep.hpp>

namespace coaio::db::detail {

Link::~Link() = default;
LaneLink::~LaneLink() = default;
Connector::~Connector() = default;

const std::shared_ptr<Observer>& Connector::observer() const noexcept {
    static const std::shared_ptr<Observer> nobody;
    return nobody;
}

const TraceSource& Connector::trace() const noexcept {
    static const TraceSource none;
    return none;
}

Coro<> Link::settle() { co_return; }
Coro<> Link::reset() { return ignore(command("rollback", OnCancel::close)); }
Coro<> Link::hear() { throw UsageError("this connection does not listen"); }
std::deque<Notification> Link::take_heard() { return {}; }

TimePoint deadline_in(Duration delay) {
    const TimePoint now = Clock::now();
    if (delay > Duration::zero() && now > TimePoint::max() - delay) return TimePoint::max();
    return now + delay;
}

bool cancellation_due() noexcept { return coaio::detail::current_task_state().cancel_due(); }

Coro<> throw_if_cancelled() {
    if (cancellation_due()) co_await sleep(Duration::zero());
}

Coro<> ignore(Coro<Rows> answer) { co_await std::move(answer); }

Coro<bool> masked_attempt(Coro<> step, Duration limit) {
    MaskOptions options;
    options.deadline = limit;
    try {
        co_await masked(std::move(step), options);
        co_return true;
    } catch (const BaseException&) {
        co_return false;
    } catch (const std::exception&) {
        co_return false;
    }
}

}  // namespace coaio::db::detail
