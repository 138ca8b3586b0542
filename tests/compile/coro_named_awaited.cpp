// SPDX-License-Identifier: MIT
// expect: co_await std::move\(name\)
#include <coaio/core/coro.hpp>

#include <utility>

coaio::Coro<> work() { co_return; }

coaio::Coro<> caller() {
    auto later = work();
#ifdef COAIO_BAD
    co_await later;
#else
    co_await std::move(later);
#endif
}
