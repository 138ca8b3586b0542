// SPDX-License-Identifier: MIT
#include <coaio/net/stream.hpp>

#include "net/streams.hpp"
#include "support/catch.hpp"
#include "support/sanitizers.hpp"

#include <coaio/core/io.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/net/listen.hpp>
#include <coaio/net/udp.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <array>
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
using coaio::net::UdpSocket;
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

template <class Things>
Coro<std::size_t> count_when_warm(Things& things, Coro<> (*step)(Things&)) {
    for (int i = 0; i < 20; ++i) co_await step(things);
    const std::size_t before = allocations;
    for (int i = 0; i < 200; ++i) co_await step(things);
    co_return allocations - before;
}

coaio::net::Address loopback() { return coaio::net::Address::ip("127.0.0.1", 0); }

struct Sockets {
    UdpSocket one = UdpSocket::bind(loopback());
    UdpSocket other = UdpSocket::connect(one.local_address());
    std::array<char, 64> room{};
};

Coro<> ask_by_datagram(Sockets& sockets) {
    auto hearing = coaio::create_task(sockets.one.receive_from(sockets.room));
    co_await coaio::sleep(coaio::Duration::zero());
    co_await sockets.other.send("question");
    const coaio::net::Datagram got = co_await hearing;
    co_await sockets.one.send_to("answer", got.from);
    co_await sockets.other.receive_from(sockets.room);
}

/// A pipe that somebody else reads and writes.
struct Pipe {
    Pipe() { REQUIRE(::pipe(ends.data()) == 0); }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe() {
        for (const int each : ends) ::close(each);
    }
    std::array<int, 2> ends{};
};

Coro<> read_byte(int from) {
    co_await coaio::io::wait_readable(from);
    char byte = 0;
    CHECK(::read(from, &byte, 1) == 1);
}

// The reader waits, the writer finds it ready.
Coro<> pass_a_byte(Pipe& pipe) {
    auto reading = coaio::create_task(read_byte(pipe.ends[0]));
    co_await coaio::sleep(coaio::Duration::zero());
    co_await coaio::io::wait_ready(pipe.ends[1], {.readable = false, .writable = true});
    CHECK(::write(pipe.ends[1], "x", 1) == 1);
    co_await reading;
}

// What the client takes is not counted: its socket is a plain one.
Coro<> accept_one(coaio::net::Listener& listener) {
    auto accepting = coaio::create_task(listener.accept());
    co_await coaio::sleep(coaio::Duration::zero());
    const int client = ::socket(AF_INET, SOCK_STREAM, 0);
    const auto address = listener.address().bytes();
    CHECK(::connect(client, reinterpret_cast<const sockaddr*>(address.data()), socklen_t(address.size())) == 0);
    const coaio::net::Stream stream = co_await std::move(accepting);
    ::close(client);
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

TEST_CASE("a warm socket sends and receives datagrams without allocating") {
    if (!frames_are_pooled()) return;
    coaio::Loop loop;
    const auto body = []() -> Coro<std::size_t> {
        Sockets sockets;
        const std::size_t during = co_await count_when_warm(sockets, ask_by_datagram);
        co_return during;
    };
    CHECK(loop.run_until_complete(body()) == 0);
}

TEST_CASE("waiting for a descriptor's readiness allocates nothing when warm") {
    if (!frames_are_pooled()) return;
    coaio::Loop loop;
    Pipe pipe;
    CHECK(loop.run_until_complete(count_when_warm(pipe, pass_a_byte)) == 0);
}

TEST_CASE("a warm listener accepts without allocating") {
    if (!frames_are_pooled()) return;
    coaio::Loop loop;
    const auto body = []() -> Coro<std::size_t> {
        auto listener = coaio::net::listen(loopback());
        const std::size_t during = co_await count_when_warm(listener, accept_one);
        co_return during;
    };
    CHECK(loop.run_until_complete(body()) == 0);
}
