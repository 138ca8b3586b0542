// SPDX-License-Identifier: MIT
#include <coaio/net/testing.hpp>

#include "support/catch.hpp"
#include "support/throws.hpp"

#include <coaio/core/error.hpp>
#include <coaio/core/gather.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/net/connect.hpp>
#include <coaio/net/listen.hpp>
#include <coaio/net/resolve.hpp>
#include <coaio/net/udp.hpp>

#include <netdb.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What Linux does in rarer cases, and what the controls of a network promise.
namespace {

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::net::Address;
using coaio::net::Listener;
using coaio::net::Stream;
using coaio::net::UdpSocket;
using coaio::net::testing::Network;
using tests::error_of;

using Pair = std::pair<Stream, Stream>;

coaio::TimePoint now() { return coaio::get_running_loop().time(); }

/// A client and the server's end of its connection.
Coro<Pair> connected(Listener& listener) {
    auto [client, server] = co_await coaio::gather(coaio::net::connect(listener.address()), listener.accept());
    // Named, for g++ 12.
    Pair both(std::move(client), std::move(server));
    co_return both;
}

std::size_t count(std::string_view text, std::string_view word) {
    std::size_t found = 0;
    for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) ++found;
    return found;
}

}  // namespace

TEST_CASE("who has read the end reads it again after a reset, which the next write tells") {
    coaio::testing::run([]() -> Coro<> {
        const Network network;
        auto listener = coaio::net::listen(Address::ip("10.0.0.1", 7));
        auto [a, b] = co_await connected(listener);
        co_await a.write("not read");
        co_await b.shutdown_write();
        co_await coaio::sleep(1s);
        b.close();
        co_await coaio::sleep(1s);
        const std::string end = co_await a.read_to_end(1);
        CHECK(end.empty());
        const int error = co_await error_of(a.write("x"));
        CHECK(error == EPIPE);
    }());
}

