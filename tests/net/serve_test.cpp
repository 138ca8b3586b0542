// SPDX-License-Identifier: MIT
#include <coaio/net/listen.hpp>

#include "net/streams.hpp"
#include "support/catch.hpp"

#include <coaio/core/event.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/syscall_fault.hpp>
#include <coaio/core/task.hpp>
#include <coaio/net/connect.hpp>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using coaio::Coro;
using coaio::net::Stream;
using coaio::testing::Syscall;

Coro<> echo(Stream& stream) {
    for (;;) {
        const std::string line = co_await stream.read_until("\n");
        if (line == "throw\n") throw std::runtime_error("the handler failed");
        co_await stream.write(line);
    }
}

Coro<bool> ends_cancelled(coaio::Task<> task) {
    try {
        co_await task;
    } catch (const coaio::CancelledError&) {
        co_return true;
    }
    co_return false;
}

Coro<std::string> ask(const coaio::net::Listener& listener, std::string line) {
    Stream client = co_await coaio::net::connect(listener.address());
    co_await client.write(line);
    const std::string answer = co_await client.read_until("\n");
    co_return answer;
}

}  // namespace

TEST_CASE("a server answers many connections, and a failing handler disturbs nobody") {
    coaio::Loop loop;
    std::vector<std::string> reports;
    loop.set_exception_handler([&](coaio::Loop&, const coaio::ExceptionContext& context) {
        reports.push_back(coaio::describe_exception(context.exception));
    });
    loop.run_until_complete([]() -> Coro<> {
        auto listener = co_await coaio::net::listen("127.0.0.1", 0);
        auto server = coaio::create_task(coaio::net::serve(listener, echo));
        Stream patient = co_await coaio::net::connect(listener.address());
        co_await patient.write("first\n");
        const std::string first = co_await patient.read_until("\n");
        CHECK(first == "first\n");
        bool dropped = false;
        try {
            const std::string none = co_await ask(listener, "throw\n");
        } catch (const coaio::net::IncompleteReadError&) {
            dropped = true;
        }
        CHECK(dropped);
        for (int i = 0; i < 20; ++i) {
            const std::string answer = co_await ask(listener, "hello\n");
            CHECK(answer == "hello\n");
        }
        co_await patient.write("still here\n");
        const std::string still = co_await patient.read_until("\n");
        CHECK(still == "still here\n");
        server.cancel();
        const bool cancelled = co_await ends_cancelled(server);
        CHECK(cancelled);
        const std::string end = co_await patient.read_to_end(100);
        CHECK(end.empty());
        CHECK(coaio::all_tasks().size() == 1);
    }());
    REQUIRE(reports.size() == 1);
    CHECK_THAT(reports[0], tests::contains("the handler failed"));
}

TEST_CASE("when descriptors run out the server waits a little and goes on") {
    coaio::Loop loop;
    std::vector<std::string> reports;
    loop.set_exception_handler(
        [&](coaio::Loop&, const coaio::ExceptionContext& context) { reports.push_back(context.message); });
    loop.run_until_complete([]() -> Coro<> {
        auto listener = co_await coaio::net::listen("127.0.0.1", 0);
        const auto fault = coaio::testing::fail_syscall(Syscall::accept, EMFILE, {.count = 2});
        auto server = coaio::create_task(coaio::net::serve(listener, echo));
        const std::string answer = co_await ask(listener, "patience\n");
        CHECK(answer == "patience\n");
        CHECK(fault.hits() == 2);
        server.cancel();
        const bool cancelled = co_await ends_cancelled(server);
        CHECK(cancelled);
    }());
    CHECK(reports.size() == 1);
}

TEST_CASE("a peer that has gone before it was accepted is skipped; a broken listener ends the server") {
    coaio::Loop loop;
    loop.run_until_complete([]() -> Coro<> {
        auto listener = co_await coaio::net::listen("127.0.0.1", 0);
        const auto gone = coaio::testing::fail_syscall(Syscall::accept, ECONNABORTED, {.count = 3});
        auto server = coaio::create_task(coaio::net::serve(listener, echo));
        const std::string answer = co_await ask(listener, "x\n");
        CHECK(answer == "x\n");
        CHECK(gone.hits() == 3);
        listener.close();
        bool ended = false;
        try {
            co_await server;
        } catch (const coaio::ClosedError&) {
            ended = true;
        }
        CHECK(ended);
    }());
}

