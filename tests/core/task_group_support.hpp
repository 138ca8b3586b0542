// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/task_group.hpp>

#include <coaio/core/error.hpp>
#include <coaio/core/shield.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>

#include "core/delayed.hpp"
#include "support/catch.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace tests {

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;
using coaio::TaskGroup;

using Log = std::vector<std::string>;

inline Coro<> ticks(int count) {
    for (int i = 0; i < count; ++i) co_await coaio::sleep(0s);
}

inline Coro<> hang(Log& log, std::string name) {
    try {
        co_await coaio::sleep(1h);
    } catch (const coaio::CancelledError&) {
        log.push_back(name);
        throw;
    }
}

// Needs `delay` more to clean up after its cancellation, then throws `what`, or the cancellation when that is empty.
inline Coro<> slow_to_cancel(coaio::Duration delay, std::string what) {
    bool cancelled = false;
    try {
        co_await coaio::sleep(1h);
    } catch (const coaio::CancelledError&) {
        cancelled = true;
    }
    if (!cancelled) co_return;
    co_await coaio::sleep(delay);
    if (!what.empty()) throw std::runtime_error(what);
    throw coaio::CancelledError();
}

inline std::vector<std::string> messages(const std::vector<std::exception_ptr>& errors) {
    std::vector<std::string> texts;
    for (const auto& each : errors) {
        try {
            std::rethrow_exception(each);
        } catch (const std::exception& error) {
            texts.emplace_back(error.what());
        } catch (...) {
            texts.push_back(coaio::describe_exception(each));
        }
    }
    return texts;
}

// How a coroutine ended, in a word: "done", "cancelled", "group(a,b)", "base group(...)" or the error's text.
inline Coro<std::string> outcome(Coro<> coro) {
    std::string text = "done";
    const auto list = [](const std::vector<std::exception_ptr>& errors) {
        std::string joined;
        for (const auto& each : messages(errors)) joined += (joined.empty() ? "" : ",") + each;
        return "(" + joined + ")";
    };
    try {
        co_await std::move(coro);
    } catch (const coaio::ExceptionGroup& group) {
        text = "group" + list(group.exceptions());
    } catch (const coaio::BaseExceptionGroup& group) {
        text = "base group" + list(group.exceptions());
    } catch (const coaio::CancelledError&) {
        text = "cancelled";
    } catch (const coaio::KeyboardInterrupt&) {
        text = "interrupt";
    } catch (const std::exception& error) {
        text = error.what();
    }
    co_return text;
}

inline std::size_t requests() { return coaio::current_task()->cancelling(); }

// Whether the next suspension throws.
inline Coro<bool> struck() {
    bool thrown = false;
    try {
        co_await coaio::sleep(0s);
    } catch (const coaio::CancelledError&) {
        thrown = true;
    }
    co_return thrown;
}

}  // namespace tests
