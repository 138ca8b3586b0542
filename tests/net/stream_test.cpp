// SPDX-License-Identifier: MIT
#include <coaio/net/stream.hpp>

#include "net/streams.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"

#include <coaio/core/gather.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/syscall_fault.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>

#include <array>
#include <cerrno>
#include <functional>
#include <string>

// The contract of every stream: one suite over all kinds.

namespace {

using coaio::Coro;
using coaio::net::Stream;
using tests::Ends;
using tests::Kind;
using tests::throws;

using Body = Coro<> (*)(Ends& ends);

Coro<> with_ends(Kind kind, Body body) {
    Ends ends = co_await tests::make_ends(kind);
    co_await body(ends);
}

// A rough network is rough in another way by each seed.
void run_over(Kind kind, const std::function<Coro<>()>& make) {
    if (!tests::is_simulated(kind)) {
        coaio::Loop loop;
        loop.run_until_complete(make());
        return;
    }
    for (tests::network_seed = 1; tests::network_seed <= 3; ++tests::network_seed) coaio::testing::run(make());
}

void over_all(Body body) {
    for (const Kind kind : tests::all_kinds) {
        CAPTURE(tests::name_of(kind));
        run_over(kind, [&] { return with_ends(kind, body); });
    }
}

Coro<std::string> read_text(Stream& from) {
    std::array<char, 4096> room{};
    const std::size_t count = co_await from.read_some(std::span<char>(room));
    co_return std::string(room.data(), count);
}

Coro<> read_then_end(Stream& from, std::string& into) { into = co_await from.read_to_end(100'000'000); }

/// Whether the reader is told that what it gets is no whole.
Coro<bool> hears_of_the_cut(Kind kind, Stream& from, std::string& into) {
    bool told = kind == Kind::local;  // a Unix socket knows no reset
    try {
        co_await read_then_end(from, into);
    } catch (const coaio::Error&) {
        told = true;
    }
    co_return told;
}

Coro<> write_and_end(Stream& to, const std::string& text) {
    co_await to.write(text);
    co_await to.shutdown_write();
}

std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 1000) % 26);
    return text;
}

}  // namespace

TEST_CASE("contract: what one end writes the other reads, both ways at the same time") {
    over_all([](Ends& ends) -> Coro<> {
        co_await coaio::gather(ends.a.write("from a"), ends.b.write("from b"));
        auto [at_a, at_b] = co_await coaio::gather(ends.a.read_exactly(6), ends.b.read_exactly(6));
        CHECK(at_a == "from b");
        CHECK(at_b == "from a");
    });
}

TEST_CASE("contract: several pieces are written in order, as text, bytes or a moved string") {
    over_all([](Ends& ends) -> Coro<> {
        const std::string body = "body";
        co_await ends.a.write("head ", body);
        co_await ends.a.write(" ", std::string_view("one"), " ", body, " ", body, "");
        co_await ends.a.write(std::string(" moved"));
        co_await ends.a.write("");
        co_await ends.a.shutdown_write();
        const std::string text = co_await ends.b.read_to_end(1000);
        CHECK(text == "head body one body body moved");
    });
}

TEST_CASE("contract: a half-closed stream can still be read from, and is at its end for the peer") {
    over_all([](Ends& ends) -> Coro<> {
        co_await write_and_end(ends.a, "question");
        const std::string question = co_await ends.b.read_to_end(1000);
        CHECK(question == "question");
        co_await ends.b.write("answer");
        co_await ends.b.shutdown_write();
        const std::string answer = co_await ends.a.read_to_end(1000);
        CHECK(answer == "answer");
        std::array<std::byte, 4> room{};
        const std::size_t again = co_await ends.a.read_some(room);
        CHECK(again == 0);
        auto late = coaio::create_task(ends.a.write("too late"));
        const bool refused = co_await throws<coaio::ClosedError>(late);
        CHECK(refused);
    });
}

TEST_CASE("contract: a large transfer arrives whole, and the writer waits while nobody reads") {
    over_all([](Ends& ends) -> Coro<> {
        const std::string big = pattern(8'000'000);
        auto writer = coaio::create_task(write_and_end(ends.a, big));
        co_await tests::turns(10);
        CHECK_FALSE(writer.done());
        std::string seen;
        co_await read_then_end(ends.b, seen);
        CHECK(seen.size() == big.size());
        CHECK((seen == big));
        co_await writer;
    });
}

