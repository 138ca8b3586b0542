// SPDX-License-Identifier: MIT
#pragma once

// Whose functions a world is about: the library's, or those of a copy with a bug, which derives from it.
#include "core/world.hpp"

#include <coaio/core/as_completed.hpp>
#include <coaio/core/finally.hpp>
#include <coaio/core/gather.hpp>
#include <coaio/core/generator.hpp>
#include <coaio/core/shield.hpp>
#include <coaio/core/staggered_race.hpp>
#include <coaio/core/task_group.hpp>
#include <coaio/core/threadsafe.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/core/wait.hpp>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <utility>

namespace tests {

struct Library {
    using Timeout = coaio::Timeout;
    using TaskGroup = coaio::TaskGroup;
    template <class H>
    using AsCompleted = coaio::AsCompleted<H>;
    template <class T>
    using AsyncGenerator = coaio::AsyncGenerator<T>;

    template <class... A>
    static auto gather(A&&... a) {
        return coaio::gather(std::forward<A>(a)...);
    }
    template <class... A>
    static auto shield(A&&... a) {
        return coaio::shield(std::forward<A>(a)...);
    }
    template <class... A>
    static auto timeout(A&&... a) {
        return coaio::timeout(std::forward<A>(a)...);
    }
    template <class... A>
    static auto timeout_at(A&&... a) {
        return coaio::timeout_at(std::forward<A>(a)...);
    }
    template <class... A>
    static auto wait_for(A&&... a) {
        return coaio::wait_for(std::forward<A>(a)...);
    }
    template <class... A>
    static auto task_group(A&&... a) {
        return coaio::task_group(std::forward<A>(a)...);
    }
    template <class... A>
    static auto as_completed(A&&... a) {
        return coaio::as_completed(std::forward<A>(a)...);
    }
    template <class R>
    static auto wait(R&& tasks, coaio::ReturnWhen when = coaio::ALL_COMPLETED,
                     std::optional<coaio::Duration> timeout = std::nullopt) {
        return coaio::wait(std::forward<R>(tasks), when, timeout);
    }
    template <class T>
    static auto run_coroutine_threadsafe(coaio::Coro<T> coro, coaio::Loop& loop) {
        return coaio::run_coroutine_threadsafe(std::move(coro), loop);
    }
    template <class F>
    static auto wrap_future(const F& future) {
        return coaio::wrap_future(future);
    }
    template <class... A>
    static auto finally(A&&... a) {
        return coaio::finally(std::forward<A>(a)...);
    }
    template <class... A>
    static auto staggered_race(A&&... a) {
        return coaio::staggered_race(std::forward<A>(a)...);
    }
};

/// Up to three milliseconds, one at least.
inline coaio::Duration moment() { return std::chrono::milliseconds(1 + draw(3)); }

struct Refused : std::runtime_error {
    Refused() : std::runtime_error("refused") {}
};

}  // namespace tests
