// SPDX-License-Identifier: MIT
#include <coaio/core/detail/future_state.hpp>

#include <coaio/core/detail/location.hpp>
#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/generator.hpp>

#include <typeinfo>

namespace coaio::detail {

bool FutureBase::cancel(CancelMessage message) noexcept {
    if (done()) {
        retrieved_ = true;  // whoever cancels it does not want to hear of its failure
        return false;
    }
    finish(FutureStatus::cancelled,
           std::make_exception_ptr(message != nullptr ? CancelledError(*message) : CancelledError()));
    return true;
}

void FutureBase::visit_children(void (*)(void*, const FutureBase&), void*) const {}

// The list is circular, so that its head alone gives both ends.
void FutureBase::add_waiter(DoneNode& node) noexcept {
    if (waiters_ == nullptr) {
        node.next = node.prev = waiters_ = &node;
        return;
    }
    node.next = waiters_;
    node.prev = waiters_->prev;
    node.prev->next = &node;
    waiters_->prev = &node;
}

void FutureBase::remove_waiter(DoneNode& node) noexcept {
    if (node.next == &node) {
        waiters_ = nullptr;
    } else {
        node.prev->next = node.next;
        node.next->prev = node.prev;
        if (waiters_ == &node) waiters_ = node.next;
    }
    node.next = node.prev = nullptr;
}

void FutureBase::finish(FutureStatus status, std::exception_ptr exception) noexcept {
    exception_ = std::move(exception);
    status_ = status;
    while (waiters_ != nullptr) {
        DoneNode& node = *waiters_;
        remove_waiter(node);
        if (node.target.is_observer()) {
            node.target.observer()->ended(*this);
        } else {
            core_->schedule(node.target);
        }
    }
}

void FutureBase::require_pending() const {
    if (done()) throw InvalidStateError("the future is done already: its outcome can be set only once");
}

void FutureBase::require_error(const std::exception_ptr& exception) {
    if (exception == nullptr) throw ValueError("set_exception needs an exception, this one is null");
    if (*exception.__cxa_exception_type() == typeid(GeneratorExit)) {
        throw ValueError("set_exception: a GeneratorExit ends a generator, it is no error that a future could carry");
    }
}

void FutureBase::throw_unless_finished() {
    switch (status_) {
    case FutureStatus::pending: throw InvalidStateError("the result is not there yet: the future is still pending");
    case FutureStatus::finished: return;
    case FutureStatus::failed:
    case FutureStatus::cancelled: retrieved_ = true; std::rethrow_exception(exception_);
    }
}

std::exception_ptr FutureBase::exception() {
    switch (status_) {
    case FutureStatus::pending: throw InvalidStateError("there is no outcome yet: the future is still pending");
    case FutureStatus::cancelled: std::rethrow_exception(exception_);
    case FutureStatus::finished:
    case FutureStatus::failed: break;
    }
    retrieved_ = true;
    return exception_;
}

void FutureBase::throw_taken() {
    throw InvalidStateError("the value was moved out by an earlier co_await of a temporary handle");
}

void FutureBase::dispose() noexcept {
    if (status_ == FutureStatus::failed && !retrieved_ && !is_cancellation(exception_) && !is_base_error(exception_)) {
        const char* const what = kind_ == FutureKind::task ? "Task exception was never retrieved: "
                                                           : "Future exception was never retrieved: ";
        refs_ = 1;  // the handler may look at it, and even keep it
        if (thread_state.core == core_) {
            core_->report(what + subject(), exception_, this);
        } else {
            report_without_loop(what + subject(), exception_);
        }
        retrieved_ = true;
        if (--refs_ != 0) return;
    }
    if (kind_ == FutureKind::gather || kind_ == FutureKind::shield) return destroy_with_children();
    delete this;
}

// Gathers of gathers, however many, would else be destroyed one inside the other, on the native stack.
void FutureBase::destroy_with_children() noexcept {
    static constinit thread_local FutureBase** doomed = nullptr;
    if (doomed != nullptr) {
        next_doomed_ = std::exchange(*doomed, this);
        return;
    }
    FutureBase* children = nullptr;
    doomed = &children;
    for (FutureBase* each = this; each != nullptr;) {
        delete each;
        each = children;
        if (each != nullptr) children = each->next_doomed_;
    }
    doomed = nullptr;
}

std::string FutureBase::subject() const { return "a future"; }

MadeFuture::MadeFuture(LoopCore& core, const std::source_location& site) noexcept
    : FutureBase(core, FutureKind::future), site_(site), next_(core.futures), link_(&core.futures) {
    if (next_ != nullptr) next_->link_ = &next_;
    core.futures = this;
}

void MadeFuture::unlink() noexcept {
    if (link_ == nullptr) return;
    *link_ = next_;
    if (next_ != nullptr) next_->link_ = link_;
    link_ = nullptr;
}

void MadeFuture::abandon() noexcept {
    unlink();
    if (!done() && waiters_ != nullptr) {
        finish(FutureStatus::cancelled, std::make_exception_ptr(CancelledError("the loop was closed")));
    }
}

std::string MadeFuture::subject() const { return "a future, created at " + describe_location(site_); }

}  // namespace coaio::detail
