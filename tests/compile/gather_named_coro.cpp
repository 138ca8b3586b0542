// SPDX-License-Identifier: MIT
// expect: a named coroutine can run only once
#include <coaio/core/gather.hpp>

coaio::Coro<int> work() { co_return 1; }

coaio::Coro<> caller() {
    auto later = work();
#ifdef COAIO_BAD
    co_await coaio::gather(later);
#else
    co_await coaio::gather(std::move(later));
#endif
}
