// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/context_node.hpp>
#include <coaio/core/detail/future_state.hpp>
#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/detail/posted.hpp>

#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace coaio::detail {

class Job;
class Mailbox;

/// The future of a job. Cancelling it takes the job out of the queue if it has not begun.
class JobFuture : public FutureBase {
public:
    explicit JobFuture(LoopCore& core) noexcept : FutureBase(core, FutureKind::future) {}
    bool cancel(CancelMessage message) noexcept override;
    [[nodiscard]] std::string subject() const override { return "a job on another thread"; }

private:
    friend class Job;
    std::shared_ptr<Job> job_;
};

/// A function to run on a thread of a pool, its outcome to be brought to a future on the loop. It owns all it needs: the
/// awaiting frame may be gone long before the function is done. Worker threads touch the function and the outcome only;
/// future, context and the list belong to the loop's thread.
class Job : public Posted {
public:
    explicit Job(LoopCore& core);
    ~Job() override;

    /// Enters the loop's list of jobs; `future` will get the outcome.
    void attach(Ref<JobFuture> future, std::shared_ptr<Job> self);
    /// Forgets the future.
    void detach() noexcept;
    /// The loop closes: it does not run if it has not begun, and its future is cancelled.
    void abandon() noexcept;

    /// On a worker's thread: runs the function, unless it was withdrawn, and sends itself back.
    void work(std::shared_ptr<Job> self) noexcept;
    void discard() noexcept final;
    /// Takes it back if it has not begun. What it captured is let go when the loop comes to it: that is users' code, which
    /// is not run in the midst of a request to cancel.
    void withdraw() noexcept;

    [[nodiscard]] Job* next() const noexcept { return next_; }

protected:
    void arrive(LoopCore& core) noexcept final;
    virtual void execute() noexcept = 0;
    virtual void drop() noexcept = 0;
    virtual void settle(FutureBase& future) noexcept = 0;

private:
    LoopCore* core_;
    std::shared_ptr<Mailbox> mailbox_;
    Ref<JobFuture> future_;
    ContextNode* context_ = nullptr;
    Job* prev_ = nullptr;
    Job* next_ = nullptr;
    // Whoever sets it owns the function: the worker that runs it, or the loop that withdraws it.
    std::atomic<bool> taken_ = false;
};

template <class F, class T>
class JobOf final : public Job {
public:
    JobOf(LoopCore& core, F function) : Job(core), function_(std::in_place, std::move(function)) {}

private:
    void execute() noexcept override {
        try {
            if constexpr (std::is_void_v<T>) {
                (*function_)();
                value_.emplace();
            } else {
                value_.emplace((*function_)());
            }
        } catch (...) {
            error_ = std::current_exception();
        }
        function_.reset();
    }
    void drop() noexcept override { function_.reset(); }
    void settle(FutureBase& future) noexcept override {
        if (future.done()) return;
        if (error_ == nullptr) {
            auto& slot = *static_cast<Slot<T>*>(future.slot_address());
            try {
                if constexpr (std::is_void_v<T>) {
                    slot.emplace();
                } else {
                    slot.emplace(std::move(*value_));
                }
            } catch (...) {
                error_ = std::current_exception();
            }
        }
        auto status = error_ == nullptr ? FutureStatus::finished : FutureStatus::failed;
        if (is_cancellation(error_)) status = FutureStatus::cancelled;
        future.finish(status, std::move(error_));
    }

    std::optional<F> function_;
    std::optional<Regular<T>> value_;
    std::exception_ptr error_;
};

/// The result type of a function run elsewhere: never a reference into the other thread.
template <class F>
using JobResult = std::decay_t<std::invoke_result_t<F&>>;

}  // namespace coaio::detail
