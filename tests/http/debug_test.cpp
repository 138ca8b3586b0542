// SPDX-License-Identifier: MIT
#include <coaio/http/client.hpp>
#include <coaio/http/debug.hpp>
#include <coaio/http/server.hpp>

#include <coaio/core/dump.hpp>
#include <coaio/core/event.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/net/address.hpp>

#include "server_support.hpp"
#include "support/catch.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <utility>

using namespace coaio;
using namespace coaio::http;
using namespace std::chrono_literals;
using tests::contains;

namespace {

/// The answer over memory to a request with these headers.
std::string ask(std::string_view headers, DebugOptions options = {}, std::string_view target = "/debug") {
    Router app;
    app.get("/debug", debug_tasks(options));
    Loop loop;
    std::string bytes = "GET " + std::string(target) + " HTTP/1.1\r\n" + std::string(headers) + "\r\n";
    return loop.run_until_complete(tests::talk(app, std::move(bytes)));
}

bool refuses(std::string_view headers, DebugOptions options = {}) {
    const std::string answer = ask(headers, options);
    const bool refused = answer.starts_with("HTTP/1.1 403 ");
    CHECK((refused || answer.starts_with("HTTP/1.1 200 ")));
    return refused;
}

}  // namespace

TEST_CASE("The tree of tasks is text, or JSON for who asks for it") {
    const std::string text = ask("Host: localhost\r\n");
    CHECK_THAT(text, contains("Content-Type: text/plain; charset=utf-8\r\n"));
    CHECK_THAT(text, contains("Cache-Control: no-store\r\n"));
    CHECK_THAT(text, contains("loop 1\nTask-1 waiting, age "));
    CHECK_THAT(text, contains("waits for a job on another thread"));  // the handler itself, which holds no loop up
    const auto is_json = [](const std::string& answer) {
        if (answer.find("Content-Type: application/json\r\n") == answer.npos) return false;
        const auto dump = nlohmann::json::parse(tests::last_body(answer));
        return dump.at("loops").at(0).at("tasks").at(0).at("name") == "Task-1";
    };
    CHECK(is_json(ask("Host: localhost\r\n", {}, "/debug?format=json")));
    CHECK(is_json(ask("Host: localhost\r\nAccept: application/json\r\n")));
    CHECK_FALSE(is_json(ask("Host: localhost\r\nAccept: text/html,application/json;q=0.5,text/plain\r\n")));
    CHECK_FALSE(is_json(ask("Host: localhost\r\nAccept: */*\r\n")));
    CHECK_FALSE(is_json(ask("Host: localhost\r\nAccept: application/json\r\n", {}, "/debug?format=text")));
}

TEST_CASE("The tree of tasks is cut at a limit") {
    DebugOptions few;
    few.limit = 1;
    CHECK_THAT(ask("Host: localhost\r\n", few), contains(" more tasks)\n"));
}

TEST_CASE("The tree of tasks is not for strangers: not through a proxy, nor under another name") {
    for (const char* host : {"localhost", "LocalHost:8080", "127.0.0.1:1", "127.7.7.7", "[::1]:80", "[::1]"}) {
        CAPTURE(host);
        CHECK_FALSE(refuses("Host: " + std::string(host) + "\r\n"));
    }
    for (const char* host : {"evil.example", "evil.example:80", "localhost.evil.example", "127.evil.example",
                             "192.0.2.1", "[2001:db8::1]", "1270.0.0.1"}) {
        CAPTURE(host);
        CHECK(refuses("Host: " + std::string(host) + "\r\n"));
    }
    for (const char* mark :
         {"X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1", "Via: 1.1 proxy", "x-real-ip: 127.0.0.1"}) {
        CAPTURE(mark);
        CHECK(refuses("Host: localhost\r\n" + std::string(mark) + "\r\n"));
    }
    DebugOptions anybody;
    anybody.anybody = true;
    CHECK_FALSE(refuses("Host: evil.example\r\nVia: 1.1 proxy\r\n", anybody));
}

TEST_CASE("Over a socket of this machine the tree of tasks is shown") {
    Loop loop;
    loop.run_until_complete([]() -> Coro<> {
        ServeOptions how;
        how.port = 0;
        Server server(
            [](Scope&) -> Coro<Router> {
                Router app;
                app.get("/debug", debug_tasks());
                co_return app;
            },
            how);
        co_await server.start();
        const Client client;
        auto response = co_await client.get(server.url() + "/debug");
        CHECK(response.status() == 200);
        const std::string text = co_await response.body();
        CHECK_THAT(text, contains("waits for accept on socket "));
        CHECK_THAT(text, contains(" (127.0.0.1:" + std::to_string(server.port()) + ")"));
        CHECK_THAT(text, contains("in request GET " + server.url() + "/debug\n"));
        client.close_idle();
        co_await server.stop(1s);
    }());
}

TEST_CASE("Who waits for a turn at a host's connections says how many are in use; the query of a URL is not shown") {
    Loop loop;
    loop.run_until_complete([]() -> Coro<> {
        Event hold;
        ServeOptions how;
        how.port = 0;
        Server server(
            [&hold](Scope&) -> Coro<Router> {
                Router app;
                app.get("/slow", [&hold](Request&) -> Coro<Response> {
                    co_await hold.wait();
                    co_return Response::text("done");
                });
                co_return app;
            },
            how);
        co_await server.start();
        const Client client(ClientOptions().max_per_host(1));
        auto fetch = [](Client mine, std::string url) -> Coro<> {
            auto response = co_await mine.get(url);
            static_cast<void>(co_await response.body());
        };
        auto first = create_task(fetch(client, server.url() + "/slow?key=secret"));
        auto second = create_task(fetch(client, server.url() + "/slow?key=secret"));
        std::string text;
        const auto waiting = [&] {
            return text.find("waits for read from") != text.npos && text.find("1 of 1") != text.npos;
        };
        while (!waiting()) {
            co_await sleep(0s);
            text = dump_tasks();
        }
        CHECK_THAT(text, contains("in request GET " + server.url() + "/slow\n"));
        CHECK_THAT(text, contains("in turn at the connections to " + server.url() + " (1 of 1 in use)\n"));
        CHECK_THAT(text, contains("waits for semaphore (0 units free, 1 waiting)"));
        CHECK(text.find("secret") == text.npos);
        hold.set();
        co_await first;
        co_await second;
        client.close_idle();
        co_await server.stop(1s);
    }());
}
