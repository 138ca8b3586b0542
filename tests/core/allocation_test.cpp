// SPDX-License-Identifier: MIT
#include <coaio/core/barrier.hpp>
#include <coaio/core/condition.hpp>
#include <coaio/core/detail/frame_pool.hpp>
#include <coaio/core/event.hpp>
#include <coaio/core/future.hpp>
#include <coaio/core/gather.hpp>
#include <coaio/core/generator.hpp>
#include <coaio/core/io.hpp>
#include <coaio/core/lock.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/mask.hpp>
#include <coaio/core/queue.hpp>
#include <coaio/core/semaphore.hpp>
#include <coaio/core/shield.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>

#include "support/catch.hpp"
#include "support/sanitizers.hpp"

#include <array>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include <sys/socket.h>

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

Coro<> turn() { co_await coaio::sleep(0s); }

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

namespace {

// How often something allocates, once warm: `rounds` of what `make()` makes, of which each does the thing several times.
template <class F>
Coro<std::size_t> allocated_by(F make, int rounds) {
    for (int i = 0; i < 20; ++i) co_await make();
    const std::size_t before = allocations;
    for (int i = 0; i < rounds; ++i) co_await make();
    co_return allocations - before;
}

template <class F>
std::size_t count_allocations(F make, int rounds = 100) {
    coaio::testing::TestLoop loop;
    return loop.run(allocated_by(std::move(make), rounds));
}

bool pooled() { return coaio::detail::frame_pool_bytes() != 0; }

template <class Queue>
Coro<> put_ten(Queue& queue) {
    for (int i = 0; i < 10; ++i) co_await queue.put(i);
}

template <class Queue>
Coro<> get_ten(Queue& queue) {
    for (int i = 0; i < 10; ++i) static_cast<void>(co_await queue.get());
}

// A place for one: both sides wait.
template <class Queue>
Coro<> through(Queue& queue) {
    const auto putter = create_task(put_ten(queue));
    const auto getter = create_task(get_ten(queue));
    co_await putter;
    co_await getter;
}

template <class Lock>
Coro<> hold(Lock& lock) {
    const auto guard = co_await lock.scoped();
    co_await coaio::sleep(0s);
}

template <class Lock>
Coro<> contend(Lock& lock) {
    const auto first = create_task(hold(lock));
    const auto second = create_task(hold(lock));
    const auto third = create_task(hold(lock));
    co_await first;
    co_await second;
    co_await third;
}

Coro<> notice(coaio::Condition& bell) {
    const auto guard = co_await bell.scoped();
    co_await bell.wait();
}

Coro<> ring(coaio::Condition& bell) {
    const auto waiting = create_task(notice(bell));
    co_await coaio::sleep(0s);
    {
        const auto guard = co_await bell.scoped();
        bell.notify();
    }
    co_await waiting;
}

Coro<> wait_for_event(coaio::Event& event) { co_await event.wait(); }

Coro<> set_event(coaio::Event& event) {
    const auto waiting = create_task(wait_for_event(event));
    co_await coaio::sleep(0s);
    event.set();
    event.clear();
    co_await waiting;
}

Coro<> meet(coaio::Barrier& barrier) { static_cast<void>(co_await barrier.wait()); }

Coro<> meeting(coaio::Barrier& barrier) {
    const auto other = create_task(meet(barrier));
    static_cast<void>(co_await barrier.wait());
    co_await other;
}

Coro<> call_and_cancel() {
    auto& loop = coaio::get_running_loop();
    const coaio::Future<> called;
    loop.call_soon([] {});
    loop.call_later(1ms, [&called] { called.set_result(); });
    auto never = loop.call_later(1h, [] {});
    never.cancel();
    co_await called;
}

coaio::AsyncGenerator<int> numbers() {
    for (int i = 0; i < 10; ++i) {
        co_await coaio::sleep(0s);
        co_yield i;
    }
}

Coro<> generate() {
    auto stream = numbers();
    for (bool more = true; more;) {
        const auto number = co_await stream.next();
        more = number.has_value();
    }
}

Coro<int> shielded() { co_return co_await coaio::shield(leaf(1)); }

Coro<> limits() {
    auto body = [](coaio::Timeout& scope) -> Coro<> {
        co_await coaio::sleep(1ms);
        scope.reschedule(coaio::Clock::now() + 1h);
        co_await coaio::sleep(0s);
    };
    co_await coaio::timeout(1s, body);
    static_cast<void>(co_await shielded());
    co_await coaio::masked(turn());
}

Coro<> echo(const coaio::io::Descriptor& from, int times) {
    std::array<std::byte, 16> room{};
    for (int i = 0; i < times; ++i) {
        const auto got = co_await from.read(room);
        const std::array<coaio::io::Buffer, 1> answer{coaio::io::Buffer{room.data(), got.count}};
        const auto sent = co_await from.write(answer);
        REQUIRE(sent.ok());
    }
}

Coro<> talk(const coaio::io::Descriptor& a, const coaio::io::Descriptor& b) {
    const auto other = create_task(echo(b, 5));
    std::array<std::byte, 16> room{};
    for (int i = 0; i < 5; ++i) {
        const std::array<coaio::io::Buffer, 1> question{coaio::io::Buffer{room.data(), 1}};
        const auto sent = co_await a.write(question);
        REQUIRE(sent.ok());
        const auto got = co_await a.read(room);
        REQUIRE(got.count == 1);
    }
    co_await other;
}

// Descriptors belong to the loop that runs.
Coro<std::size_t> allocated_by_talk() {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
    const coaio::io::Descriptor a(ends[0]);
    const coaio::io::Descriptor b(ends[1]);
    const auto make = [&a, &b] { return talk(a, b); };
    co_return co_await allocated_by(make, 100);
}

template <std::size_t... I>
Coro<> gather_many(std::index_sequence<I...>) {
    co_await coaio::gather((static_cast<void>(I), turn())...);
}

Coro<> gather_range(std::size_t count) {
    std::vector<Coro<>> turns;
    turns.reserve(count);
    for (std::size_t i = 0; i < count; ++i) turns.push_back(turn());
    co_await coaio::gather(std::move(turns));
}

}  // namespace

