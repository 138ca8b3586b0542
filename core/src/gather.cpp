// SPDX-License-Identifier: MIT
#include <coaio/core/gather.hpp>

#include <coaio/core/error.hpp>

#include <utility>

namespace coaio::detail {

void GatherBase::add(Ref<FutureBase> future) {
    if (&future->core() != &core()) throw ValueError("gather: a future belongs to another event loop");
    Child& child = add_child(std::move(future));
    if (child.future->done()) {
        note(*child.future);
        return;
    }
    child.node.target = Entry(static_cast<Observer*>(this));
    child.future->add_waiter(child.node);
    ++left_;
}

void GatherBase::start() noexcept {
    started_ = true;
    if (left_ != 0) {
        waiting_ = true;
        add_ref();
    }
    if (left_ == 0 || failure_ != nullptr) complete();
}

void GatherBase::note(FutureBase& child) noexcept {
    const bool failed = child.status() != FutureStatus::finished;
    if (!failed) return;
    child.mark_retrieved();
    if (!wants_exceptions() && failure_ == nullptr) failure_ = child.stored_exception();
}

// The gather itself ends when its turn comes.
void GatherBase::ended(FutureBase& child) noexcept {
    const bool failed_before = failure_ != nullptr;
    --left_;
    note(child);
    if (started_ && (left_ == 0 || (failure_ != nullptr && !failed_before))) schedule();
}

void GatherBase::schedule() noexcept {
    add_ref();
    core().ready.push(Entry(static_cast<Runnable*>(this)));
}

void GatherBase::run() noexcept {
    const Ref<GatherBase> keep(this);
    release();
    if (!done()) complete();
    if (left_ == 0 && std::exchange(waiting_, false)) release();
}

// A cancelled gather fails with the CancelledError of its first cancelled child in the order of the arguments.
void GatherBase::complete() noexcept {
    if (cancel_requested() && failure_ == nullptr) {
        for (std::size_t i = 0; i < size() && failure_ == nullptr; ++i) {
            if (child(i)->status() == FutureStatus::cancelled) failure_ = child(i)->stored_exception();
        }
        if (failure_ == nullptr) failure_ = std::make_exception_ptr(CancelledError());
    }
    if (failure_ != nullptr) {
        finish(FutureStatus::failed, failure_);
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

}  // namespace coaio::detail
