// SPDX-License-Identifier: MIT
#include <coaio/core/detail/promise.hpp>

#include <coaio/core/detail/location.hpp>
#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/detail/task_state.hpp>
#include <coaio/core/error.hpp>

#include <exception>
#include <string>

namespace coaio::detail {

constinit thread_local ThreadState thread_state;

void PromiseBase::unhandled_exception() noexcept { thread_state.task->put_in_flight(std::current_exception()); }

void rethrow_in_flight() { std::rethrow_exception(thread_state.task->take_in_flight()); }

void throw_not_fresh(const PromiseBase* promise) {
    if (promise == nullptr) throw RuntimeError("this coroutine object is empty: it was moved from or given away");
    throw RuntimeError("this coroutine was already awaited: a coroutine runs only once");
}

void destroy_unstarted(PromiseBase& promise) noexcept {
    if (promise.place.nowhere()) return;
    if (thread_state.core != nullptr && thread_state.core->debug) {
        thread_state.core->report("coroutine was never awaited: " + describe_place(promise.place), nullptr);
    }
    promise.handle().destroy();
}

// Each coroutine is owned by the frame that awaits it, which would destroy it in the midst of being destroyed itself, and
// so on, on the native stack. So whoever is still to come finds the memory kept and in it a promise that is nowhere.
void destroy_stack(PromiseBase* innermost) noexcept {
    const FrameHold hold;
    for (PromiseBase* each = innermost; each != nullptr;) {
        PromiseBase* const next = each->parent.coroutine_if_any();
        each->handle().destroy();
        ::new (static_cast<void*>(each)) PromiseBase;
        each = next;
    }
}

}  // namespace coaio::detail
