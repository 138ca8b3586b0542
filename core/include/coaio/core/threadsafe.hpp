// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/detail/job.hpp>
#include <coaio/core/detail/slot.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/task.hpp>

#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace coaio {

namespace detail {

/// What a thread and a task on a loop share. `Task` belongs to the loop's thread; the rest to the mutex.
class CrossingBase {
public:
    [[nodiscard]] bool done() const;
    [[nodiscard]] bool cancelled() const;
    /// Waits; throws `TimeoutError`.
    void wait(std::optional<Duration> timeout) const;
    void rethrow() const;
    void fail(std::exception_ptr error);
    /// Asks the loop to cancel the task. False when it is done.
    bool cancel(const std::shared_ptr<CrossingBase>& self);
    /// On the loop's thread, as its counts are of that thread.
    void set_task(std::optional<AnyTask> task) { task_ = std::move(task); }
    /// Nobody will settle it any more: whoever waits must not wait for ever.
    void abandon();
    /// Calls `hook()` once it is settled, on the thread that does so; at once if it is.
    void when_done(std::function<void()> hook);

protected:
    explicit CrossingBase(Loop& loop) : loop_(&loop) {}
    ~CrossingBase() = default;
    void finish_locked() {
        done_ = true;
        settled_.notify_all();
    }
    /// Once settled, and without the lock: the hook may come back here.
    void call_hooks();

    mutable std::mutex mutex_;
    mutable std::condition_variable settled_;
    bool done_ = false;
    bool cancelled_ = false;
    std::exception_ptr error_;

private:
    Loop* loop_;
    std::optional<AnyTask> task_;
    std::vector<std::function<void()>> hooks_;
};

template <class T>
class Crossing final : public CrossingBase {
public:
    explicit Crossing(Loop& loop) : CrossingBase(loop) {}
    void succeed(Regular<T> value) {
        {
            const std::lock_guard lock(mutex_);
            value_.emplace(std::move(value));
            finish_locked();
        }
        call_hooks();
    }
    [[nodiscard]] Regular<T> take() {
        const std::lock_guard lock(mutex_);
        if (!value_) throw InvalidStateError("the result was already taken");
        Regular<T> value = std::move(*value_);
        value_.reset();
        return value;
    }

private:
    std::optional<Regular<T>> value_;
};

/// Goes with the coroutine, wherever that ends, unstarted even: then the loop was closed, or the task cancelled.
template <class T>
class CrossingEnd {
public:
    explicit CrossingEnd(std::shared_ptr<Crossing<T>> crossing) noexcept : crossing_(std::move(crossing)) {}
    CrossingEnd(CrossingEnd&&) noexcept = default;
    CrossingEnd& operator=(CrossingEnd&&) = delete;
    ~CrossingEnd() {
        if (crossing_ != nullptr) crossing_->abandon();
    }
    Crossing<T>* operator->() const noexcept { return crossing_.get(); }

private:
    std::shared_ptr<Crossing<T>> crossing_;
};

template <class T>
Coro<> cross(CrossingEnd<T> end, Coro<T> coro) {
    try {
        if constexpr (std::is_void_v<T>) {
            co_await std::move(coro);
            end->succeed({});
        } else {
            end->succeed(co_await std::move(coro));
        }
    } catch (...) {
        const std::exception_ptr error = std::current_exception();
        end->fail(error);
        if (is_base_error(error)) throw;
    }
}

}  // namespace detail