TEST_CASE("a cancelled server lets running handlers finish within its grace") {
    coaio::Loop loop;
    loop.run_until_complete([]() -> Coro<> {
        auto listener = co_await coaio::net::listen("127.0.0.1", 0);
        coaio::Event go;
        auto handler = [&go](Stream& stream) -> Coro<> {
            co_await stream.write("begun\n");
            co_await go.wait();
            co_await stream.write("done\n");
        };
        auto server = coaio::create_task(coaio::net::serve(listener, handler, {.grace = std::chrono::seconds(30)}));
        Stream client = co_await coaio::net::connect(listener.address());
        const std::string begun = co_await client.read_until("\n");
        CHECK(begun == "begun\n");
        server.cancel();
        co_await tests::turns(3);
        CHECK_FALSE(server.done());
        go.set();
        const std::string rest = co_await client.read_to_end(100);
        CHECK(rest == "done\n");
        const bool cancelled = co_await ends_cancelled(server);
        CHECK(cancelled);
    }());
}

TEST_CASE("a handler that goes on beyond the grace is cancelled") {
    coaio::Loop loop;
    loop.run_until_complete([]() -> Coro<> {
        auto listener = co_await coaio::net::listen("127.0.0.1", 0);
        bool cut = false;
        auto handler = [&cut](Stream& stream) -> Coro<> {
            co_await stream.write("begun\n");
            try {
                co_await coaio::sleep(std::chrono::hours(1));
            } catch (const coaio::CancelledError&) {
                cut = true;
                throw;
            }
        };
        auto server = coaio::create_task(coaio::net::serve(listener, handler, {.grace = std::chrono::milliseconds(1)}));
        Stream client = co_await coaio::net::connect(listener.address());
        const std::string begun = co_await client.read_until("\n");
        CHECK(begun == "begun\n");
        server.cancel();
        const bool cancelled = co_await ends_cancelled(server);
        CHECK(cancelled);
        CHECK(cut);
    }());
}

TEST_CASE("a server may own its listener, and closes it when it ends") {
    coaio::Loop loop;
    loop.run_until_complete([]() -> Coro<> {
        auto listener = co_await coaio::net::listen("127.0.0.1", 0);
        const coaio::net::Address address = listener.address();
        auto server =
            coaio::create_task(coaio::net::serve(std::move(listener), echo, {.grace = std::chrono::seconds(30)}));
        Stream client = co_await coaio::net::connect(address);
        co_await client.write("a\n");
        const std::string answer = co_await client.read_until("\n");
        CHECK(answer == "a\n");
        server.cancel();
        co_await tests::turns(3);
        CHECK_FALSE(server.done());  // the handler may go on for a while, but nobody new gets in
        bool refused = false;
        try {
            co_await coaio::net::connect(address);
        } catch (const coaio::IoError&) {
            refused = true;
        }
        CHECK(refused);
        client.close();
        const bool cancelled = co_await ends_cancelled(server);
        CHECK(cancelled);
    }());
}

TEST_CASE("no more connections are served at once than allowed") {
    coaio::Loop loop;
    loop.run_until_complete([]() -> Coro<> {
        auto listener = co_await coaio::net::listen("127.0.0.1", 0);
        auto server = coaio::create_task(coaio::net::serve(listener, echo, {.max_connections = 1}));
        Stream first = co_await coaio::net::connect(listener.address());
        co_await first.write("1\n");
        const std::string one = co_await first.read_until("\n");
        CHECK(one == "1\n");
        auto second = coaio::create_task(ask(listener, "2\n"));
        co_await tests::turns(20);
        CHECK_FALSE(second.done());
        first.close();
        const std::string two = co_await second;
        CHECK(two == "2\n");
        server.cancel();
        const bool cancelled = co_await ends_cancelled(server);
        CHECK(cancelled);
    }());
}

TEST_CASE("a server speaks TLS, and survives clients that do not") {
    coaio::Loop loop;
    loop.run_until_complete([]() -> Coro<> {
        auto listener = co_await coaio::net::listen("127.0.0.1", 0);
        const auto tls = tests::server_context();
        auto server = coaio::create_task(coaio::net::serve(listener, echo, {.tls = &tls}));
        Stream plain = co_await coaio::net::connect(listener.address());
        co_await plain.write("GET / HTTP/1.1\r\n\r\n");
        bool refused = false;
        try {
            const std::string alert = co_await plain.read_to_end(1000);
            refused = alert.find("HTTP") == std::string::npos;
        } catch (const coaio::IoError&) {
            refused = true;
        }
        CHECK(refused);
        const auto settings = tests::client_context();
        Stream client = co_await coaio::net::connect("127.0.0.1", listener.address().port(), {.tls = &settings});
        REQUIRE(client.tls() != nullptr);
        co_await client.write("secret\n");
        const std::string answer = co_await client.read_until("\n");
        CHECK(answer == "secret\n");
        server.cancel();
        const bool cancelled = co_await ends_cancelled(server);
        CHECK(cancelled);
    }());
}
