// SPDX-License-Identifier: MIT
#include <coaio/net/testing.hpp>

#include "net/streams.hpp"
#include "support/catch.hpp"

#include <coaio/core/gather.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/net/connect.hpp>
#include <coaio/net/listen.hpp>
#include <coaio/net/resolve.hpp>

#include <netdb.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::Duration;
using coaio::net::Address;
using coaio::net::Stream;
using coaio::net::testing::Network;
using coaio::net::testing::NetworkOptions;

coaio::TimePoint now() { return coaio::get_running_loop().time(); }

Coro<> echo(Stream& stream) {
    for (;;) {
        const std::string line = co_await stream.read_until("\n");
        co_await stream.write(line);
    }
}

/// An echo server for the rest of the test.
Coro<> echo_at(coaio::net::Listener listener, std::optional<coaio::net::TlsContext> tls = std::nullopt) {
    co_await coaio::net::serve(listener, echo, {.tls = tls ? &*tls : nullptr});
}
Coro<> start_echo(std::string host, std::uint16_t port) {
    auto listener = co_await coaio::net::listen(std::move(host), port);
    coaio::create_task(echo_at(std::move(listener)), {.name = "echo"});
}

/// How an attempt ended: "connected", or the errno or look-up code as a number.
Coro<std::string> outcome_of(Coro<Stream> attempt) {
    try {
        Stream stream = co_await std::move(attempt);
        co_return "connected";
    } catch (const coaio::IoError& error) {
        co_return error.operation() + " " + std::to_string(error.code().value());
    }
}

std::string failed(const char* operation, int code) { return std::string(operation) + " " + std::to_string(code); }

}  // namespace

TEST_CASE("a simulated connection takes a round trip, and each message its way") {
    coaio::testing::run([]() -> Coro<> {
        const Network network({.latency = 10ms});
        co_await start_echo("10.0.0.1", 7);
        const auto start = now();
        Stream stream = co_await coaio::net::connect("10.0.0.1", 7);
        CHECK(now() - start == 20ms);
        CHECK(stream.peer_address().text() == "10.0.0.1:7");
        CHECK(stream.local_address().host() == "192.0.2.1");
        CHECK(stream.descriptor() == -1);
        co_await stream.write("hello\n");
        CHECK(now() - start == 20ms);
        const std::string answer = co_await stream.read_until("\n");
        CHECK(answer == "hello\n");
        CHECK(now() - start == 40ms);
    }());
}

TEST_CASE("a server and its clients run whole on rough networks, seed by seed") {
    coaio::testing::explore([]() -> Coro<> {
        const Network network({.jitter = 30ms, .chunk = true, .loss_rate = 0.05});
        co_await start_echo("", 80);
        std::vector<coaio::Task<>> clients;
        for (int i = 0; i < 5; ++i) {
            clients.push_back(coaio::create_task([](int number) -> Coro<> {
                Stream stream = co_await coaio::net::connect("198.51.100.7", 80);
                for (int j = 0; j < 5; ++j) {
                    const std::string line = std::string(100, static_cast<char>('a' + number)) + "\n";
                    co_await stream.write(line);
                    const std::string answer = co_await stream.read_until("\n");
                    if (answer != line) throw coaio::Error("another answer: " + answer);
                }
            }(i)));
        }
        for (const auto& each : clients) co_await each;
    });
}

TEST_CASE("the same seed gives the same trace, another seed another one") {
    const auto trace_of = [](std::uint64_t seed) {
        return coaio::testing::run(
            []() -> Coro<std::string> {
                const Network network({.jitter = 30ms, .chunk = true, .loss_rate = 0.05, .trace = true});
                co_await start_echo("10.0.0.1", 7);
                Stream stream = co_await coaio::net::connect("10.0.0.1", 7);
                co_await stream.write(std::string(1000, 'x') + "\n");
                const std::string answer = co_await stream.read_until("\n");
                CHECK(answer.size() == 1001);
                co_return network.trace();
            }(),
            {.seed = seed});
    };
    const std::string once = trace_of(1);
    CHECK(once == trace_of(1));
    CHECK(once != trace_of(2));
    CHECK_THAT(once, tests::contains("192.0.2.1:32768 > 10.0.0.1:7  connected"));
}

