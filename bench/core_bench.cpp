// SPDX-License-Identifier: MIT
// coaio-bench-core BENCH N: one micro-benchmark of the core, in the plainest way a user would write it. Prints
// {"sec": wall, "cpu": process CPU} of the benchmark without the program's start.

#include <coaio/core.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using coaio::Coro;

namespace {

long sink;

Coro<long> add_one(long value) { co_return value + 1; }

Coro<> create_await(long n) {
    for (long i = 0; i < n; ++i) sink += co_await add_one(i);
}

Coro<> spawn_join(long n) {
    std::vector<coaio::Task<long>> tasks;
    tasks.reserve(static_cast<std::size_t>(n));
    for (long i = 0; i < n; ++i) tasks.push_back(coaio::create_task(add_one(i)));
    for (auto& task : tasks) sink += co_await task;
}

Coro<> yielder(long n) {
    for (long i = 0; i < n; ++i) co_await coaio::sleep(0s);
}

Coro<> yield(long n) { co_await coaio::gather(yielder(n / 2), yielder(n / 2)); }

Coro<> sleep_a_second() { co_await coaio::sleep(1s); }

Coro<> sleep(long n) {
    std::vector<coaio::Task<>> tasks;
    tasks.reserve(static_cast<std::size_t>(n));
    for (long i = 0; i < n; ++i) tasks.push_back(coaio::create_task(sleep_a_second()));
    for (auto& task : tasks) co_await task;
}

Coro<> timers(long n) {
    auto& loop = coaio::get_running_loop();
    const auto start = loop.time() + 1h;
    std::vector<coaio::TimerHandle> handles;
    handles.reserve(static_cast<std::size_t>(n));
    for (long i = 0; i < n; ++i) handles.push_back(loop.call_at(start + i * 1us, [] {}));
    for (auto& handle : handles) handle.cancel();
    co_return;
}

Coro<> produce(coaio::Queue<long>& queue, long n) {
    for (long i = 0; i < n; ++i) co_await queue.put(i);
}

Coro<> consume(coaio::Queue<long>& queue, long n) {
    for (long i = 0; i < n; ++i) sink += co_await queue.get();
}

Coro<> queue(long n) {
    coaio::Queue<long> items(1024);
    co_await coaio::gather(produce(items, n), consume(items, n));
}

Coro<long> yield_then_add(long value) {
    co_await coaio::sleep(0s);
    co_return co_await add_one(value);
}

Coro<> gather(long n) {
    std::vector<Coro<long>> coros;
    coros.reserve(static_cast<std::size_t>(n));
    for (long i = 0; i < n; ++i) coros.push_back(yield_then_add(i));
    for (const long value : co_await coaio::gather(std::move(coros))) sink += value;
}

struct Bench {
    std::string_view name;
    Coro<> (*run)(long n);
};

constexpr Bench benches[] = {
    {"create_await", create_await},
    {"spawn_join", spawn_join},
    {"yield", yield},
    {"sleep", sleep},
    {"timers", timers},
    {"queue", queue},
    {"gather", gather},
};

}  // namespace

int main(int argc, char** argv) {
    for (const Bench& bench : benches) {
        if (argc != 3 || bench.name != argv[1]) continue;
        const long n = std::atol(argv[2]);
        const auto start = std::chrono::steady_clock::now();
        const std::clock_t cpu = std::clock();
        coaio::run(bench.run(n));
        std::printf("{\"sec\": %.6f, \"cpu\": %.6f}\n",
                    std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
                    static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC);
        return 0;
    }
    std::fputs("usage: coaio-bench-core BENCH N, with BENCH one of", stderr);
    for (const Bench& bench : benches) std::fprintf(stderr, " %s", bench.name.data());
    std::fputs("\n", stderr);
    return 2;
}
