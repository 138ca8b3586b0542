// SPDX-License-Identifier: MIT
#include "lanes.hpp"

#include "running.hpp"
#include "statements.hpp"
#include "watch.hpp"

#include <coaio/core/loop.hpp>
#include <coaio/core/mask.hpp>

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

std::size_t bytes_of(const std::string& sql, const Params& params) {
    std::size_t bytes = sql.size();
    for (std::size_t i = 0; i < params.size(); ++i) bytes += params.slot(i).length;
    return bytes;
}

}  // namespace

Ask::Ask(Lanes& lanes, const std::string& sql, const Params& params, Duration alone) noexcept
    : sql_(&sql), params_(&params), lanes_(&lanes), bytes_(bytes_of(sql, params)), alone_(alone) {}

Ask::~Ask() {
    if (state_ == State::pending || state_ == State::sent) lanes_->leave(*this);
}

Lanes::Lanes(std::shared_ptr<PoolState> pool, const PoolValues& values, std::size_t statement_cache)
    : pool_(std::move(pool)), values_(values), usable_(values.pipelining > 1 && statement_cache > 0) {}

Coro<Rows> Lanes::run(std::shared_ptr<Lanes> self, std::string sql, Params params) {
    self->pool_->require_loop();
    const TraceSource& trace = self->pool_->connector()->trace();
    if (trace) sql = traced(std::move(sql), trace);
    const Known* known = self->usable_ ? self->find(sql, params) : nullptr;
    bool learns = self->usable_ && (known == nullptr || (known->shared && !known->quick));
    for (int tries = 0; tries < 2 && known != nullptr && self->shares(*known, sql, params); ++tries) {
        if (cancellation_due()) co_await throw_if_cancelled();
        Watch watch(self->pool_->observer(), Operation::query, sql);
        Ask ask(*self, sql, params, known->took);
        try {
            self->enqueue(ask, tries > 0);
            if (ask.state_ == Ask::State::pending) {
                const Running waiting(Running::no_session, sql);
                co_await self->await_start(ask);
            }
            if (ask.state_ == Ask::State::sent) {
                const Running running(ask.lane_->lease.link().pid(), sql);
                co_await ask.done.wait();
            }
            if (ask.failure) std::rethrow_exception(ask.failure);
        } catch (...) {
            watch.fail(std::current_exception());
            throw;
        }
        if (!ask.again) {
            watch.end(ask.rows);
            co_return std::move(ask.rows);
        }
        learns = true;
        known = ask.undone ? self->find(sql, params) : nullptr;
    }
    Lease lease = self->pool_->take_now();
    if (lease) {
        lease.slot().holder = coaio::detail::running_task_id();
    } else {
        const Running waiting(Running::no_session, sql);
        lease = co_await self->pool_->acquire();
    }
    learns = learns && lease.link().lane() != nullptr;
    const TimePoint began = learns ? Clock::now() : TimePoint();
    Rows rows = co_await lease.link().run(sql, params);
    if (learns) self->learn(sql, params, Clock::now() - began);
    co_return rows;
}

bool Lanes::shares(const Known& known, const std::string& sql, const Params& params) const {
    if (!known.shared || !known.quick) return false;
    // Where all is quiet a connection of its own costs less; and it must not wait for what waits for its own task.
    const bool quiet = lanes_.empty() && pending_.empty() && pool_->nobody_there();
    return !quiet && bytes_of(sql, params) <= most_bytes && !pool_->held_by_running_task();
}

Lanes::Known* Lanes::find(const std::string& sql, const Params& params) {
    const auto at = known_.find(sql);
    if (at == known_.end() || at->second.types.size() != params.size()) return nullptr;
    for (std::size_t i = 0; i < params.size(); ++i) {
        if (params.slot(i).type != at->second.types[i]) return nullptr;
    }
    return &at->second;
}

void Lanes::learn(const std::string& sql, const Params& params, Duration took) {
    if (sql.size() > Statements::longest_sql) return;
    if (known_.size() >= most_known) known_.clear();
    Known known;
    known.shared = only_reads(sql);
    known.quick = quick(took);
    known.took = took;
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
    // It may have been sent in the very turn in which its time was over.
    if (timed_out && ask.state_ == Ask::State::pending) pool_->throw_timeout(Clock::now() - began);
}

