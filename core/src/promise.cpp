// SPDX-License-Identifier: MIT
#include <coaio/core/detail/promise.hpp>

#include <coaio/core/detail/location.hpp>
#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/detail/task_state.hpp>

#include <exception>
#include <string>

namespace coaio::detail {

constinit thread_local ThreadState thread_state;

void PromiseBase::unhandled_exception() noexcept { thread_state.task->put_in_flight(std::current_exception()); }

bool has_exception_in_flight() noexcept { return thread_state.task->in_flight(); }

void rethrow_in_flight() { std::rethrow_exception(thread_state.task->take_in_flight()); }

void destroy_coroutine(PromiseBase& promise) noexcept {
    if (!promise.started() && thread_state.core != nullptr && thread_state.core->debug) {
        thread_state.core->report("coroutine was never awaited: " + describe_location(promise.location), nullptr);
    }
    promise.handle().destroy();
}

}  // namespace coaio::detail
