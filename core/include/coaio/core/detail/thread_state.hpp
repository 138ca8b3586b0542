// SPDX-License-Identifier: MIT
#pragma once

#include <coroutine>

namespace coaio {
class Loop;
}

namespace coaio::detail {

class TaskBase;
struct LoopCore;

/// What the thread is doing now. One per thread, trivially initialised, so that reading it costs one instruction.
struct ThreadState {
    /// The trampoline: what the stepper resumes next. A coroutine never resumes another one itself, so the native
    /// stack stays flat in every build mode.
    std::coroutine_handle<> next;
    /// The task being stepped, null in plain callbacks and outside a loop.
    TaskBase* task = nullptr;
    /// The core of the running loop, null when none runs.
    LoopCore* core = nullptr;
    /// The coroutine that ran last ended with an exception, which its task holds for whoever awaits it.
    bool in_flight = false;
    /// How many eager first steps are under way, one inside the other.
    unsigned eager_depth = 0;
};

extern constinit thread_local ThreadState thread_state;

}  // namespace coaio::detail