TEST_CASE("each end of a silent connection gives up what it has written itself, after its own quarter of an hour") {
    coaio::testing::run([]() -> Coro<> {
        Network network;
        auto listener = coaio::net::listen(Address::ip("10.0.0.1", 7));
        auto [a, b] = co_await connected(listener);
        co_await coaio::sleep(1s);
        network.silence("10.0.0.1");
        const auto start = now();
        co_await a.write("from a");
        const auto end_of = [](Stream& stream) -> Coro<std::pair<int, coaio::TimePoint>> {
            const int error = co_await error_of(stream.read_until("\n"));
            const std::pair<int, coaio::TimePoint> result(error, now());
            co_return result;
        };
        auto end_of_a = coaio::create_task(end_of(a));
        co_await coaio::sleep(100s);
        co_await b.write("from b");
        const auto second = co_await end_of(b);
        const auto first = co_await end_of_a;
        CHECK(first.first == ETIMEDOUT);
        CHECK(first.second - start == 924'601ms);
        CHECK(second.first == ETIMEDOUT);
        CHECK(second.second - start == 1'024'601ms);
    }());
}

TEST_CASE("a connection that one end gave up is reset when the other writes to it; nothing arrives after a gap") {
    coaio::testing::run([]() -> Coro<> {
        Network network;
        auto listener = coaio::net::listen(Address::ip("10.0.0.1", 7));
        auto [a, b] = co_await connected(listener);
        co_await coaio::sleep(1s);
        network.silence("10.0.0.1");
        co_await a.write("lost");
        co_await coaio::sleep(924'600ms + 500us);
        co_await a.write("still on its way when it is given up");
        const int timed_out = co_await error_of(a.read_until("\n"));
        CHECK(timed_out == ETIMEDOUT);
        co_await coaio::sleep(1s);
        network.heal("10.0.0.1");
        co_await coaio::sleep(1s);
        co_await b.write("are you there?");
        const auto start = now();
        const int error = co_await error_of(b.read_exactly(1));
        CHECK(error == ECONNRESET);
        CHECK(now() - start == 2ms);
    }());
}

TEST_CASE("an end that was closed in silence is given up too, and a silence that healed counts no more") {
    coaio::testing::run([]() -> Coro<> {
        Network network;
        auto listener = coaio::net::listen(Address::ip("10.0.0.1", 7));
        auto [a, b] = co_await connected(listener);
        auto [c, d] = co_await connected(listener);
        co_await coaio::sleep(1s);
        network.silence("10.0.0.1");
        co_await c.write("kept");
        co_await coaio::sleep(900s);
        network.heal("10.0.0.1");
        co_await coaio::sleep(1s);
        network.silence("10.0.0.1");
        a.close();
        co_await c.write(", and kept");
        co_await coaio::sleep(900s);
        network.heal("10.0.0.1");
        const std::string text = co_await d.read_exactly(14);
        CHECK(text == "kept, and kept");
        const std::string end = co_await b.read_to_end(1);
        CHECK(end.empty());
        auto [e, f] = co_await connected(listener);
        co_await coaio::sleep(1s);
        network.silence("10.0.0.1");
        e.close();
        co_await coaio::sleep(1000s);
        network.heal("10.0.0.1");
        co_await f.write("are you there?");
        const int error = co_await error_of(f.read_exactly(1));
        CHECK(error == ECONNRESET);
    }());
}

TEST_CASE("where every packet is lost it is sent sixteen times, every two minutes in the end, and given up") {
    coaio::testing::run([]() -> Coro<> {
        Network network({.trace = true});
        auto listener = coaio::net::listen(Address::ip("10.0.0.1", 7));
        auto [a, b] = co_await connected(listener);
        co_await coaio::sleep(1s);
        network.set_options({.loss_rate = 1});
        const auto start = now();
        co_await a.write("lost");
        co_await coaio::sleep(10s);
        co_await a.write("this too");
        network.set_options({});
        co_await a.write("this not, but it comes after a gap");
        const int error = co_await error_of(a.read_exactly(1));
        CHECK(error == ETIMEDOUT);
        CHECK(now() - start == 924'600ms);
        CHECK(count(network.trace(), "lost, sent again") == 32);
        co_await coaio::sleep(1h);
        CHECK(count(network.trace(), "data") == 0);
        const int reset = co_await error_of(b.write("are you there?"));
        CHECK(reset == 0);
        const int told = co_await error_of(b.read_exactly(1));
        CHECK(told == ECONNRESET);
    }());
}

TEST_CASE("a loop has one network: a second one is refused, and the first goes on") {
    coaio::testing::run([]() -> Coro<> {
        const Network network;
        CHECK_THROWS_AS(Network(), coaio::RuntimeError);
        auto listener = coaio::net::listen(Address::ip("10.0.0.1", 7));
        auto [a, b] = co_await connected(listener);
        CHECK(network.sockets() == 3);
    }());
}

TEST_CASE("what is said of a host is said of all its ports, and the last said holds") {
    coaio::testing::run([]() -> Coro<> {
        Network network;
        auto listener = coaio::net::listen(Address::ip("10.0.0.1", 80));
        const auto attempt = [&]() -> Coro<int> { co_return co_await error_of(coaio::net::connect("10.0.0.1", 80)); };
        network.silence("10.0.0.1", 80);
        network.heal("10.0.0.1");
        int error = co_await attempt();
        CHECK(error == 0);
        network.refuse("10.0.0.1", 80);
        network.unreachable("10.0.0.1");
        error = co_await attempt();
        CHECK(error == EHOSTUNREACH);
        network.heal("10.0.0.1", 80);
        error = co_await attempt();
        CHECK(error == 0);
        error = co_await error_of(coaio::net::connect("10.0.0.1", 81));
        CHECK(error == EHOSTUNREACH);
        network.heal("10.0.0.1");
        for (int i = 0; i < 2; ++i) Stream gone = co_await listener.accept();
        auto [a, b] = co_await connected(listener);
        network.silence("10.0.0.1");
        co_await a.write("held");
        co_await coaio::sleep(1s);
        network.refuse("10.0.0.1");
        const std::string text = co_await b.read_exactly(4);
        CHECK(text == "held");
    }());
}

TEST_CASE("free ports start again at the first when the last was given, and pass over those in use") {
    coaio::testing::run([]() -> Coro<> {
        const Network network;
        const auto listener = coaio::net::listen(Address::ip("10.0.0.1", 0));
        const UdpSocket socket = UdpSocket::bind(Address::ip("10.0.0.1", 0));
        CHECK(listener.address().port() == 32768);
        CHECK(socket.local_address().port() == 32769);
        const std::size_t all = 65536 - 32768;
        std::vector<int> given(65536);
        for (std::size_t i = 2; i < all + 10; ++i) {
            ++given.at(UdpSocket::bind(Address::ip("10.0.0.1", 0)).local_address().port());
        }
        const auto first = std::find_if(given.begin(), given.end(), [](int times) { return times != 0; });
        CHECK(first - given.begin() == 32770);
        CHECK(std::count(given.begin(), given.end(), 1) == static_cast<std::ptrdiff_t>(all - 2 - 10));
        CHECK(std::count(given.begin(), given.end(), 2) == 10);
        co_return;
    }());
}

TEST_CASE("a backlog lets in one more than it says; without a descriptor, accept fails before anybody comes") {
    coaio::testing::run([]() -> Coro<> {
        Network network;
        for (const int backlog : {0, 1, 2}) {
            auto listener = coaio::net::listen(Address::ip("10.0.0.1", 7), {.backlog = backlog});
            std::vector<coaio::Task<Stream>> clients;
            for (int i = 0; i < 5; ++i) clients.push_back(coaio::create_task(coaio::net::connect("10.0.0.1", 7)));
            co_await coaio::sleep(500ms);
            CHECK(std::count_if(clients.begin(), clients.end(), [](const auto& each) { return each.done(); }) ==
                  backlog + 1);
            for (auto& each : clients) each.cancel();
            listener.close();
            co_await coaio::sleep(1s);
        }
        auto listener = coaio::net::listen(Address::ip("10.0.0.1", 7));
        network.limit_sockets(3);
        auto [a, b] = co_await connected(listener);
        const int error = co_await error_of(listener.accept());
        CHECK(error == EMFILE);
    }());
}

TEST_CASE("a look-up without a host has an answer of each family; services are numbers, and localhost is 127.0.0.1") {
    coaio::testing::run([]() -> Coro<> {
        const Network network;
        auto found = co_await coaio::net::resolve("", 80, {.family = coaio::AddressFamily::ipv6, .passive = true});
        CHECK(found.at(0).text() == "[::]:80");
        found = co_await coaio::net::resolve("", 80, {.family = coaio::AddressFamily::ipv6});
        CHECK(found.at(0).text() == "[::1]:80");
        found = co_await coaio::net::resolve("", 80, {.passive = true});
        CHECK(found.at(0).text() == "0.0.0.0:80");
        CHECK(found.size() == 2);
        found = co_await coaio::net::resolve("localhost", 80);
        CHECK(found.size() == 1);
        const int error = co_await error_of(coaio::get_running_loop().getaddrinfo("localhost", "http"));
        CHECK(error == EAI_SERVICE);
    }());
}

TEST_CASE("of sockets that share a port the one at the very address gets a datagram") {
    coaio::testing::run([]() -> Coro<> {
        const Network network;
        UdpSocket any = UdpSocket::bind(Address::ip("0.0.0.0", 53), {.reuse_address = true});
        UdpSocket one = UdpSocket::bind(Address::ip("10.0.0.1", 53), {.reuse_address = true});
        co_await any.send_to("to one", one.local_address());
        const std::string text = co_await one.receive();
        CHECK(text == "to one");
        co_await one.send_to("to any", Address::ip("10.0.0.2", 53));
        const std::string other = co_await any.receive();
        CHECK(other == "to any");
    }());
}
