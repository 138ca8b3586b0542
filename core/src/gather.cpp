// SPDX-License-Identifier: MIT
#include <coaio/core/gather.hpp>

#include <coaio/core/error.hpp>

namespace coaio::detail {

void GatherBase::start() {
    for (const Child& each : children_) {
        if (&each.future->core() != &core()) throw ValueError("gather: a future belongs to another event loop");
    }
    left_ = size();
    for (Child& each : children_) {
        if (each.future->done()) continue;
        each.node.target = Entry(static_cast<Runnable*>(&each));
        each.future->add_waiter(each.node);
        add_ref();
    }
    for (std::size_t i = 0; i < size(); ++i) {
        FutureBase& each = child(i);
        if (each.done()) child_done(each);
    }
    if (size() == 0) {
        assemble();
        finish(FutureStatus::finished);
    }
}

void GatherBase::Child::run() noexcept {
    GatherBase& mine = *gather;
    mine.child_done(*future);
    mine.release();
}

// A gather of gathers ends with its loop, too: each holds itself until its children are done.
void GatherBase::Child::discard() noexcept { run(); }

void GatherBase::child_done(FutureBase& child) noexcept {
    --left_;
    if (done()) {
        child.mark_retrieved();
        return;
    }
    if (!wants_exceptions() && child.status() != FutureStatus::finished) {
        child.mark_retrieved();
        finish(FutureStatus::failed, child.stored_exception());
        return;
    }
    if (left_ == 0) complete();
}

// A cancelled gather fails with the CancelledError of its first cancelled child in the order of the arguments.
void GatherBase::complete() noexcept {
    if (cancel_requested_) {
        std::exception_ptr reason;
        for (std::size_t i = 0; i < size() && reason == nullptr; ++i) {
            if (child(i).status() == FutureStatus::cancelled) reason = child(i).stored_exception();
        }
        if (reason == nullptr) reason = std::make_exception_ptr(CancelledError());
        finish(FutureStatus::failed, std::move(reason));
        return;
    }
    try {
        assemble();
    } catch (...) {
        finish(FutureStatus::failed, std::current_exception());
        return;
    }
    finish(FutureStatus::finished);
}

bool GatherBase::cancel(CancelMessage message) noexcept {
    if (done()) return false;
    const Ref<GatherBase> keep(this);
    bool any = false;
    for (std::size_t i = 0; i < size(); ++i) any = child(i).cancel(message) || any;
    if (any) cancel_requested_ = true;
    return any;
}

void GatherBase::visit_children(void (*visit)(void*, const FutureBase&), void* closure) const {
    for (std::size_t i = 0; i < size(); ++i) visit(closure, child(i));
}

}  // namespace coaio::detail
