// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/wait_list.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <utility>

namespace coaio {

class Lock;

namespace detail {
class LockWait;
class LockAwaiter;
class ScopedLockAwaiter;
}  // namespace detail

/// Holds a `Lock` and releases it when it goes. Move-only; from `co_await lock.scoped()`. Release it early through the
/// guard, never beside it: the guard would release the next holder's.
class [[nodiscard("the lock is released when the guard goes: keep it in a variable")]] LockGuard {
public:
    LockGuard(LockGuard&& other) noexcept : lock_(std::exchange(other.lock_, nullptr)) {}
    LockGuard& operator=(LockGuard&& other) noexcept {
        if (this != &other) {
            release();
            lock_ = std::exchange(other.lock_, nullptr);
        }
        return *this;
    }
    ~LockGuard() { release(); }

    /// Releases it now.
    void release() noexcept;

    /// For the library: `lock` is held, and is now the guard's.
    explicit LockGuard(Lock& lock) noexcept : lock_(&lock) {}

private:
    Lock* lock_;
};

/// Lets one task at a time into a stretch of code that has a `co_await` in it; without one no lock is needed, since
/// tasks of one loop never run at the same time.
///
/// First come, first served: a newcomer does not overtake those who wait, not even between a release and the moment at
/// which the next one resumes. Not recursive. Any task or callback of the loop may release it.
///
/// Errors: `RuntimeError` from a release of a free lock, and from a wait on another loop than the one that waited first.
/// Cancellation: a cancelled waiter leaves the queue; one that had been chosen already passes the lock on.
/// Lifetime: outlives its holders and waiters; waiters it leaves behind get `RuntimeError`.
///
///     auto guard = co_await lock.scoped();
class Lock {
public:
    Lock() noexcept = default;
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    ~Lock() = default;

    /// False between a release and the moment at which the next holder resumes.
    [[nodiscard]] bool locked() const noexcept { return locked_; }

    /// `co_await lock.acquire()`: does not suspend when the lock is free and nobody waits. Gives true, as asyncio's does.
    [[nodiscard]] detail::WaitOn<detail::LockAwaiter, Lock> acquire() noexcept {
        return detail::WaitOn<detail::LockAwaiter, Lock>(*this);
    }
    /// `auto guard = co_await lock.scoped()`.
    [[nodiscard]] detail::WaitOn<detail::ScopedLockAwaiter, Lock> scoped() noexcept {
        return detail::WaitOn<detail::ScopedLockAwaiter, Lock>(*this);
    }
    /// Throws `RuntimeError` when it is not held.
    void release() {
        if (!locked_) [[unlikely]]
            throw_not_held();
        waiters_.require_own_thread();
        locked_ = false;
        if (!waiters_.empty()) wake_first();
    }

private:
    friend detail::LockWait;
    friend LockGuard;

    [[nodiscard]] bool try_acquire() noexcept {
        if (locked_ || live_ != 0) return false;
        take();
        return true;
    }
    void take() noexcept {
        locked_ = true;
        holder_ = detail::current_task_state().id();
    }
    [[noreturn]] static void throw_not_held();
    void wake_first() noexcept;

    // Everyone who has not resumed yet, the chosen and the cancelled too.
    detail::WaitList waiters_;
    std::size_t live_ = 0;  // of these, how many were not cancelled while waiting
    std::uint64_t holder_ = 0;
    detail::LoopBinding binding_;
    bool locked_ = false;
};

namespace detail {

class LockWait : public Waiter {
public:
    explicit LockWait(Lock& lock) noexcept : lock_(&lock) {}

    [[nodiscard]] bool await_ready() const noexcept { return lock_->try_acquire(); }
    template <class P>
    void await_suspend(std::coroutine_handle<P> self, Here location = std::source_location::current()) {
        enlist();
        hang(self, location);
    }

    bool cancel(CancelMessage message) noexcept override;
    [[nodiscard]] WaitInfo describe() const override;

protected:
    ~LockWait() {
        if (linked()) [[unlikely]]
            forsake();
    }
    void settle() {
        if (suspended()) take_over();
    }

    Lock* lock_;

private:
    void enlist();
    void leave() noexcept;
    void forsake() noexcept;
    void take_over();
};

class LockAwaiter final : public LockWait {
public:
    using LockWait::LockWait;
    bool await_resume() {
        settle();
        return true;
    }
};

class ScopedLockAwaiter final : public LockWait {
public:
    using LockWait::LockWait;
    LockGuard await_resume() {
        settle();
        return LockGuard(*lock_);
    }
};

}  // namespace detail

inline void LockGuard::release() noexcept {
    Lock* const lock = std::exchange(lock_, nullptr);
    if (lock != nullptr && lock->locked_) lock->release();
}

}  // namespace coaio
