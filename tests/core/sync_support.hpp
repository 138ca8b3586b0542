// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace tests {

using Log = std::vector<std::string>;

/// Runs the coroutine that `body()` returns on a virtual clock; it never waits for ever.
template <class F>
void run(F body) {
    coaio::testing::run(body());
}

/// Gives the others one turn.
inline coaio::Sleep turn() { return coaio::sleep(coaio::Duration::zero()); }

inline coaio::Coro<> turns(std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) co_await turn();
}

/// How a task ended: "value", "cancelled", "cancelled: message", or the text of its error.
template <class T>
coaio::Coro<std::string> outcome(coaio::Task<T> task) {
    std::string text = "value";
    try {
        co_await task;
    } catch (const coaio::CancelledError& error) {
        text = error.message() ? "cancelled: " + *error.message() : "cancelled";
    } catch (const std::exception& error) {
        text = error.what();
    }
    co_return text;
}

/// Counts how many are alive, and how many were ever lost by being destroyed with their value inside.
class Item {
public:
    explicit Item(int value) : value_(value) { ++alive_; }
    Item(Item&& other) noexcept : value_(other.value_) {
        other.value_ = -1;
        ++alive_;
    }
    Item& operator=(Item&& other) noexcept {
        value_ = other.value_;
        other.value_ = -1;
        return *this;
    }
    ~Item() { --alive_; }
    [[nodiscard]] int value() const noexcept { return value_; }
    [[nodiscard]] static int alive() noexcept { return alive_; }

private:
    int value_;
    static inline int alive_ = 0;
};

}  // namespace tests
