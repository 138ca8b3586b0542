// SPDX-License-Identifier: MIT
#include "pool_state.hpp"

#include "watch.hpp"

#include <coaio/core/activity.hpp>
#include <coaio/core/dump.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/timeout.hpp>

#include <algorithm>
#include <utility>

namespace coaio::db::detail {

using namespace std::chrono_literals;

namespace {

std::string place_of(const std::source_location& where) {
    if (where.line() == 0) return {};
    return "; it was taken at " + std::string(where.file_name()) + ":" + std::to_string(where.line());
}

}  // namespace

Lease::Lease(Lease&& other) noexcept
    : pool_(std::move(other.pool_)),
      slot_(std::exchange(other.slot_, nullptr)),
      own_(std::move(other.own_)),
      connector_(std::move(other.connector_)) {}

Lease& Lease::operator=(Lease&& other) noexcept {
    if (this != &other) {
        give_back();
        pool_ = std::move(other.pool_);
        slot_ = std::exchange(other.slot_, nullptr);
        own_ = std::move(other.own_);
        connector_ = std::move(other.connector_);
    }
    return *this;
}

std::shared_ptr<Connector> Lease::connector() const noexcept { return pool_ ? pool_->connector() : connector_; }

void Lease::give_back() noexcept {
    own_.reset();
    Slot* const slot = std::exchange(slot_, nullptr);
    const auto pool = std::move(pool_);
    if (slot != nullptr) pool->give_back(*slot);
}

void AcquireWait::enter() {
    if (had_its_turn_) pool_->waiting_.push_front(*this);
    if (!had_its_turn_) pool_->waiting_.push_back(*this);
    ++pool_->waiting_count_;
    pool_->grow();
}

AcquireWait::~AcquireWait() {
    if (linked()) --pool_->waiting_count_;
    if (granted_ != nullptr) pool_->give_back(*granted_);
}

bool AcquireWait::cancel(coaio::detail::CancelMessage message) noexcept {
    if (linked()) --pool_->waiting_count_;
    return Waiter::cancel(message);
}

Slot* AcquireWait::await_resume() {
    throw_if_cancelled();  // a connection that was granted goes on to the next one, by the destructor
    if (failure_) std::rethrow_exception(failure_);
    return std::exchange(granted_, nullptr);
}

WaitInfo AcquireWait::describe() const {
    const PoolStats stats = pool_->statistics();
    WaitInfo info{.what = "a connection of the pool (" + std::to_string(stats.in_use) + " in use, " +
                          std::to_string(stats.size) + " of at most " + std::to_string(pool_->values_.max_size) +
                          " open, " + std::to_string(stats.waiting) + " waiting)"};
    info.fact("in_use", stats.in_use).fact("size", stats.size).fact("max_size", pool_->values_.max_size);
    info.fact("waiting", stats.waiting);
    return info;
}

PoolState::PoolState(std::shared_ptr<Connector> connector, PoolValues values, Duration cancel_timeout,
                     NoticeHandler warn)
    : connector_(std::move(connector)),
      observer_(connector_->observer()),
      values_(values),
      cancel_timeout_(cancel_timeout),
      warn_(std::move(warn)) {
    values_.max_idle = std::min<Duration>(values_.max_idle, 24h * 3650);
    values_.max_lifetime = std::min<Duration>(values_.max_lifetime, 24h * 3650);
    values_.min_size = std::min(values_.min_size, values_.max_size);
    at_once_ = values_.max_size;
}

PoolState::~PoolState() = default;

std::string describe_holder(const Slot& slot) {
    if (coaio::detail::thread_state.core != nullptr) {
        for (const AnyTask& each : all_tasks()) {
            if (each.state()->id() == slot.holder) return each.repr();
        }
    }
    return "a task that has ended";
}

bool PoolState::loop_alive() const noexcept {
    const auto* running = coaio::detail::thread_state.core;
    return core_ != nullptr && running == core_ && !running->closed;
}

/// While it lives, what the running task holds is known to wait for more.
class PoolState::HolderWaits {
public:
    explicit HolderWaits(PoolState& pool) : pool_(&pool), task_(coaio::detail::running_task_id()) { mark(true); }
    HolderWaits(const HolderWaits&) = delete;
    HolderWaits& operator=(const HolderWaits&) = delete;
    ~HolderWaits() { mark(false); }

private:
    void mark(bool waits) noexcept {
        for (Slot& each : pool_->slots_) {
            if (each.holder != 0 && each.holder == task_) each.holder_waits = waits;
        }
    }
    PoolState* pool_;
    std::uint64_t task_;
};

bool PoolState::deadlocked() const noexcept {
    return slots_.size() >= values_.max_size && std::all_of(slots_.begin(), slots_.end(), [](const Slot& each) {
               return each.state == Slot::State::in_use && each.holder_waits && !each.disowned;
           });
}

void PoolState::require_open() {
    require_loop();
    core_ = coaio::detail::thread_state.core;
    if (closed_) throw PoolClosed();
}

bool PoolState::held_by_running_task() const noexcept {
    const std::uint64_t running = coaio::detail::running_task_id();
    return running != 0 && std::any_of(slots_.begin(), slots_.end(), [running](const Slot& each) {
               return each.holder == running && !each.disowned;
           });
}

Coro<Lease> PoolState::acquire(std::source_location where) {
    if (!observer_) return acquire_now(where);
    return watched(observer_.get(), Operation::acquire, {}, 0, acquire_now(where));
}

Coro<Lease> PoolState::acquire_now(std::source_location where) {
    require_open();
    ++totals_.acquires;
    const TimePoint began = Clock::now();
    Lease lease;
    if (waiting_.empty()) lease = Lease(shared_from_this(), take_idle(began));
    if (!lease || needs_ping(lease.slot())) {
        ++totals_.waits;
        const HolderWaits holder(*this);
        if (deadlocked() && get_running_loop().debug()) {
            throw UsageError(
                "a deadlock: every task that holds a connection of the pool waits for another one; give it back first, "
                "or take both from the start\n" +
                dump_tasks());
        }
        bool timed_out = false;
        Timeout limit(deadline_in(values_.acquire_timeout));
        try {
            lease = co_await acquire_slowly(std::move(lease));
            limit.leave();
        } catch (...) {
            try {
                limit.leave_by_exception();
            } catch (const TimeoutError&) {
                timed_out = true;
            }
            if (!timed_out) throw;
        }
        const Duration waited = Clock::now() - began;
        totals_.waited += waited;
        if (timed_out) {
            ++totals_.timeouts;
            throw_timeout(waited);
        }
    }
    lease.slot().taken = Clock::now();
    lease.slot().holder = coaio::detail::running_task_id();
    lease.slot().where = where;
    co_return std::move(lease);
}

Coro<Lease> PoolState::acquire_slowly(Lease lease) {
    for (bool had_its_turn = false;; had_its_turn = true) {
        if (!lease) {
            if (closed_) throw PoolClosed();
            if (!had_its_turn && waiting_count_ >= values_.max_waiting) {
                throw PoolFull(std::to_string(waiting_count_) + " tasks wait for a connection of the pool already");
            }
            Slot* slot = nullptr;
            if (had_its_turn) {
                slot = co_await coaio::detail::WaitOn<AcquireAgain, PoolState>(*this);
            } else {
                slot = co_await coaio::detail::WaitOn<AcquireWait, PoolState>(*this);
            }
            lease = Lease(shared_from_this(), slot);
        }
        if (!needs_ping(lease.slot())) co_return std::move(lease);
        const TimePoint began = Clock::now();
        const bool fit = co_await answers(lease.link());
        if (fit) co_return std::move(lease);
        lease.link().close();
        if (Clock::now() - began >= values_.ping_timeout) lose_idle(began);
        lease.give_back();
        if (cancellation_due()) co_await throw_if_cancelled();
        if (waiting_.empty()) lease = Lease(shared_from_this(), take_idle(Clock::now()));
    }
}

void PoolState::lose_idle(TimePoint since) noexcept {
    for (std::size_t i = idle_.size(); i-- > 0;) {
        if (idle_[i]->idle_since <= since) remove(*idle_[i], &PoolClosures::lost);
    }
}

// Who is cancelled meanwhile has it: a session is not to be lost for that.
Coro<bool> PoolState::answers(Link& link) const {
    return masked_attempt(ignore(link.command("", OnCancel::close)), values_.ping_timeout);
}

bool PoolState::needs_ping(const Slot& slot) const {
    return slot.was_idle && Clock::now() - slot.idle_since >= values_.ping_after;
}

PoolState::Reason PoolState::worn_out(const Slot& slot, TimePoint now) const {
    if (slot.era != era_) return &PoolClosures::expired;
    return now >= slot.expires ? &PoolClosures::lifetime : nullptr;
}

Slot* PoolState::take_idle(TimePoint now) {
    while (!idle_.empty()) {
        Slot* const slot = idle_.back();
        idle_.pop_back();
        Reason reason = &PoolClosures::lost;
        if (slot->link->alive(now)) reason = worn_out(*slot, now);
        if (reason == nullptr && !slot->link->misplaced()) {
            slot->state = Slot::State::in_use;
            slot->was_idle = true;
            return slot;
        }
        if (reason == nullptr) {
            relocate(*slot);
        } else {
            remove(*slot, reason);
        }
    }
    return nullptr;
}

void PoolState::throw_timeout(Duration waited) const {
    const auto in_ms = [](Duration d) {
        return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(d).count()) + " ms";
    };
    std::string text = "no connection of the pool came free within " + in_ms(waited) + ": " +
                       std::to_string(slots_.size()) + " of " + std::to_string(values_.max_size) + " connections, " +
                       std::to_string(count(Slot::State::in_use)) + " in use, " + std::to_string(opening_) +
                       " being opened, " + std::to_string(waiting_count_) + " other tasks wait";
    const Slot* oldest = nullptr;
    for (const Slot& each : slots_) {
        if (each.state != Slot::State::in_use || each.holder == 0) continue;
        if (oldest == nullptr || each.taken < oldest->taken) oldest = &each;
    }
    if (oldest != nullptr) {
        text += "; held longest, for " + in_ms(Clock::now() - oldest->taken) + ", by " + describe_holder(*oldest) +
                place_of(oldest->where);
    }
    if (deadlocked()) text += "; a deadlock: every task that holds one waits for another";
    if (!last_failure_.empty()) text += "; the last attempt to connect failed: " + last_failure_;
    if (get_running_loop().debug()) text += "\n" + dump();
    throw PoolTimeout(text, waited);
}

