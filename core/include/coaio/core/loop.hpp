// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/context.hpp>
#include <coaio/core/detail/posted.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/executor.hpp>
#include <coaio/core/handle.hpp>
#include <coaio/core/resolve.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/time.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

namespace coaio {

/// A failure that nobody awaits, as the loop's exception handler gets it.
struct ExceptionContext {
    std::string message;
    /// Null where the message says it all.
    std::exception_ptr exception = nullptr;
    /// The task or future concerned, for identity only; may be null.
    const void* future = nullptr;
    /// The callback concerned, for `Handle::is`; may be null.
    const void* handle = nullptr;
};

/// A loop in figures.
struct LoopStats {
    std::uint64_t turns = 0;
    std::size_t ready = 0;
    std::size_t timers = 0;
    std::size_t tasks = 0;
    /// The longest time between two looks at the clock while something ran: an upper bound of the longest step, exact
    /// in debug mode.
    Duration longest_step{};
    std::size_t frame_pool_bytes = 0;
};

/// The event loop: runs callbacks and tasks in turns, fires timers, and watches descriptors, signals and threads.
///
/// A turn moves what is due to the ready queue and runs what the queue held at its start; what is made ready meanwhile
/// waits for the next turn. The kernel is asked when nothing is ready, and otherwise every 20 us, which are looked at
/// after 64 steps at the latest. One loop per thread; a loop, its tasks and their handles belong to that thread, and only
/// what is named `threadsafe` may be used from another.
///
/// Tasks are always made by `create_task`: there is no task factory to set; `set_eager_tasks` is its one common use.
///
/// Errors: `RuntimeError` when used while closed, or run while another loop runs in the thread.
/// Lifetime: closed before it is destroyed, or by its destructor; `run()` does it all.
class Loop {
public:
    Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;
    ~Loop();

    /// Runs until `stop()`.
    void run_forever();
    /// Runs until the task or future is done, and gives its result: a reference to that of a named handle, the value of
    /// one that is given up. Throws what it failed with, and `RuntimeError` when stopped before.
    template <class T>
    typename Future<T>::Reference run_until_complete(const Future<T>& future) {
        run_until_done(*future.state());
        return future.result();
    }
    template <class T>
    T run_until_complete(Future<T>&& future) {
        const Future<T> taken = std::move(future);
        run_until_done(*taken.state());
        return detail::take_outcome<T>(*taken.state());
    }
    /// Makes a task of `coro`, runs until it is done, and gives its result.
    template <class T>
    T run_until_complete(Coro<T> coro, std::source_location where = std::source_location::current());
    /// The current turn is finished, then the run ends. Before a run: the run makes one turn. From another thread:
    /// `loop.call_soon_threadsafe([&] { loop.stop(); })`.
    void stop();
    [[nodiscard]] bool is_running() const noexcept;
    /// Drops what is left: callbacks unrun, unfinished tasks destroyed where they hang and reported. Again: no effect.
    void close();
    [[nodiscard]] bool is_closed() const noexcept;

    /// Calls `function()` on the next turn, in order of the calls, those from other threads included.
    template <std::invocable F>
    Handle call_soon(F function, CallOptions options = {},
                     std::source_location where = std::source_location::current()) {
        check_usable();
        let_posted_in();
        auto state = make_handle(std::move(function), options, where);
        state->enqueue();
        return Handle(std::move(state));
    }
    /// Calls `function()` after `delay`, at the earliest; equal times in order of the calls.
    template <std::invocable F>
    TimerHandle call_later(Duration delay, F function, CallOptions options = {},
                           std::source_location where = std::source_location::current()) {
        return call_at(detail::later(time(), delay), std::move(function), options, where);
    }
    template <FloatingDuration D, std::invocable F>
    TimerHandle call_later(D delay, F function, CallOptions options = {},
                           std::source_location where = std::source_location::current()) {
        return call_later(to_duration(delay), std::move(function), options, where);
    }
    template <std::invocable F>
    TimerHandle call_at(TimePoint when, F function, CallOptions options = {},
                        std::source_location where = std::source_location::current()) {
        check_usable();
        auto state = make_handle(std::move(function), options, where);
        state->arm(when.time_since_epoch().count());
        return TimerHandle(std::move(state));
    }
    /// `call_soon` from any thread; wakes the loop. In the loop's own thread it queues as `call_soon` does. Throws
    /// `RuntimeError` when the loop is closed.
    template <std::invocable F>
    ThreadsafeHandle call_soon_threadsafe(F function) {
        auto call = std::make_shared<detail::PostedCallOf<F>>(std::move(function));
        post(call);
        return ThreadsafeHandle(std::move(call));
    }

