// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/ready_queue.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <utility>

namespace coaio::detail {

struct LoopCore;

/// Something that another thread sends to a loop to be run there. Shared by the sender, the mailbox and the loop.
class Posted : public Runnable {
public:
    Posted() = default;
    Posted(const Posted&) = delete;
    Posted& operator=(const Posted&) = delete;
    virtual ~Posted() = default;

    /// On the loop's thread: into the ready queue. `self` is this one.
    void enter(LoopCore& core, std::shared_ptr<Posted> self);
    void run() noexcept final;
    void discard() noexcept override;

protected:
    /// On the loop's thread.
    virtual void arrive(LoopCore& core) noexcept = 0;

private:
    LoopCore* core_ = nullptr;
    std::shared_ptr<Posted> self_;
};

/// A callback from `call_soon_threadsafe`. Whoever moves it out of `waiting` owns its function: the loop to run it, a
/// canceller, on any thread, to drop it.
class PostedCall : public Posted {
public:
    void cancel() noexcept;
    [[nodiscard]] bool cancelled() const noexcept { return cancelled_.load(std::memory_order_acquire); }

protected:
    void arrive(LoopCore& core) noexcept final;
    virtual void invoke() = 0;
    virtual void drop() noexcept = 0;

private:
    // Acquired by whoever takes the function over from the thread that posted it.
    std::atomic<bool> taken_ = false;
    std::atomic<bool> cancelled_ = false;
};

template <class F>
class PostedCallOf final : public PostedCall {
public:
    explicit PostedCallOf(F function) : function_(std::in_place, std::move(function)) {}

private:
    void invoke() override { (*function_)(); }
    void drop() noexcept override { function_.reset(); }
    std::optional<F> function_;
};

}  // namespace coaio::detail

namespace coaio {

/// A callback posted by `call_soon_threadsafe`. May be used, and dropped, on any thread.
class ThreadsafeHandle {
public:
    /// The callback will not run unless it has begun; what it captured is let go, on this thread.
    void cancel() const noexcept { call_->cancel(); }
    [[nodiscard]] bool cancelled() const noexcept { return call_->cancelled(); }

    /// For the library.
    explicit ThreadsafeHandle(std::shared_ptr<detail::PostedCall> call) noexcept : call_(std::move(call)) {}

private:
    std::shared_ptr<detail::PostedCall> call_;
};

}  // namespace coaio
