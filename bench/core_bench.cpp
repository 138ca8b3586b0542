// SPDX-License-Identifier: MIT
// coaio-bench-core BENCH N [ROUNDS]: one micro-benchmark, in the plainest way a user would write it, some rounds of it.
// Prints {"sec": wall, "cpu": process CPU} of the benchmark without the program's start.

#include "bench.hpp"

#include <coaio/core.hpp>
#include <coaio/net/stream.hpp>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/eventfd.h>

using namespace std::chrono_literals;
using coaio::Coro;

namespace {

long sink;

std::chrono::steady_clock::time_point started;
std::clock_t cpu_then;

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

// All of them ready in each turn.
Coro<> crowd(long n) {
    std::vector<coaio::Task<>> tasks;
    tasks.reserve(static_cast<std::size_t>(n));
    for (long i = 0; i < n; ++i) tasks.push_back(coaio::create_task(yielder(10)));
    for (auto& task : tasks) co_await task;
}

Coro<> be_told(int number) {
    const coaio::io::Descriptor descriptor(number);
    std::array<std::byte, 8> room{};
    const auto got = co_await descriptor.read(room);
    if (got.count != room.size()) throw std::runtime_error("descriptors: nothing came");
}

// Registered, waited for, told and closed, all open together.
Coro<> descriptors(long n) {
    std::vector<int> numbers;
    std::vector<coaio::Task<>> tasks;
    for (long i = 0; i < n; ++i) {
        numbers.push_back(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
        if (numbers.back() == -1) throw std::runtime_error("descriptors: too few are allowed, see ulimit -n");
        tasks.push_back(coaio::create_task(be_told(numbers.back())));
    }
    co_await coaio::sleep(0s);
    for (const int each : numbers) ::eventfd_write(each, 1);
    for (auto& task : tasks) co_await task;
}

Coro<> be_told_in_memory(coaio::net::Stream stream) {
    std::array<std::byte, 8> room{};
    const std::size_t count = co_await stream.read_some(room);
    if (count != room.size()) throw std::runtime_error("pipes: nothing came");
}

// The same without the kernel.
Coro<> pipes(long n) {
    std::vector<coaio::net::Stream> ours;
    std::vector<coaio::Task<>> tasks;
    for (long i = 0; i < n; ++i) {
        auto [mine, theirs] = coaio::net::memory_pipe(64);
        ours.push_back(std::move(mine));
        tasks.push_back(coaio::create_task(be_told_in_memory(std::move(theirs))));
    }
    co_await coaio::sleep(0s);
    for (auto& each : ours) co_await each.write("8 bytes.");
    for (auto& task : tasks) co_await task;
}

constexpr bench::Bench core_benches[] = {
    {"create_await", create_await},
    {"spawn_join", spawn_join},
    {"yield", yield},
    {"sleep", sleep},
    {"timers", timers},
    {"queue", queue},
    {"gather", gather},
    {"crowd", crowd},
    {"descriptors", descriptors},
    {"pipes", pipes},
};

void usage() {
    std::fputs("usage: coaio-bench-core BENCH N [ROUNDS], with BENCH one of", stderr);
    for (const bench::Bench& each : core_benches) std::fprintf(stderr, " %s", each.name);
    for (const bench::Bench& each : bench::database_benches()) std::fprintf(stderr, " %s", each.name);
    std::fputs("\n", stderr);
}

Coro<> repeat(const bench::Bench& chosen, long n, long rounds) {
    for (long i = 0; i < rounds; ++i) co_await chosen.run(n);
}

int run(const bench::Bench& chosen, long n, long rounds) {
    bench::begin();
    coaio::run(repeat(chosen, n, rounds));
    std::printf("{\"sec\": %.6f, \"cpu\": %.6f}\n",
                std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count(),
                static_cast<double>(std::clock() - cpu_then) / CLOCKS_PER_SEC);
    return 0;
}

}  // namespace

void bench::begin() noexcept {
    started = std::chrono::steady_clock::now();
    cpu_then = std::clock();
}

int main(int argc, char** argv) {
    if (argc == 3 || argc == 4) {
        const std::string_view name = argv[1];
        const long n = std::atol(argv[2]);
        const long rounds = argc == 4 ? std::atol(argv[3]) : 1;
        for (const bench::Bench& each : core_benches) {
            if (name == each.name) return run(each, n, rounds);
        }
        for (const bench::Bench& each : bench::database_benches()) {
            if (name == each.name) return run(each, n, rounds);
        }
    }
    usage();
    return 2;
}
