// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/detail/closure.hpp>
#include <coaio/core/detail/generator_base.hpp>
#include <coaio/core/error.hpp>

#include <coroutine>
#include <memory>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

namespace coaio {

/// Thrown at the `co_yield` of a generator that is being closed. Clean up and let it pass; do not yield again.
class GeneratorExit : public BaseException {
public:
    ~GeneratorExit() override;
    [[nodiscard]] const char* what() const noexcept override;
};

namespace detail {
template <class T>
struct GeneratorPromise;
template <class T>
class GeneratorNext;
}  // namespace detail

/// A coroutine that gives many values, one at a time, and may await between them: `co_yield` in, `next()` out.
///
/// It has no task of its own: each step runs inside the task that awaits it, and stops at the next `co_yield`. It does
/// nothing before the first `next()`.
///
/// Errors: what comes out of it is thrown to whoever awaits the step, and ends it. `RuntimeError` when it is asked for a
/// step while another one is under way, and from `aclose()` when it yields again instead of stopping.
/// Cancellation: a task that is cancelled while it awaits a step is cancelled inside the generator, which ends by it.
/// One that is cancelled between two steps leaves the generator where it is.
/// Lifetime: owns its frame. One that is dropped at a `co_yield` is closed by the running loop in a new task, so its
/// clean-up may await; without a running loop its frame is destroyed, as with any coroutine. What it refers to has to
/// live until then: use `aclose()` where that matters. The end of a run closes those that are still there.
///
///     coaio::AsyncGenerator<int> ticks(int n) {
///         for (int i = 0; i < n; ++i) {
///             co_await coaio::sleep(1s);
///             co_yield i;
///         }
///     }
///
///     auto numbers = ticks(3);
///     while (auto number = co_await numbers.next()) std::cout << *number << '\n';
template <class T>
class [[nodiscard("an async generator does nothing until next() is awaited")]] AsyncGenerator
    : private detail::GeneratorOwner {
    static_assert(std::is_object_v<T> && std::is_move_constructible_v<T>, "a generator yields movable objects");

public:
    using promise_type = detail::GeneratorPromise<T>;
    using value_type = T;

    AsyncGenerator(AsyncGenerator&&) noexcept = default;
    AsyncGenerator& operator=(AsyncGenerator&&) noexcept = default;
    ~AsyncGenerator() = default;

    /// `co_await generator.next()`: the next value, or nothing when it has ended.
    [[nodiscard("co_await it")]] detail::GeneratorNext<T> next() noexcept {
        return detail::GeneratorNext<T>(generator());
    }

    /// `co_await generator.aclose()`: throws `GeneratorExit` at the `co_yield` at which it stands, and waits until its
    /// clean-up is done. One that never ran, or has ended, just ends.
    [[nodiscard("co_await it")]] detail::GeneratorClosing aclose() noexcept {
        return detail::GeneratorClosing(generator());
    }

private:
    friend promise_type;
    explicit AsyncGenerator(promise_type& promise) noexcept : GeneratorOwner(promise) {}
};

// ---------------------------------------------------------------------------------------------------------------

namespace detail {

template <class T>
struct GeneratorPromise : GeneratorBase {
    ~GeneratorPromise() {
        if (drop_value != nullptr) drop_value(*this);
    }

    [[nodiscard]] AsyncGenerator<T>
    get_return_object(std::source_location where = std::source_location::current()) noexcept {
        static_assert(alignof(GeneratorPromise) <= 2 * alignof(void*), "yielded values may not be over-aligned");
        place = detail::Place(where);
        return AsyncGenerator<T>(*this);
    }
    void return_void() const noexcept {}

    template <class U = T>
        requires std::is_constructible_v<T, U&&>
    [[nodiscard]] YieldAwaiter yield_value(U&& value) {
        slot.emplace(std::forward<U>(value));
        drop_value = [](GeneratorBase& self) noexcept {
            self.drop_value = nullptr;
            static_cast<GeneratorPromise&>(self).slot.destroy();
        };
        return {this};
    }

    Slot<T> slot;
};

template <class T, class Self>
struct LambdaGeneratorPromise : GeneratorPromise<T> {
    void unhandled_exception() noexcept {
        static_assert(std::is_empty_v<std::remove_cvref_t<Self>>,
                      "a lambda that captures cannot be a generator: its captures die with the lambda, before the "
                      "generator is done. Pass what it needs as parameters (docs/hazards.md, 'Lambdas')");
        PromiseBase::unhandled_exception();
    }
};

template <class T, class... Args>
struct GeneratorPromiseFor {
    using promise_type = GeneratorPromise<T>;
};
template <class T, class Self, class... Rest>
    requires lambda_without_scope<Self, Rest...>
struct GeneratorPromiseFor<T, Self, Rest...> {
    using promise_type = LambdaGeneratorPromise<T, Self>;
};

template <class T>
class GeneratorNextAwaiter final : public GeneratorStep {
public:
    using GeneratorStep::GeneratorStep;

    [[nodiscard]] bool await_ready() const {
        if (generator_ == nullptr) return true;
        require_idle("next()");
        return false;
    }
    template <class P>
    void await_suspend(std::coroutine_handle<P> self, Here location = std::source_location::current()) {
        begin(self, location);
    }
    std::optional<T> await_resume() {
        if (generator_ == nullptr || !end()) {
            if (has_exception_in_flight()) [[unlikely]]
                rethrow_in_flight();
            return std::nullopt;
        }
        struct Rest {
            GeneratorNextAwaiter& step;
            ~Rest() { step.rest(); }
        } const rest{*this};
        return std::optional<T>(static_cast<GeneratorPromise<T>*>(generator_)->slot.take());
    }
};

template <class T>
class [[nodiscard("co_await it")]] GeneratorNext {
public:
    using coaio_awaitable = void;
    explicit GeneratorNext(GeneratorBase* generator) noexcept : generator_(generator) {}
    [[nodiscard]] GeneratorNextAwaiter<T> operator co_await() const noexcept {
        return GeneratorNextAwaiter<T>(generator_);
    }

private:
    GeneratorBase* generator_;
};

}  // namespace detail

}  // namespace coaio

template <class T, class... Args>
struct std::coroutine_traits<coaio::AsyncGenerator<T>, Args...> : coaio::detail::GeneratorPromiseFor<T, Args...> {};
