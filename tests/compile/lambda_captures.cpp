// SPDX-License-Identifier: MIT
// expect: a lambda that captures cannot be a coroutine
#include <coaio/core/coro.hpp>
#include <coaio/core/task_group.hpp>

coaio::Coro<> caller(int value) {
#ifdef COAIO_BAD
    auto body = [value]() -> coaio::Coro<int> { co_return value; };
    co_await body();
#else
    // Without captures, and with a scope first.
    auto plain = [](int given) -> coaio::Coro<int> { co_return given; };
    co_await plain(value);
    auto scoped = [value](coaio::TaskGroup&) -> coaio::Coro<int> { co_return value; };
    co_await coaio::task_group(scoped);
#endif
}
