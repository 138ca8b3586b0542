// SPDX-License-Identifier: MIT
#include <coaio/core/run.hpp>

#include <coaio/core/detail/context_node.hpp>
#include <coaio/core/detail/signals.hpp>
#include <coaio/core/error.hpp>

#include "run_cleanup.hpp"

#include <csignal>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace coaio {

namespace {

// One round: what a left-over task starts while it is being cancelled is dropped and reported when the loop closes.
void cancel_leftovers(Loop& loop, const std::vector<AnyTask>& tasks) {
    for (const AnyTask& task : tasks) task.cancel();
    for (const AnyTask& task : tasks) {
        if (!task.done()) loop.run_until_done(*task.state());
    }
    const detail::CoreGuard guard(loop.core());
    for (const AnyTask& task : tasks) {
        if (task.state()->status() != detail::FutureStatus::failed) continue;
        task.state()->mark_retrieved();
        const detail::ContextScope scope(task.state()->context());
        loop.call_exception_handler({.message = "a task failed while run() was shutting down: " + task.name(),
                                     .exception = task.state()->stored_exception(),
                                     .future = task.state().get()});
    }
}

std::vector<AnyTask> leftovers(Loop& loop) {
    const detail::CoreGuard guard(loop.core());
    return all_tasks();
}

}  // namespace

Runner::Runner(RunOptions options) : options_(options) {
    if (detail::thread_state.core != nullptr) {
        throw RuntimeError("run() cannot be called from a running event loop: co_await the coroutine instead");
    }
}

Runner::~Runner() {
    try {
        close();
    } catch (...) {
        detail::report_without_loop("closing a Runner failed", std::current_exception());
    }
}

Loop& Runner::get_loop() {
    if (closed_) throw RuntimeError("this Runner is closed");
    if (!loop_) {
        loop_ = std::make_unique<Loop>();
        if (options_.debug) loop_->set_debug(*options_.debug);
        context_ = copy_context();
    }
    return *loop_;
}

void Runner::drive(const AnyTask& task) {
    int interrupts = 0;
    std::optional<detail::SignalWatch> watch;
    if (detail::signal_is_free(SIGINT)) {
        const auto interrupted = [&interrupts, &task] {
            if (++interrupts > 1 || task.done()) throw KeyboardInterrupt();
            task.cancel();
        };
        watch.emplace(*loop_, SIGINT, interrupted, true);
    }
    loop_->run_until_done(*task.state());
    // The cancellation that ended it was the signal's, and nobody else's.
    if (interrupts > 0 && task.cancelled() && task.uncancel() == 0) throw KeyboardInterrupt();
}

void Runner::close() {
    if (closed_) return;
    closed_ = true;
    if (!loop_) return;
    detail::clean_up_after_run(*loop_, options_.executor_timeout);
    loop_->close();
    loop_.reset();
}

namespace detail {

void clean_up_after_run(Loop& loop, Duration executor_timeout) {
    cancel_leftovers(loop, leftovers(loop));
    loop.run_until_complete(loop.shutdown_asyncgens());
    loop.run_until_complete(loop.shutdown_default_executor(executor_timeout));
}

void die_of_interrupt() {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
    std::exit(130);
}

void exit_as_asked(const SystemExit& request) {
    // Elsewhere other threads would still use what an exit destroys: there it ends the thread, by the exception.
    if (::gettid() != ::getpid()) throw;
    std::exit(request.code());
}

}  // namespace detail

}  // namespace coaio
