// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/awaitable.hpp>
#include <coaio/core/detail/future_state.hpp>

#include <source_location>
#include <type_traits>
#include <utility>

namespace coaio::detail {

/// Waits for a future: the half that does not know the type of its value.
class FutureWait : public Leaf {
public:
    explicit FutureWait(Ref<FutureBase> future) noexcept : future_(std::move(future)) {}
    [[nodiscard]] bool await_ready() const noexcept { return future_->done(); }

    template <class P>
    void await_suspend(std::coroutine_handle<P> self, Here location = std::source_location::current()) {
        require_awaitable();
        node_.target = Entry(thread_state.task);
        future_->add_waiter(node_);
        hang(self, location);
    }

    bool cancel(CancelMessage message) noexcept override { return future_->cancel(message); }
    [[nodiscard]] FutureBase* passes_cancel_to() const noexcept final { return future_.get(); }
    /// Ends the wait itself: the future waits, in the end, for this very task.
    void break_ring(CancelMessage message) noexcept;
    [[nodiscard]] WaitInfo describe() const override;

protected:
    ~FutureWait() {
        if (node_.linked()) future_->remove_waiter(node_);
    }
    /// After the resume: throws the cancellation, or what the future failed with.
    void settle() {
        if (future_->status() != FutureStatus::finished || cancelled()) [[unlikely]]
            throw_outcome();
    }

    Ref<FutureBase> future_;

private:
    void require_awaitable() const;
    void throw_outcome();

    DoneNode node_;
};

/// `co_await` of a named handle gives a reference to the value, which stays with the future.
template <class T>
class FutureAwaiter final : public FutureWait {
public:
    using FutureWait::FutureWait;

    std::add_lvalue_reference_t<std::add_const_t<T>> await_resume() {
        settle();
        future_->require_value();
        return static_cast<Slot<T>*>(future_->slot_address())->get();
    }
};

/// `co_await` of a temporary handle moves the value out.
template <class T>
class TakingFutureAwaiter final : public FutureWait {
public:
    using FutureWait::FutureWait;

    T await_resume() {
        settle();
        auto& slot = *static_cast<Slot<T>*>(future_->slot_address());
        if constexpr (std::is_void_v<T> || std::is_reference_v<T>) {
            return slot.take();
        } else {
            future_->mark_taken();
            struct Destroy {
                Slot<T>& slot;
                ~Destroy() { slot.destroy(); }
            } const destroy{slot};
            return slot.take();
        }
    }
};

}  // namespace coaio::detail
