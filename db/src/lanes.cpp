// SPDX-License-Identifier: MIT
#include "lanes.hpp"

#include <coaio/core/loop.hpp>
#include <coaio/core/timeout.hpp>

#include <algorithm>
#include <utility>

namespace coaio::db::detail {
namespace {

std::exception_ptr for_statement(const std::exception_ptr& failure, const std::string& sql) {
    try {
        std::rethrow_exception(failure);
    } catch (const ConnectionError& error) {
        ErrorFields fields = error.fields();
        fields.sql = cut_sql(sql);
        return std::make_exception_ptr(ConnectionError(std::move(fields)));
    } catch (...) {
        return std::current_exception();
    }
}

std::exception_ptr lost_with_its_lane() {
    ErrorFields fields;
    fields.message = "the connection was closed";
    fields.outcome = Outcome::unknown;
    fields.connection_good = false;
    return std::make_exception_ptr(ConnectionError(std::move(fields)));
}

}  // namespace

Ask::~Ask() {
    if (state_ == State::pending || state_ == State::sent) lanes_->leave(*this);
}

Lanes::Lanes(std::shared_ptr<PoolState> pool, const PoolValues& values, std::size_t statement_cache)
    : pool_(std::move(pool)), values_(values), usable_(values.pipelining > 1 && statement_cache > 0) {}

Coro<Rows> Lanes::run(std::shared_ptr<Lanes> self, std::string sql, Params params) {
    self->pool_->require_loop();
    const Known* const known = self->find(sql, params);
    const bool shared = known != nullptr && known->quick && known->sharing != Sharing::never &&
                        !(self->lanes_.empty() && self->pending_.empty() && self->pool_->nobody_there());
    if (shared) {
        if (cancellation_due()) co_await throw_if_cancelled();
        Ask ask(*self, sql, params);
        ask.sharing_ = known->sharing;
        ask.results_ = known->results;
        self->enqueue(ask);
        if (ask.state_ == Ask::State::pending) co_await self->await_start(ask);
        co_await ask.done.wait();
        if (ask.failure) std::rethrow_exception(ask.failure);
        if (!ask.again) co_return std::move(ask.rows);
    }
    co_return co_await self->run_alone(sql, params);
}

Coro<Rows> Lanes::run_alone(const std::string& sql, const Params& params) {
    const Lease lease = co_await pool_->acquire();
    PqLink* const link = usable_ ? lease.link().libpq() : nullptr;
    if (link == nullptr) co_return co_await lease.link().run(sql, params);
    const Known* const known = find(sql, params);
    if (known != nullptr && (known->quick || known->sharing == Sharing::never)) {
        co_return co_await link->run(sql, params);
    }
    const TimePoint began = Clock::now();
    Rows rows = co_await link->run(sql, params);
    learn(sql, params, *link, Clock::now() - began);
    co_return rows;
}

Lanes::Known* Lanes::find(const std::string& sql, const Params& params) {
    const auto at = known_.find(sql);
    if (at == known_.end() || at->second.types.size() != params.size()) return nullptr;
    for (std::size_t i = 0; i < params.size(); ++i) {
        const Params::Slot& slot = params.slot(i);
        if (slot.type != at->second.types[i]) return nullptr;
        if (slot.length > most_bytes) return nullptr;
    }
    return &at->second;
}

void Lanes::learn(const std::string& sql, const Params& params, PqLink& link, Duration took) {
    const std::optional<Format> results = link.format_of(sql, params);
    if (!results) return;
    if (known_.size() >= most_known) known_.clear();
    Known known;
    known.sharing = sharing_of(sql);
    known.results = *results;
    known.quick = quick(took);
    if (fastest_ == Duration::zero() || took < fastest_) fastest_ = std::min<Duration>(took, slack * 10);
    known.types = params.types();
    known_.insert_or_assign(sql, std::move(known));
}

Coro<> Lanes::await_start(Ask& ask) {
    const TimePoint began = Clock::now();
    Timeout limit(deadline_in(values_.acquire_timeout));
    bool timed_out = false;
    try {
        co_await ask.started.wait();
        limit.leave();
    } catch (...) {
        try {
            limit.leave_by_exception();
        } catch (const TimeoutError&) {
            timed_out = true;
        }
        if (!timed_out) throw;
    }
    if (timed_out) pool_->throw_timeout(Clock::now() - began);
}

void Lanes::enqueue(Ask& ask) {
    if (pending_.empty() && pool_->waiting() <= openers_) {
        if (Lease lease = pool_->take_now()) {
            Lane& lane = add_lane(std::move(lease));
            send(lane, ask);
            return;
        }
        Lane* best = nullptr;
        for (Lane& each : lanes_) {
            if (joinable(each) && (best == nullptr || each.sent.size() < best->sent.size())) best = &each;
        }
        if (best != nullptr) {
            send(*best, ask);
            pool_->grow_ahead();
            return;
        }
    }
    if (pending_.size() >= values_.max_waiting) {
        throw PoolFull(std::to_string(pending_.size()) + " tasks wait for a connection of the pool already");
    }
    ask.state_ = Ask::State::pending;
    pending_.push_back(&ask);
    open_lanes();
}

bool Lanes::joinable(const Lane& lane) const {
    if (lane.link == nullptr || lane.closed || lane.sent.size() >= values_.pipelining) return false;
    if (lane.link->misplaced()) return false;
    if (lane.sent.empty()) return true;
    if (lane.sent.back().last) return false;
    return quick(Clock::now() - lane.sent.front().since);
}

void Lanes::send(Lane& lane, Ask& ask) {
    Lane::Sent sent;
    sent.ask = &ask;
    sent.since = Clock::now();
    sent.last = ask.sharing_ == Sharing::last;
    try {
        lane.link->lane_send(*ask.sql_, *ask.params_, ask.results_);
    } catch (...) {
        lane.closed = true;
        lane.link->close();
        throw;
    }
    lane.sent.push_back(std::move(sent));
    ++lane.awaited;
    ask.lane_ = &lane;
    ask.state_ = Ask::State::sent;
    ask.started.set();
}

void Lanes::feed(Lane& lane) {
    if (pool_->closed()) return close();
    // Those who wait for a connection of their own are not overtaken, and other lanes are about to open.
    if (pool_->waiting() > openers_) return;
    std::size_t share = pending_.size() / (openers_ + 1) + 1;
    while (share-- > 0 && !pending_.empty() && joinable(lane)) {
        Ask& ask = *pending_.front();
        pending_.pop_front();
        try {
            send(lane, ask);
        } catch (...) {
            ask.failure = std::current_exception();
            finish(ask);
            return;
        }
    }
}

void Lanes::finish(Ask& ask) noexcept {
    ask.state_ = Ask::State::done;
    ask.started.set();
    ask.done.set();
}

void Lanes::leave(Ask& ask) noexcept {
    if (ask.state_ == Ask::State::pending) {
        std::erase(pending_, &ask);
        return;
    }
    Lane& lane = *ask.lane_;
    const auto at =
        std::find_if(lane.sent.begin(), lane.sent.end(), [&](const Lane::Sent& each) { return each.ask == &ask; });
    if (at != lane.sent.end()) at->ask = nullptr;
    if (--lane.awaited > 0) return;
    // Nobody waits for it any more. What is not over soon is cancelled, now that it is alone.
    lane.closed = true;
    if (!coaio::detail::thread_state.core || coaio::detail::thread_state.core->closed) return;
    try {
        lane.retirement = get_running_loop().call_later(slack * 5, [pump = lane.pump] { pump->cancel(); });
    } catch (...) {
        lane.link->close();
    }
}

Lane& Lanes::add_lane(Lease lease) {
    lanes_.emplace_back();
    Lane& lane = lanes_.back();
    lane.self = std::prev(lanes_.end());
    lane.lease = std::move(lease);
    try {
        if (lane.lease) {
            lane.link = lane.lease.link().libpq();
            lane.link->enter_lane();
        }
        lane.pump = create_task(pump(shared_from_this(), lane), {.name = "db lane", .eager_start = false});
    } catch (...) {
        lanes_.erase(lane.self);
        throw;
    }
    return lane;
}

void Lanes::open_lanes() {
    while (openers_ < pending_.size() && lanes_.size() < values_.max_size) {
        ++openers_;
        try {
            (void)add_lane(Lease());
        } catch (...) {
            --openers_;
            throw;
        }
    }
}

/// A lane goes when its task ends, or is dropped.
struct Lanes::PumpGuard {
    Lanes* lanes;
    Lane* lane;
    bool opening;

