// SPDX-License-Identifier: MIT
#include <coaio/core/run.hpp>

#include <coaio/core/error.hpp>
#include <coaio/core/wait.hpp>

#include "run_cleanup.hpp"

#include <csignal>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace coaio {

namespace {

bool debug_by_environment() {
    const char* const value = std::getenv("COAIO_DEBUG");
    return value != nullptr && *value != '\0' && std::string_view(value) != "0";
}

// One round: what a left-over task starts while it is being cancelled is dropped and reported when the loop closes.
Coro<> cancel_leftovers(std::vector<AnyTask> tasks) {
    for (const AnyTask& task : tasks) task.cancel();
    if (tasks.empty()) co_return;
    static_cast<void>(co_await wait(tasks));
    for (const AnyTask& task : tasks) {
        if (task.state()->status() != detail::FutureStatus::failed) continue;
        task.state()->mark_retrieved();
        get_running_loop().call_exception_handler(
            {.message = "a task failed while run() was shutting down: " + task.name(),
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
        loop_->set_debug(options_.debug.value_or(debug_by_environment()));
    }
    return *loop_;
}

void Runner::drive(const AnyTask& task) { loop_->run_until_done(*task.state()); }

void Runner::close() {
    if (closed_) return;
    closed_ = true;
    if (!loop_) return;
    detail::clean_up_after_run(*loop_, options_.executor_timeout);
    loop_->close();
    loop_.reset();
}

namespace detail {

void clean_up_after_run(Loop& loop, Duration) {
    auto left = leftovers(loop);
    if (!left.empty()) loop.run_until_complete(cancel_leftovers(std::move(left)));
}

void die_of_interrupt() {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
    std::exit(130);
}

}  // namespace detail

}  // namespace coaio
