// SPDX-License-Identifier: MIT
#include <coaio/core/detail/done_callback.hpp>

#include <coaio/core/activity.hpp>
#include <coaio/core/detail/future_awaiter.hpp>
#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/ensure_future.hpp>
#include <coaio/core/error.hpp>

namespace coaio::detail {

DoneCallback* DoneCallback::enlist() noexcept {
    node_.target = Entry(static_cast<Runnable*>(this));
    add_ref();
    if (future_->done()) {
        future_->core().schedule(node_.target);
    } else {
        future_->add_waiter(node_);
    }
    return this;
}

std::size_t DoneCallback::remove() noexcept {
    if (!node_.linked()) return 0;
    future_->remove_waiter(node_);
    drop();
    release();
    return 1;
}

void DoneCallback::run() noexcept {
    LoopCore& core = future_->core();
    context_.run([this, &core] {
        try {
            invoke();
        } catch (...) {
            report_callback_failure(core, "Exception in a done callback");
        }
    });
    drop();
    release();
}

void report_callback_failure(LoopCore& core, std::string what, const void* handle) noexcept {
    std::exception_ptr exception = std::current_exception();
    if (is_base_error(exception)) {
        if (core.escaping == nullptr) core.escaping = std::move(exception);
    } else {
        core.report(std::move(what), std::move(exception), nullptr, handle);
    }
}

void FutureWait::require_awaitable() const {
    if (future_.get() == thread_state.task) throw RuntimeError("a task cannot await itself: it would wait for ever");
    if (&future_->core() != thread_state.core) {
        throw RuntimeError("this future belongs to another event loop: cross over with run_coroutine_threadsafe");
    }
}

void require_same_loop(const LoopCore& of_future, const LoopCore& named) {
    if (&of_future != &named) throw ValueError("this future belongs to another event loop than the one that was named");
}

void FutureWait::throw_outcome() {
    if (cancelled()) {
        if (!future_->done()) task()->throw_cancelled();  // a ring was broken: how it ends is for others to see
        future_->mark_retrieved();
        // Of two requests, the one that already struck the future is the one that is thrown.
        if (!is_cancellation(future_->stored_exception())) task()->throw_cancelled();
        task()->clear_pending();
    }
    future_->throw_unless_finished();
}

void FutureWait::break_ring(CancelMessage message) noexcept {
    future_->remove_waiter(node_);
    task()->wake_cancelled(message);
}

WaitInfo FutureWait::describe() const {
    WaitInfo info{.what = future_->subject(), .future = future_.get()};
    switch (future_->kind()) {
    case FutureKind::task: info.what = static_cast<const TaskBase&>(*future_).name(); break;
    case FutureKind::gather: info.what = "gather"; break;
    case FutureKind::shield: info.what = "shield"; break;
    case FutureKind::future: break;
    }
    return info;
}

}  // namespace coaio::detail
