// SPDX-License-Identifier: MIT
// test: WAI-04: wait takes tasks and futures, no coroutines
// expect: wait takes a range of tasks or futures of one type
// expect: coaio::create_task\(std::move\(coro\)\)
#include <coaio/core/wait.hpp>

#include <vector>

coaio::Coro<int> work() { co_return 1; }

coaio::Coro<> caller() {
#ifdef COAIO_BAD
    std::vector<coaio::Coro<int>> coros;
    coros.push_back(work());
    static_cast<void>(co_await coaio::wait(coros));
#else
    std::vector<coaio::Task<int>> tasks;
    tasks.push_back(coaio::create_task(work()));
    static_cast<void>(co_await coaio::wait(tasks));
#endif
}
