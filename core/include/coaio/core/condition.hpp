// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/detail/closure.hpp>
#include <coaio/core/lock.hpp>

#include <coroutine>
#include <cstddef>
#include <source_location>
#include <type_traits>
#include <utility>

namespace coaio {

class Barrier;

namespace detail {
class ConditionAwaiter;
}

/// A lock together with a bell: holders of the lock wait until another holder says that something has changed.
///
/// `wait` gives the lock up, sleeps until it is notified, and returns with the lock held again. A waiter that is
/// cancelled after its notification passes it on, so a wake-up may find nothing: check again, or use `wait_for`.
///
/// `notify` needs the lock, and a lock needs `co_await`, so neither stands in a destructor: where guards are to give
/// something back, the guard of a `Semaphore` does, beside a plain vector, without waiting.
///
/// Errors: `RuntimeError` from `wait` and `notify` when nobody holds the lock (that it is the caller who does is not
/// checked), and from a wait on another loop than the one that waited first; the lock is then held, or not, as before.
/// Cancellation: `wait` takes the lock again before it throws, however often it is cancelled meanwhile, and so is late
/// by as long as others hold it; of several requests the latest is thrown. The notification of a waiter that is
/// cancelled goes to the next one; one without waiters has no effect.
/// Lifetime: outlives its waiters, each of which takes the lock again; a lock that is given to it outlives it.
///
/// A pool of connections: who borrows waits for an idle one and takes it with the lock held; nothing suspends between
/// that and the `finally` that gives it back. The cleanup cannot be cancelled, but has a deadline (`MaskOptions`): it
/// puts the connection back first, and then waits for the lock to wake somebody; here nobody holds that for long.
///
///     std::optional<Connection> mine;
///     {
///         const auto guard = co_await condition.scoped();
///         co_await condition.wait_for([&] { return !idle.empty(); });
///         mine = std::move(idle.back());
///         idle.pop_back();
///     }
///     co_await coaio::finally([&](coaio::Scope&) -> coaio::Coro<> { co_await use(*mine); },
///                             [&](coaio::Scope&) -> coaio::Coro<> {
///                                 idle.push_back(std::move(*mine));
///                                 const auto guard = co_await condition.scoped();
///                                 condition.notify();
///                             });
class Condition {
public:
    /// With a lock of its own.
    Condition() noexcept : lock_(&own_) {}
    /// Several conditions can share one lock.
    explicit Condition(Lock& lock) noexcept : lock_(&lock) {}
    Condition(const Condition&) = delete;
    Condition& operator=(const Condition&) = delete;
    ~Condition() = default;

    [[nodiscard]] bool locked() const noexcept { return lock_->locked(); }
    [[nodiscard]] detail::WaitOn<detail::LockAwaiter, Lock> acquire() noexcept { return lock_->acquire(); }
    /// Waits for the lock and gives a guard, which releases it at the end of its scope.
    [[nodiscard]] detail::WaitOn<detail::ScopedLockAwaiter, Lock> scoped() noexcept { return lock_->scoped(); }
    void release() { lock_->release(); }

    /// Waits until it is notified. Gives true, as asyncio's does.
    Coro<bool> wait();

    /// Waits until `predicate()`, a plain function, holds, and gives its value. It is called with the lock held, and
    /// once before any wait. A newcomer may find it true before one that was woken; that one then waits again, at the
    /// end. For a time-out: `coaio::wait_for(condition.wait_for(predicate), 5s)`.
    template <class Predicate>
    [[nodiscard]] auto wait_for(Predicate&& predicate) {
        COAIO_CHECK_BODY(Predicate);
        return wait_until_true(std::forward<Predicate>(predicate));
    }

    /// Wakes up to `n` waiters, the longest waiting first; each returns once it has the lock.
    void notify(std::size_t n = 1);
    void notify_all();

private:
    friend detail::ConditionAwaiter;
    friend Barrier;

    template <class Predicate>
    Coro<std::decay_t<std::invoke_result_t<Predicate&>>> wait_until_true(Predicate predicate) {
        auto result = predicate();
        while (!result) {
            co_await wait();
            result = predicate();
        }
        co_return std::move(result);
    }
    void require_held(const char* what) const;
    void wake(std::size_t n) noexcept;

    Lock own_;
    Lock* lock_;
    detail::WaitList waiters_;
    detail::LoopBinding binding_;
    const Barrier* barrier_ = nullptr;  // whose condition it is
};

namespace detail {

/// Waits for the notification, without the lock.
class ConditionAwaiter final : public Waiter {
public:
    explicit ConditionAwaiter(Condition& condition) noexcept : condition_(&condition) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> self, Here location = std::source_location::current()) {
        condition_->waiters_.push_back(*this);
        hang(self, location);
    }
    void await_resume() const {
        throw_if_cancelled();
        if (state() == WaitState::orphaned) throw_orphaned("condition");
    }

    [[nodiscard]] WaitInfo describe() const override;

private:
    Condition* condition_;
};

}  // namespace detail

}  // namespace coaio
