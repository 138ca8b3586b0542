// SPDX-License-Identifier: MIT
// Over real sockets: client against server, TLS, several loops, and clients that go away.
#include <coaio/http/client.hpp>
#include <coaio/http/server.hpp>

#include <coaio/core/event.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/syscall_fault.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/net/connect.hpp>

#include "net/streams.hpp"
#include "server_support.hpp"
#include "support/catch.hpp"

#include <sys/socket.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace coaio;
using namespace coaio::http;
using namespace std::chrono_literals;
using tests::count;
using tests::request;

namespace {

Coro<Router> plain_app() {
    Router app;
    app.get("/", [](Request&) -> Coro<Response> { co_return Response::text("hello\n"); });
    app.any("/echo", [](Request& req) -> Coro<Response> {
        auto body = co_await req.body();
        co_return Response::text(std::move(body));
    });
    app.get("/secure",
            [](Request& req) -> Coro<Response> { co_return Response::text(req.is_secure() ? "secure" : "plain"); });
    app.get("/big", [](Request&) -> Coro<Response> {
        auto body = [](BodyWriter& out) -> Coro<> {
            const std::string piece(100'000, 'x');
            for (int i = 0; i < 100; ++i) co_await out.write(std::string_view(piece));
        };
        co_return Response::stream("text/plain", body);
    });
    co_return app;
}

Coro<std::string> text_of(const Client& client, std::string url) {
    auto response = co_await client.get(url);
    co_return co_await response.text();
}

}  // namespace

TEST_CASE("client and server speak over TCP, with bodies both ways") {
    auto body = []() -> Coro<> {
        Server server(plain_app, {.port = 0});
        co_await server.start();
        {
            Client client;
            auto text = co_await text_of(client, server.url() + "/");
            CHECK(text == "hello\n");
            auto response = co_await client.post(server.url() + "/echo", std::string(3'000'000, 'y'), "text/plain");
            text = co_await response.text();
            CHECK(text == std::string(3'000'000, 'y'));
            text = co_await text_of(client, server.url() + "/big");
            CHECK(text.size() == 10'000'000);
            CHECK(client.statistics().opened == 1);
            CHECK(server.statistics().requests == 3);
            CHECK(server.statistics().connections == 1);
        }
        co_await server.stop(1s);
        CHECK(server.statistics().connections == 0);
    };
    coaio::run(body());
}

TEST_CASE("an answer that the kernel takes a few bytes at a time arrives whole, and so does the one behind it") {
    auto body = []() -> Coro<> {
        Server server(plain_app, {.port = 0});
        co_await server.start();
        {
            const auto fault = coaio::testing::shorten_syscall(coaio::testing::Syscall::write, 7,
                                                               {.count = coaio::testing::every_call});
            auto stream = co_await net::connect("127.0.0.1", server.port());
            co_await stream.write(request("GET /") + request("GET /"));
            for (int i = 0; i < 2; ++i) {
                const auto answer = co_await stream.read_until("hello\n", 1000);
                CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
                CHECK(answer.find("Content-Length: 6\r\n\r\nhello\n") != answer.npos);
            }
            co_await stream.write(request("GET /", "Connection: close\r\n"));
            const auto last = co_await stream.read_to_end(1000);
            CHECK(last.ends_with("\r\n\r\nhello\n"));
            CHECK(fault.hits() > last.size() / 7);
        }
        co_await server.stop(1s);
    };
    coaio::run(body());
}

TEST_CASE("client and server speak over TLS, and a stranger's certificate is refused") {
    auto body = []() -> Coro<> {
        const auto tls = tests::server_context();
        Server server(plain_app, {.port = 0, .tls = &tls});
        co_await server.start();
        const std::string url = "https://localhost:" + std::to_string(server.port());
        Client client(ClientOptions().tls(tests::client_context()));
        const auto text = co_await text_of(client, url + "/secure");
        CHECK(text == "secure");
        const auto big = co_await text_of(client, url + "/big");
        CHECK(big.size() == 10'000'000);
        CHECK(client.statistics().opened == 1);
        bool refused = false;
        Client stranger;
        try {
            static_cast<void>(co_await text_of(stranger, url + "/"));
        } catch (const net::TlsError& error) {
            refused = error.reason() == net::TlsError::Reason::certificate;
        }
        CHECK(refused);
        client.close_idle();
        co_await server.stop(1s);
    };
    coaio::run(body());
}

namespace {

std::atomic<int> apps_built = 0;

Coro<Router> worker_app() {
    ++apps_built;
    Router app;
    app.get("/thread", [](Request&) -> Coro<Response> {
        co_return Response::text(std::to_string(std::hash<std::thread::id>()(std::this_thread::get_id())));
    });
    co_return app;
}

}  // namespace

TEST_CASE("several workers share a port, each with an app of its own, and stop together") {
    apps_built = 0;
    auto body = []() -> Coro<> {
        Server server(worker_app, {.port = 0, .workers = 3});
        co_await server.start();
        CHECK(apps_built == 3);
        std::set<std::string> threads;
        for (int i = 0; i < 200 && threads.size() < 3; ++i) {
            Client client(ClientOptions().max_idle(0));
            auto thread = co_await text_of(client, server.url() + "/thread");
            threads.insert(std::move(thread));
        }
        CHECK(threads.size() == 3);
        co_await server.stop(1s);
    };
    coaio::run(body());
}

TEST_CASE("an app that cannot be built, and a port that is taken, are errors of start") {
    auto body = []() -> Coro<> {
        Server broken(
            []() -> Coro<Router> {
                throw ValueError("no such thing");
                co_return Router();
            },
            {.port = 0});
        bool failed = false;
        try {
            co_await broken.start();
        } catch (const ValueError&) {
            failed = true;
        }
        CHECK(failed);
        Server first(plain_app, {.port = 0});
        co_await first.start();
        Server second(plain_app, {.port = first.port()});
        failed = false;
        try {
            co_await second.start();
        } catch (const IoError& error) {
            failed = std::string(error.what()).find(std::to_string(first.port())) != std::string::npos;
        }
        CHECK(failed);
        co_await first.stop();
    };
    coaio::run(body());
}

namespace {

struct Fate {
    Event started;
    Event ended;
    bool cancelled = false;
};

/// Serves one path that hangs until it is cancelled, or `release` is set.
class Hanging {
public:
    explicit Hanging(Fate& fate) : fate_(&fate) {}
    Coro<Router> operator()() const { return build(*fate_); }

private:
    static Coro<Router> build(Fate& fate) {
        Router app;
        app.get("/hang", [&fate](Request&) -> Coro<Response> {
            fate.started.set();
            try {
                co_await sleep(60s);
            } catch (const CancelledError&) {
                fate.cancelled = true;
                fate.ended.set();
                throw;
            }
            co_return Response::text("late");
        });
        app.get("/slow", [&fate](Request&) -> Coro<Response> {
            fate.started.set();
            co_await fate.ended.wait();
            co_return Response::text("finished");
        });
        co_return app;
    }
    Fate* fate_;
};

Coro<> hang_up(bool reset) {
    Fate fate;
    Server server(Hanging(fate), {.port = 0, .probe_after = 20ms});
    co_await server.start();
    auto stream = co_await net::connect("127.0.0.1", server.port());
    co_await stream.write(request("GET /hang"));
    co_await fate.started.wait();
    if (reset) {
        const linger now{.l_onoff = 1, .l_linger = 0};
        CHECK(::setsockopt(stream.descriptor(), SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
    }
    stream.close();
    co_await wait_for(fate.ended.wait(), 10s);
    CHECK(fate.cancelled);
    co_await server.stop(1s);
}

}  // namespace

TEST_CASE("a handler hears that its client reset the connection, and that it closed it") {
    coaio::run(hang_up(true));
    coaio::run(hang_up(false));
}

namespace {

Coro<> stop_busy_server() {
    Fate fate;
    Server server(Hanging(fate), {.port = 0});
    co_await server.start();
    auto idle = co_await net::connect("127.0.0.1", server.port());
    auto busy = co_await net::connect("127.0.0.1", server.port());
    co_await busy.write(request("GET /slow"));
    co_await fate.started.wait();
    auto stopping = create_task(server.stop(30s));
    // Idle connections end at once, while the busy one has its time.
    const auto nothing = co_await idle.read_to_end(1000);
    CHECK(nothing.empty());
    CHECK_FALSE(stopping.done());
    fate.ended.set();
    const auto answer = co_await busy.read_to_end(10'000);
    CHECK(answer.ends_with("finished"));
    CHECK(count(answer, "Connection: close") == 1);
    busy.close();
    co_await stopping;
}

Coro<> stop_with_grace_over() {
    Fate fate;
    Server server(Hanging(fate), {.port = 0});
    co_await server.start();
    auto stream = co_await net::connect("127.0.0.1", server.port());
    co_await stream.write(request("GET /hang"));
    co_await fate.started.wait();
    co_await server.stop(10ms);
    CHECK(fate.cancelled);
    CHECK(server.statistics().connections == 0);
}

}  // namespace

TEST_CASE("a server stops gracefully: idle connections at once, running requests within the grace") {
    coaio::run(stop_busy_server());
    coaio::run(stop_with_grace_over());
}

TEST_CASE("cancelling serve stops the server") {
    auto body = []() -> Coro<> {
        auto serving = create_task(http::serve(plain_app, {.port = 0, .workers = 2}));
        co_await sleep(20ms);
        serving.cancel();
        bool cancelled = false;
        try {
            co_await serving;
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
    };
    coaio::run(body());
}