void Lanes::enqueue(Ask& ask, bool again) {
    pool_->require_open();
    if (pending_.empty() && pool_->waiting() <= openers_) {
        const TimePoint now = Clock::now();
        if (Lease lease = pool_->take_now()) {
            try {
                send(add_lane(std::move(lease)), ask, now);
            } catch (const Error&) {
                run_by_itself(ask);  // the connection went when nobody looked
            }
            return;
        }
        if (Lane* const lane = joinable(ask, now)) {
            send(*lane, ask, now);
            pool_->grow_ahead();
            return;
        }
    }
    if (!again && pending_.size() >= values_.max_waiting) {
        throw PoolFull(std::to_string(pending_.size()) + " tasks wait for a connection of the pool already");
    }
    ask.state_ = Ask::State::pending;
    if (again) pending_.push_front(&ask);
    if (!again) pending_.push_back(&ask);
    open_lanes();
}

Lane* Lanes::joinable(const Ask& ask, TimePoint now) {
    for (;;) {
        Lane* best = nullptr;
        for (Lane& each : lanes_) {
            if (has_room(each, ask, now) && (best == nullptr || each.sent.size() < best->sent.size())) best = &each;
        }
        if (best == nullptr || fit(*best, now)) return best;
    }
}

bool Lanes::has_room(const Lane& lane, const Ask& ask, TimePoint now) const noexcept {
    if (lane.link == nullptr || lane.closed || lane.sent.size() >= values_.pipelining) return false;
    if (lane.sent.empty()) return true;
    return lane.bytes + ask.bytes_ <= most_lane_bytes &&
           quick(now - lane.sent.front().since - allowance(lane.expected));
}

/// Else it is closed.
bool Lanes::fit(Lane& lane, TimePoint now) {
    if (lane.lease.link().misplaced() || pool_->worn_out(lane.lease.slot(), now) != nullptr) lane.closed = true;
    return !lane.closed;
}

void Lanes::send(Lane& lane, Ask& ask, TimePoint now) {
    keep_watch();
    lane.sent.push_back({&ask, now, ask.bytes_, ask.alone_});
    try {
        lane.link->lane_send(*ask.sql_, *ask.params_);
    } catch (const std::exception&) {
        lane.sent.pop_back();
        lane.closed = true;
        lane.failure = std::current_exception();
        lane.lease.link().close();
        run_by_itself(ask);
        return;
    }
    lane.bytes += ask.bytes_;
    lane.expected += ask.alone_;
    ++lane.awaited;
    ask.lane_ = &lane;
    ask.state_ = Ask::State::sent;
    ask.started.set();
}

/// Sends what waits, its share: `its_turn`, when it has waited for its connection as others do.
void Lanes::feed(Lane& lane, bool its_turn) {
    if (pool_->closed()) return close();
    if (!its_turn && pool_->waiting() > openers_) return;  // they are not overtaken
    if (pending_.empty()) return;
    const TimePoint now = Clock::now();
    std::size_t share = pending_.size() / (openers_ + 1) + 1;
    while (share-- > 0 && !pending_.empty() && has_room(lane, *pending_.front(), now) && fit(lane, now)) {
        Ask& ask = *pending_.front();
        send(lane, ask, now);
        pending_.pop_front();
    }
}

void Lanes::finish(Ask& ask) noexcept {
    ask.state_ = Ask::State::done;
    ask.started.set();
    ask.done.set();
}

void Lanes::run_by_itself(Ask& ask) noexcept {
    ask.again = true;
    finish(ask);
}

void Lanes::leave(const Ask& ask) noexcept {
    if (ask.state_ == Ask::State::pending) {
        std::erase(pending_, &ask);
        return;
    }
    for (Lane::Sent& each : ask.lane_->sent) {
        if (each.ask == &ask) each.ask = nullptr;
    }
    --ask.lane_->awaited;
}

