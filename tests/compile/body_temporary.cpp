// SPDX-License-Identifier: MIT
// only: GNU < 12.3
// expect: Name it first and pass the name
#include <coaio/core/timeout.hpp>

#include <string>

coaio::Coro<> caller(std::string text) {
#ifdef COAIO_BAD
    co_await coaio::timeout(coaio::Duration(1), [text](coaio::Timeout&) -> coaio::Coro<> { co_return; });
#else
    auto body = [text](coaio::Timeout&) -> coaio::Coro<> { co_return; };
    co_await coaio::timeout(coaio::Duration(1), body);
#endif
}
