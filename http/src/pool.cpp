// SPDX-License-Identifier: MIT
#include "pool.hpp"

#include <coaio/core/activity.hpp>
#include <coaio/core/loop.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

namespace coaio::http::detail {

// --------------------------------------------------------------------------------------------------------- idling

IdleConnection::IdleConnection(Pool& pool, std::shared_ptr<Origin> origin, std::shared_ptr<Connection> connection)
    : pool_(pool), origin_(std::move(origin)), connection_(std::move(connection)), since_(Clock::now()) {
    ++origin_->idle;
    connection_->set_listener(this);
    connection_->watch();
}

IdleConnection::~IdleConnection() {
    if (connection_ == nullptr) return;
    --origin_->idle;
    connection_->close();
    pool_.forget_unused(*origin_);
}

std::shared_ptr<Connection> IdleConnection::release() noexcept {
    --origin_->idle;
    connection_->unwatch();
    connection_->set_listener(nullptr);
    return std::move(connection_);
}

// The server has closed it, or says something that nobody asked for: of no use either way.
void IdleConnection::on_bytes() noexcept { pool_.drop(*this); }
void IdleConnection::on_end() noexcept { pool_.drop(*this); }
void IdleConnection::on_failure() noexcept { pool_.drop(*this); }

// ---------------------------------------------------------------------------------------------------------- turns

Turn::Turn(std::shared_ptr<Pool> pool, std::shared_ptr<Origin> origin) noexcept
    : pool_(std::move(pool)), origin_(std::move(origin)) {
    ++origin_->users;
}

Turn& Turn::operator=(Turn&& other) noexcept {
    if (this != &other) {
        leave();
        pool_ = std::move(other.pool_);
        origin_ = std::move(other.origin_);
        guard_ = std::move(other.guard_);
    }
    return *this;
}

void Turn::leave() noexcept {
    if (origin_ == nullptr) return;
    if (guard_) --pool_->busy_;
    guard_.reset();
    --origin_->users;
    pool_->forget_unused(*origin_);
    origin_.reset();
    pool_.reset();
}

// ------------------------------------------------------------------------------------------------------- the pool

Pool::~Pool() {
    if (timer_) timer_->cancel();
    idle_.clear();
}

Coro<Turn> Pool::enter(std::string origin) {
    auto& known = origins_[origin];
    if (known == nullptr) known = std::make_shared<Origin>(origin, max_per_host_);
    Turn turn(shared_from_this(), known);
    const Origin& where = *known;
    const Doing doing([this, &where] { return describe_entry(where); });
    turn.guard_.emplace(co_await turn.origin_->turns.scoped());
    ++busy_;
    co_return std::move(turn);
}

WaitInfo Pool::describe_entry(const Origin& origin) const {
    const std::size_t in_use = max_per_host_ - origin.turns.value();
    const std::string limit = std::to_string(in_use) + " of " + std::to_string(max_per_host_);
    WaitInfo info{.what = "turn at the connections to " + origin.name + " (" + limit + " in use)"};
    info.fact("origin", origin.name).fact("in_use", in_use).fact("limit", max_per_host_);
    return info;
}

std::shared_ptr<Connection> Pool::take(const Origin& origin) noexcept {
    for (auto at = idle_.rbegin(); at != idle_.rend(); ++at) {
        if (&at->origin() != &origin) continue;
        auto connection = at->release();
        idle_.erase(std::prev(at.base()));
        return connection;
    }
    return nullptr;
}

void Pool::give(const std::shared_ptr<Origin>& origin, std::shared_ptr<Connection> connection) {
    if (max_idle_ == 0) return connection->close();
    if (idle_.size() >= max_idle_) idle_.pop_front();
    connection->next_message();
    idle_.emplace_back(*this, origin, std::move(connection));
    if (!timer_) arm();
}

void Pool::drop(const IdleConnection& connection) noexcept {
    idle_.remove_if([&](const IdleConnection& each) { return &each == &connection; });
}

void Pool::forget_unused(const Origin& origin) noexcept {
    if (origin.users == 0 && origin.idle == 0) origins_.erase(origin.name);
}

void Pool::arm() {
    timer_.reset();
    if (idle_.empty() || idle_timeout_ <= Duration::zero()) return;
    const TimePoint when = coaio::detail::later(idle_.front().since(), idle_timeout_);
    timer_.emplace(get_running_loop().call_at(when, [this] { expire(); }));
}

void Pool::expire() {
    const TimePoint limit = Clock::now() - idle_timeout_;
    while (!idle_.empty() && idle_.front().since() <= limit) idle_.pop_front();
    arm();
}

}  // namespace coaio::http::detail