void Lanes::keep_watch() {
    if (watching_) return;
    static_cast<void>(get_running_loop().call_later(slack * 5, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->watch();
    }));
    watching_ = true;
}

/// Nobody waits behind a statement that takes long: it may wait for a lock of the very task that needs their answers.
void Lanes::watch() {
    watching_ = false;
    const TimePoint now = Clock::now();
    bool busy = false;
    for (Lane& lane : lanes_) {
        if (lane.sent.empty()) continue;
        busy = true;
        if (!overdue(now - lane.sent.front().since - allowance(lane.expected))) continue;
        // What was late may be there already, when it is the loop that was held up.
        if (std::exchange(lane.suspect, lane.sent.front().since) != lane.sent.front().since) continue;
        lane.closed = true;
        // Under one Sync it is not known which it is.
        for (auto at = lane.sent.begin() + (lane.link->lane_shares_next() ? 0 : 1); at != lane.sent.end(); ++at) {
            if (at->ask == nullptr) continue;
            run_by_itself(*std::exchange(at->ask, nullptr));
            --lane.awaited;
        }
        if (lane.awaited == 0 && lane.limit != nullptr && !lane.limit->expired()) lane.limit->reschedule(now);
    }
    if (busy) keep_watch();
}

/// A lane in its task's hands; it goes when the task ends, or is dropped.
class Lanes::Pump {
public:
    Pump(std::shared_ptr<Lanes> lanes, Lane& lane, bool opening) noexcept
        : lanes_(std::move(lanes)), lane_(&lane), opening_(opening) {
        if (opening) ++lanes_->openers_;
    }
    Pump(Pump&& other) noexcept
        : lanes_(std::move(other.lanes_)),
          lane_(std::exchange(other.lane_, nullptr)),
          opening_(std::exchange(other.opening_, false)) {}
    Pump& operator=(Pump&&) = delete;
    ~Pump() {
        if (lane_ == nullptr) return;
        drop(nullptr);
        if (lanes_->lanes_.empty()) lanes_->end_pending(nullptr);  // no other comes to them
    }

    [[nodiscard]] Lanes& lanes() const noexcept { return *lanes_; }
    [[nodiscard]] Lane& lane() const noexcept { return *lane_; }
    [[nodiscard]] bool opening() const noexcept { return opening_; }
    void opened() noexcept {
        if (std::exchange(opening_, false)) --lanes_->openers_;
    }
    void drop(const std::exception_ptr& failure) noexcept {
        opened();
        if (Lane* const lane = std::exchange(lane_, nullptr)) lanes_->drop(*lane, failure);
    }

private:
    std::shared_ptr<Lanes> lanes_;
    Lane* lane_;
    bool opening_;
};

Lane& Lanes::add_lane(Lease lease) {
    Lane& lane = lanes_.emplace_back();
    lane.self = std::prev(lanes_.end());
    Pump owner(shared_from_this(), lane, !lease);
    lane.lease = std::move(lease);
    if (lane.lease) {
        lane.link = lane.lease.link().lane();
        lane.link->enter_lane(values_.shared_sync);
    }
    const AnyTask task = create_task(pump(std::move(owner)), {.name = "db lane", .eager_start = false});
    if (lane.lease) lane.lease.slot().holder = task.state()->id();
    return lane;
}

void Lanes::open_lanes() {
    while (openers_ < pending_.size() && lanes_.size() < values_.max_size) static_cast<void>(add_lane(Lease()));
}

Coro<> Lanes::pump(Pump owner) {
    Lanes& self = owner.lanes();
    Lane& lane = owner.lane();
    const bool opening = owner.opening();
    std::exception_ptr failure;
    bool refused = false;
    try {
        if (opening) {
            lane.lease = co_await self.pool_->acquire();
            lane.link = lane.lease.link().lane();
            lane.link->enter_lane(self.values_.shared_sync);
            owner.opened();
        }
        // Others wait for its answers, so it ends when they have them or are gone, and not before.
        co_await masked(self.serve(lane, opening), {.deadline = Duration::max()});
    } catch (const BaseException&) {
        co_return;
    } catch (const PoolTimeout&) {  // those who wait have their own time
    } catch (...) {
        failure = std::current_exception();
        refused = !lane.lease;
    }
    owner.drop(failure);
    if (!refused) {
        self.open_lanes();
    } else if (self.lanes_.empty() || self.pool_->closed()) {
        self.end_pending(failure);
    }
}

