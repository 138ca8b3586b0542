// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/loop.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/task.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

/// Tests of time that take none, and of order that can be replayed.
///
/// A test loop's clock is virtual: it stands still while something runs, and jumps to the next timer when nothing is
/// ready. It never jumps while the kernel, a thread's job or other work outside is awaited. With a seed, tasks that are
/// ready in the same turn run in an order drawn from it, and so does `Loop::random()`.
namespace coaio::testing {

struct Options {
    /// None: ready tasks run in their own order, first in first out.
    std::optional<std::uint64_t> seed = std::nullopt;
    bool debug = false;
};

/// A loop on the virtual clock, for tests that drive it themselves.
class TestLoop {
public:
    explicit TestLoop(Options options = {});
    TestLoop(const TestLoop&) = delete;
    TestLoop& operator=(const TestLoop&) = delete;
    ~TestLoop();

    [[nodiscard]] Loop& loop() noexcept { return loop_; }
    /// Runs a coroutine as a task, gives its result, and cleans up what is left as `coaio::run` does.
    template <class T>
    T run(Coro<T> coro, std::source_location where = std::source_location::current()) {
        const Task<T> task = loop_.create_task(std::move(coro), {}, where);
        drive(*task.state());
        return detail::take_outcome<T>(*task.state());
    }
    /// Calls `hook(turn)` before each turn, counted from 0; empty: none.
    void on_turn(std::function<void(std::size_t)> hook);
    /// Makes `message, exception` reports fail the run: the first is thrown when it ends.
    void fail_on_reports();

private:
    void drive(detail::FutureBase& future);

    Loop loop_;
    std::exception_ptr reported_;
};

/// Work outside the loop that will yet make something ready, such as a thread of the test's own that will call
/// `call_soon_threadsafe`: while one lives, the virtual clock does not jump and no deadlock is seen.
class OutsideWork {
public:
    /// For the running loop.
    OutsideWork();
    OutsideWork(const OutsideWork&) = delete;
    OutsideWork& operator=(const OutsideWork&) = delete;
    ~OutsideWork();

private:
    Loop* loop_;
};

/// Runs `coro` on a virtual clock and gives its result. Throws `DeadlockError`, with the task tree, when nothing can
/// ever happen again.
template <class T>
T run(Coro<T> coro, Options options = {}, std::source_location where = std::source_location::current()) {
    TestLoop loop(options);
    return loop.run(std::move(coro), where);
}

struct ExploreOptions {
    /// How many seeds, from `first` on. The environment variable COAIO_EXPLORE_SEEDS overrides it.
    std::size_t seeds = 50;
    std::uint64_t first = 1;
};

/// One run of an exploration failed; `what()` names the seed and the failure.
class ExploreError : public Error {
public:
    ExploreError(std::uint64_t seed, std::exception_ptr cause);
    ~ExploreError() override;
    [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }
    [[nodiscard]] const std::exception_ptr& cause() const noexcept { return cause_; }

private:
    std::uint64_t seed_;
    std::exception_ptr cause_;
};

namespace detail {

/// Runs `coro` and drops its result.
template <class T>
void run_for_effect(Coro<T> coro, Options options) {
    static_cast<void>(run(std::move(coro), options));
}
template <>
inline void run_for_effect<void>(Coro<void> coro, Options options) {
    run(std::move(coro), options);
}

/// Runs `once(seed)` for every seed; names the first that fails. COAIO_SEED runs that one alone.
void explore(ExploreOptions options, const std::function<void(std::uint64_t)>& once);
void cut(const std::function<bool(std::size_t)>& once);

}  // namespace detail

/// Runs `factory()`'s coroutine once for each seed. The first failure ends it with an `ExploreError` that names the
/// seed; COAIO_SEED=N in the environment replays that seed alone.
template <class F>
void explore(F factory, ExploreOptions options = {}) {
    detail::explore(options, [&](std::uint64_t seed) { detail::run_for_effect(factory(), {.seed = seed}); });
}

/// Runs `factory()`'s coroutine once for each n = 0, 1, 2, …, and cancels it before turn n, until a run ends by itself
/// before its cut. After each, on the same loop, runs the coroutine `check(n)`, which looks whether anything was lost.
///
/// The cut coroutine may end as it likes, by a value, an error or the cancellation; what `check` throws fails the cut.
template <class F, class C>
void cut(F factory, C check, Options options = {});

// ---------------------------------------------------------------------------------------------------------------

namespace detail {

template <class T>
Coro<> await_quietly(Task<T> task) {
    try {
        co_await task;
    } catch (...) {  // however it ended: the check decides
        task.state()->mark_retrieved();
    }
}

template <class F, class C>
Coro<> cut_once(TestLoop& loop, F& factory, C& check, std::size_t turns, bool& finished) {
    auto task = create_task(factory());
    const AnyTask victim = task;
    const std::shared_ptr<std::size_t> count = std::make_shared<std::size_t>(0);
    loop.on_turn([victim, count, turns](std::size_t) {
        if ((*count)++ == turns) victim.cancel();
    });
    co_await await_quietly(task);
    loop.on_turn(nullptr);
    finished = *count <= turns;
    if constexpr (std::is_void_v<std::invoke_result_t<C&, std::size_t>>) {
        check(turns);
        co_return;
    } else {
        co_await check(turns);
    }
}

}  // namespace detail

template <class F, class C>
void cut(F factory, C check, Options options) {
    detail::cut([&](std::size_t turns) {
        bool finished = false;
        TestLoop loop(options);
        loop.run(detail::cut_once(loop, factory, check, turns, finished));
        return finished;
    });
}

}  // namespace coaio::testing