TEST_CASE("refused, unreachable and silent hosts, and hosts without a listener") {
    coaio::testing::run([]() -> Coro<> {
        Network network({.latency = 10ms});
        auto listener = co_await coaio::net::listen("", 80);
        network.host("site.example", "10.0.0.1");
        network.refuse("site.example");
        auto start = now();
        std::string outcome = co_await outcome_of(coaio::net::connect("site.example", 80));
        CHECK(outcome == failed("connect", ECONNREFUSED));
        CHECK(now() - start == 40ms);
        network.heal("site.example");
        outcome = co_await outcome_of(coaio::net::connect("site.example", 80));
        CHECK(outcome == "connected");
        outcome = co_await outcome_of(coaio::net::connect("site.example", 81));
        CHECK(outcome == failed("connect", ECONNREFUSED));
        network.unreachable("10.0.0.9");
        outcome = co_await outcome_of(coaio::net::connect("10.0.0.9", 80));
        CHECK(outcome == failed("connect", EHOSTUNREACH));
        network.silence("10.0.0.8", 80);
        start = now();
        outcome = co_await outcome_of(coaio::net::connect("10.0.0.8", 80));
        CHECK(outcome == failed("connect", ETIMEDOUT));
        CHECK(now() - start == 127s);
        bool late = false;
        start = now();
        try {
            Stream none = co_await coaio::net::connect("10.0.0.8", 80, {.timeout = 3s});
        } catch (const coaio::TimeoutError&) {
            late = true;
        }
        CHECK(late);
        CHECK(now() - start == 3s);
        CHECK_THROWS_AS(network.refuse("nobody.example"), coaio::ValueError);
        CHECK(network.sockets() == 1);
    }());
}

TEST_CASE("look-ups find the names that were given, fail for others, and may be slow") {
    coaio::testing::run([]() -> Coro<> {
        Network network({.latency = 10ms});
        network.host("two.example", "10.0.0.1");
        network.host("two.example", "2001:db8::7");
        const auto start = now();
        auto found = co_await coaio::net::resolve("Two.Example.", 80);
        CHECK(now() - start == 20ms);
        REQUIRE(found.size() == 2);
        CHECK(found[0].text() == "10.0.0.1:80");
        CHECK(found[1].text() == "[2001:db8::7]:80");
        found = co_await coaio::net::resolve("two.example", 80, {.family = coaio::AddressFamily::ipv6});
        CHECK(found.size() == 1);
        found = co_await coaio::net::resolve("localhost", 80);
        CHECK(found.at(0).text() == "127.0.0.1:80");
        std::string outcome = co_await outcome_of(coaio::net::connect("nobody.example", 80));
        CHECK(outcome == failed("getaddrinfo", EAI_NONAME));
        network.fail_lookup("two.example", EAI_AGAIN);
        outcome = co_await outcome_of(coaio::net::connect("two.example", 80));
        CHECK(outcome == failed("getaddrinfo", EAI_AGAIN));
        network.slow_lookup("two.example", 10s);
        bool late = false;
        try {
            Stream none = co_await coaio::net::connect("two.example", 80, {.timeout = 9s});
        } catch (const coaio::TimeoutError&) {
            late = true;
        }
        CHECK(late);
    }());
}

TEST_CASE("RFC 8305: attempts follow each other after the delay, at once after a failure; the first to answer wins") {
    coaio::testing::run([]() -> Coro<> {
        Network network({.latency = 10ms});
        auto listener = co_await coaio::net::listen("", 80);
        network.host("many.example", "2001:db8::1");
        network.host("many.example", "2001:db8::2");
        network.host("many.example", "10.0.0.1");
        network.host("many.example", "10.0.0.2");
        // The families alternate; the second is refused after 20 ms, so the third need not wait for its turn.
        network.silence("2001:db8::1");
        network.refuse("10.0.0.1");
        network.delay("2001:db8::2", 400ms);
        const auto start = now();
        Stream stream = co_await coaio::net::connect("many.example", 80);
        // look-up 20, delay 250, refused 20, delay 250, round trip 20
        CHECK(now() - start == 560ms);
        CHECK(stream.peer_address().host() == "10.0.0.2");
        CHECK(network.sockets() == 2);  // the listener and this one: the losers are closed
        const auto second = now();
        network.delay("2001:db8::2", 100ms);
        stream = co_await coaio::net::connect("many.example", 80);
        CHECK(now() - second == 20ms + 250ms + 20ms + 220ms);
        CHECK(stream.peer_address().host() == "2001:db8::2");
    }());
}

