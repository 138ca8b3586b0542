// SPDX-License-Identifier: MIT
#include <coaio/core/io.hpp>

#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/syscall_fault.hpp>
#include <coaio/core/task.hpp>

#include "support/catch.hpp"
#include "support/throws.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <vector>

namespace {

using coaio::Coro;
using coaio::io::Buffer;
using coaio::io::Descriptor;
using coaio::io::Transfer;
using tests::throws;

struct Pair {
    Descriptor a;
    Descriptor b;
};

std::array<int, 2> socket_pair() {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
    return ends;
}

Pair descriptor_pair() {
    const auto ends = socket_pair();
    return {Descriptor(ends[0]), Descriptor(ends[1])};
}

Coro<std::string> read_text(const Descriptor& from) {
    std::array<std::byte, 4096> room{};
    const Transfer got = co_await from.read(room);
    if (!got.ok()) co_return "error " + std::to_string(got.error);
    co_return std::string(reinterpret_cast<const char*>(room.data()), got.count);
}

Coro<Transfer> try_write(const Descriptor& to, std::string text) {
    const std::array<Buffer, 1> buffers{Buffer{text.data(), text.size()}};
    const Transfer sent = co_await to.write(buffers);
    co_return sent;
}

Coro<> write_text(const Descriptor& to, std::string text) {
    const Transfer sent = co_await try_write(to, text);
    REQUIRE(sent.ok());
    REQUIRE(sent.count == text.size());
}

template <class F>
void in_loop(F body) {
    coaio::Loop loop;
    loop.run_until_complete(body());
}

Coro<> turns(int count) {
    for (int i = 0; i < count; ++i) co_await coaio::sleep(coaio::Duration::zero());
}

}  // namespace

TEST_CASE("what was written can be read, whether the reader came first or the writer") {
    in_loop([]() -> Coro<> {
        auto [a, b] = descriptor_pair();
        const Transfer sent = co_await try_write(a, "early");
        CHECK(sent.count == 5);
        const std::string early = co_await read_text(b);
        CHECK(early == "early");

        auto reader = coaio::create_task(read_text(b));
        co_await turns(3);
        CHECK_FALSE(reader.done());
        co_await write_text(a, "late");
        const std::string late = co_await reader;
        CHECK(late == "late");
    });
}

TEST_CASE("several buffers are written in order by one operation") {
    in_loop([]() -> Coro<> {
        auto [a, b] = descriptor_pair();
        const std::string head = "head ";
        const std::string body = "body";
        const std::array<Buffer, 2> buffers{Buffer{head.data(), head.size()}, Buffer{body.data(), body.size()}};
        const Transfer sent = co_await a.write(buffers);
        CHECK(sent.count == 9);
        const std::string text = co_await read_text(b);
        CHECK(text == "head body");
    });
}

TEST_CASE("the end of the other side is a read of nothing, also when it comes after a short read") {
    in_loop([]() -> Coro<> {
        auto [a, b] = descriptor_pair();
        co_await write_text(a, "last words");
        CHECK_FALSE(a.shutdown_write());
        const std::string words = co_await read_text(b);
        CHECK(words == "last words");
        const std::string end = co_await read_text(b);
        CHECK(end.empty());

        auto reader = coaio::create_task(read_text(a));
        co_await turns(2);
        b.close();
        const std::string other = co_await reader;
        CHECK(other.empty());
    });
}

TEST_CASE("a full buffer holds the writer up until the other side reads") {
    in_loop([]() -> Coro<> {
        auto [a, b] = descriptor_pair();
        const std::string big(1 << 20, 'x');
        std::size_t written = 0;
        auto writer =
            coaio::create_task([](const Descriptor& to, const std::string& text, std::size_t& done) -> Coro<> {
                while (done < text.size()) {
                    const std::array<Buffer, 1> rest{Buffer{text.data() + done, text.size() - done}};
                    const Transfer sent = co_await to.write(rest);
                    REQUIRE(sent.ok());
                    done += sent.count;
                }
            }(a, big, written));
        co_await turns(5);
        CHECK(written < big.size());
        std::size_t read = 0;
        while (read < big.size()) {
            const std::string part = co_await read_text(b);
            read += part.size();
        }
        co_await writer;
        CHECK(written == big.size());
    });
}

