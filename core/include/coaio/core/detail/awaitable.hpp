// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/foreign.hpp>
#include <coaio/core/detail/promise.hpp>
#include <coaio/core/detail/task_state.hpp>

#include <concepts>
#include <source_location>
#include <type_traits>
#include <utility>

namespace coaio::detail {

/// An awaitable of coaio: a small value, made by a call, whose `operator co_await` makes the leaf awaiter in place.
/// Types say so by `using coaio_awaitable = void;`.
template <class A>
concept Native = requires { typename std::remove_cvref_t<A>::coaio_awaitable; };

template <class A>
concept NativeAs = Native<A> && requires(A&& a) { std::forward<A>(a).operator co_await(); };

template <class...>
inline constexpr bool always_false = false;

/// Turns the operand of `co_await` into its awaiter. By value always: g++ 12 copies awaiters returned by reference.
template <class A>
[[nodiscard]] auto get_awaiter(A&& awaitable) {
    if constexpr (NativeAs<A>) {
        return std::forward<A>(awaitable).operator co_await();
    } else if constexpr (Native<A>) {
        static_assert(
            always_false<A>,
            "co_await of a named coroutine or one-shot awaitable: it can be awaited once only, so give it up: "
            "co_await std::move(name)");
    } else if constexpr (ForeignAwaitable<A>) {
        return ForeignAwaiter<A>(awaitable);
    } else {
        static_assert(always_false<A>,
                      "co_await takes a coaio::Coro, Task or Future, or a type with the standard awaiter protocol "
                      "(await_ready, await_suspend, await_resume)");
    }
}

struct AwaitTransform {
    template <class A>
    [[nodiscard]] auto await_transform(A&& awaitable) const {
        return get_awaiter(std::forward<A>(awaitable));
    }
};

/// Base of the leaf awaiters that wait in one place and give nothing back: it remembers whether the task really
/// suspended, and throws the cancellation after the resume.
class Leaf : public Suspension {
public:
    [[nodiscard]] TaskBase* task() const noexcept { return task_; }

protected:
    ~Leaf() = default;

    template <class P>
    void hang(std::coroutine_handle<P> self, Here location) noexcept {
        self.promise().place.hang_at(location);
        task_ = thread_state.task;
        task_->suspend(*this);
    }
    [[nodiscard]] bool suspended() const noexcept { return task_ != nullptr; }
    /// After a resume: throws the CancelledError that is due.
    void throw_if_cancelled() const {
        if (task_ != nullptr && task_->cancel_due()) [[unlikely]]
            task_->throw_cancelled();
    }
    [[nodiscard]] bool cancelled() const noexcept { return task_ != nullptr && task_->cancel_due(); }

    TaskBase* task_ = nullptr;
};

template <class T>
struct Promise : ValuePromise<T>, AwaitTransform {
    [[nodiscard]] Coro<T> get_return_object(std::source_location where = std::source_location::current()) noexcept {
        static_assert(alignof(Promise) <= 2 * alignof(void*), "coroutine results may not be over-aligned");
        this->place = Place(where);
        return Coro<T>(*this);
    }

    [[nodiscard]] decltype(auto) take() {
        if (has_exception_in_flight()) [[unlikely]]
            rethrow_in_flight();
        return this->slot.take();
    }
};

template <class T>
class CoroAwaiter {
public:
    explicit CoroAwaiter(Promise<T>& child) noexcept : child_(&child) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> self, Here location = std::source_location::current()) const noexcept {
        self.promise().place.hang_at(location);
        child_->parent = Parent(&self.promise());
        thread_state.next = child_->handle();
    }
    T await_resume() const { return child_->take(); }

private:
    Promise<T>* child_;
};

}  // namespace coaio::detail