    PumpGuard(Lanes& of, Lane& on) noexcept : lanes(&of), lane(&on), opening(on.link == nullptr) {}
    PumpGuard(const PumpGuard&) = delete;
    PumpGuard& operator=(const PumpGuard&) = delete;
    ~PumpGuard() {
        opened();
        if (lane != nullptr) lanes->drop(*lane, lost_with_its_lane());
    }
    void opened() noexcept {
        if (std::exchange(opening, false)) --lanes->openers_;
    }
    void drop(const std::exception_ptr& failure) noexcept { lanes->drop(*std::exchange(lane, nullptr), failure); }
};

Coro<> Lanes::pump(std::shared_ptr<Lanes> self, Lane& lane) {
    PumpGuard guard(*self, lane);
    std::exception_ptr failure;
    bool refused = false;
    bool cancelled = false;
    try {
        if (lane.link == nullptr) {
            try {
                lane.lease = co_await self->pool_->acquire();
            } catch (const PoolTimeout&) {  // each that waits has its own time
            } catch (const std::exception&) {
                refused = true;
                throw;
            }
            guard.opened();
            if (lane.lease) {
                lane.link = lane.lease.link().libpq();
                lane.link->enter_lane();
                self->feed(lane);
            }
        }
        while (!lane.sent.empty()) {
            PqLink::LaneAnswer answer = co_await lane.link->lane_answer();
            self->answered(lane, std::move(answer));
            self->feed(lane);
        }
        lane.closed = true;
        if (lane.link != nullptr) co_await lane.link->leave_lane();
    } catch (const BaseException&) {
        cancelled = true;
    } catch (...) {
        failure = std::current_exception();
    }
    guard.opened();
    const bool retired = lane.retirement.has_value();
    guard.drop(failure);
    if (refused) self->fail_pending(failure);
    if (refused || (cancelled && !retired)) co_return;
    self->open_lanes();
}

void Lanes::answered(Lane& lane, PqLink::LaneAnswer answer) {
    Lane::Sent sent = std::move(lane.sent.front());
    lane.sent.pop_front();
    const TimePoint now = Clock::now();
    if (!lane.sent.empty()) lane.sent.front().since = now;
    if (sent.ask == nullptr) return;
    Ask& ask = *sent.ask;
    --lane.awaited;
    if (!quick(now - sent.since)) {
        if (Known* const known = find(*ask.sql_, *ask.params_)) known->quick = false;
    }
    if (answer.failure) {
        answer.failure->sql = cut_sql(*ask.sql_);
        // One may have counted on the preparation of another that failed.
        const bool gone = answer.failure->sqlstate == sqlstate::invalid_statement_name;
        ask.failure = make_error(std::move(*answer.failure));
        if (lane.link->forget_stale(*ask.sql_, *ask.params_, ask.failure) || gone) {
            ask.failure = nullptr;
            ask.again = true;
            known_.erase(*ask.sql_);
        }
    } else {
        ask.rows = std::move(answer.rows);
    }
    finish(ask);
}

void Lanes::drop(Lane& lane, const std::exception_ptr& failure) noexcept {
    for (Lane::Sent& each : lane.sent) {
        if (each.ask == nullptr) continue;
        each.ask->failure = for_statement(failure ? failure : lost_with_its_lane(), *each.ask->sql_);
        finish(*each.ask);
    }
    if (lane.retirement) lane.retirement->cancel();
    lanes_.erase(lane.self);
}

void Lanes::fail_pending(const std::exception_ptr& failure) noexcept {
    if (!lanes_.empty() && !pool_->closed()) return;  // they come to those who wait
    while (!pending_.empty()) {
        Ask& ask = *pending_.front();
        pending_.pop_front();
        ask.failure = failure;
        finish(ask);
    }
}

void Lanes::close() {
    const auto closed = std::make_exception_ptr(PoolClosed());
    while (!pending_.empty()) {
        Ask& ask = *pending_.front();
        pending_.pop_front();
        ask.failure = closed;
        finish(ask);
    }
}

}  // namespace coaio::db::detail
