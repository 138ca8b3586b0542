// SPDX-License-Identifier: MIT
// test: TSK-05: a task sets its own outcome
// expect: a task sets its own outcome, by what its coroutine returns
// expect: a task sets its own outcome, by what its coroutine throws
#include <coaio/core/task.hpp>

void set(coaio::Task<int> task, [[maybe_unused]] coaio::Future<int> future) {
#ifdef COAIO_BAD
    task.set_result(1);
    task.set_exception(coaio::TimeoutError());
#else
    future.set_result(1);
    future.set_exception(coaio::TimeoutError());
    static_cast<void>(task.done());
#endif
}