TEST_CASE("RFC 8305: when all attempts fail, the first failure is told; when cancelled, all are closed") {
    coaio::testing::run([]() -> Coro<> {
        Network network;
        network.host("many.example", "2001:db8::1");
        network.host("many.example", "10.0.0.1");
        network.unreachable("2001:db8::1");
        const std::string outcome = co_await outcome_of(coaio::net::connect("many.example", 80));
        CHECK(outcome == failed("connect", EHOSTUNREACH));
        network.silence("2001:db8::1");
        network.silence("10.0.0.1");
        auto task = coaio::create_task(coaio::net::connect("many.example", 80));
        co_await coaio::sleep(1s);
        CHECK(network.sockets() == 2);
        task.cancel();
        try {
            Stream none = co_await std::move(task);
        } catch (const coaio::CancelledError&) {}
        CHECK(network.sockets() == 0);
    }());
}

TEST_CASE("a silent host holds what is sent until it heals, and for ever it is given up") {
    coaio::testing::run([]() -> Coro<> {
        Network network;
        co_await start_echo("10.0.0.1", 7);
        Stream stream = co_await coaio::net::connect("10.0.0.1", 7);
        network.silence("10.0.0.1");
        co_await stream.write("hello\n");
        auto answer = coaio::create_task(stream.read_until("\n"));
        co_await coaio::sleep(60s);
        CHECK_FALSE(answer.done());
        network.heal("10.0.0.1");
        const std::string text = co_await answer;
        CHECK(text == "hello\n");
        network.silence("10.0.0.1");
        co_await stream.write("hello\n");
        int error = 0;
        try {
            const std::string none = co_await stream.read_until("\n");
        } catch (const coaio::IoError& failure) {
            error = failure.code().value();
        }
        CHECK(error == ETIMEDOUT);
    }());
}

TEST_CASE("a reset is told once to each end; what had come before can still be read") {
    coaio::testing::run([]() -> Coro<> {
        Network network;
        auto listener = co_await coaio::net::listen("10.0.0.1", 7);
        auto [a, b] = co_await coaio::gather(coaio::net::connect("10.0.0.1", 7), listener.accept());
        co_await b.write("before");
        co_await coaio::sleep(1s);
        network.reset("10.0.0.1");
        const std::string before = co_await a.read_exactly(6);
        CHECK(before == "before");
        for (Stream* each : {&a, &b}) {
            int error = 0;
            try {
                const std::string none = co_await each->read_exactly(1);
            } catch (const coaio::IoError& failure) {
                error = failure.code().value();
            }
            CHECK(error == ECONNRESET);
            const std::string end = co_await each->read_to_end(1);
            CHECK(end.empty());
            error = 0;
            try {
                co_await each->write("x");
            } catch (const coaio::IoError& failure) {
                error = failure.code().value();
            }
            CHECK(error == EPIPE);
        }
    }());
}

TEST_CASE("bytes nobody read at a close reset the connection, and so do bytes sent to a closed one") {
    coaio::testing::run([]() -> Coro<> {
        const Network network;
        auto listener = co_await coaio::net::listen("10.0.0.1", 7);
        for (const bool early : {true, false}) {
            auto [a, b] = co_await coaio::gather(coaio::net::connect("10.0.0.1", 7), listener.accept());
            if (early) {
                co_await a.write("unread");
                co_await coaio::sleep(1s);
                b.close();
            } else {
                b.close();
                co_await a.write("too late");
                co_await coaio::sleep(1s);
            }
            int error = 0;
            try {
                co_await coaio::sleep(1s);
                co_await a.write("more");
            } catch (const coaio::IoError& failure) {
                error = failure.code().value();
            }
            CHECK(error == (early ? ECONNRESET : EPIPE));
        }
        CHECK(network.sockets() == 1);
    }());
}

TEST_CASE("a full backlog leaves the next client waiting, and a closed listener resets who was not accepted") {
    coaio::testing::run([]() -> Coro<> {
        const Network network;
        auto listener = co_await coaio::net::listen("10.0.0.1", 7, {.backlog = 1});
        Stream first = co_await coaio::net::connect("10.0.0.1", 7);
        Stream another = co_await coaio::net::connect("10.0.0.1", 7);
        auto second = coaio::create_task(coaio::net::connect("10.0.0.1", 7));
        co_await coaio::sleep(500ms);
        CHECK_FALSE(second.done());
        Stream accepted = co_await listener.accept();
        Stream other = co_await std::move(second);
        CHECK(other.is_open());
        co_await coaio::sleep(1s);
        listener.close();
        int error = 0;
        try {
            const std::string none = co_await other.read_exactly(1);
        } catch (const coaio::IoError& failure) {
            error = failure.code().value();
        }
        CHECK(error == ECONNRESET);
    }());
}

