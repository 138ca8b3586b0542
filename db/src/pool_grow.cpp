// SPDX-License-Identifier: MIT
#include "pool_state.hpp"

#include "watch.hpp"

#include <coaio/core/loop.hpp>
#include <coaio/core/timeout.hpp>

#include <algorithm>
#include <utility>

namespace coaio::db::detail {

using namespace std::chrono_literals;

namespace {

constexpr Duration look_after = 5s;  // for those that have died while nobody used them, where some are to be kept

[[noreturn]] void throw_useless(const Connector& connector) {
    ErrorFields fields;
    fields.message = "the session with " + connector.target() + " could not be used: it ended as soon as it was open";
    fields.outcome = Outcome::not_sent;
    fields.connection_good = false;
    throw ConnectionError(std::move(fields));
}

}  // namespace

/// A slot that a task of the pool works on; it goes if the task ends, or is dropped, without having settled it. The task
/// gets it as an argument, since one that is cancelled before its first step runs nothing.
struct PoolState::WorkGuard {
    std::shared_ptr<PoolState> pool;
    Slot* slot;

    WorkGuard(std::shared_ptr<PoolState> of, Slot& on) noexcept : pool(std::move(of)), slot(&on) {}
    WorkGuard(WorkGuard&& other) noexcept : pool(std::move(other.pool)), slot(std::exchange(other.slot, nullptr)) {}
    WorkGuard& operator=(WorkGuard&&) = delete;
    ~WorkGuard() {
        if (slot != nullptr) pool->remove(*slot, &PoolClosures::unclean);
    }
    Slot& settle() noexcept {
        slot->worker.reset();
        return *std::exchange(slot, nullptr);
    }
};

Slot& PoolState::add_slot() {
    slots_.emplace_back();
    Slot& slot = slots_.back();
    slot.self = std::prev(slots_.end());
    slot.era = era_;
    ++opening_;
    return slot;
}

bool PoolState::start(Slot& slot, Coro<> (*work)(WorkGuard)) {
    try {
        slot.worker = create_task(work(WorkGuard(shared_from_this(), slot)), {.name = "db pool", .eager_start = false});
        return true;
    } catch (...) {  // the slot went with its guard
        return false;
    }
}

void PoolState::grow() {
    const std::size_t ready = slots_.size() - opening_;
    const std::size_t missing = ready < values_.min_size ? values_.min_size - ready : 0;
    const std::size_t wanted = std::max(waiting_count_, missing);
    if (opening_ >= wanted || closed_ || backing_off_ || !loop_alive()) return;
    while (opening_ < wanted && opening_ < at_once_ && slots_.size() < values_.max_size) {
        if (!start(add_slot(), open)) return;
    }
}

void PoolState::grow_ahead() {
    if (closed_ || backing_off_ || !loop_alive() || opening_ >= at_once_ || slots_.size() >= values_.max_size) return;
    start(add_slot(), open);
}

Lease PoolState::take_now() {
    if (closed_ || !waiting_.empty() || idle_.empty()) return {};
    const TimePoint now = Clock::now();
    if (now - idle_.back()->idle_since >= values_.ping_after) return {};  // who takes it has to wait for its ping
    Slot* const slot = take_idle(now);
    if (slot == nullptr) return {};
    ++totals_.acquires;
    Watch(observer_.get(), Operation::acquire).end();
    slot->taken = now;
    slot->where = {};
    return {shared_from_this(), slot};
}

Coro<> PoolState::open(WorkGuard work) {
    const auto self = work.pool;
    std::exception_ptr failure;
    std::unique_ptr<Link> link;
    try {
        link = co_await self->connector_->connect();
        if (!link->alive(Clock::now())) throw_useless(*self->connector_);
    } catch (const std::exception&) {
        failure = std::current_exception();
    } catch (const BaseException&) {
        throw;
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        self->remove(work.settle(), &PoolClosures::lost);
        self->open_failed(failure);
    } else {
        self->opened(work.settle(), std::move(link));
    }
}

Coro<> PoolState::open_first() {
    require_loop();
    core_ = coaio::detail::thread_state.core;
    WorkGuard work(shared_from_this(), add_slot());
    std::unique_ptr<Link> link = co_await connector_->connect();
    opened(work.settle(), std::move(link));
}

TimePoint PoolState::lifetime_end(const Link& link) const {
    Duration lifetime = values_.max_lifetime;
    if (lifetime <= Duration::zero()) lifetime = Duration::max();
    if (link.second_choice()) lifetime = std::min(lifetime, values_.go_back_after);
    if (lifetime == Duration::max()) return TimePoint::max();
    // Not all at once, where many were opened together: up to a tenth sooner.
    const auto tenth = static_cast<std::uint64_t>(std::max<Duration::rep>(lifetime.count() / 10, 1));
    const Duration jitter(static_cast<Duration::rep>(get_running_loop().random() % tenth));
    return deadline_in(lifetime - jitter);
}

void PoolState::opened(Slot& slot, std::unique_ptr<Link> link) {
    ++totals_.opened;
    --opening_;
    failures_ = 0;
    at_once_ = std::min(values_.max_size, at_once_ + 1);  // for each that succeeds, so twice as many the next time
    last_failure_.clear();
    slot.link = std::move(link);
    slot.expires = lifetime_end(*slot.link);
    slot.state = Slot::State::in_use;
    offer(slot);
    grow();
}

void PoolState::open_failed(const std::exception_ptr& failure) {
    ++totals_.connect_errors;
    bool final = true;
    try {
        std::rethrow_exception(failure);
    } catch (const ConnectionError& error) {
        final = !error.retryable();
        last_failure_ = error.what();
    } catch (const std::exception& error) {
        last_failure_ = error.what();
    } catch (...) {
        final = false;
        last_failure_ = "it was cancelled, or ended by an exception that is none of std's";
    }
    if (final && slots_.empty()) fail_waiters(failure);
    at_once_ = 1;
    retry_later();
}

void PoolState::retry_later() {
    if (closed_ || backing_off_ || !loop_alive()) return;
    const Duration pause = std::min<Duration>(50ms * (1U << std::min(failures_, 6U)), 1s);
    ++failures_;
    auto& loop = get_running_loop();
    const auto half = static_cast<std::uint64_t>(pause.count() / 2);
    const Duration jittered = pause / 2 + Duration(static_cast<Duration::rep>(loop.random() % half));
    retry_ = loop.call_later(jittered, [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self) return;
        self->retry_.reset();
        self->backing_off_ = false;
        self->grow();
    });
    backing_off_ = true;
}

