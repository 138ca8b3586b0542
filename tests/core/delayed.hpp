// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/time.hpp>

#include <stdexcept>
#include <string>

/// What ends after a while, and the clock to see it by.
namespace tests {

inline coaio::Coro<int> value_after(coaio::Duration delay, int value) {
    co_await coaio::sleep(delay);
    co_return value;
}

template <class T = void>
coaio::Coro<T> fail_after(coaio::Duration delay, std::string what) {
    co_await coaio::sleep(delay);
    throw std::runtime_error(what);
}

inline coaio::Duration now() { return coaio::Clock::now().time_since_epoch(); }

}  // namespace tests