TEST_CASE("writing to a closed peer is an error value, and no signal ends the process") {
    in_loop([]() -> Coro<> {
        auto [a, b] = descriptor_pair();
        b.close();
        const Transfer sent = co_await try_write(a, "anyone?");
        CHECK(sent.error == EPIPE);

        std::array<int, 2> ends{};
        REQUIRE(::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) == 0);
        ::close(ends[0]);
        const Descriptor pipe(ends[1]);
        const Transfer piped = co_await try_write(pipe, "anyone?");
        CHECK(piped.error == EPIPE);
    });
}

TEST_CASE("a second task that waits for the same direction is refused, the first is not disturbed") {
    in_loop([]() -> Coro<> {
        auto [a, b] = descriptor_pair();
        auto first = coaio::create_task(read_text(b));
        auto second = coaio::create_task(read_text(b));
        const bool busy = co_await throws<coaio::BusyError>(second);
        CHECK(busy);
        auto writer = coaio::create_task(write_text(b, "other way"));  // the other direction is free
        co_await writer;
        co_await write_text(a, "for the first");
        const std::string text = co_await first;
        CHECK(text == "for the first");
    });
}

TEST_CASE("closing wakes whoever waits with a ClosedError, and later operations get one too") {
    in_loop([]() -> Coro<> {
        auto [a, b] = descriptor_pair();
        auto reader = coaio::create_task(read_text(b));
        co_await turns(2);
        b.close();
        const bool woken = co_await throws<coaio::ClosedError>(reader);
        CHECK(woken);
        auto later = coaio::create_task(read_text(b));
        const bool refused = co_await throws<coaio::ClosedError>(later);
        CHECK(refused);
    });
}

TEST_CASE("a cancelled read has taken nothing, at whatever turn the cancellation comes") {
    for (int cut = 0; cut < 8; ++cut) {
        in_loop([cut]() {
            return [](int turn) -> Coro<> {
                auto [a, b] = descriptor_pair();
                auto reader = coaio::create_task(read_text(b));
                auto writer = coaio::create_task([](const Descriptor& to) -> Coro<> {
                    co_await turns(3);
                    co_await write_text(to, "precious");
                }(a));
                co_await turns(turn);
                reader.cancel();
                std::string seen;
                try {
                    seen = co_await reader;
                } catch (const coaio::CancelledError&) {}
                co_await writer;
                if (seen.empty()) seen = co_await read_text(b);
                CHECK(seen == "precious");
            }(cut);
        });
    }
}

TEST_CASE("an operation whose data is there already ends even if its task is cancelled in the same turn") {
    in_loop([]() -> Coro<> {
        auto [a, b] = descriptor_pair();
        auto reader = coaio::create_task(read_text(b));
        co_await turns(1);
        co_await write_text(a, "x");
        reader.cancel();  // the event has not been collected yet
        const bool cancelled = co_await throws<coaio::CancelledError>(reader);
        CHECK(cancelled);
        const std::string kept = co_await read_text(b);
        CHECK(kept == "x");
    });
}

