// SPDX-License-Identifier: MIT
// test: TSK-05: a task sets its own outcome
// expect: set_result
#include <coaio/core/task.hpp>

void set(coaio::Task<int> task, coaio::Future<int> future) {
#ifdef COAIO_BAD
    task.set_result(1);
#else
    future.set_result(1);
    static_cast<void>(task.done());
#endif
}
