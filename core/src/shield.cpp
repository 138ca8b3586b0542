// SPDX-License-Identifier: MIT
#include <coaio/core/shield.hpp>

namespace coaio::detail {

void ShieldBase::start() noexcept {
    node_.target = Entry(static_cast<Runnable*>(this));
    inner_->add_waiter(node_);
    add_ref();
}

// A cancelled shield leaves the inner future's list, so that shielding one long task again and again leaves no trace.
bool ShieldBase::cancel(CancelMessage message) noexcept {
    const Ref<ShieldBase> keep(this);
    if (!FutureBase::cancel(message)) return false;
    if (node_.linked()) {
        inner_->remove_waiter(node_);
        release();
    }
    return true;
}

void ShieldBase::run() noexcept {
    const Ref<ShieldBase> keep(this);
    release();
    if (done()) return;  // cancelled in the same turn: a failure of the inner one stays unread
    switch (inner_->status()) {
    case FutureStatus::cancelled: finish(FutureStatus::cancelled, inner_->stored_exception()); return;
    case FutureStatus::failed:
        inner_->mark_retrieved();
        finish(FutureStatus::failed, inner_->stored_exception());
        return;
    case FutureStatus::finished:
    case FutureStatus::pending: break;
    }
    try {
        transfer();
    } catch (...) {
        finish(FutureStatus::failed, std::current_exception());
        return;
    }
    finish(FutureStatus::finished);
}

}  // namespace coaio::detail
