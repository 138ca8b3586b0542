// SPDX-License-Identifier: MIT
#include <coaio/net/udp.hpp>

#include "net/streams.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"

#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/net/testing.hpp>

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

namespace {

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::net::Address;
using coaio::net::Datagram;
using coaio::net::UdpSocket;
using coaio::net::testing::Network;
using tests::error_of;
using tests::throws;

using Body = Coro<> (*)();

Coro<> simulated(Body body) {
    const Network network;
    co_await body();
}

/// Over the loopback of the kernel, and over a simulated network.
void over_both(Body body) {
    {
        INFO("the kernel");
        coaio::Loop loop;
        loop.run_until_complete(body());
    }
    INFO("a simulated network");
    coaio::testing::run(simulated(body));
}

UdpSocket bound() { return UdpSocket::bind(Address::ip("127.0.0.1", 0)); }

}  // namespace

TEST_CASE("datagrams arrive whole, with their sender; a short buffer cuts them, and says so") {
    over_both([]() -> Coro<> {
        UdpSocket a = bound();
        UdpSocket b = bound();
        CHECK(a.local_address().port() != 0);
        CHECK(a.peer_address().family() == Address::Family::none);
        co_await a.send_to("one", b.local_address());
        co_await a.send_to(std::string("two"), b.local_address());
        co_await a.send_to("", b.local_address());
        std::array<char, 3> room{};
        Datagram got = co_await b.receive_from(room);
        CHECK(std::string(room.data(), got.size) == "one");
        CHECK_FALSE(got.truncated);
        CHECK(got.from == a.local_address());
        got = co_await b.receive_from(std::span(room).first(2));
        CHECK(std::string(room.data(), got.size) == "tw");
        CHECK(got.truncated);
        got = co_await b.receive_from(room);
        CHECK(got.size == 0);
        CHECK_FALSE(got.truncated);

        co_await b.send_to("back", a.local_address());
        std::string text = co_await a.receive();
        CHECK(text == "back");
        co_await b.send_to(std::string(60'000, 'x'), a.local_address());
        text = co_await a.receive();
        CHECK(text == std::string(60'000, 'x'));
        co_await b.send_to("longer", a.local_address());
        bool too_long = false;
        try {
            text = co_await a.receive(5);
        } catch (const coaio::net::LimitOverrunError& error) {
            too_long = error.limit() == 5;
        }
        CHECK(too_long);
        const int too_big = co_await error_of(a.send_to(std::string(65'508, 'x'), b.local_address()));
        CHECK(too_big == EMSGSIZE);
    });
}

TEST_CASE("a connected socket hears its peer only, and that nobody is there") {
    over_both([]() -> Coro<> {
        UdpSocket peer = bound();
        UdpSocket stranger = bound();
        UdpSocket socket = co_await UdpSocket::connect("127.0.0.1", peer.local_address().port());
        CHECK(socket.peer_address() == peer.local_address());
        CHECK(socket.local_address().host() == "127.0.0.1");
        co_await stranger.send_to("spam", socket.local_address());
        co_await socket.send("question");
        std::array<char, 100> room{};
        const Datagram got = co_await peer.receive_from(room);
        CHECK(std::string(room.data(), got.size) == "question");
        co_await peer.send_to("answer", got.from);
        const std::string answer = co_await socket.receive();
        CHECK(answer == "answer");

        const Address where = peer.local_address();
        peer.close();
        co_await socket.send("anybody?");
        const int refused = co_await error_of(socket.receive());
        CHECK(refused == ECONNREFUSED);
        // As good as before.
        peer = UdpSocket::bind(where);
        co_await socket.send("now?");
        const std::string again = co_await peer.receive();
        CHECK(again == "now?");
    });
}

TEST_CASE("a receive that is cancelled at any turn loses no datagram") {
    for (int cut = 0; cut < 12; ++cut) {
        CAPTURE(cut);
        coaio::Loop loop;
        loop.run_until_complete([](int turn) -> Coro<> {
            UdpSocket a = bound();
            UdpSocket b = bound();
            auto receiver = coaio::create_task(b.receive());
            auto sender = coaio::create_task([](UdpSocket& from, Address to) -> Coro<> {
                co_await tests::turns(4);
                co_await from.send_to("precious", to);
            }(a, b.local_address()));
            co_await tests::turns(turn);
            receiver.cancel();
            std::string text;
            try {
                text = co_await receiver;
            } catch (const coaio::CancelledError&) {}
            if (text.empty()) text = co_await b.receive();
            CHECK(text == "precious");
            co_await sender;
        }(cut));
    }

    struct Stage {
        UdpSocket a = bound();
        UdpSocket b = bound();
        int got = 0;
    };
    std::unique_ptr<Stage> stage;
    const auto body = [](std::unique_ptr<Stage>& made) -> Coro<> {
        const Network network({.seed = 1, .jitter = 5ms});
        made = std::make_unique<Stage>();
        for (int i = 0; i < 5; ++i) co_await made->a.send_to("precious", made->b.local_address());
        for (; made->got < 5; ++made->got) static_cast<void>(co_await made->b.receive());
    };
    const auto check = [](std::unique_ptr<Stage>& left) -> Coro<> {
        if (left == nullptr) co_return;
        co_await coaio::sleep(1s);
        co_await left->a.send_to("last", left->b.local_address());
        while (left->got < 5) {
            const std::string text = co_await left->b.receive();
            if (text == "last") break;
            ++left->got;
        }
        CHECK(left->got == 5);
        left.reset();
    };
    coaio::testing::cut([&] { return body(stage); }, [&](std::size_t) { return check(stage); });
}

TEST_CASE("a UDP socket: busy, closed, and asked for what it cannot do") {
    over_both([]() -> Coro<> {
        UdpSocket socket = bound();
        auto first = coaio::create_task(socket.receive());
        auto second = coaio::create_task(socket.receive());
        const bool busy = co_await throws<coaio::BusyError>(second);
        CHECK(busy);
        auto nowhere = coaio::create_task(socket.send("to whom?"));
        const bool refused = co_await throws<coaio::ValueError>(nowhere);
        CHECK(refused);
        UdpSocket moved = std::move(socket);
        moved.close();
        const bool closed = co_await throws<coaio::ClosedError>(first);
        CHECK(closed);
        CHECK_FALSE(moved.is_open());
        CHECK(moved.descriptor() == -1);
        CHECK_THROWS_AS(moved.receive(), coaio::ClosedError);
        CHECK_THROWS_AS(moved.send("x"), coaio::ClosedError);
        CHECK_THROWS_AS(UdpSocket::bind(Address::local("/tmp/no")), coaio::ValueError);
        co_return;
    });
}

TEST_CASE("UDP addresses are shared only where all say so") {
    over_both([]() -> Coro<> {
        UdpSocket one = UdpSocket::bind(Address::ip("127.0.0.1", 0), {.reuse_port = true});
        const UdpSocket two = UdpSocket::bind(one.local_address(), {.reuse_port = true});
        CHECK(two.local_address() == one.local_address());
        CHECK_THROWS_AS(UdpSocket::bind(one.local_address()), coaio::IoError);
        UdpSocket any = co_await UdpSocket::bind("", 0);
        co_await one.send_to("to any", Address::ip("127.0.0.1", any.local_address().port()));
        const std::string text = co_await any.receive();
        CHECK(text == "to any");
    });
}

TEST_CASE("UDP options reach the kernel; multicast groups are joined and left") {
    coaio::Loop loop;
    loop.run_until_complete([]() -> Coro<> {
        UdpSocket socket = UdpSocket::bind(Address::ip("0.0.0.0", 0),
                                           {.reuse_address = true, .broadcast = true, .receive_buffer = 9000});
        for (const auto& [option, least] : {std::pair{SO_BROADCAST, 1}, {SO_REUSEADDR, 1}, {SO_RCVBUF, 9000}}) {
            int value = 0;
            socklen_t size = sizeof value;
            CHECK(::getsockopt(socket.descriptor(), SOL_SOCKET, option, &value, &size) == 0);
            CHECK(value >= least);
        }
        const Address group = Address::ip("239.255.7.7", 0);
        socket.join(group, "lo");
        socket.leave(group, "lo");
        CHECK_THROWS_AS(socket.leave(group, "lo"), coaio::IoError);
        CHECK_THROWS_AS(socket.join(group, "no-such-if"), coaio::ValueError);
        CHECK_THROWS_AS(socket.join(Address::ip("127.0.0.1", 0), "lo"), coaio::IoError);
        co_return;
    }());
}

TEST_CASE("simulated datagrams are lost and overtaken as the seed wants it, and dropped where there is no room") {
    coaio::testing::run([]() -> Coro<> {
        Network network({.seed = 3, .jitter = 50ms, .loss_rate = 0.2});
        UdpSocket a = UdpSocket::bind(Address::ip("10.0.0.1", 0));
        UdpSocket b = UdpSocket::bind(Address::ip("10.0.0.2", 53));
        for (int i = 0; i < 100; ++i) co_await a.send_to(std::to_string(100 + i), b.local_address());
        co_await coaio::sleep(1s);
        network.set_options({.buffer = 500});
        co_await a.send_to("end", b.local_address());
        int received = 0;
        int overtaken = 0;
        std::string last;
        for (;;) {
            const std::string text = co_await b.receive();
            if (text == "end") break;
            ++received;
            if (text < last) ++overtaken;
            last = text;
        }
        CHECK(received > 60);
        CHECK(received < 100);
        CHECK(overtaken > 10);
        co_await a.send_to(std::string(501, 'x'), b.local_address());
        co_await a.send_to("fits", b.local_address());
        last = co_await b.receive();
        CHECK(last == "fits");
    }());
}
