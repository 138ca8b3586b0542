// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/ready_queue.hpp>
#include <coaio/core/detail/wait_list.hpp>

#include <coroutine>
#include <cstddef>
#include <source_location>

namespace coaio::detail {

class GetWait;
class PutWait;
class JoinAwaiter;

/// A queue without its items: how many there are, and who waits.
class QueueBase {
public:
    QueueBase(const QueueBase&) = delete;
    QueueBase& operator=(const QueueBase&) = delete;

protected:
    friend GetWait;
    friend PutWait;
    friend JoinAwaiter;

    explicit QueueBase(std::size_t maxsize) noexcept : maxsize_(maxsize) {}
    ~QueueBase() = default;

    [[nodiscard]] bool is_full() const noexcept { return maxsize_ != 0 && size_ + reserved_ >= maxsize_; }
    [[noreturn]] static void throw_shut_down();
    void require_open() const {
        if (shut_down_) [[unlikely]]
            throw_shut_down();
    }

    void require_own_thread() const {
        for (const WaitList* const each : {&getters_, &putters_, &joiners_}) each->require_own_thread();
    }
    /// Throws when there is none and never will be.
    [[nodiscard]] bool has_item() const {
        if (size_ != 0) return true;
        require_open();
        return false;
    }
    /// An item was put in: a getter can have it.
    void added() noexcept {
        ++size_;
        ++unfinished_;
        if (!getters_.empty()) wake_getter();
    }
    /// An item was taken out: a putter has its place.
    void removed() noexcept {
        --size_;
        if (!putters_.empty()) wake_putter();
    }
    void finish_one();
    /// Shuts down. With `immediate`, all items go and count as done.
    void close(bool immediate) noexcept;
    /// A woken putter could not use its place after all.
    void pass_place_on() noexcept {
        if (!is_full() && !putters_.empty()) wake_putter();
    }

    void wake_getter() noexcept;
    void wake_putter() noexcept;

    std::size_t maxsize_;
    std::size_t size_ = 0;
    std::size_t reserved_ = 0;  // places of woken putters that have not resumed yet: newcomers see them taken
    std::size_t unfinished_ = 0;
    WaitList getters_;
    WaitList putters_;
    WaitList woken_;  // both kinds, until they resume
    WaitList joiners_;
    LoopBinding binding_;
    bool shut_down_ = false;
};

/// A task that waits for an item. Woken, it is a runnable at first: somebody else may take the item before its turn
/// comes, and then it goes on waiting without its coroutine ever being resumed.
class GetWait final : public Waiter, public Runnable {
public:
    explicit GetWait(QueueBase& queue) noexcept : queue_(&queue) {}
    ~GetWait() {
        if (suspended() && (linked() || queued_)) [[unlikely]]
            forsake();
    }

    template <class P>
    void enlist(std::coroutine_handle<P> self, Here location) {
        queue_->binding_.require("queue");
        queue_->getters_.push_back(*this);
        hang(self, location);
    }
    /// After the resume: there is an item, or it throws.
    void take_over();

    void run() noexcept override;
    [[nodiscard]] TaskBase* stepped() const noexcept override { return task(); }
    [[nodiscard]] WaitInfo describe() const override;

private:
    friend QueueBase;

    void forsake() noexcept;

    bool queued_ = false;  // at position_ of the ready queue
    ReadyQueue::Position position_ = 0;
    QueueBase* queue_;
};

/// A task that waits for a place. Woken, the place is its own.
class PutWait final : public Waiter {
public:
    explicit PutWait(QueueBase& queue) noexcept : queue_(&queue) {}
    ~PutWait() {
        if (linked()) [[unlikely]]
            forsake();
    }

    template <class P>
    void enlist(std::coroutine_handle<P> self, Here location) {
        queue_->binding_.require("queue");
        queue_->putters_.push_back(*this);
        hang(self, location);
    }
    /// After the resume: the place is there, or it throws.
    void take_over();

    [[nodiscard]] WaitInfo describe() const override;

private:
    void forsake() noexcept;

    QueueBase* queue_;
};

class JoinAwaiter final : public Waiter {
public:
    explicit JoinAwaiter(QueueBase& queue) noexcept : queue_(&queue) {}

    [[nodiscard]] bool await_ready() const noexcept { return queue_->unfinished_ == 0; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> self, Here location = std::source_location::current()) {
        queue_->binding_.require("queue");
        queue_->joiners_.push_back(*this);
        hang(self, location);
    }
    void await_resume() const {
        throw_if_cancelled();
        if (state() == WaitState::orphaned) throw_orphaned("queue");
    }

    [[nodiscard]] WaitInfo describe() const override;

private:
    QueueBase* queue_;
};

}  // namespace coaio::detail