TEST_CASE("addresses are taken once, unless they are shared; a free port is found") {
    coaio::testing::run([]() -> Coro<> {
        const Network network;
        auto all = co_await coaio::net::listen("", 80);
        CHECK_THROWS_AS(coaio::net::listen(Address::ip("10.0.0.1", 80)), coaio::IoError);
        auto one = coaio::net::listen(Address::ip("10.0.0.1", 0), {.reuse_port = true});
        CHECK(one.address().port() != 0);
        auto two = coaio::net::listen(one.address(), {.reuse_port = true});
        CHECK(two.address() == one.address());
        CHECK_THROWS_AS(coaio::net::listen(one.address()), coaio::IoError);
        all.close();
        auto again = coaio::net::listen(Address::ip("10.0.0.1", 80));
        CHECK(again.is_open());
    }());
}

TEST_CASE("descriptors run out at the limit, and by chance") {
    coaio::testing::run([]() -> Coro<> {
        Network network;
        co_await start_echo("10.0.0.1", 7);
        network.limit_sockets(3);
        Stream first = co_await coaio::net::connect("10.0.0.1", 7);
        co_await coaio::sleep(1s);
        const std::string none = co_await outcome_of(coaio::net::connect("10.0.0.1", 7));
        CHECK(none == failed("socket", EMFILE));
        network.limit_sockets(100);
        network.set_options({.exhaustion_rate = 1});
        const std::string still = co_await outcome_of(coaio::net::connect("10.0.0.1", 7));
        CHECK(still == failed("socket", EMFILE));
    }());
}

TEST_CASE("a deadlock over simulated connections is seen, with the task tree") {
    std::string text;
    try {
        coaio::testing::run([]() -> Coro<> {
            const Network network;
            auto listener = co_await coaio::net::listen("10.0.0.1", 7);
            auto [a, b] = co_await coaio::gather(coaio::net::connect("10.0.0.1", 7), listener.accept());
            const std::string never = co_await a.read_exactly(1);
        }());
    } catch (const coaio::DeadlockError& error) {
        text = error.what();
    }
    CHECK_THAT(text, tests::contains("a simulated connection with 10.0.0.1:7"));
}

TEST_CASE("TLS over a rough simulated network, with clients that are cut at every turn") {
    std::optional<Network> network;
    const auto client = [](std::optional<Network>& made) -> Coro<> {
        made.emplace(NetworkOptions{.seed = 5, .jitter = 5ms, .chunk = true});
        auto listener = co_await coaio::net::listen("127.0.0.1", 443);
        coaio::create_task(echo_at(std::move(listener), tests::server_context()), {.name = "echo"});
        const auto settings = tests::client_context();
        Stream stream = co_await coaio::net::connect("localhost", 443, {.tls = &settings});
        co_await stream.write("secret\n");
        const std::string answer = co_await stream.read_until("\n");
        CHECK(answer == "secret\n");
    };
    const auto make = [&] { return client(network); };
    std::size_t cuts = 0;
    const auto check = [](const std::optional<Network>& made) -> Coro<> {
        // The server's handler ends by itself, and no socket is left but the listener.
        co_await coaio::sleep(1h);
        if (made) CHECK(made->sockets() <= 1);
    };
    coaio::testing::cut(make, [&](std::size_t) {
        ++cuts;
        return check(network);
    });
    CHECK(cuts > 20);
}

TEST_CASE("a network belongs to its loop, and Unix sockets stay the kernel's") {
    coaio::testing::run([]() -> Coro<> {
        CHECK_THROWS_AS(Network::current(), coaio::RuntimeError);
        const Network network({.latency = 7ms});
        CHECK(Network::current().options().latency == 7ms);
        const auto address = Address::local(std::string(1, '\0') + "coaio-simulated-test");
        auto listener = coaio::net::listen(address);
        auto [a, b] = co_await coaio::gather(coaio::net::connect(address), listener.accept());
        CHECK(a.descriptor() >= 0);
        CHECK(network.sockets() == 0);
    }());
}

TEST_CASE("sockets that outlive their loop are closed in peace") {
    std::optional<Stream> survivor;
    coaio::testing::run([](std::optional<Stream>& out) -> Coro<> {
        const Network network;
        auto listener = co_await coaio::net::listen("10.0.0.1", 7);
        auto [a, b] = co_await coaio::gather(coaio::net::connect("10.0.0.1", 7), listener.accept());
        co_await a.write("on its way");
        out = std::move(b);
    }(survivor));
    CHECK(survivor->is_open());
    survivor.reset();
}