TEST_CASE("once warm, nothing allocates per wait for a queue, lock, semaphore, event, condition or barrier") {
    coaio::Queue<int> queue(1);
    coaio::PriorityQueue<int> priority_queue(1);
    coaio::LifoQueue<int> lifo_queue(1);
    coaio::Lock lock;
    coaio::Semaphore semaphore(1);
    coaio::Condition condition;
    coaio::Event event;
    coaio::Barrier barrier(2);
    const std::array counts{
        count_allocations([&] { return through(queue); }),
        count_allocations([&] { return through(priority_queue); }),
        count_allocations([&] { return through(lifo_queue); }),
        count_allocations([&] { return contend(lock); }),
        count_allocations([&] { return contend(semaphore); }),
        count_allocations([&] { return ring(condition); }),
        count_allocations([&] { return set_event(event); }),
        count_allocations([&] { return meeting(barrier); }),
    };
    if (pooled()) CHECK(counts == decltype(counts){});
}

TEST_CASE("once warm, nothing allocates per callback, timer, step of a generator, time-out, mask or shield") {
    const std::array counts{count_allocations([] { return call_and_cancel(); }),
                            count_allocations([] { return generate(); }), count_allocations([] { return limits(); })};
    if (pooled()) CHECK(counts == decltype(counts){});
}

TEST_CASE("once warm, nothing allocates per read or write, at once or after a wait") {
    coaio::Loop loop;
    const std::size_t count = loop.run_until_complete(allocated_by_talk());
    if (pooled()) CHECK(count == 0);
}

TEST_CASE("a gather of arguments allocates nothing, one of a range the same however many its children") {
    const std::array arguments{count_allocations([] { return gather_many(std::make_index_sequence<2>()); }, 10),
                               count_allocations([] { return gather_many(std::make_index_sequence<40>()); }, 10)};
    const std::array ranges{count_allocations([] { return gather_range(2); }, 10),
                            count_allocations([] { return gather_range(40); }, 10)};
    if (pooled()) {
        CHECK(arguments == std::array<std::size_t, 2>{});
        CHECK(ranges == std::array<std::size_t, 2>{30, 30});  // the range, the children and the values
    }
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