TEST_CASE("a stream that is always ready does not keep other tasks waiting") {
    in_loop([]() -> Coro<> {
        auto [a, b] = descriptor_pair();
        co_await write_text(a, std::string(50'000, 'x'));
        std::size_t bytes = 0;
        auto greedy = coaio::create_task([](const Descriptor& from, std::size_t& count) -> Coro<> {
            std::array<std::byte, 1> room{};
            while (count < 50'000) {
                const Transfer got = co_await from.read(room);
                count += got.count;
            }
        }(b, bytes));
        co_await turns(10);
        CHECK(bytes > 10);
        CHECK(bytes < 1000);
        co_await greedy;
    });
}

TEST_CASE("a descriptor may outlive its loop") {
    Descriptor survivor;
    {
        coaio::Loop loop;
        loop.run_until_complete([](Descriptor& out) -> Coro<> {
            out = descriptor_pair().a;
            co_return;
        }(survivor));
    }
    CHECK(survivor.is_open());
    survivor.close();
}

TEST_CASE("a loop that closes while tasks wait for descriptors destroys them where they hang") {
    coaio::Loop loop;
    std::vector<std::string> reports;
    loop.set_exception_handler(
        [&](coaio::Loop&, const coaio::ExceptionContext& context) { reports.push_back(context.message); });
    loop.run_until_complete([]() -> Coro<> {
        static Pair pair;
        pair = descriptor_pair();
        coaio::create_task(read_text(pair.a));
        coaio::create_task([]() -> Coro<> { co_await coaio::io::wait_readable(pair.b.number() + 1000); }());
        auto raw = socket_pair();
        coaio::create_task([](int one, int other) -> Coro<> {
            struct Close {
                int one, other;
                ~Close() {
                    ::close(one);
                    ::close(other);
                }
            } const close{one, other};
            co_await coaio::io::wait_readable(one);
        }(raw[0], raw[1]));
        co_await turns(3);
        pair.b.close();
        pair.a.close();
    }());
    loop.close();
    CHECK(reports.size() >= 1);
}

TEST_CASE("a foreign descriptor is waited for by level, each time anew") {
    in_loop([]() -> Coro<> {
        const auto ends = socket_pair();
        auto waiter = coaio::create_task([](int fd) -> Coro<bool> {
            const auto found = co_await coaio::io::wait_readable(fd);
            co_return found.readable && !found.writable;
        }(ends[0]));
        co_await turns(3);
        CHECK_FALSE(waiter.done());
        REQUIRE(::write(ends[1], "x", 1) == 1);
        const bool readable = co_await waiter;
        CHECK(readable);
        // Nothing was read, so it is readable still.
        const auto again = co_await coaio::io::wait_ready(ends[0], {.readable = true, .writable = true});
        CHECK(again.readable);
        CHECK(again.writable);
        ::close(ends[0]);
        ::close(ends[1]);
    });
}

TEST_CASE("the number of a foreign descriptor may be closed and used anew between waits") {
    in_loop([]() -> Coro<> {
        const auto first = socket_pair();
        auto waiter = coaio::create_task([](int fd) -> Coro<> { co_await coaio::io::wait_readable(fd); }(first[0]));
        co_await turns(2);
        waiter.cancel();
        const bool cancelled = co_await throws<coaio::CancelledError>(waiter);
        CHECK(cancelled);
        ::close(first[0]);
        ::close(first[1]);
        const auto second = socket_pair();
        REQUIRE((second[0] == first[0] || second[1] == first[0]));
        REQUIRE(::write(second[1], "x", 1) == 1);
        const auto found = co_await coaio::io::wait_readable(second[0]);
        CHECK(found.readable);
        ::close(second[0]);
        ::close(second[1]);
    });
}

TEST_CASE("a foreign descriptor that is closed while it is waited for harms nobody who gets its number") {
    in_loop([]() -> Coro<> {
        const auto first = socket_pair();
        auto lost = coaio::create_task([](int fd) -> Coro<> { co_await coaio::io::wait_readable(fd); }(first[0]));
        co_await turns(2);
        ::close(first[0]);
        ::close(first[1]);
        auto [a, b] = descriptor_pair();
        REQUIRE((a.number() == first[0] || b.number() == first[0]));
        lost.cancel();
        const bool cancelled = co_await throws<coaio::CancelledError>(lost);
        CHECK(cancelled);
        auto one = coaio::create_task(read_text(a));
        auto other = coaio::create_task(read_text(b));
        co_await turns(2);
        co_await write_text(a, "to b");
        co_await write_text(b, "to a");
        const std::string at_a = co_await one;
        const std::string at_b = co_await other;
        CHECK(at_a == "to a");
        CHECK(at_b == "to b");
    });
}

TEST_CASE("two waits for one foreign descriptor, and a wait for a plain file, are refused") {
    in_loop([]() -> Coro<> {
        const auto ends = socket_pair();
        auto wait = [](int fd) -> Coro<> { co_await coaio::io::wait_readable(fd); };
        auto first = coaio::create_task(wait(ends[0]));
        auto second = coaio::create_task(wait(ends[0]));
        const bool busy = co_await throws<coaio::BusyError>(second);
        CHECK(busy);
        first.cancel();
        const bool cancelled = co_await throws<coaio::CancelledError>(first);
        CHECK(cancelled);
        auto negative = coaio::create_task(wait(-1));
        const bool refused = co_await throws<coaio::IoError>(negative);
        CHECK(refused);
        ::close(ends[0]);
        ::close(ends[1]);
    });
}

TEST_CASE("a system call fails when a test says so, the nth time, and only while the fault lives") {
    in_loop([]() -> Coro<> {
        auto [a, b] = descriptor_pair();
        co_await write_text(a, "abcdef");
        {
            const auto fault = coaio::testing::fail_syscall(coaio::testing::Syscall::read, ECONNRESET, {.first = 2});
            const auto cut = coaio::testing::shorten_syscall(coaio::testing::Syscall::read, 2, {.count = 1});
            const std::string two = co_await read_text(b);
            CHECK(two == "ab");
            const std::string failed = co_await read_text(b);
            CHECK(failed == "error " + std::to_string(ECONNRESET));
            CHECK(fault.hits() == 1);
            CHECK(cut.hits() == 1);
            CHECK(fault.calls() == 2);
        }
        const std::string rest = co_await read_text(b);
        CHECK(rest == "cdef");
        const auto fault = coaio::testing::fail_syscall(coaio::testing::Syscall::write, ENOBUFS);
        const Transfer sent = co_await try_write(a, "x");
        CHECK(sent.error == ENOBUFS);
    });
}

TEST_CASE("a new loop says so when the kernel gives it no poller") {
    const auto fault = coaio::testing::fail_syscall(coaio::testing::Syscall::epoll_create, EMFILE);
    CHECK_THROWS_AS(coaio::Loop(), coaio::IoError);
}

TEST_CASE("a descriptor that cannot be watched is closed, and the error names it") {
    in_loop([]() -> Coro<> {
        const auto ends = socket_pair();
        ::close(ends[1]);
        const auto fault = coaio::testing::fail_syscall(coaio::testing::Syscall::epoll_ctl, ENOSPC);
        CHECK_THROWS_WITH(Descriptor(ends[0]), tests::contains("descriptor " + std::to_string(ends[0])));
        co_return;
    });
}

TEST_CASE("a wait that was cancelled may see its descriptor closed before it resumes") {
    coaio::Loop loop;
    loop.run_until_complete([]() -> Coro<> {
        auto pair = descriptor_pair();
        auto task = coaio::create_task(read_text(pair.a));
        co_await coaio::sleep(coaio::Duration::zero());
        task.cancel();
        pair.a.close();
        co_await coaio::sleep(coaio::Duration::zero());
        CHECK(task.cancelled());
    }());
}

TEST_CASE("tasks with long steps that give way to the others do not keep the kernel waiting") {
    const auto long_step = [] {
        const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(2);  // lint-ok: clock a busy CPU
        while (std::chrono::steady_clock::now() < end) continue;                           // lint-ok: clock a busy CPU
    };
    auto main = [](auto step) -> Coro<int> {
        const auto ends = socket_pair();
        const Descriptor near(ends[0]);
        const Descriptor far(ends[1]);
        auto reader = coaio::create_task(read_text(near));
        for (int i = 0; i < 80; ++i) {
            step();
            co_await coaio::sleep(coaio::Duration::zero());
        }
        REQUIRE(::write(far.number(), "x", 1) == 1);
        int steps = 0;
        for (; !reader.done(); ++steps) {
            step();
            co_await coaio::sleep(coaio::Duration::zero());
        }
        co_return steps;
    };
    coaio::Loop loop;
    REQUIRE(loop.run_until_complete(main(long_step)) <= 4);
}