TEST_CASE("contract: large transfers both ways at once do not lock each other up") {
    over_all([](Ends& ends) -> Coro<> {
        const std::string big = pattern(2'000'000);
        std::string at_a;
        std::string at_b;
        co_await coaio::gather(write_and_end(ends.a, big), write_and_end(ends.b, big), read_then_end(ends.a, at_a),
                               read_then_end(ends.b, at_b));
        CHECK((at_a == big));
        CHECK((at_b == big));
    });
}

TEST_CASE("contract: exact reads, reads up to a separator, and what is too long") {
    over_all([](Ends& ends) -> Coro<> {
        co_await ends.a.write("first\r\nsecond\r\n12345rest of it, rather long");
        const std::string first = co_await ends.b.read_until("\r\n");
        CHECK(first == "first\r\n");
        const std::string second = co_await ends.b.read_until("\r\n", 8);
        CHECK(second == "second\r\n");
        const std::string digits = co_await ends.b.read_exactly(5);
        CHECK(digits == "12345");
        auto none = coaio::create_task(ends.b.read_until("\r\n", 10));
        const bool too_long = co_await throws<coaio::net::LimitOverrunError>(none);
        CHECK(too_long);
        const std::string kept = co_await ends.b.read_exactly(7);
        CHECK(kept == "rest of");
        ends.b.unread(std::as_bytes(std::span(kept)));
        const std::string again = co_await ends.b.read_until(",");
        CHECK(again == "rest of it,");
    });
}

TEST_CASE("contract: a separator that arrives in pieces is found") {
    over_all([](Ends& ends) -> Coro<> {
        auto reader = coaio::create_task(ends.b.read_until("<end>"));
        const std::string text = "some text <en<end>";
        for (const char each : text) {
            co_await ends.a.write(std::string(1, each));
            co_await tests::turns(2);
        }
        const std::string seen = co_await reader;
        CHECK(seen == text);
    });
}

TEST_CASE("contract: a peer that ends early leaves what it sent in the error") {
    over_all([](Ends& ends) -> Coro<> {
        co_await write_and_end(ends.a, "torso");
        std::string partial;
        std::optional<std::size_t> expected;
        try {
            const std::string none = co_await ends.b.read_exactly(10);
            partial = "no error: " + none;
        } catch (const coaio::net::IncompleteReadError& error) {
            partial = error.partial();
            expected = error.expected();
        }
        CHECK(partial == "torso");
        CHECK(expected == 10);
        auto line = coaio::create_task(ends.b.read_until("\n"));
        const bool incomplete = co_await throws<coaio::net::IncompleteReadError>(line);
        CHECK(incomplete);
    });
}

TEST_CASE("contract: a read that is cancelled at any turn loses nothing") {
    for (const Kind kind : tests::all_kinds) {
        CAPTURE(tests::name_of(kind));
        for (int cut = 0; cut < 14; ++cut) {
            CAPTURE(cut);
            const auto body = [](Kind which, int turn) -> Coro<> {
                Ends ends = co_await tests::make_ends(which);
                auto reader = coaio::create_task(ends.b.read_exactly(12));
                auto writer = coaio::create_task([](Stream& to) -> Coro<> {
                    co_await to.write("half");
                    co_await tests::turns(3);
                    co_await to.write("half");
                    co_await tests::turns(3);
                    co_await to.write("half");
                }(ends.a));
                co_await tests::turns(turn);
                reader.cancel();
                std::string seen;
                try {
                    seen = co_await reader;
                } catch (const coaio::CancelledError&) {}
                if (seen.empty()) seen = co_await ends.b.read_exactly(12);
                co_await writer;
                CHECK(seen == "halfhalfhalf");
            };
            run_over(kind, [&] { return body(kind, cut); });
        }
    }
}

TEST_CASE("contract: a write that is cut in the middle breaks the stream, one cut before does not") {
    for (const Kind kind : tests::all_kinds) {
        CAPTURE(tests::name_of(kind));
        for (int cut = 0; cut < 6; ++cut) {
            CAPTURE(cut);
            const auto body = [](Kind which, int turn) -> Coro<> {
                Ends ends = co_await tests::make_ends(which);
                const std::string big = pattern(8'000'000);
                auto writer = coaio::create_task(
                    [](Stream& to, const std::string& text) -> Coro<> { co_await to.write(text); }(ends.a, big));
                co_await tests::turns(turn);
                writer.cancel();
                const bool cancelled = co_await throws<coaio::CancelledError>(writer);
                CHECK(cancelled);
                CHECK(ends.a.is_broken() == (turn > 0));
                auto next = coaio::create_task([](Stream& to) -> Coro<> { co_await to.write("more"); }(ends.a));
                const bool broken = co_await throws<coaio::net::BrokenStreamError>(next);
                CHECK(broken == ends.a.is_broken());
                // The peer must not take a torso for the whole.
                ends.a.close();
                std::string seen;
                const bool told = co_await hears_of_the_cut(which, ends.b, seen);
                if (broken) {
                    CHECK(told);
                } else {
                    CHECK(seen == "more");
                }
            };
            run_over(kind, [&] { return body(kind, cut); });
        }
    }
}