void PoolState::give_back(Slot& slot) noexcept {
    slot.holder = 0;
    slot.holder_waits = false;
    slot.disowned = false;
    if (!loop_alive()) {
        remove(slot, &PoolClosures::shut);
        return;
    }
    if (slot.link->misplaced()) {
        relocate(slot);
    } else {
        take_back(slot);
    }
    try {
        grow();
    } catch (...) {  // no memory for another one: the next who comes tries again
    }
}

void PoolState::take_back(Slot& slot) noexcept {
    try {
        switch (slot.link->state()) {
        case LinkState::idle:
            if (!slot.link->tainted()) {
                offer(slot);
                break;
            }
            start_cleaning(slot);
            break;
        case LinkState::in_transaction:
        case LinkState::failed:
        case LinkState::unread:
            warn_of(slot);
            start_cleaning(slot);
            break;
        case LinkState::busy: remove(slot, &PoolClosures::unclean); break;
        case LinkState::broken: remove(slot, &PoolClosures::lost); break;
        }
    } catch (...) {
        remove(slot, &PoolClosures::unclean);
    }
}

void PoolState::start_cleaning(Slot& slot) {
    slot.state = Slot::State::cleaning;
    start(slot, clean);
}

void PoolState::warn_of(const Slot& slot) const noexcept {
    if (!warn_) return;
    try {
        ErrorFields fields;
        fields.severity = "WARNING";
        fields.message =
            "a connection came back to the pool in a transaction, which is rolled back" + place_of(slot.where);
        warn_(fields);
    } catch (...) {  // a handler that fails must not keep the connection from coming back
    }
}

