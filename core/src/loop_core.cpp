// SPDX-License-Identifier: MIT
#include <coaio/core/detail/loop_core.hpp>

#include <coaio/core/detail/context_node.hpp>
#include <coaio/core/detail/task_state.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <limits>
#include <optional>
#include <typeinfo>

namespace coaio::detail {

std::uint64_t next_loop_id() noexcept {
    static std::atomic<std::uint64_t> last = 0;
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

void LoopCore::schedule(Entry entry) noexcept {
    if (entry.is_task()) {
        entry.task()->wake();
    } else {
        ready.push(entry);
    }
}

// The greatest number is kept for "no timer".
void LoopCore::arm(Timer& timer, std::int64_t when) {
    timers.insert(std::min(when, std::numeric_limits<std::int64_t>::max() - 1), timer);
}

void LoopCore::arm_now(Timer& timer) {
    timer.place_ = Timer::Place::ready;
    timer.index_ = ready.push(timer.target_);
}

void LoopCore::disarm(Timer& timer) noexcept {
    switch (timer.place_) {
    case Timer::Place::nowhere: return;
    case Timer::Place::heap: timers.remove(timer); return;
    case Timer::Place::ready:
        ready.erase(timer.index_);
        timer.place_ = Timer::Place::nowhere;
        return;
    }
}

void LoopCore::collect_due() noexcept {
    while (timers.earliest() <= now) {
        Timer& timer = timers.pop();
        if (timer.target_.is_task()) {
            timer.target_.task()->wake();
        } else {
            arm_now(timer);
        }
    }
}

void LoopCore::report(std::string message, std::exception_ptr exception, const FutureBase* future,
                      const void* handle) noexcept {
    if (loop == nullptr) {
        report_without_loop(message, exception);
        return;
    }
    try {
        ExceptionContext context;
        context.message = std::move(message);
        context.exception = std::move(exception);
        context.future = future;
        context.handle = handle;
        std::optional<ContextScope> scope;
        if (future != nullptr && future->kind() == FutureKind::task) {
            scope.emplace(static_cast<const TaskBase*>(future)->context());
        }
        loop->call_exception_handler(context);
    } catch (...) {
        // Only a KeyboardInterrupt or SystemExit comes out of the handler: it leaves the loop.
        if (escaping == nullptr) escaping = std::current_exception();
    }
}

void throw_no_running_loop() {
    throw RuntimeError("no running event loop in this thread: call this from a coroutine or callback of a loop");
}

namespace {

// What the runtime itself asks when it looks for a handler; throwing to find out would cost a microsecond.
bool holds(const std::exception_ptr& exception, const std::type_info& wanted) noexcept {
    const std::type_info* const type = exception.__cxa_exception_type();
    if (*type == wanted) return true;
    void* object = nullptr;
    return wanted.__do_catch(type, &object, 1);
}

}  // namespace

bool is_cancellation(const std::exception_ptr& exception) noexcept {
    return exception != nullptr && holds(exception, typeid(CancelledError));
}

bool is_base_error(const std::exception_ptr& exception) noexcept {
    return exception != nullptr &&
           (holds(exception, typeid(KeyboardInterrupt)) || holds(exception, typeid(SystemExit)));
}

bool is_not_std_exception(const std::exception_ptr& exception) noexcept {
    return exception != nullptr && !holds(exception, typeid(std::exception));
}

void report_without_loop(const std::string& message, const std::exception_ptr& exception) noexcept {
    const std::string text = exception != nullptr ? message + "\n  " + describe_exception(exception) : message;
    std::fprintf(stderr, "coaio: %s\n", text.c_str());
}

}  // namespace coaio::detail
