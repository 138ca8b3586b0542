// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/error.hpp>

#include <utility>

namespace tests {

/// Whether what is awaited, a coroutine or a task, fails with an E.
template <class E, class Awaited>
coaio::Coro<bool> throws(Awaited awaited) {
    try {
        co_await std::move(awaited);
    } catch (const E&) {
        co_return true;
    }
    co_return false;
}

/// The errno that what is awaited fails with; 0 where it does not fail.
template <class Awaited>
coaio::Coro<int> error_of(Awaited awaited) {
    try {
        co_await std::move(awaited);
    } catch (const coaio::IoError& error) {
        co_return error.code().value();
    }
    co_return 0;
}

}  // namespace tests