    /// Runs `function()`, which may block, on a thread of the default executor; at once, not when the future is awaited.
    ///
    /// Cancellation: of the future before the function has begun: it never runs. Afterwards: it runs on, and its outcome
    /// is dropped; so it must own what it uses.
    /// Throws `RuntimeError` after `shutdown_default_executor`.
    template <class F>
    Future<detail::JobResult<F>> run_in_executor(F function) {
        return run_in_executor(default_executor(), std::move(function));
    }
    /// The same; asyncio's way to say "the default executor".
    template <class F>
    Future<detail::JobResult<F>> run_in_executor(std::nullptr_t, F function) {
        return run_in_executor(std::move(function));
    }
    template <class F>
    Future<detail::JobResult<F>> run_in_executor(ThreadPoolExecutor& executor, F function);
    /// The pool that `run_in_executor` and `to_thread` use from now on.
    void set_default_executor(std::shared_ptr<ThreadPoolExecutor> executor);
    /// Waits until the default executor has run what it was given and its threads have ended; no more jobs are taken.
    /// When `timeout` passes it says so to the exception handler and gives up. `run` does this.
    [[nodiscard]] Coro<> shutdown_default_executor(std::optional<Duration> timeout = std::nullopt);

    /// Closes the async generators that are half-way through, each in a task of its own, and waits for them. What fails
    /// goes to the exception handler, and so does the news of a generator that is started later, as nobody will close it.
    /// To be awaited on this loop. `run` does this.
    [[nodiscard]] Coro<> shutdown_asyncgens();

    /// Calls `function()` from the loop when the process gets the signal `number`; replaces an earlier one of this loop.
    /// Throws `ValueError` when there is no such signal, `RuntimeError` when it cannot be caught or another loop has it.
    void add_signal_handler(int number, std::function<void()> function);
    /// Restores what the signal did before. False when this loop has no handler for it.
    bool remove_signal_handler(int number);

    /// Asks the system's resolver, on threads of its own. See `ResolvedAddress`.
    /// Errors: `IoError` in the category `resolver_category()`.
    /// Cancellation: at once; a question that is on its way is forgotten.
    [[nodiscard]] Coro<std::vector<ResolvedAddress>> getaddrinfo(std::string host, std::string service,
                                                                 ResolveOptions options = {});
    [[nodiscard]] Coro<std::vector<ResolvedAddress>> getaddrinfo(std::string host, std::uint16_t port,
                                                                 ResolveOptions options = {});

    /// The loop's clock.
    [[nodiscard]] TimePoint time() const noexcept;
    /// Whether that clock is virtual (testing.hpp): then it stands still while something outside is awaited.
    [[nodiscard]] bool has_virtual_time() const noexcept;
    /// The calendar, through the loop so that a test can set it.
    [[nodiscard]] std::chrono::system_clock::time_point wall_time() const noexcept;
    /// 64 random bits; from the seed under `coaio::testing`. Not for secrets.
    [[nodiscard]] std::uint64_t random() noexcept;

    /// Creates a task on this loop, which need not run yet.
    template <class T>
    Task<T> create_task(Coro<T> coro, TaskOptions options = {},
                        std::source_location where = std::source_location::current());

