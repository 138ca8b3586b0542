// SPDX-License-Identifier: MIT
#include <coaio/core/detail/job.hpp>

#include "loop_impl.hpp"

#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/loop.hpp>

#include <utility>

namespace coaio::detail {

bool JobFuture::cancel(CancelMessage message) noexcept {
    if (job_ != nullptr) job_->withdraw();
    return FutureBase::cancel(message);
}

Job::Job(LoopCore& core) : core_(&core), mailbox_(core.loop->impl().mailbox) {
    const ContextNode* const context = current_context();
    if (context != nullptr) context_ = context->copy();
}

Job::~Job() {
    if (context_ != nullptr) context_->release();
}

void Job::attach(Ref<JobFuture> future, std::shared_ptr<Job> self) {
    Loop::Impl& loop = core_->loop->impl();
    future_ = std::move(future);
    future_->job_ = std::move(self);
    next_ = std::exchange(loop.jobs, this);
    if (next_ != nullptr) next_->prev_ = this;
    loop.outside_work.fetch_add(1, std::memory_order_relaxed);
}

void Job::detach() noexcept {
    if (!future_) return;
    Loop::Impl& loop = core_->loop->impl();
    if (prev_ != nullptr) prev_->next_ = next_;
    if (next_ != nullptr) next_->prev_ = prev_;
    if (loop.jobs == this) loop.jobs = next_;
    prev_ = nullptr;
    next_ = nullptr;
    loop.outside_work.fetch_sub(1, std::memory_order_relaxed);
    const Ref<JobFuture> future = std::move(future_);
    const std::shared_ptr<Job> self = std::move(future->job_);  // the last one may be this
    static_cast<void>(self);
}

void Job::work(std::shared_ptr<Job> self) noexcept {
    if (taken_.exchange(true, std::memory_order_acq_rel)) return;
    ContextNode* const outer = std::exchange(job_context, context_);
    execute();
    job_context = outer;
    static_cast<void>(mailbox_->post(std::move(self)));
}

void Job::withdraw() noexcept {
    if (taken_.exchange(true, std::memory_order_acq_rel)) return;
    std::shared_ptr<Job> self = future_->job_;
    detach();
    enter(*core_, std::move(self));
}

void Job::discard() noexcept {
    drop();
    Posted::discard();
}

void Job::abandon() noexcept {
    const Ref<JobFuture> future = future_;
    const std::shared_ptr<Job> self = future->job_;
    withdraw();
    detach();
    static_cast<void>(future->FutureBase::cancel(nullptr));
}

void Job::arrive(LoopCore&) noexcept {
    if (!future_) return drop();  // it was withdrawn
    const Ref<JobFuture> future = future_;
    detach();
    settle(*future);
}

}  // namespace coaio::detail
