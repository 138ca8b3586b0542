// SPDX-License-Identifier: MIT
#include <coaio/net/connect.hpp>

#include "net/streams.hpp"
#include "support/catch.hpp"

#include <coaio/core/gather.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/syscall_fault.hpp>
#include <coaio/core/task.hpp>
#include <coaio/net/listen.hpp>
#include <coaio/net/resolve.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

namespace {

using coaio::Coro;
using coaio::net::Address;
using coaio::net::Stream;
using coaio::testing::Syscall;

template <class F>
void in_loop(F body) {
    coaio::Loop loop;
    loop.run_until_complete(body());
}

std::uint16_t closed_port() {
    coaio::net::Listener listener = coaio::net::listen(Address::ip("127.0.0.1", 0));
    return listener.address().port();
}

}  // namespace

TEST_CASE("a host name leads to a connection, whichever of its addresses is listened on") {
    in_loop([]() -> Coro<> {
        auto listener = co_await coaio::net::listen("127.0.0.1", 0);
        auto [client, server] =
            co_await coaio::gather(coaio::net::connect("localhost", listener.address().port()), listener.accept());
        co_await client.write("hello");
        const std::string text = co_await server.read_exactly(5);
        CHECK(text == "hello");
        CHECK(client.peer_address() == listener.address());
        CHECK(server.peer_address() == client.local_address());
        CHECK(client.tls() == nullptr);
    });
}

TEST_CASE("an address that fails is followed by the next one at once") {
    in_loop([]() -> Coro<> {
        auto listener = co_await coaio::net::listen("127.0.0.1", 0);
        const auto fault = coaio::testing::fail_syscall(Syscall::connect, ENETUNREACH);
        auto addresses = co_await coaio::net::resolve("localhost", listener.address().port());
        if (addresses.size() > 1) {
            auto [client, server] =
                co_await coaio::gather(coaio::net::connect("localhost", listener.address().port()), listener.accept());
            CHECK(client.is_open());
            CHECK(server.is_open());
            CHECK(fault.hits() == 1);
        }
    });
}

TEST_CASE("a refused connection is an error that names the address") {
    in_loop([]() -> Coro<> {
        const std::uint16_t port = closed_port();
        std::string what;
        std::string operation;
        int code = 0;
        try {
            const Stream none = co_await coaio::net::connect("127.0.0.1", port);
        } catch (const coaio::IoError& error) {
            what = error.what();
            operation = error.operation();
            code = error.code().value();
        }
        CHECK(code == ECONNREFUSED);
        CHECK(operation == "connect");
        CHECK_THAT(what, tests::contains("127.0.0.1:" + std::to_string(port)));
    });
}

TEST_CASE("a connect that is cancelled or late leaves no descriptor behind") {
    in_loop([]() -> Coro<> {
        // Nobody accepts, and the backlog is full after a few: then a further attempt hangs.
        auto listener = coaio::net::listen(Address::ip("127.0.0.1", 0), {.backlog = 0});
        std::vector<Stream> fill;
        bool late = false;
        for (int i = 0; i < 10 && !late; ++i) {
            try {
                Stream next =
                    co_await coaio::net::connect(listener.address(), {.timeout = std::chrono::milliseconds(20)});
                fill.push_back(std::move(next));
            } catch (const coaio::TimeoutError&) {
                late = true;
            }
        }
        CHECK(late);
        auto task = coaio::create_task(coaio::net::connect("127.0.0.1", listener.address().port()));
        co_await tests::turns(3);
        task.cancel();
        bool cancelled = false;
        try {
            co_await task;
        } catch (const coaio::CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
    });
}

TEST_CASE("a Unix socket's file appears, may be replaced when abandoned, and goes with the listener") {
    in_loop([]() -> Coro<> {
        char folder[] = "/tmp/coaio-net-XXXXXX";
        REQUIRE(::mkdtemp(folder) != nullptr);
        const std::string path = std::string(folder) + "/socket";
        const Address address = Address::local(path);
        {
            auto listener = coaio::net::listen(address, {.mode = 0600});
            struct stat state{};
            REQUIRE(::stat(path.c_str(), &state) == 0);
            CHECK((state.st_mode & 0777U) == 0600U);
            auto [client, server] = co_await coaio::gather(coaio::net::connect(address), listener.accept());
            co_await client.write("x");
            const std::string text = co_await server.read_exactly(1);
            CHECK(text == "x");
            CHECK_THROWS_AS(coaio::net::listen(address), coaio::IoError);
            // As a server that was killed leaves it.
            REQUIRE(::rename(path.c_str(), (path + ".kept").c_str()) == 0);
        }
        REQUIRE(::rename((path + ".kept").c_str(), path.c_str()) == 0);
        {
            auto listener = coaio::net::listen(address);
            CHECK(listener.is_open());
        }
        CHECK(::access(path.c_str(), F_OK) != 0);
        ::rmdir(folder);
    });
}

TEST_CASE("several listeners share a port when both say so, and not otherwise") {
    in_loop([]() -> Coro<> {
        auto one = co_await coaio::net::listen("127.0.0.1", 0, {.reuse_port = true});
        auto two = co_await coaio::net::listen("127.0.0.1", one.address().port(), {.reuse_port = true});
        CHECK(two.address() == one.address());
        CHECK_THROWS_AS(coaio::net::listen(one.address()), coaio::IoError);
    });
}

TEST_CASE("an empty host listens on every address") {
    in_loop([]() -> Coro<> {
        auto listener = co_await coaio::net::listen("", 0);
        auto [client, server] =
            co_await coaio::gather(coaio::net::connect("127.0.0.1", listener.address().port()), listener.accept());
        CHECK(client.is_open());
        CHECK(server.is_open());
    });
}

TEST_CASE("what the kernel refuses is told with the operation and the address") {
    in_loop([]() -> Coro<> {
        for (const auto& [call, operation] : {std::pair{Syscall::socket, "socket"}, std::pair{Syscall::bind, "bind"},
                                              std::pair{Syscall::listen, "listen"}}) {
            const auto fault = coaio::testing::fail_syscall(call, EACCES);
            std::string text;
            try {
                const auto none = coaio::net::listen(Address::ip("127.0.0.1", 0));
            } catch (const coaio::IoError& error) {
                text = error.operation() + " " + error.subject();
            }
            CHECK(text == std::string(operation) + " 127.0.0.1:0");
        }
        co_return;
    });
}

TEST_CASE("resolve gives addresses with the port") {
    in_loop([]() -> Coro<> {
        const auto found = co_await coaio::net::resolve("127.0.0.1", 7);
        REQUIRE(found.size() == 1);
        CHECK(found[0] == Address::ip("127.0.0.1", 7));
    });
}