void PoolState::offer(Slot& slot) {
    const TimePoint now = Clock::now();
    const bool lost = !waiting_.empty() && !slot.link->alive(now);  // a handler of notices may close the pool
    Reason reason = closed_ ? &PoolClosures::shut : worn_out(slot, now);
    if (reason == nullptr && lost) reason = &PoolClosures::lost;
    if (reason != nullptr) {
        remove(slot, reason);
    } else if (!waiting_.empty()) {
        slot.state = Slot::State::in_use;
        slot.was_idle = false;
        --waiting_count_;
        static_cast<AcquireWait&>(waiting_.front()).grant(&slot);
        waiting_.wake_front();
    } else {
        slot.state = Slot::State::idle;
        slot.idle_since = now;
        try {
            idle_.push_back(&slot);
            arm_housekeeping();
        } catch (...) {  // no memory to keep it
            remove(slot, &PoolClosures::unclean);
        }
    }
}

void PoolState::remove(Slot& slot, Reason reason) noexcept {
    if (slot.link) {
        slot.link->close();
        ++totals_.closed;
        ++(totals_.closed_by.*reason);
    }
    if (slot.state == Slot::State::opening) --opening_;
    std::erase(idle_, &slot);
    slots_.erase(slot.self);
    if (closed_ && slots_.empty() && loop_alive()) drained_.set();
}

Coro<> PoolState::close() {
    shut();
    if (!slots_.empty()) co_await drained_.wait();
}

void PoolState::abandon() noexcept {
    try {
        shut();
    } catch (...) {
        closed_ = true;
    }
}

void PoolState::shut() {
    closed_ = true;
    const bool alive = loop_alive();
    if (housekeeping_ && alive) housekeeping_->cancel();
    if (retry_ && alive) retry_->cancel();
    housekeeping_.reset();
    retry_.reset();
    const std::vector<Slot*> idle = std::exchange(idle_, {});
    for (Slot* each : idle) remove(*each, &PoolClosures::shut);
    if (!alive) return;
    fail_waiters(std::make_exception_ptr(PoolClosed()));
    for (Slot& each : slots_) {
        if (each.state == Slot::State::opening && each.worker) each.worker->cancel();
    }
}

void PoolState::fail_waiters(const std::exception_ptr& failure) noexcept {
    while (!waiting_.empty()) {
        --waiting_count_;
        static_cast<AcquireWait&>(waiting_.front()).fail(failure);
        waiting_.wake_front();
    }
}

std::size_t PoolState::count(Slot::State state) const noexcept {
    return static_cast<std::size_t>(
        std::count_if(slots_.begin(), slots_.end(), [state](const Slot& slot) { return slot.state == state; }));
}

PoolStats PoolState::statistics() const {
    PoolStats stats = totals_;
    stats.size = slots_.size();
    stats.idle = idle_.size();
    stats.in_use = count(Slot::State::in_use);
    stats.opening = opening_;
    stats.cleaning = count(Slot::State::cleaning);
    stats.waiting = waiting_count_;
    return stats;
}

}  // namespace coaio::db::detail
