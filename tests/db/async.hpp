// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>

#include <utility>

namespace tests {

/// Whether what is awaited fails with an E.
template <class E, class T>
coaio::Coro<bool> throws(coaio::Coro<T> coro) {
    try {
        co_await std::move(coro);
    } catch (const E&) {
        co_return true;
    }
    co_return false;
}

}  // namespace tests
