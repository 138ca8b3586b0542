// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/loop.hpp>

#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace coaio {

namespace detail {

template <class F>
Coro<JobResult<F>> in_thread(F function) {
    auto future = get_running_loop().run_in_executor(std::move(function));
    co_return co_await std::move(future);
}

template <class F>
    requires std::is_void_v<JobResult<F>>
Coro<> in_thread(F function) {
    auto future = get_running_loop().run_in_executor(std::move(function));
    co_await future;
}

}  // namespace detail

/// Runs `function(args...)`, which may block, on a thread of the running loop's default executor, and gives its result.
/// Context variables can be read there.
///
/// Cancellation: before it has begun it never runs; afterwards the awaiter is cancelled at once and the function runs
/// on. Function and arguments are moved in, so it owns what it uses: mind pointers and references.
///
///     auto text = co_await coaio::to_thread(read_file, path);
template <class F, class... Args>
    requires std::is_invocable_v<F&, Args&...> || std::is_invocable_v<F&, Args...>
[[nodiscard]] auto to_thread(F function, Args... args) {
    if constexpr (sizeof...(Args) == 0) {
        return detail::in_thread(std::move(function));
    } else {
        auto job = [function = std::move(function), args = std::tuple(std::move(args)...)]() mutable {
            return std::apply([&](Args&... each) { return std::invoke(function, std::move(each)...); }, args);
        };
        return detail::in_thread(std::move(job));
    }
}

}  // namespace coaio
