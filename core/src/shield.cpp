// SPDX-License-Identifier: MIT
#include <coaio/core/shield.hpp>

#include <utility>

namespace coaio::detail {

void ShieldBase::start() noexcept {
    if (inner_->done()) return take_over();
    node_.target = Entry(static_cast<Runnable*>(this));
    inner_->add_waiter(node_);
    add_ref();
}

// A cancelled shield leaves the inner future's list and lets go of it, so that shielding one long task again and again
// leaves no trace. Of one that is done, the turn of the shield lets go: that may run users' code.
bool ShieldBase::cancel(CancelMessage message) noexcept {
    if (!done() && !inner_) return false;  // it is just taking over
    const Ref<ShieldBase> keep(this);
    if (!FutureBase::cancel(message)) return false;
    if (node_.linked()) {
        inner_->remove_waiter(node_);
        inner_ = {};
        release();
    }
    return true;
}

void ShieldBase::run() noexcept {
    const Ref<ShieldBase> keep(this);
    release();
    if (done()) {
        inner_ = {};  // cancelled in the same turn: a failure of the inner one stays unread
    } else {
        take_over();
    }
}

void ShieldBase::take_over() noexcept {
    const Ref<FutureBase> inner = std::move(inner_);
    switch (inner->status()) {
    case FutureStatus::cancelled: finish(FutureStatus::cancelled, inner->stored_exception()); return;
    case FutureStatus::failed:
        inner->mark_retrieved();
        finish(FutureStatus::failed, inner->stored_exception());
        return;
    case FutureStatus::finished:
    case FutureStatus::pending: break;
    }
    try {
        transfer(*inner);
    } catch (...) {
        finish(FutureStatus::failed, std::current_exception());
        return;
    }
    finish(FutureStatus::finished);
}

}  // namespace coaio::detail