TEST_CASE("contract: what can be written without waiting is written at once, and the rest by the write that follows") {
    over_all([](Ends& ends) -> Coro<> {
        CHECK(ends.a.try_write("") == 0);
        const std::string text = pattern(8'000'000);
        const std::size_t at_once = ends.a.try_write(text);
        CHECK((at_once == 0) == (ends.a.tls() != nullptr));
        const std::string rest = text.substr(at_once);
        auto writer = coaio::create_task(write_and_end(ends.a, rest));
        co_await tests::turns(2);
        CHECK(ends.a.try_write("another's") == 0);
        std::string seen;
        co_await read_then_end(ends.b, seen);
        co_await writer;
        CHECK(seen == text);
        CHECK(ends.a.try_write("after the end") == 0);
        ends.a.close();
        CHECK(ends.a.try_write("after all") == 0);
    });
}

namespace {

enum class Rest : unsigned char { left_out, cancelled, closed_in_the_middle, said_to_be_the_end };

/// What `try_write` took a part of is left there, in one of these ways.
Coro<> leave_the_rest(Stream& stream, const std::string& text, Rest how) {
    if (how == Rest::cancelled || how == Rest::closed_in_the_middle) {
        auto writer = coaio::create_task(stream.write(text));
        co_await tests::turns(2);
        if (how == Rest::cancelled) {
            writer.cancel();
            const bool cancelled = co_await throws<coaio::CancelledError>(writer);
            CHECK(cancelled);
            CHECK(stream.is_broken());
        } else {
            stream.close();
            const bool closed = co_await throws<coaio::ClosedError>(writer);
            CHECK(closed);
        }
    } else if (how == Rest::said_to_be_the_end) {
        const bool refused = co_await throws<coaio::Error>(stream.shutdown_write());
        CHECK(refused);
        CHECK(stream.is_broken());
    }
    stream.close();
}

Coro<> cut_short(Kind kind, Rest how) {
    Ends ends = co_await tests::make_ends(kind);
    const std::string big = pattern(8'000'000);
    if (ends.a.try_write(big) == 0) co_return;  // TLS has nothing to tell
    co_await leave_the_rest(ends.a, big, how);
    std::string seen;
    const bool told = co_await hears_of_the_cut(kind, ends.b, seen);
    CHECK(told);
}

}  // namespace

TEST_CASE("contract: what was written at once and whose rest was not is no whole for the peer either") {
    for (const Kind kind : tests::all_kinds) {
        CAPTURE(tests::name_of(kind));
        for (const Rest how : {Rest::left_out, Rest::cancelled, Rest::closed_in_the_middle, Rest::said_to_be_the_end}) {
            CAPTURE(static_cast<int>(how));
            run_over(kind, [&] { return cut_short(kind, how); });
        }
    }
}

TEST_CASE("what the kernel takes a part of, or refuses, at once is for the write that follows to end, or to tell") {
    const auto body = []() -> Coro<> {
        Ends ends = co_await tests::make_ends(Kind::tcp);
        {
            const auto cut = coaio::testing::shorten_syscall(coaio::testing::Syscall::write, 3);
            CHECK(ends.a.try_write("hello") == 3);
        }
        co_await ends.a.write("lo");
        CHECK(ends.a.try_write(" you") == 4);
        const std::string seen = co_await ends.b.read_exactly(9);
        CHECK(seen == "hello you");
        const auto fault = coaio::testing::fail_syscall(coaio::testing::Syscall::write, ENOBUFS, {.count = 2});
        CHECK(ends.a.try_write("lost") == 0);
        const bool told = co_await throws<coaio::IoError>(ends.a.write("lost"));
        CHECK(told);
        CHECK(fault.hits() == 2);
    };
    coaio::Loop loop;
    loop.run_until_complete(body());
}

