// SPDX-License-Identifier: MIT
#include <coaio/core/detail/frame_pool.hpp>
#include <coaio/core/future.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>

#include "support/catch.hpp"
#include "support/sanitizers.hpp"

#include <cstdlib>
#include <memory>
#include <new>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;

namespace {

constinit thread_local std::size_t allocations = 0;
// So does the ready queue when it has to grow.
[[maybe_unused]] constinit thread_local bool arrays_fail = false;

[[maybe_unused]] void* counted(std::size_t size) {
    ++allocations;
    void* const block = std::malloc(size != 0 ? size : 1);
    if (block == nullptr) throw std::bad_alloc();
    return block;
}

}  // namespace

// The sanitizers have their own, and no frame pool.
#if !COAIO_TEST_SANITIZED
// The whole test program's, so that nothing gets by. NOLINTBEGIN
void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) {
    if (arrays_fail) throw std::bad_alloc();
    return counted(size);
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
void operator delete[](void* block, std::size_t) noexcept { std::free(block); }
// NOLINTEND
#endif

namespace {

Coro<int> leaf(int value) { co_return value; }

Coro<int> nested(int depth) {
    if (depth == 0) co_return co_await leaf(1);
    const int below = co_await nested(depth - 1);
    co_return below + 1;
}

Coro<> sets(coaio::Future<int> future) {
    co_await coaio::sleep(0s);
    future.set_result(1);
}

// A bit of everything that a program does all the time.
Coro<int> round_trip() {
    int sum = co_await nested(5);
    co_await coaio::sleep(0s);
    co_await coaio::sleep(1ms);
    const coaio::Future<int> future;
    const auto setter = create_task(sets(future));
    sum += co_await future;
    co_await setter;
    sum += co_await coaio::wait_for(leaf(2), 1s);
    co_return sum;
}

Coro<std::size_t> allocated_by_rounds(int rounds) {
    for (int i = 0; i < 50; ++i) static_cast<void>(co_await round_trip());
    const std::size_t before = allocations;
    for (int i = 0; i < rounds; ++i) static_cast<void>(co_await round_trip());
    co_return allocations - before;
}

}  // namespace

TEST_CASE("once warm, nothing allocates per await, switch, timer, task or wait for a future") {
    coaio::testing::TestLoop loop;
    const std::size_t count = loop.run(allocated_by_rounds(1000));
    if (coaio::detail::frame_pool_bytes() == 0) return;  // this build takes each frame from malloc
    REQUIRE(count == 0);
}

#if !COAIO_TEST_SANITIZED
TEST_CASE("TSK-19: a task that cannot be scheduled throws from create_task and leaves nothing behind") {
    coaio::testing::TestLoop loop;
    loop.fail_on_reports();
    loop.loop().set_debug(true);
    const auto held = std::make_shared<int>(1);
    auto child = [](std::shared_ptr<int>) -> Coro<> { co_return; };
    auto main = [](auto make, std::shared_ptr<int> mine) -> Coro<> {
        std::size_t made = 0;
        bool refused = false;
        while (!refused && made < 100'000) {
            auto coro = make(mine);
            arrays_fail = true;
            try {
                create_task(std::move(coro));
                ++made;
            } catch (const std::bad_alloc&) {
                refused = true;
            }
            arrays_fail = false;
        }
        REQUIRE(refused);
        REQUIRE(coaio::all_tasks().size() == made + 1);
        co_await coaio::sleep(0s);
        REQUIRE(coaio::all_tasks().size() == 1);
    };
    loop.run(main(child, held));
    REQUIRE(held.use_count() == 1);
}
#endif
