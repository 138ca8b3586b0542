// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/queue_base.hpp>
#include <coaio/core/detail/queue_store.hpp>
#include <coaio/core/error.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <functional>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

namespace coaio {

namespace detail {
template <class T, class Store>
class GetAwaiter;
template <class T, class Store>
class PutAwaiter;
template <class T, class Store>
class Put;
}  // namespace detail

/// Hands items from tasks to tasks, first in first out: `PriorityQueue` gives the smallest first, `LifoQueue` the newest.
///
/// With a `maxsize` above 0 a `put` waits while the queue is full. Getters are woken in the order in which they came,
/// one an item, and so are putters, one a place. The place of a woken putter is its own: until it resumes, the queue is
/// full for newcomers. An item belongs to nobody until a getter resumes; one whose item was taken by a `get_nowait`
/// meanwhile waits on, in its old place.
///
/// After `shutdown()` nothing can be put; what is there can still be got, then `get` throws `QueueShutDown`.
///
/// Errors: `QueueFull`, `QueueEmpty` from the `_nowait` forms; `QueueShutDown`; `ValueError` for a `task_done` too many;
/// `RuntimeError` from a wait on another loop than the one that waited first.
/// Cancellation: loses nothing. The item of a cancelled `put` is not inserted and goes with it; an item or place that a
/// cancelled task had been woken for goes to the next.
/// Lifetime: outlives its waiters; those it leaves behind get `RuntimeError`.
///
///     coaio::Queue<std::string> names(16);
///     co_await names.put("Ada");
///     auto name = co_await names.get();
///     names.task_done();
template <class T, class Store = detail::FifoStore<T>>
class Queue : private detail::QueueBase {
    static_assert(std::is_object_v<T> && std::is_move_constructible_v<T>, "a queue's items have to be movable objects");

public:
    /// 0 or less: without a limit.
    explicit Queue(std::integral auto maxsize) noexcept
        : QueueBase(maxsize > 0 ? static_cast<std::size_t>(maxsize) : 0) {}
    Queue() noexcept : QueueBase(0) {}

    /// `co_await queue.put(item)`: does not suspend while there is room. The item stays with the call until it is in.
    [[nodiscard]] detail::Put<T, Store> put(T item) { return detail::Put<T, Store>(*this, std::move(item)); }
    /// Throws `QueueFull` when there is no room.
    void put_nowait(T item) {
        require_open();
        if (is_full()) throw QueueFull();
        insert(std::move(item));
    }

    /// `co_await queue.get()`: does not suspend while there is an item.
    [[nodiscard]] detail::WaitOn<detail::GetAwaiter<T, Store>, Queue> get() noexcept {
        return detail::WaitOn<detail::GetAwaiter<T, Store>, Queue>(*this);
    }
    /// Throws `QueueEmpty` when there is none.
    T get_nowait() {
        if (size_ == 0) {
            require_open();
            throw QueueEmpty();
        }
        return extract();
    }

    /// An item that was got has been dealt with.
    void task_done() { finish_one(); }
    /// `co_await queue.join()`: waits until every item that was put has been dealt with.
    [[nodiscard]] detail::WaitOn<detail::JoinAwaiter, QueueBase> join() noexcept {
        return detail::WaitOn<detail::JoinAwaiter, QueueBase>(*this);
    }

    [[nodiscard]] std::size_t qsize() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] bool full() const noexcept { return is_full(); }
    /// 0: without a limit.
    [[nodiscard]] std::size_t maxsize() const noexcept { return maxsize_; }

    /// Ends the queue: everyone who waits to get or put gets `QueueShutDown`; `join` goes on until every item is done.
    /// With `immediate`, items that are still there are dropped and count as done. Can be said again, also to make it
    /// immediate.
    void shutdown(bool immediate = false) {
        require_own_thread();
        if (!immediate) return close(false);
        // Detached first: what the items' destructors do may come back here.
        const Store dropped = std::move(store_);
        close(true);
    }

private:
    friend detail::GetAwaiter<T, Store>;
    friend detail::PutAwaiter<T, Store>;
    friend detail::Put<T, Store>;

    void insert(T&& item) {
        getters_.require_own_thread();
        store_.push(std::move(item));
        added();
    }
    T extract() {
        putters_.require_own_thread();
        T item = store_.pop();
        removed();
        return item;
    }

    Store store_;
};

/// A queue that gives its smallest item first.
template <class T, class Compare = std::less<T>>
using PriorityQueue = Queue<T, detail::PriorityStore<T, Compare>>;

/// A queue that gives its newest item first.
template <class T>
using LifoQueue = Queue<T, detail::LifoStore<T>>;

// ---------------------------------------------------------------------------------------------------------------

namespace detail {

// Most calls need not wait, so what it takes to wait is made only when it comes to that.

template <class T, class Store>
class GetAwaiter {
public:
    explicit GetAwaiter(Queue<T, Store>& queue) noexcept : queue_(&queue) {}

    [[nodiscard]] bool await_ready() const { return queue_->has_item(); }
    template <class P>
    void await_suspend(std::coroutine_handle<P> self, Here location = std::source_location::current()) {
        wait_.emplace(static_cast<QueueBase&>(*queue_)).enlist(self, location);
    }
    T await_resume() {
        if (wait_) wait_->take_over();
        return queue_->extract();
    }

private:
    Queue<T, Store>* queue_;
    std::optional<GetWait> wait_;
};

template <class T, class Store>
class PutAwaiter {
public:
    PutAwaiter(Queue<T, Store>& queue, T&& item) : queue_(&queue), item_(std::move(item)) {}

    [[nodiscard]] bool await_ready() {
        queue_->require_open();
        if (queue_->is_full()) return false;
        queue_->insert(std::move(item_));
        return true;
    }
    template <class P>
    void await_suspend(std::coroutine_handle<P> self, Here location = std::source_location::current()) {
        wait_.emplace(static_cast<QueueBase&>(*queue_)).enlist(self, location);
    }
    void await_resume() {
        if (!wait_) return;
        wait_->take_over();
        try {
            queue_->insert(std::move(item_));
        } catch (...) {
            queue_->pass_place_on();
            throw;
        }
    }

private:
    Queue<T, Store>* queue_;
    T item_;
    std::optional<PutWait> wait_;
};

/// The awaitable of `put`: owns its item.
template <class T, class Store>
class [[nodiscard("co_await it")]] Put {
public:
    using coaio_awaitable = void;
    Put(Queue<T, Store>& queue, T&& item) : queue_(&queue), item_(std::move(item)) {}
    [[nodiscard]] PutAwaiter<T, Store> operator co_await() && {
        return PutAwaiter<T, Store>(*queue_, std::move(item_));
    }

private:
    Queue<T, Store>* queue_;
    T item_;
};

}  // namespace detail

}  // namespace coaio
