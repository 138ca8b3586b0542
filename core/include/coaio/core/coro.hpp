// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/awaitable.hpp>
#include <coaio/core/detail/closure.hpp>
#include <coaio/core/error.hpp>

#include <coroutine>
#include <utility>

namespace coaio {

/// A coroutine object: calling a coroutine function makes one and runs nothing of its body.
///
/// `co_await`ing it runs it inside the current task, without a trip through the loop's ready queue, and gives its
/// result or throws what it threw. It can be awaited once; a second time throws `RuntimeError`. To run it beside the
/// current task give it to `create_task`.
///
/// Cancellation: belongs to the task that runs it; a coroutine that was never started just goes away.
/// Lifetime: owns its frame: parameters, then locals. What a reference parameter means is not owned: what a task is to
/// keep is taken by value. One that is destroyed without ever having been awaited is reported in debug mode, with its
/// name and definition.
///
///     coaio::Coro<int> answer() { co_return 42; }
///     int value = co_await answer();
///
/// A lambda that is a coroutine and captures is refused unless its first parameter is a scope, by reference, as its
/// captures would die with the lambda, before the coroutine is done: `create_task`, `task_group`, `timeout`, `finally`
/// and others hand one out and keep the lambda alive. A scope of your own becomes one by
/// `template <> inline constexpr bool coaio::enable_scope<Mine> = true;` (docs/hazards.md, "Lambdas").
template <class T>
class [[nodiscard("a coaio::Coro does nothing until it is awaited: co_await it, or give it to create_task")]] Coro {
public:
    using promise_type = detail::Promise<T>;
    using value_type = T;
    using coaio_awaitable = void;

    Coro(Coro&& other) noexcept : promise_(std::exchange(other.promise_, nullptr)) {}
    Coro& operator=(Coro&& other) noexcept {
        if (this != &other) {
            reset();
            promise_ = std::exchange(other.promise_, nullptr);
        }
        return *this;
    }
    ~Coro() { reset(); }

    /// False once moved from or handed to a task.
    [[nodiscard]] explicit operator bool() const noexcept { return promise_ != nullptr; }

    [[nodiscard]] detail::CoroAwaiter<T> operator co_await() && {
        require_fresh();
        return detail::CoroAwaiter<T>(*promise_);
    }

    /// For the library: the coroutine, to be run by somebody else. Throws `RuntimeError` when it has run already.
    [[nodiscard]] detail::Promise<T>& peek() const {
        require_fresh();
        return *promise_;
    }
    /// For the library: gives up the frame.
    detail::Promise<T>* release() noexcept { return std::exchange(promise_, nullptr); }

private:
    friend detail::Promise<T>;
    explicit Coro(detail::Promise<T>& promise) noexcept : promise_(&promise) {}

    void reset() noexcept {
        if (promise_ != nullptr) detail::destroy_coroutine(*promise_);
    }
    void require_fresh() const {
        if (promise_ == nullptr || promise_->started()) [[unlikely]]
            detail::throw_not_fresh(promise_);
    }

    detail::Promise<T>* promise_;
};

namespace detail {

/// The promise of a coroutine that looks like a lambda without a scope: its first parameter is a closure, which is not
/// merely handed to it if it can be called with the others. Inside its own body a closure type is incomplete; it is
/// asked for captures in a function body, which is instantiated once the type is complete.
template <class T, class Self, class... Rest>
struct LambdaPromise : Promise<T> {
    void unhandled_exception() noexcept {
        static_assert(
            std::is_empty_v<std::remove_cvref_t<Self>>,
            "a lambda that captures cannot be a coroutine: its captures die with the lambda, before the "
            "coroutine is done. Pass what it needs as parameters, or let it take a scope first and give it to "
            "a function that keeps it alive (task_group, timeout, finally, ...; docs/hazards.md, 'Lambdas')");
        PromiseBase::unhandled_exception();
    }
};

template <class T, class... Args>
struct PromiseFor {
    using promise_type = Promise<T>;
};
template <class T, class Self, class... Rest>
    requires lambda_without_scope<Self, Rest...>
struct PromiseFor<T, Self, Rest...> {
    using promise_type = LambdaPromise<T, Self, Rest...>;
};

}  // namespace detail

}  // namespace coaio

template <class T, class... Args>
struct std::coroutine_traits<coaio::Coro<T>, Args...> : coaio::detail::PromiseFor<T, Args...> {};
