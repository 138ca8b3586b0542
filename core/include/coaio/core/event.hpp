// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/wait_list.hpp>

#include <coroutine>
#include <source_location>

namespace coaio {

namespace detail {
class EventAwaiter;
}

/// A flag that any number of tasks can wait for.
///
/// Setting it wakes all waiters in the order in which they came, on the loop's next turn. For something that happens
/// again and again use `Condition`.
///
/// Errors: `RuntimeError` from a wait on another loop than the one that waited first.
/// Cancellation: a cancelled waiter leaves the queue, the event is as before.
/// Lifetime: outlives its waiters; those it leaves behind get `RuntimeError`. May go right after `set()`.
///
///     coaio::Event ready;
///     group.create_task(serve(ready));
///     co_await ready.wait();
class Event {
public:
    Event() noexcept = default;
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;
    ~Event() = default;

    [[nodiscard]] bool is_set() const noexcept { return set_; }
    void set() {
        waiters_.require_own_thread();
        set_ = true;
        waiters_.wake_all();
    }
    void clear() noexcept { set_ = false; }

    /// `co_await event.wait()`: goes on at once if already set. Gives true, as asyncio's does.
    [[nodiscard]] detail::WaitOn<detail::EventAwaiter, Event> wait() noexcept {
        return detail::WaitOn<detail::EventAwaiter, Event>(*this);
    }

private:
    friend detail::EventAwaiter;

    detail::WaitList waiters_;
    detail::LoopBinding binding_;
    bool set_ = false;
};

namespace detail {

class EventAwaiter final : public Waiter {
public:
    explicit EventAwaiter(Event& event) noexcept : event_(&event) {}

    [[nodiscard]] bool await_ready() const noexcept { return event_->set_; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> self, Here location = std::source_location::current()) {
        event_->binding_.require("event");
        event_->waiters_.push_back(*this);
        hang(self, location);
    }
    bool await_resume() const {
        throw_if_cancelled();
        if (state() == WaitState::orphaned) throw_orphaned("event");
        return true;
    }

    [[nodiscard]] WaitInfo describe() const override;

private:
    Event* event_;
};

}  // namespace detail

}  // namespace coaio