/// The result of a coroutine that another thread's loop runs. May be used on any thread, by one at a time. A failure that
/// nobody fetches is not reported. Lifetime: `cancel()` needs the loop, the rest does not.
template <class T>
class [[nodiscard]] ThreadsafeFuture {
public:
    /// Waits for the result, and moves it out: a second call throws `InvalidStateError`. Throws what the coroutine threw,
    /// `CancelledError` when it was cancelled or its loop was closed before, `TimeoutError` when `timeout` passes first;
    /// the coroutine then runs on unless you `cancel()`. Never call it on the loop's own thread: it blocks.
    T result(std::optional<Duration> timeout = std::nullopt) const {
        crossing_->wait(timeout);
        crossing_->rethrow();
        if constexpr (!std::is_void_v<T>) return crossing_->take();
    }
    /// What it failed with; null when it did not. Waits like `result`.
    [[nodiscard]] std::exception_ptr exception(std::optional<Duration> timeout = std::nullopt) const {
        crossing_->wait(timeout);
        try {
            crossing_->rethrow();
        } catch (const CancelledError&) {
            throw;
        } catch (...) {
            return std::current_exception();
        }
        return nullptr;
    }
    /// Asks for the cancellation of the task on its loop. False when it is done.
    bool cancel() const { return crossing_->cancel(crossing_); }
    [[nodiscard]] bool done() const { return crossing_->done(); }
    [[nodiscard]] bool cancelled() const { return crossing_->cancelled(); }

    /// For the library.
    explicit ThreadsafeFuture(std::shared_ptr<detail::Crossing<T>> crossing) noexcept
        : crossing_(std::move(crossing)) {}
    [[nodiscard]] const std::shared_ptr<detail::Crossing<T>>& crossing() const noexcept { return crossing_; }

private:
    std::shared_ptr<detail::Crossing<T>> crossing_;
};

namespace detail {

/// Brings a result over. Dropped unused, nobody wants it any more.
template <class T>
class FetchResult {
public:
    explicit FetchResult(std::shared_ptr<Crossing<T>> crossing) noexcept : crossing_(std::move(crossing)) {}
    FetchResult(FetchResult&&) noexcept = default;
    FetchResult& operator=(FetchResult&&) = delete;
    ~FetchResult() {
        if (crossing_ != nullptr) static_cast<void>(crossing_->cancel(crossing_));
    }
    T operator()() {
        const auto crossing = std::move(crossing_);
        crossing->rethrow();
        if constexpr (std::is_void_v<T>) {
            static_cast<void>(crossing->take());
        } else {
            return crossing->take();
        }
    }

private:
    std::shared_ptr<Crossing<T>> crossing_;
};

}  // namespace detail

/// Runs `coro` as a task of `loop`, which runs in another thread. Call it from any thread but the loop's.
///
/// Errors: `RuntimeError` when the loop is closed; the coroutine is then dropped here, unstarted.
///
///     auto answer = coaio::run_coroutine_threadsafe(ask(question), loop).result(2s);
template <class T>
ThreadsafeFuture<T> run_coroutine_threadsafe(Coro<T> coro, Loop& loop) {
    auto crossing = std::make_shared<detail::Crossing<T>>(loop);
    struct Start {
        void operator()() {
            Crossing& shared = *end.operator->();
            auto task = create_task(detail::cross(std::move(end), std::move(coro)),
                                    {.name = "run_coroutine_threadsafe", .eager_start = false});
            shared.set_task(task);
        }
        using Crossing = detail::Crossing<T>;
        detail::CrossingEnd<T> end;
        Coro<T> coro;
    };
    loop.call_soon_threadsafe(Start{detail::CrossingEnd<T>(crossing), std::move(coro)});
    return ThreadsafeFuture<T>(std::move(crossing));
}

/// A future of the running loop for what another thread's loop works on, to be awaited here. A future of a loop is
/// returned as it is. The result is fetched once: `future.result()` throws afterwards.
///
/// Cancellation: cancels the task on the other loop, and is not delayed by what that makes of it.
///
///     auto answer = co_await coaio::wrap_future(coaio::run_coroutine_threadsafe(ask(question), other_loop));
template <class T>
[[nodiscard]] Future<T> wrap_future(const ThreadsafeFuture<T>& future) {
    auto& core = detail::require_core();
    const detail::Ref<detail::JobFuture> wrapper(new detail::WithValue<T, detail::JobFuture>(core));
    const auto job =
        std::make_shared<detail::JobOf<detail::FetchResult<T>, T>>(core, detail::FetchResult<T>(future.crossing()));
    job->attach(wrapper, job);
    future.crossing()->when_done([job] { job->work(job); });
    return Future<T>(wrapper);
}
template <class T>
[[nodiscard]] Future<T> wrap_future(Future<T> future) {
    return future;
}

}  // namespace coaio
