// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/awaitable.hpp>
#include <coaio/core/detail/wait_link.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace coaio::detail {

enum class WaitState : std::uint8_t {
    waiting,
    woken,      // chosen, and not yet resumed
    cancelled,  // was waiting when the cancellation came
    orphaned,   // what it waited for is gone
};

/// A task that waits in a list. Chosen, it may yet be cancelled before it resumes: then it has to pass on what it was
/// handed, which is its own part.
class Waiter : public Leaf, public WaitLink {
public:
    [[nodiscard]] WaitState state() const noexcept { return state_; }
    void set_state(WaitState state) noexcept { state_ = state; }

    /// Leaves its list.
    bool cancel(CancelMessage message) noexcept override;

protected:
    ~Waiter() {
        if (linked()) unlink();
    }

private:
    WaitState state_ = WaitState::waiting;
};

/// Waiters in the order in which they came. Owns none of them; when it goes, those still in it are woken as orphans.
class WaitList {
public:
    WaitList() noexcept { ends_.next = ends_.prev = &ends_; }
    WaitList(const WaitList&) = delete;
    WaitList& operator=(const WaitList&) = delete;
    ~WaitList() {
        if (!empty()) [[unlikely]]
            orphan();
    }

    [[nodiscard]] bool empty() const noexcept { return ends_.next == &ends_; }
    [[nodiscard]] Waiter& front() const noexcept { return static_cast<Waiter&>(*ends_.next); }
    /// Before one is woken: in debug mode throws `RuntimeError` on another thread than theirs.
    void require_own_thread() const {
        if (!empty()) detail::require_own_thread(&front().task()->core());
    }
    /// For dumps: how many wait, of whom at most `limit` are counted.
    [[nodiscard]] std::size_t count(std::size_t limit = 1000) const noexcept;
    void push_back(Waiter& waiter) noexcept { waiter.insert_after(*ends_.prev); }
    void push_front(Waiter& waiter) noexcept { waiter.insert_after(ends_); }
    Waiter& pop_front() noexcept {
        Waiter& waiter = front();
        waiter.unlink();
        return waiter;
    }
    /// Takes out the first one and wakes it.
    Waiter& wake_front() noexcept {
        Waiter& waiter = pop_front();
        waiter.set_state(WaitState::woken);
        waiter.task()->wake();
        return waiter;
    }
    void wake_all() noexcept {
        while (!empty()) wake_front();
    }

private:
    void orphan() noexcept;

    WaitLink ends_;
};

/// The loop on which somebody first had to wait for a thing: from then on it can be waited for on no other.
class LoopBinding {
public:
    /// Throws `RuntimeError` on another loop.
    void require(const char* what);

private:
    std::uint64_t loop_ = 0;
};

[[noreturn]] void throw_orphaned(const char* what);

/// The awaitable of an `Owner` that is waited for by an `Awaiter`.
template <class Awaiter, class Owner>
class [[nodiscard("co_await it")]] WaitOn {
public:
    using coaio_awaitable = void;
    explicit WaitOn(Owner& owner) noexcept : owner_(&owner) {}
    [[nodiscard]] Awaiter operator co_await() const noexcept { return Awaiter(*owner_); }

private:
    Owner* owner_;
};

}  // namespace coaio::detail