TEST_CASE("contract: a second task in the same direction is refused, the first goes on") {
    over_all([](Ends& ends) -> Coro<> {
        auto first = coaio::create_task(ends.b.read_exactly(5));
        auto second = coaio::create_task(read_text(ends.b));
        const bool busy = co_await throws<coaio::BusyError>(second);
        CHECK(busy);
        co_await ends.a.write("hello");
        const std::string text = co_await first;
        CHECK(text == "hello");

        const std::string big = pattern(8'000'000);
        auto writer = coaio::create_task(write_and_end(ends.a, big));
        co_await tests::turns(3);
        auto other = coaio::create_task(ends.a.write("x"));
        const bool refused = co_await throws<coaio::BusyError>(other);
        CHECK(refused);
        std::string seen;
        co_await read_then_end(ends.b, seen);
        co_await writer;
        CHECK(seen.size() == big.size());
    });
}

TEST_CASE("contract: closing wakes whoever waits, and what follows is refused") {
    over_all([](Ends& ends) -> Coro<> {
        auto reader = coaio::create_task(ends.b.read_exactly(5));
        const std::string big = pattern(8'000'000);
        auto writer = coaio::create_task(
            [](Stream& to, const std::string& text) -> Coro<> { co_await to.write(text); }(ends.b, big));
        co_await tests::turns(3);
        ends.b.close();
        CHECK_FALSE(ends.b.is_open());
        const bool read_woken = co_await throws<coaio::ClosedError>(reader);
        CHECK(read_woken);
        const bool write_woken = co_await throws<coaio::ClosedError>(writer);
        CHECK(write_woken);
        CHECK_THROWS_AS(ends.b.read_exactly(1), coaio::ClosedError);
        CHECK_THROWS_AS(ends.b.write("x"), coaio::ClosedError);
        ends.b.close();
    });
}

TEST_CASE("contract: the peer of a closed stream reads what was sent and then the end") {
    over_all([](Ends& ends) -> Coro<> {
        co_await ends.a.write("last words");
        ends.a.close();
        const std::string words = co_await ends.b.read_to_end(1000);
        CHECK(words == "last words");
    });
}

TEST_CASE("contract: writing to a peer that has gone fails, and names the operation") {
    over_all([](Ends& ends) -> Coro<> {
        ends.b.close();
        std::string operation;
        const std::string big = pattern(1'000'000);
        for (int i = 0; i < 50 && operation.empty(); ++i) {
            try {
                co_await ends.a.write(big);
            } catch (const coaio::IoError& error) {
                operation = error.operation();
            } catch (const coaio::net::BrokenStreamError&) {
                operation = "write";
            }
        }
        CHECK(operation == "write");
    });
}

TEST_CASE("contract: a read without room, or without a separator, is a mistake that is told") {
    over_all([](Ends& ends) -> Coro<> {
        auto none = coaio::create_task(ends.a.read_some(std::span<std::byte>()));
        const bool refused = co_await throws<coaio::ValueError>(none);
        CHECK(refused);
        auto nothing = coaio::create_task(ends.a.read_until(""));
        const bool also = co_await throws<coaio::ValueError>(nothing);
        CHECK(also);
        const std::string empty = co_await ends.a.read_exactly(0);
        CHECK(empty.empty());
    });
}

TEST_CASE("contract: a stream may be moved while nobody uses it, and destroyed while somebody does") {
    over_all([](Ends& ends) -> Coro<> {
        Stream moved = std::move(ends.a);
        CHECK_FALSE(ends.a.is_open());
        co_await moved.write("moved");
        const std::string text = co_await ends.b.read_exactly(5);
        CHECK(text == "moved");
        auto reader = coaio::create_task(moved.read_exactly(5));
        co_await tests::turns(3);
        moved = Stream();
        const bool woken = co_await throws<coaio::ClosedError>(reader);
        CHECK(woken);
    });
}

TEST_CASE("a deadline cuts a read, and the stream can be used afterwards") {
    over_all([](Ends& ends) -> Coro<> {
        bool late = false;
        try {
            const std::string none = co_await coaio::wait_for(ends.b.read_exactly(5), std::chrono::milliseconds(1));
            CHECK(none.empty());
        } catch (const coaio::TimeoutError&) {
            late = true;
        }
        CHECK(late);
        co_await ends.a.write("after");
        const std::string text = co_await ends.b.read_exactly(5);
        CHECK(text == "after");
    });
}