    using ExceptionHandler = std::function<void(Loop&, const ExceptionContext&)>;
    /// Who hears of failures that nobody awaits; empty: the default, which writes to standard error. It runs in the
    /// context of the task or callback that failed.
    void set_exception_handler(ExceptionHandler handler);
    void call_exception_handler(const ExceptionContext& context);
    void default_exception_handler(const ExceptionContext& context) const noexcept;

    /// In debug mode the exception handler also hears of coroutines that were never awaited and of steps that took
    /// longer than `slow_step_limit()`, with the `co_await` at which the step began; and from another thread than the one
    /// in which the loop runs `RuntimeError` is thrown by the loop's calls, by what cancels or ends its tasks and
    /// futures, and by what would wake a task that waits for a lock, queue, event, semaphore or condition. A new loop's
    /// mode is that of the environment variable COAIO_DEBUG: on if it is set to anything but 0 or nothing.
    void set_debug(bool on) noexcept { core().debug = on; }
    [[nodiscard]] bool debug() const noexcept { return core().debug; }
    /// Whether a new task takes its first step inside `create_task` where its options do not say; at first not.
    /// `gather`, `shield` and task groups follow it; tasks that the library makes for its own purposes never do.
    void set_eager_tasks(bool on) noexcept { core().eager_tasks = on; }
    [[nodiscard]] bool eager_tasks() const noexcept { return core().eager_tasks; }
    /// 100 ms at first.
    void set_slow_step_limit(Duration limit) noexcept;
    [[nodiscard]] Duration slow_step_limit() const noexcept;
    [[nodiscard]] LoopStats stats() const noexcept;

    /// For the library.
    struct Impl;
    [[nodiscard]] detail::LoopCore& core() const noexcept { return *core_; }
    [[nodiscard]] Impl& impl() const noexcept { return *impl_; }
    void run_until_done(detail::FutureBase& future);

private:
    template <class F>
    detail::Ref<detail::HandleState> make_handle(F function, CallOptions options, const std::source_location& where) {
        return detail::Ref<detail::HandleState>(
            new detail::HandleOf<F>(core(), std::move(function), options.context, where));
    }
    void check_usable() const;
    void let_posted_in();
    void post(std::shared_ptr<detail::Posted> item);
    [[nodiscard]] ThreadPoolExecutor& default_executor();

    std::unique_ptr<Impl> impl_;
    detail::LoopCore* core_;
};

/// The loop that runs in this thread. Throws `RuntimeError` when none does.
[[nodiscard]] Loop& get_running_loop();

// ---------------------------------------------------------------------------------------------------------------

namespace detail {

/// Makes `core` the thread's loop for a while, as when a task is created before its loop runs.
class CoreGuard {
public:
    explicit CoreGuard(LoopCore& core) noexcept : outer_(std::exchange(thread_state.core, &core)) {}
    CoreGuard(const CoreGuard&) = delete;
    CoreGuard& operator=(const CoreGuard&) = delete;
    ~CoreGuard() { thread_state.core = outer_; }

private:
    LoopCore* outer_;
};

}  // namespace detail

template <class T>
Task<T> Loop::create_task(Coro<T> coro, TaskOptions options, std::source_location where) {
    check_usable();
    const detail::CoreGuard guard(core());
    return coaio::create_task(std::move(coro), options, where);
}

template <class F>
Future<detail::JobResult<F>> Loop::run_in_executor(ThreadPoolExecutor& executor, F function) {
    using T = detail::JobResult<F>;
    check_usable();
    detail::Ref<detail::JobFuture> future(new detail::WithValue<T, detail::JobFuture>(core()));
    auto job = std::make_shared<detail::JobOf<F, T>>(core(), std::move(function));
    job->attach(future, job);
    try {
        executor.submit(job);
    } catch (...) {
        job->detach();
        throw;
    }
    return Future<T>(std::move(future));
}

template <class T>
T Loop::run_until_complete(Coro<T> coro, std::source_location where) {
    const Task<T> task = create_task(std::move(coro), {}, where);
    run_until_done(*task.state());
    return detail::take_outcome<T>(*task.state());
}

}  // namespace coaio
