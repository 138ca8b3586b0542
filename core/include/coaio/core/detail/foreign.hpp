// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/task_state.hpp>

#include <concepts>
#include <coroutine>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

namespace coaio::detail {

template <class A>
concept AwaiterProtocol = requires(A& a, std::coroutine_handle<> handle) {
    { a.await_ready() } -> std::convertible_to<bool>;
    a.await_suspend(handle);
    a.await_resume();
};

template <class A>
concept MemberCoAwait = requires(A&& a) { std::forward<A>(a).operator co_await(); };
template <class A>
concept FreeCoAwait = requires(A&& a) { operator co_await(std::forward<A>(a)); };
template <class A>
concept ForeignAwaitable = AwaiterProtocol<std::remove_reference_t<A>> || MemberCoAwait<A> || FreeCoAwait<A>;

/// The handle that a foreign awaiter gets in place of our coroutine's. Resuming it, on any thread, makes the task
/// ready on its own loop; our coroutine is only ever resumed by its task.
class ForeignWaker {
public:
    explicit ForeignWaker(TaskBase& task);
    ForeignWaker(const ForeignWaker&) = delete;
    ForeignWaker& operator=(const ForeignWaker&) = delete;
    /// Whoever has the handle may resume it later all the same, to no effect.
    ~ForeignWaker();

    [[nodiscard]] std::coroutine_handle<> handle() const noexcept { return handle_; }
    /// Nobody has the handle any more.
    void retire() noexcept;

private:
    std::coroutine_handle<> handle_;
};

template <class A>
struct ForeignOperand {
    explicit ForeignOperand(A&& operand) noexcept : awaiter(operand) {}
    std::remove_reference_t<A>& awaiter;
};
template <class A>
    requires MemberCoAwait<A>
struct ForeignOperand<A> {
    explicit ForeignOperand(A&& operand) : awaiter(std::forward<A>(operand).operator co_await()) {}
    decltype(std::declval<A>().operator co_await()) awaiter;
};
template <class A>
    requires(!MemberCoAwait<A> && FreeCoAwait<A>)
struct ForeignOperand<A> {
    explicit ForeignOperand(A&& operand) : awaiter(operator co_await(std::forward<A>(operand))) {}
    decltype(operator co_await(std::declval<A>())) awaiter;
};

/// The half of the bridge that does not know the awaiter's type.
class ForeignWait : public Suspension {
public:
    bool cancel(CancelMessage) noexcept override { return false; }
    [[nodiscard]] WaitInfo describe() const override;

protected:
    ~ForeignWait() = default;
};

/// Bridges an awaiter that knows nothing of tasks. It cannot be told to give up, so a cancellation stays pending until
/// it resumes, and is thrown then; its result is dropped.
template <class A>
class ForeignAwaiter final : public ForeignWait {
public:
    explicit ForeignAwaiter(std::remove_reference_t<A>& operand) : operand_(static_cast<A&&>(operand)) {}

    [[nodiscard]] bool await_ready() { return operand_.awaiter.await_ready(); }

    template <class P>
    bool await_suspend(std::coroutine_handle<P> self, Here location = std::source_location::current()) {
        self.promise().place.hang_at(location);
        task_ = thread_state.task;
        waker_.emplace(*task_);
        using Result = decltype(operand_.awaiter.await_suspend(waker_->handle()));
        task_->suspend(*this);
        bool stays = true;
        try {
            if constexpr (std::is_void_v<Result>) {
                operand_.awaiter.await_suspend(waker_->handle());
            } else if constexpr (std::is_same_v<Result, bool>) {
                stays = operand_.awaiter.await_suspend(waker_->handle());
            } else {
                const std::coroutine_handle<> next = operand_.awaiter.await_suspend(waker_->handle());
                if (next) next.resume();
            }
        } catch (...) {
            task_->unhang();
            waker_->retire();
            throw;
        }
        if (!stays) {
            task_->unhang();
            waker_->retire();
            task_ = nullptr;
        }
        return stays;
    }

    decltype(auto) await_resume() {
        if (task_ != nullptr && task_->cancel_due()) [[unlikely]]
            task_->throw_cancelled();
        return operand_.awaiter.await_resume();
    }

private:
    ForeignOperand<A> operand_;
    TaskBase* task_ = nullptr;
    std::optional<ForeignWaker> waker_;
};

}  // namespace coaio::detail
