// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/future_state.hpp>
#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/detail/promise.hpp>
#include <coaio/core/detail/suspension.hpp>
#include <coaio/core/detail/task_name.hpp>

#include <cstdint>
#include <memory>
#include <source_location>
#include <string>

namespace coaio {
class Context;
}

namespace coaio::detail {

class ContextNode;

/// False while the loop does not run yet; throws `RuntimeError` when it runs in another thread.
[[nodiscard]] bool can_start_eagerly(const LoopCore& core);

/// One level of cancellation of a task. The bottom level takes the requests from outside. A masked stretch puts a new
/// level on top: requests to the levels below stay pending until it is left, while the deadlines and groups that were
/// opened inside it, which keep the level they were opened on, still reach the code they belong to.
struct CancelLevel {
    std::unique_ptr<std::string> message;
    std::uint32_t requests = 0;
    /// Asked for and not yet thrown: thrown at the next real suspension.
    bool pending = false;
    /// It came while a masked stretch held it off. If the task then ends without suspending again, its result stands.
    bool deferred = false;
};

/// The level of a masked stretch.
struct MaskLevel : CancelLevel {
    CancelLevel* below = nullptr;
};

/// A coroutine scheduled on a loop; everything of a task but its value. The loop holds a reference until it is done.
class TaskBase : public FutureBase {
public:
    TaskBase(LoopCore& core, PromiseBase& root, std::source_location spawn_site);
    ~TaskBase() override;

    /// Enters the loop's list and the ready queue: the first step is taken on the next turn.
    void start();
    /// Enters the loop's list and takes the first step now, inside whatever runs.
    void start_eagerly() noexcept;
    /// Runs the coroutine until it suspends or ends. Called by the loop only.
    void step() noexcept {
        if (!started_) {
            if (bottom_.pending) [[unlikely]]
                return end_unstarted();
            started_ = true;
        }
        thread_state.task = this;
        std::coroutine_handle<> next = leaf_frame_->handle();
        do {
            // What runs now is the innermost coroutine, also for who looks at the task meanwhile.
            leaf_frame_ = &std::coroutine_handle<PromiseBase>::from_address(next.address()).promise();
            thread_state.next = nullptr;
            next.resume();
            next = thread_state.next;
        } while (next);
        thread_state.task = nullptr;
        if (leaf_frame_->handle().done()) settle();
    }

    /// The task hangs at `leaf`, in the coroutine that runs. Pending cancellation strikes at once.
    void suspend(Suspension& leaf) noexcept {
        leaf_ = &leaf;
        since_ = core_->now;
        if (level_->pending) [[unlikely]]
            strike();
    }
    /// It did not suspend after all.
    void unhang() noexcept { leaf_ = nullptr; }
    /// Gives the others a turn: suspended and ready at once, with nothing to wait for.
    void yield() noexcept { core_->ready.push(Entry(this)); }
    void wake() noexcept {
        leaf_ = nullptr;
        core_->ready.push(Entry(this));
    }
    /// Wakes it with a CancelledError. For leaves, out of `Suspension::cancel`.
    void wake_cancelled(CancelMessage message) noexcept;

    /// After a resume: is a CancelledError due instead of what was waited for?
    [[nodiscard]] bool cancel_due() const noexcept { return struck_ || level_->pending; }
    [[noreturn]] void throw_cancelled();
    /// The cancellation that was due is answered by another one that is thrown now.
    void clear_pending() noexcept {
        struck_ = false;
        level_->pending = false;
    }

    bool cancel(CancelMessage message) noexcept override { return cancel(bottom_, message); }
    /// Cancels on behalf of a scope that was opened on `level`.
    bool cancel(CancelLevel& level, CancelMessage message) noexcept;
    std::uint32_t uncancel(CancelLevel& level) noexcept;
    [[nodiscard]] CancelLevel& bottom_level() noexcept { return bottom_; }
    [[nodiscard]] CancelLevel& level() noexcept { return *level_; }
    [[nodiscard]] std::uint32_t bottom_requests() const noexcept { return bottom_.requests; }
    void push_level(MaskLevel& level) noexcept {
        level.below = level_;
        level_ = &level;
    }
    void pop_level() noexcept { level_ = static_cast<MaskLevel*>(level_)->below; }

