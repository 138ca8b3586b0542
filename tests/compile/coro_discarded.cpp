// SPDX-License-Identifier: MIT
// expect: does nothing until it is awaited
#include <coaio/core/coro.hpp>

coaio::Coro<> work() { co_return; }

coaio::Coro<> caller() {
#ifdef COAIO_BAD
    work();
#else
    co_await work();
#endif
}
