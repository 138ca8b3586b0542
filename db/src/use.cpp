// SPDX-License-Identifier: MIT
#include "use.hpp"

#include "commit.hpp"
#include "watch.hpp"

#include <algorithm>
#include <utility>

namespace coaio::db::detail {

const Link& Use::look() const {
    if (released_) throw UsageError("the connection was given back already");
    return lease_.link();
}

Link& Use::link(std::uint64_t scope) const {
    if (released_) throw UsageError("the connection was given back already");
    if (scopes_.back() != scope) {
        if (is_open(scope)) throw UsageError("a transaction is open inside: use the handle that its body was given");
        throw UsageError("the transaction is over: its handle lives as long as its body");
    }
    Link& link = lease_.link();
    if (scope != 0 && link.state() == LinkState::idle) {
        throw UsageError("a statement in the body ended the transaction: leave COMMIT and ROLLBACK to its scope");
    }
    return link;
}

std::uint64_t Use::open_scope(std::uint64_t outer) {
    const Link& link = this->link(outer);
    if (link.state() == LinkState::busy) {
        throw UsageError("a statement runs on this connection: await it before a transaction is begun");
    }
    scopes_.push_back(++last_scope_);
    return last_scope_;
}

void Use::close_scope(std::uint64_t scope) noexcept {
    auto at = std::find(scopes_.begin() + 1, scopes_.end(), scope);
    scopes_.erase(at, scopes_.end());
    step_done();
}

void Use::release() noexcept {
    released_ = true;
    lease_.disown();
    step_done();
}

void Use::step_done() noexcept {
    const bool at_work = works_ > 0 || (lease_ && lease_.link().state() == LinkState::busy);
    if (released_ && lease_ && !at_work) lease_.give_back();
}

bool Use::is_open(std::uint64_t scope) const noexcept {
    return std::find(scopes_.begin(), scopes_.end(), scope) != scopes_.end();
}

Coro<Rows> Use::run(std::shared_ptr<Use> self, std::uint64_t scope, std::string sql, Params params) {
    Link& link = self->link(scope);
    if (scope != 0) refuse_chain(sql);
    const Work work(*self);
    const TraceSource& trace = self->connector()->trace();
    if (trace) sql = traced(std::move(sql), trace);
    co_return co_await link.run(sql, params);
}

Coro<bool> Use::undo(std::uint64_t scope, std::string commands) {
    if (!lease_ || !is_open(scope)) co_return false;
    Link& link = lease_.link();
    const LinkState state = link.state();
    if (state == LinkState::idle || state == LinkState::broken) co_return state == LinkState::idle;
    bool undone = false;
    // What another task still runs in it cannot be undone, only be ended.
    if (state != LinkState::busy) {
        undone = co_await masked_attempt(ignore(link.command(std::move(commands), OnCancel::close)), cancel_timeout_);
    }
    if (!undone) link.close();
    co_return undone;
}

}  // namespace coaio::db::detail