    void put_in_flight(std::exception_ptr exception) noexcept {
        exception_ = std::move(exception);
        thread_state.in_flight = true;
    }
    [[nodiscard]] std::exception_ptr take_in_flight() noexcept {
        thread_state.in_flight = false;
        return std::exchange(exception_, nullptr);
    }

    /// The loop closes: drops the coroutine where it hangs, and reports it.
    void abandon() noexcept;

    [[nodiscard]] std::uint64_t id() const noexcept { return name_.id(); }
    [[nodiscard]] std::string name() const { return name_.get(); }
    void set_name(std::string name) { name_.set(std::move(name)); }
    [[nodiscard]] const std::source_location& spawn_site() const noexcept { return spawn_site_; }
    [[nodiscard]] std::int64_t created() const noexcept {
        const PromiseBase* const outermost = root();
        return outermost != nullptr ? outermost->parent.made() : since_;
    }
    /// Since when it hangs at its leaf.
    [[nodiscard]] std::int64_t since() const noexcept { return since_; }
    [[nodiscard]] const Suspension* leaf() const noexcept { return leaf_; }
    /// The innermost coroutine; null once they are gone.
    [[nodiscard]] const PromiseBase* leaf_frame() const noexcept { return has_frames_ ? leaf_frame_ : nullptr; }
    /// The outermost one; null as above.
    [[nodiscard]] const PromiseBase* root() const noexcept {
        const PromiseBase* root = nullptr;
        for (const PromiseBase* each = leaf_frame(); each != nullptr; each = each->parent.coroutine_if_any())
            root = each;
        return root;
    }
    [[nodiscard]] TaskBase* next_task() const noexcept { return next_; }
    [[nodiscard]] bool started() const noexcept { return started_; }
    /// The coroutine's own name, also when it has gone.
    [[nodiscard]] std::source_location definition() const noexcept {
        return has_frames_ ? root()->place.definition() : last_place_.definition();
    }

    [[nodiscard]] ContextNode*& context() noexcept { return context_; }
    [[nodiscard]] ContextNode* context() const noexcept { return context_; }
    /// Runs in this context instead of a copy of its creator's.
    void use_context(const Context& context) noexcept;

    [[nodiscard]] std::string subject() const override;

protected:
    /// Moves the value out of the finished root coroutine.
    virtual void collect(PromiseBase& root) = 0;

private:
    friend class CancelWalk;

    void strike() noexcept;
    void end_unstarted() noexcept;
    void settle() noexcept;
    void end(FutureStatus status, std::exception_ptr exception) noexcept;
    /// Forgets the coroutines, for the caller to destroy, but for what the outermost one is called.
    void give_up_frames(const PromiseBase& root) noexcept {
        last_place_ = root.place;
        has_frames_ = false;
        leaf_ = nullptr;
    }
    void hold_back(CancelLevel& level, CancelMessage message) noexcept;
    void set_message(CancelLevel& level, CancelMessage message) noexcept;
    void enlist() noexcept;

    Suspension* leaf_ = nullptr;
    union {
        PromiseBase* leaf_frame_;  // of the coroutines: that of the leaf, or the one that runs
        Place last_place_;         // of the outermost, once they are gone
    };
    CancelLevel* level_ = &bottom_;
    // The flags lie in what would else be padding.
    [[no_unique_address]] CancelLevel bottom_;
    bool struck_ = false;  // woken by a cancellation that has not been thrown yet
    bool started_ : 1 = false;
    bool has_frames_ : 1 = true;
    bool passing_ : 1 = false;  // a cancellation is on its way through it
    TaskBase* prev_ = nullptr;
    TaskBase* next_ = nullptr;
    std::source_location spawn_site_;
    std::int64_t since_;
    TaskName name_;
    ContextNode* context_ = nullptr;
};

template <class T>
class TaskState final : public WithValue<T, TaskBase> {
public:
    TaskState(LoopCore& core, Promise<T>& root, std::source_location spawn_site)
        : WithValue<T, TaskBase>(core, root, spawn_site) {}

private:
    void collect(PromiseBase& root) override {
        if constexpr (std::is_void_v<T>) {
            this->slot().emplace();
        } else {
            this->slot().emplace(static_cast<Promise<T>&>(root).slot.take());
        }
    }
};

/// The task being stepped; asserts that there is one.
[[nodiscard]] inline TaskBase& current_task_state() noexcept { return *thread_state.task; }

}  // namespace coaio::detail
