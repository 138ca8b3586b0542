// SPDX-License-Identifier: MIT
// expect: wait_for\(std::move\(coro\), delay\)
#include <coaio/core/timeout.hpp>

coaio::Coro<int> work() { co_return 1; }

coaio::Coro<> caller() {
    auto later = work();
#ifdef COAIO_BAD
    co_await coaio::wait_for(later, coaio::Duration(1));
#else
    co_await coaio::wait_for(std::move(later), coaio::Duration(1));
#endif
}
