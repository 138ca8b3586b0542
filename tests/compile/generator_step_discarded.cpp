// SPDX-License-Identifier: MIT
// test: AGN-20: a step of a generator, or its closing, that is not awaited draws a warning
// expect: co_await it
#include <coaio/core/generator.hpp>

coaio::AsyncGenerator<int> numbers() { co_yield 1; }

coaio::Coro<> caller() {
    auto generator = numbers();
#ifdef COAIO_BAD
    generator.next();
    generator.aclose();
#else
    static_cast<void>(co_await generator.next());
    co_await generator.aclose();
#endif
}