Coro<> Lanes::serve(Lane& lane, bool its_turn) {
    Timeout limit(std::nullopt);
    lane.limit = &limit;
    std::exception_ptr failure;
    try {
        for (feed(lane, its_turn); !lane.sent.empty(); feed(lane, false)) {
            if (auto answer = lane.link->lane_take()) {
                answered(lane, std::move(*answer));
            } else {
                co_await lane.link->lane_wait();
            }
        }
        lane.closed = true;
        if (lane.failure) std::rethrow_exception(lane.failure);
        co_await lane.link->leave_lane();
    } catch (...) {
        failure = std::current_exception();
    }
    lane.closed = true;
    lane.limit = nullptr;
    const bool retired = limit.expired();
    limit.leave();
    if (!failure) co_return;
    failure = co_await lane.link->end_lane(std::move(failure));
    if (!retired) std::rethrow_exception(failure);
}

/// Of several under one Sync it is not known which it was that took long: each has to show by itself that it is quick.
void Lanes::time(Lane& lane, const LaneLink::Answer& answer, TimePoint now) {
    const std::size_t together = answer.further + 1;
    if (lane.further == 0) {
        Duration expected{};
        for (std::size_t i = 0; i < std::min(together, lane.sent.size()); ++i) expected += lane.sent[i].alone;
        lane.held_up = !quick(now - lane.sent.front().since - allowance(expected));
    }
    lane.further = answer.further;
    if (lane.sent.size() > together) lane.sent[together].since = now;
}

void Lanes::answered(Lane& lane, LaneLink::Answer answer) {
    time(lane, answer, Clock::now());
    const Lane::Sent sent = lane.sent.front();
    lane.sent.pop_front();
    lane.bytes -= sent.bytes;
    lane.expected -= sent.alone;
    if (sent.ask == nullptr) return;
    Ask& ask = *sent.ask;
    --lane.awaited;
    try {
        tell(ask, lane, std::move(answer));
    } catch (...) {  // no memory for it
        run_by_itself(ask);
        throw;
    }
}

void Lanes::tell(Ask& ask, Lane& lane, LaneLink::Answer answer) {
    if (lane.held_up) {
        if (Known* const known = find(*ask.sql_, *ask.params_)) known->quick = false;
    }
    if (answer.failure) {
        answer.failure->sql = cut_sql(*ask.sql_);
        ask.failure = make_error(std::move(*answer.failure));
        const bool stale = lane.link->lane_stale(*ask.sql_, *ask.params_, ask.failure);
        if (stale || answer.undone) {
            ask.failure = nullptr;
            ask.again = true;
            known_.erase(*ask.sql_);  // it proves itself alone before it shares again
        }
    } else {
        ask.rows = std::move(answer.rows);
    }
    ask.undone = answer.undone;
    ask.again = ask.again || ask.undone || answer.unmet;  // they can be looked up only where it is alone
    finish(ask);
}

void Lanes::drop(Lane& lane, const std::exception_ptr& failure) noexcept {
    for (const Lane::Sent& each : lane.sent) {
        if (each.ask == nullptr) continue;
        try {
            each.ask->failure = for_statement(failure ? failure : lost_with_its_lane(), *each.ask->sql_);
        } catch (...) {  // no memory for it
            each.ask->failure = failure ? failure : std::current_exception();
        }
        finish(*each.ask);
    }
    lanes_.erase(lane.self);
}

void Lanes::end_pending(const std::exception_ptr& failure) noexcept {
    while (!pending_.empty()) {
        Ask& ask = *pending_.front();
        pending_.pop_front();
        ask.failure = failure;
        ask.again = !failure;
        finish(ask);
    }
}

void Lanes::close() noexcept { end_pending(std::make_exception_ptr(PoolClosed())); }

}  // namespace coaio::db::detail
