// SPDX-License-Identifier: MIT
// expect: co_await takes a coaio::Coro, Task or Future
#include <coaio/core/sleep.hpp>

coaio::Coro<> caller() {
#ifdef COAIO_BAD
    co_await 42;
#else
    co_await coaio::sleep(coaio::Duration(42));
#endif
}
