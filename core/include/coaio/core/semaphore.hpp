// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/wait_list.hpp>

#include <coroutine>
#include <cstddef>
#include <source_location>
#include <utility>

namespace coaio {

class Semaphore;

namespace detail {
class SemaphoreWait;
class SemaphoreAwaiter;
class ScopedSemaphoreAwaiter;
}  // namespace detail

/// Holds one unit of a `Semaphore` and gives it back when it goes. Move-only; from `co_await semaphore.scoped()`.
class [[nodiscard("the unit is given back when the guard goes: keep it in a variable")]] SemaphoreGuard {
public:
    SemaphoreGuard(SemaphoreGuard&& other) noexcept : semaphore_(std::exchange(other.semaphore_, nullptr)) {}
    SemaphoreGuard& operator=(SemaphoreGuard&& other) noexcept {
        if (this != &other) {
            let_go();
            semaphore_ = std::exchange(other.semaphore_, nullptr);
        }
        return *this;
    }
    ~SemaphoreGuard() { let_go(); }

    /// Gives it back now. Throws `ValueError` when a `BoundedSemaphore` has all its units, since somebody gave this one
    /// back beside the guard; a guard that just goes tells the loop's exception handler instead.
    void release();

    /// For the library: one unit of `semaphore` is now the guard's.
    explicit SemaphoreGuard(Semaphore& semaphore) noexcept : semaphore_(&semaphore) {}

private:
    void let_go() noexcept;

    Semaphore* semaphore_;
};

/// A number of units, of which every task that enters takes one: at most so many at a time.
///
/// First come, first served: a unit that is released belongs to the first waiter at once, before that one resumes.
///
/// Errors: `ValueError` for a negative number of units; `RuntimeError` from a wait on another loop than the one that
/// waited first.
/// Cancellation: a cancelled waiter leaves the queue; a unit that it had been given already goes to the next.
/// Lifetime: outlives its waiters and guards; waiters it leaves behind get `RuntimeError`.
///
///     coaio::Semaphore at_most_ten(10);
///     auto guard = co_await at_most_ten.scoped();
class Semaphore {
public:
    explicit Semaphore(std::ptrdiff_t value = 1);
    Semaphore(const Semaphore&) = delete;
    Semaphore& operator=(const Semaphore&) = delete;
    ~Semaphore() = default;

    /// Whether an acquire would have to wait.
    [[nodiscard]] bool locked() const noexcept { return value_ == 0 || !waiting_.empty() || !woken_.empty(); }
    /// The units that nobody has.
    [[nodiscard]] std::size_t value() const noexcept { return value_; }

    /// `co_await semaphore.acquire()`: does not suspend unless `locked()`. Gives true, as asyncio's does.
    [[nodiscard]] detail::WaitOn<detail::SemaphoreAwaiter, Semaphore> acquire() noexcept {
        return detail::WaitOn<detail::SemaphoreAwaiter, Semaphore>(*this);
    }
    /// `auto guard = co_await semaphore.scoped()`.
    [[nodiscard]] detail::WaitOn<detail::ScopedSemaphoreAwaiter, Semaphore> scoped() noexcept {
        return detail::WaitOn<detail::ScopedSemaphoreAwaiter, Semaphore>(*this);
    }
    /// Gives one unit back, or adds one. Throws `ValueError` when a `BoundedSemaphore` has them all.
    void release() {
        if (value_ >= bound_) [[unlikely]]
            throw_over_bound();
        waiting_.require_own_thread();
        ++value_;
        wake_next();
    }

protected:
    Semaphore(std::ptrdiff_t value, bool bounded) : Semaphore(value) {
        if (bounded) bound_ = value_;
    }

private:
    friend detail::SemaphoreWait;
    friend SemaphoreGuard;

    [[noreturn]] void throw_over_bound() const;
    void report_over_bound() const noexcept;
    bool wake_next() noexcept {
        if (waiting_.empty()) return false;
        --value_;
        woken_.push_back(waiting_.wake_front());
        return true;
    }
    // While somebody was about to resume, newcomers queued up although units came back.
    void wake_allowed() noexcept {
        while (value_ > 0 && wake_next()) {}
    }

    detail::WaitList waiting_;
    detail::WaitList woken_;  // each has its unit, and has not resumed yet
    std::size_t value_;
    std::size_t bound_ = static_cast<std::size_t>(-1);
    detail::LoopBinding binding_;
};

/// A `Semaphore` that notices when more units are released than it started with: `release` then throws `ValueError`, and
/// a guard that finds its unit given back tells the loop's exception handler when it goes.
class BoundedSemaphore : public Semaphore {
public:
    explicit BoundedSemaphore(std::ptrdiff_t value = 1) : Semaphore(value, true) {}
};

namespace detail {

class SemaphoreWait : public Waiter {
public:
    explicit SemaphoreWait(Semaphore& semaphore) noexcept : semaphore_(&semaphore) {}

    [[nodiscard]] bool await_ready() const noexcept {
        if (semaphore_->locked()) return false;
        --semaphore_->value_;
        return true;
    }
    template <class P>
    void await_suspend(std::coroutine_handle<P> self, Here location = std::source_location::current()) {
        semaphore_->binding_.require("semaphore");
        semaphore_->waiting_.push_back(*this);
        hang(self, location);
    }

    [[nodiscard]] WaitInfo describe() const override;

protected:
    ~SemaphoreWait() {
        if (linked()) [[unlikely]]
            forsake();
    }
    void settle() {
        if (suspended()) take_over();
    }

    Semaphore* semaphore_;

private:
    void forsake() noexcept;
    void take_over();
};

class SemaphoreAwaiter final : public SemaphoreWait {
public:
    using SemaphoreWait::SemaphoreWait;
    bool await_resume() {
        settle();
        return true;
    }
};

class ScopedSemaphoreAwaiter final : public SemaphoreWait {
public:
    using SemaphoreWait::SemaphoreWait;
    SemaphoreGuard await_resume() {
        settle();
        return SemaphoreGuard(*semaphore_);
    }
};

}  // namespace detail

inline void SemaphoreGuard::release() {
    Semaphore* const semaphore = std::exchange(semaphore_, nullptr);
    if (semaphore != nullptr) semaphore->release();
}

inline void SemaphoreGuard::let_go() noexcept {
    Semaphore* const semaphore = std::exchange(semaphore_, nullptr);
    if (semaphore == nullptr) return;
    if (semaphore->value_ < semaphore->bound_) {
        semaphore->release();
    } else {
        semaphore->report_over_bound();
    }
}

}  // namespace coaio
