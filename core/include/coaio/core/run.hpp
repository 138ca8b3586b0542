// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/context.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/task.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

namespace coaio {

/// How `run` and `Runner` set up their loop.
struct RunOptions {
    /// Debug mode; none: on if the environment variable COAIO_DEBUG is set to anything but 0 or nothing.
    std::optional<bool> debug = std::nullopt;
    /// How long the end of a run waits for the default executor's jobs.
    Duration executor_timeout = std::chrono::minutes(5);
};

/// `run` in steps: one loop, several runs, then the clean-up.
///
/// SIGINT, when this is the main thread and nobody else handles it: the first one cancels the running coroutine, and if
/// that ends it, `run` throws `KeyboardInterrupt`; a second one throws it at once.
/// Errors: `RuntimeError` when a loop already runs in this thread, or after `close()`.
class Runner {
public:
    explicit Runner(RunOptions options = {});
    Runner(const Runner&) = delete;
    Runner& operator=(const Runner&) = delete;
    ~Runner();

    /// Runs a coroutine as a task and gives its result. In the Runner's own context, so that a run sees the context
    /// variables that the one before it set, or in that of the options.
    template <class T>
    T run(Coro<T> coro, TaskOptions options = {}, std::source_location where = std::source_location::current()) {
        const Task<T> task = start(std::move(coro), options, where);
        drive(AnyTask(task));
        return detail::take_outcome<T>(*task.state());
    }

    [[nodiscard]] Loop& get_loop();

    /// Cancels the tasks that are left and waits for them, closes async generators, joins the default executor, closes
    /// the loop. Again: no effect.
    void close();

private:
    template <class T>
    Task<T> start(Coro<T> coro, TaskOptions options, std::source_location where) {
        Loop& loop = get_loop();
        if (options.context == nullptr) options.context = &*context_;
        return loop.create_task(std::move(coro), options, where);
    }
    void drive(const AnyTask& task);

    RunOptions options_;
    std::unique_ptr<Loop> loop_;
    std::optional<Context> context_;
    bool closed_ = false;
};

namespace detail {

/// The process was interrupted and has cleaned up: ends it the way SIGINT ends a process.
[[noreturn]] void die_of_interrupt();
/// The program asked to end, and has cleaned up: ends it with its code.
[[noreturn]] void exit_as_asked(const SystemExit& request);

}  // namespace detail

/// Runs `coro` on a new loop and gives its result: the one call in `main`.
///
/// At the end left-over tasks are cancelled and awaited, async generators closed, the default executor joined and the
/// loop closed. After SIGINT it does all that and ends the process the way SIGINT does (a shell sees 130); after a
/// `SystemExit` it does all that and ends the process with its code, by `std::exit`; on another thread than the
/// program's first it throws it. A `Runner` throws both instead.
/// Errors: what the coroutine throws; `RuntimeError` when a loop already runs in this thread.
///
///     int main() { return coaio::run(amain()); }  // amain gives an int; of a Coro<> there is nothing to return
template <class T>
T run(Coro<T> coro, RunOptions options = {}, std::source_location where = std::source_location::current()) {
    try {
        Runner runner(options);
        // A Runner that is left by an exception is closed by its destructor, which throws nothing.
        if constexpr (std::is_void_v<T>) {
            runner.run(std::move(coro), {}, where);
            runner.close();
        } else {
            T result = runner.run(std::move(coro), {}, where);
            runner.close();
            return result;
        }
    } catch (const KeyboardInterrupt&) {
        detail::die_of_interrupt();
    } catch (const SystemExit& request) {
        detail::exit_as_asked(request);
    }
}

}  // namespace coaio
