// SPDX-License-Identifier: MIT
#include <coaio/net/stream.hpp>

#include "net/streams.hpp"
#include "support/catch.hpp"
#include "support/sanitizers.hpp"

#include <coaio/core/loop.hpp>
#include <coaio/core/task.hpp>

#include <cstdlib>
#include <new>
#include <string_view>

// Counts what comes from the heap in this program.
namespace {

constinit thread_local std::size_t allocations = 0;

[[maybe_unused]] void* count_and_allocate(std::size_t size) {
    ++allocations;
    void* const block = std::malloc(size != 0 ? size : 1);
    if (block == nullptr) throw std::bad_alloc();
    return block;
}

}  // namespace

// The sanitizers have their own, and no frame pool.
#if !COAIO_TEST_SANITIZED
void* operator new(std::size_t size) { return count_and_allocate(size); }
void* operator new[](std::size_t size) { return count_and_allocate(size); }
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete[](void* block, std::size_t) noexcept { std::free(block); }
#endif

namespace {

using coaio::Coro;
using tests::Ends;
using tests::Kind;

Coro<> answer(coaio::net::Stream& stream) {
    std::array<std::byte, 64> room{};
    for (;;) {
        const std::size_t count = co_await stream.read_some(room);
        if (count == 0) co_return;
        co_await stream.write(std::span<const std::byte>(room.data(), count));
    }
}

Coro<> ask(coaio::net::Stream& stream, int times) {
    std::array<std::byte, 8> room{};
    for (int i = 0; i < times; ++i) {
        co_await stream.write("12", "345", "678");
        co_await stream.read_exactly(room);
    }
}

Coro<std::size_t> count_allocations(Kind kind) {
    Ends ends = co_await tests::make_ends(kind);
    auto answering = coaio::create_task(answer(ends.b));
    co_await ask(ends.a, 20);  // warm-up
    const std::size_t before = allocations;
    co_await ask(ends.a, 200);
    const std::size_t during = allocations - before;
    ends.a.close();
    try {
        co_await answering;
    } catch (const coaio::Error&) {}
    co_return during;
}

// Sanitizer builds take each frame from malloc, so there is nothing to count.
bool frames_are_pooled() {
    coaio::Loop loop;
    loop.run_until_complete([]() -> Coro<> { co_return; }());
    return loop.stats().frame_pool_bytes != 0;
}

}  // namespace

TEST_CASE("a warm stream reads and writes without allocating") {
    if (!frames_are_pooled()) return;
    for (const Kind kind : tests::all_kinds) {
        if (tests::is_simulated(kind)) continue;
        CAPTURE(tests::name_of(kind));
        coaio::Loop loop;
        CHECK(loop.run_until_complete(count_allocations(kind)) == 0);
    }
}