Coro<> PoolState::clean(WorkGuard work) {
    const auto self = work.pool;
    Slot& slot = *work.slot;
    Timeout limit(deadline_in(self->cancel_timeout_));
    try {
        co_await slot.link->reset();
        limit.leave();
    } catch (const std::exception&) {
        limit.leave();
        slot.link->close();
    } catch (...) {
        slot.link->close();
        bool timed_out = false;
        try {
            limit.leave_by_exception();
        } catch (const TimeoutError&) {
            timed_out = true;
        }
        if (!timed_out) throw;
    }
    Slot& settled = work.settle();
    if (settled.link->state() == LinkState::idle) {
        self->offer(settled);
    } else {
        self->remove(settled, &PoolClosures::unclean);
    }
    self->grow();
}

void PoolState::expire() {
    begin_era();
    grow();
}

void PoolState::begin_era() noexcept {
    ++era_;
    const std::vector<Slot*> old = std::exchange(idle_, {});
    for (Slot* each : old) remove(*each, &PoolClosures::expired);
}

void PoolState::relocate(Slot& slot) noexcept {
    const bool news = slot.era == era_;
    remove(slot, &PoolClosures::misplaced);
    if (news) begin_era();
}

void PoolState::arm_housekeeping() {
    if (housekeeping_ || idle_.empty()) return;
    TimePoint next = TimePoint::max();
    for (const Slot* each : idle_) {
        next = std::min(next, each->expires);
        if (values_.max_idle > Duration::zero() && slots_.size() > values_.min_size) {
            next = std::min(next, each->idle_since + values_.max_idle);
        }
    }
    if (values_.min_size > 0) next = std::min(next, Clock::now() + look_after);
    if (next == TimePoint::max()) return;
    housekeeping_ = get_running_loop().call_at(next, [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self) return;
        self->housekeeping_.reset();
        self->keep_house();
    });
}

void PoolState::keep_house() {
    const TimePoint now = Clock::now();
    // A handler of notices may expire or close the pool while one of them is looked at.
    std::vector<Slot*> idle;
    idle.reserve(idle_.size());
    idle.swap(idle_);
    for (Slot* each : idle) {  // the one that was idle for longest first
        const bool idle_too_long = values_.max_idle > Duration::zero() && now - each->idle_since >= values_.max_idle &&
                                   slots_.size() > values_.min_size;
        Reason reason = worn_out(*each, now);
        if (reason == nullptr && idle_too_long) reason = &PoolClosures::idle;
        if (reason == nullptr && values_.min_size > 0 && !each->link->alive(now)) reason = &PoolClosures::lost;
        if (reason == nullptr) reason = closed_ ? &PoolClosures::shut : worn_out(*each, now);
        if (reason != nullptr) {
            remove(*each, reason);
        } else if (!waiting_.empty()) {  // since the handler
            offer(*each);
        } else {
            idle_.push_back(each);
        }
    }
    grow();
    arm_housekeeping();
}

}  // namespace coaio::db::detail
