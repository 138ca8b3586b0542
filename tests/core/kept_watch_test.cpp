// SPDX-License-Identifier: MIT
#include <coaio/core/detail/kept_watch.hpp>

#include <coaio/core/io.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/syscall_fault.hpp>
#include <coaio/core/task.hpp>

#include "support/catch.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>

namespace {

using coaio::Coro;
using coaio::detail::KeptWatch;

struct Ends {
    std::array<int, 2> numbers{};
    Ends() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, numbers.data()) == 0); }
    Ends(const Ends&) = delete;
    Ends& operator=(const Ends&) = delete;
    ~Ends() {
        ::close(numbers[0]);
        ::close(numbers[1]);
    }
    [[nodiscard]] int mine() const noexcept { return numbers[0]; }
    void send() const { REQUIRE(::write(numbers[1], "x", 1) == 1); }
    void receive() const {
        char byte = 0;
        REQUIRE(::read(numbers[0], &byte, 1) == 1);
    }
};

Coro<> turns(int count) {
    for (int i = 0; i < count; ++i) co_await coaio::sleep(coaio::Duration::zero());
}

Coro<bool> readable(int fd) {
    const auto found = co_await coaio::io::wait_readable(fd);
    co_return found.readable && !found.writable;
}

Coro<> keep(std::optional<KeptWatch>& kept, int fd) {
    kept.emplace(fd);
    co_return;
}

template <class F>
void in_loop(F body) {
    coaio::Loop loop;
    loop.run_until_complete(body());
}

}  // namespace

TEST_CASE("waits for a kept descriptor, one after another, register it once") {
    in_loop([]() -> Coro<> {
        const Ends ends;
        const KeptWatch kept(ends.mine());
        // From here on the kernel would refuse.
        const auto fault = coaio::testing::fail_syscall(coaio::testing::Syscall::epoll_ctl, ENOSPC,
                                                        {.first = 1, .count = coaio::testing::every_call});
        for (int i = 0; i < 3; ++i) {
            auto waiter = coaio::create_task(readable(ends.mine()));
            co_await turns(2);
            CHECK_FALSE(waiter.done());
            ends.send();
            const bool found = co_await waiter;
            CHECK(found);
            ends.receive();
        }
        CHECK(fault.calls() == 0);
    });
}

TEST_CASE(
    "what comes to a kept descriptor while nobody waits is not told over and over, and is found by the next wait") {
    in_loop([]() -> Coro<> {
        const Ends ends;
        const KeptWatch kept(ends.mine());
        const auto counted = coaio::testing::fail_syscall(coaio::testing::Syscall::epoll_ctl, EINTR,
                                                          {.first = coaio::testing::every_call});
        ends.send();
        co_await turns(100);
        CHECK(counted.calls() == 1);  // it was taken back
        const bool found = co_await readable(ends.mine());
        CHECK(found);
        CHECK(counted.calls() == 2);
        ends.receive();
        co_await turns(100);
        CHECK(counted.calls() == 2);
    });
}

TEST_CASE("a kept descriptor is waited for in other ways between, and by one task at a time") {
    in_loop([]() -> Coro<> {
        const Ends ends;
        const KeptWatch kept(ends.mine());
        const auto both = co_await coaio::io::wait_ready(ends.mine(), {.readable = true, .writable = true});
        CHECK(both.writable);
        CHECK_FALSE(both.readable);
        auto first = coaio::create_task(readable(ends.mine()));
        auto second = coaio::create_task(readable(ends.mine()));
        bool busy = false;
        try {
            co_await second;
        } catch (const coaio::BusyError&) {
            busy = true;
        }
        CHECK(busy);
        CHECK_FALSE(first.done());
        ends.send();
        const bool found = co_await first;
        CHECK(found);
    });
}

TEST_CASE("a wait for a kept descriptor that is cancelled harms none after it") {
    in_loop([]() -> Coro<> {
        const Ends ends;
        const KeptWatch kept(ends.mine());
        auto waiter = coaio::create_task(readable(ends.mine()));
        co_await turns(2);
        waiter.cancel();
        bool cancelled = false;
        try {
            co_await waiter;
        } catch (const coaio::CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
        ends.send();
        const bool found = co_await readable(ends.mine());
        CHECK(found);
    });
}

TEST_CASE("a descriptor that is not kept any more may be closed and its number used anew") {
    in_loop([]() -> Coro<> {
        int number = -1;
        {
            const Ends ends;
            number = ends.mine();
            const KeptWatch kept(number);
            ends.send();
            const bool found = co_await readable(number);
            CHECK(found);
        }
        const Ends again;
        REQUIRE(again.mine() == number);
        const KeptWatch kept(number);
        again.send();
        const bool found = co_await readable(number);
        CHECK(found);
    });
}

TEST_CASE("a kept descriptor cannot be kept twice, and none cannot be kept") {
    in_loop([]() -> Coro<> {
        const Ends ends;
        const KeptWatch kept(ends.mine());
        CHECK_THROWS_AS(KeptWatch(ends.mine()), coaio::BusyError);
        CHECK_THROWS_AS(KeptWatch(-1), coaio::IoError);
        co_return;
    });
}

TEST_CASE("a kept descriptor may outlive its loop") {
    const Ends ends;
    std::optional<KeptWatch> kept;
    in_loop([&] { return keep(kept, ends.mine()); });
    kept.reset();
}
