// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/closure.hpp>
#include <coaio/core/detail/frame_pool.hpp>
#include <coaio/core/detail/place.hpp>
#include <coaio/core/detail/slot.hpp>
#include <coaio/core/detail/thread_state.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace coaio {

template <class T = void>
class Coro;

}  // namespace coaio

namespace coaio::detail {

struct PromiseBase;

/// Who awaits a coroutine, in one word. Nobody awaits a task's root: it knows when the task was made instead.
class Parent {
public:
    explicit Parent(PromiseBase* coroutine) noexcept : bits_(reinterpret_cast<std::uintptr_t>(coroutine)) {}
    /// Of a root, by the clock of its loop.
    [[nodiscard]] static Parent none(std::int64_t made) noexcept {
        return Parent(static_cast<std::uint64_t>(made) << 1 | 1);
    }

    [[nodiscard]] bool nobody() const noexcept { return (bits_ & 1) != 0; }
    [[nodiscard]] PromiseBase& coroutine() const noexcept { return *reinterpret_cast<PromiseBase*>(bits_); }
    [[nodiscard]] PromiseBase* coroutine_if_any() const noexcept { return nobody() ? nullptr : &coroutine(); }
    [[nodiscard]] std::int64_t made() const noexcept { return static_cast<std::int64_t>(bits_) >> 1; }

private:
    explicit Parent(std::uint64_t bits) noexcept : bits_(bits) {}
    std::uint64_t bits_;
};

/// What every coroutine of coaio carries, at the front of its promise: who awaits it, and where it hangs.
struct PromiseBase {
    /// Itself before it was ever started.
    Parent parent{this};
    Place place;

    PromiseBase() noexcept = default;
    PromiseBase(const PromiseBase&) = delete;
    PromiseBase& operator=(const PromiseBase&) = delete;

    static void* operator new(std::size_t size) { return allocate_frame(size); }
    static void operator delete(void* block, std::size_t size) noexcept { deallocate_frame(block, size); }

    [[nodiscard]] bool started() const noexcept { return &parent.coroutine() != this; }
    // A handle of the base stands for a handle of the derived promise: the promise lies at the same offset as long as
    // no promise is aligned more strictly than this one, which `Promise` asserts.
    [[nodiscard]] std::coroutine_handle<PromiseBase> handle() noexcept {
        return std::coroutine_handle<PromiseBase>::from_promise(*this);
    }

    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }

    struct FinalAwaiter {
        [[nodiscard]] bool await_ready() const noexcept { return false; }
        template <class P>
        void await_suspend(std::coroutine_handle<P> self) const noexcept {
            const Parent awaiting = self.promise().parent;
            if (!awaiting.nobody()) thread_state.next = awaiting.coroutine().handle();
        }
        void await_resume() const noexcept {}
    };
    [[nodiscard]] FinalAwaiter final_suspend() const noexcept { return {}; }

    /// Sends the current exception on its way to whoever awaits this coroutine.
    void unhandled_exception() noexcept;
};

/// An exception came out of the coroutine just awaited: it is to be thrown here.
[[nodiscard]] inline bool has_exception_in_flight() noexcept { return thread_state.in_flight; }
[[noreturn]] void rethrow_in_flight();

template <class T>
struct Promise;

/// The value half of a promise.
template <class T>
struct ValuePromise : PromiseBase {
    ValuePromise() noexcept = default;
    ~ValuePromise() {
        if (place.has_ended()) slot.destroy();
    }

    template <class U = T>
        requires std::is_constructible_v<T, U&&>
    void return_value(U&& value) {
        slot.emplace(std::forward<U>(value));
        place.reach_end();
    }

    Slot<T> slot;
};

template <class T>
struct ValuePromise<T&> : PromiseBase {
    void return_value(T& value) noexcept { slot.emplace(value); }
    Slot<T&> slot;
};

template <>
struct ValuePromise<void> : PromiseBase {
    void return_void() const noexcept {}
    [[no_unique_address]] Slot<void> slot;
};

/// Throws the `RuntimeError` of a coroutine that cannot be run (again): null, moved from or given away.
[[noreturn]] void throw_not_fresh(const PromiseBase* promise);

/// Drops a coroutine that was never awaited, and reports it in debug mode; nothing where `destroy_stack` was before.
void destroy_unstarted(PromiseBase& promise) noexcept;

/// Drops a coroutine that is not running.
inline void destroy_coroutine(PromiseBase& promise) noexcept {
    if (promise.started()) [[likely]] {
        promise.handle().destroy();
    } else {
        destroy_unstarted(promise);
    }
}

/// Drops a stack of coroutines that await each other, the innermost first, however many they are.
void destroy_stack(PromiseBase* innermost) noexcept;

}  // namespace coaio::detail
