// SPDX-License-Identifier: MIT
#include <coaio/http/server.hpp>

#include <coaio/core/event.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/http/access_log.hpp>
#include <coaio/http/error.hpp>
#include <coaio/net/error.hpp>

#include "server_support.hpp"
#include "support/catch.hpp"

#include <stdexcept>
#include <vector>

using namespace coaio;
using namespace coaio::http;
using namespace std::chrono_literals;
using tests::count;
using tests::last_body;
using tests::request;
using tests::talk;
using tests::without_dates;

namespace {

std::string run_talk(const Router& router, const std::string& bytes, ServeOptions options = {}, std::size_t step = 0) {
    testing::TestLoop loop;
    return loop.run(talk(router, bytes, options, step));
}

Coro<Response> hello(Request&) { co_return Response::text("hello\n"); }
Coro<Response> echo(Request& req) {
    auto body = co_await req.body();
    co_return Response::text(std::move(body));
}
Coro<Response> noread(Request&) { co_return Response::text("noread"); }
Coro<Response> slow(Request& req) {
    const auto time = std::chrono::milliseconds(req.query<int>("ms").value_or(0));
    co_await sleep(time);
    co_return Response::text("slow");
}
Coro<Response> fail(Request&) {
    throw std::runtime_error("secret detail");
    co_return Response();
}

Coro<Response> streamed(Request&) {
    co_return Response::stream("text/plain", [](BodyWriter& out) -> Coro<> { co_await out.write("streamed"); });
}

Router small_app() {
    Router app;
    app.get("/", hello);
    app.any("/echo", echo);
    app.post("/noread", noread);
    app.get("/slow", slow);
    app.get("/throw", fail);
    app.get("/streamed", streamed);
    return app;
}

}  // namespace

TEST_CASE("a request is answered with length, date and server, and the connection stays") {
    const Router app = small_app();
    const auto answer = run_talk(app, request("GET /"));
    CHECK(answer.find("Date: ") != answer.npos);
    CHECK(without_dates(answer) == "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nServer: coaio\r\n"
                                   "Content-Length: 6\r\n\r\nhello\n");
}

TEST_CASE("pipelined requests are answered in order, however the bytes are cut") {
    const Router app = small_app();
    const std::string bytes = request("GET /") + request("POST /echo", {}, "one") + request("HEAD /") +
                              request("POST /echo", "Transfer-Encoding: chunked\r\n") + "3\r\ntwo\r\n0\r\n\r\n" +
                              request("GET /slow?ms=5") + request("POST /noread", {}, "unread") + request("GET /none");
    const auto whole = without_dates(run_talk(app, bytes));
    CHECK(count(whole, "HTTP/1.1 200 OK") == 6);
    CHECK(whole.find("\r\n\r\nhello\nHTTP/1.1") != whole.npos);
    CHECK(whole.find("\r\n\r\noneHTTP/1.1") < whole.find("\r\n\r\ntwoHTTP/1.1"));
    CHECK(whole.find("404 Not Found") > whole.find("noread"));
    for (std::size_t step = 1; step < 8; ++step) CHECK(without_dates(run_talk(app, bytes, {}, step)) == whole);
}

TEST_CASE("a large body comes in and goes out again") {
    const Router app = small_app();
    std::string body(3'000'000, 'x');
    for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>('a' + i % 23);
    const auto answer = run_talk(app, request("POST /echo", {}, body) + request("GET /"));
    CHECK(count(answer, "HTTP/1.1 200 OK") == 2);
    CHECK(answer.find(body) != answer.npos);
    CHECK(last_body(answer) == "hello\n");
}

TEST_CASE("what a handler throws is answered with 500 without its text, and reported") {
    const Router app = small_app();
    testing::TestLoop loop;
    std::vector<std::string> reports;
    loop.loop().set_exception_handler(
        [&](Loop&, const ExceptionContext& context) { reports.push_back(describe_exception(context.exception)); });
    const auto answer = loop.run(talk(app, request("GET /throw") + request("GET /")));
    CHECK(count(answer, "500 Internal Server Error") == 1);
    CHECK(answer.find("secret") == answer.npos);
    CHECK(last_body(answer) == "hello\n");
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].find("secret detail") != std::string::npos);
}

TEST_CASE("what the client got wrong is its answer") {
    Router app;
    app.get("/number/{n}",
            [](Request& req) -> Coro<Response> { co_return Response::text(std::to_string(req.param<int>("n"))); });
    const auto answer = run_talk(app, request("GET /number/7") + request("GET /number/x") + "GARBAGE\r\n\r\n");
    CHECK(count(answer, "HTTP/1.1 200") == 1);
    CHECK(count(answer, "HTTP/1.1 400") == 2);
    CHECK(count(answer, "Connection: close") == 1);
}

TEST_CASE("a body above the limit is refused with 413 whether announced or chunked") {
    const Router app = small_app();
    ServeOptions options;
    options.max_body = 10;
    auto answer = run_talk(app, request("POST /echo", {}, "0123456789"), options);
    CHECK(count(answer, "HTTP/1.1 200") == 1);
    answer = run_talk(app, request("POST /echo", {}, "0123456789x"), options);
    CHECK(count(answer, "HTTP/1.1 413") == 1);
    CHECK(count(answer, "Connection: close") == 1);
    answer = run_talk(app, request("POST /echo", "Transfer-Encoding: chunked\r\n") + "b\r\n0123456789x\r\n0\r\n\r\n",
                      options);
    CHECK(count(answer, "HTTP/1.1 413") == 1);
}

TEST_CASE("an unread body is dropped up to a bound, beyond which the connection closes") {
    const Router app = small_app();
    ServeOptions options;
    options.max_drain = 1000;
    auto answer = run_talk(app, request("POST /noread", {}, std::string(1000, 'x')) + request("GET /"), options);
    CHECK(count(answer, "HTTP/1.1 200") == 2);
    answer = run_talk(app, request("POST /noread", {}, std::string(200'000, 'x')) + request("GET /"), options);
    CHECK(count(answer, "HTTP/1.1 200") == 1);
    CHECK(count(answer, "Connection: close") == 1);
}

namespace {

Coro<> expect_continue(const Router& app, std::string target, bool wanted) {
    auto [client, server] = net::memory_pipe();
    auto serving = create_task(serve_stream(std::move(server), app));
    co_await client.write(target + " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    auto head = co_await client.read_until("\r\n\r\n");
    if (wanted) {
        CHECK(head == "HTTP/1.1 100 Continue\r\n\r\n");
        co_await client.write("abc");
        head = co_await client.read_until("\r\n\r\n");
        const auto body = co_await client.read_exactly(3);
        CHECK(body == "abc");
    } else {
        CHECK(head.find("Connection: close") != head.npos);
    }
    CHECK(head.starts_with("HTTP/1.1 200 OK\r\n"));
    client.close();
    co_await serving;
}

}  // namespace

TEST_CASE("100 Continue is sent when the body is asked for, and not otherwise") {
    const Router app = small_app();
    testing::run(expect_continue(app, "POST /echo", true));
    testing::run(expect_continue(app, "POST /noread", false));
    testing::run(expect_continue(app, "HEAD /streamed", false));
}

namespace {

Coro<Duration> time_until_closed(const Router& app, std::string bytes, ServeOptions options, std::string& answer) {
    auto [client, server] = net::memory_pipe(1024);
    auto serving = create_task(serve_stream(std::move(server), app, options));
    const auto start = Clock::now();
    if (!bytes.empty()) co_await client.write(bytes);
    answer = co_await client.read_to_end(1'000'000);
    const auto time = Clock::now() - start;
    client.close();
    co_await serving;
    co_return time;
}

}  // namespace

TEST_CASE("a client that is idle, or slow with a head or a body, is turned away in time") {
    const Router app = small_app();
    ServeOptions options;
    options.idle_timeout = 7s;
    options.head_timeout = 3s;
    options.body_timeout = 5s;
    std::string answer;
    CHECK(testing::run(time_until_closed(app, {}, options, answer)) == 7s);
    CHECK(answer.empty());
    CHECK(testing::run(time_until_closed(app, request("GET /"), options, answer)) == 7s);
    CHECK(count(answer, "HTTP/1.1") == 1);
    const auto head_time = testing::run(time_until_closed(app, "GET / HTTP/1.1\r\nHo", options, answer));
    CHECK(head_time == 3s);
    CHECK(count(answer, "HTTP/1.1 408") == 1);
    const auto body_time = testing::run(
        time_until_closed(app, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab", options, answer));
    CHECK(body_time == 5s);
    CHECK(count(answer, "HTTP/1.1 408") == 1);
}

namespace {

Coro<> stall(const Router& app, Duration& time) {
    auto [client, server] = net::memory_pipe(1000);
    ServeOptions options;
    options.write_timeout = 4s;
    auto serving = create_task(serve_stream(std::move(server), app, options));
    co_await client.write(request("GET /big"));
    const auto start = Clock::now();
    co_await serving;
    time = Clock::now() - start;
}

}  // namespace

TEST_CASE("a client that does not take its answer is dropped in time") {
    Router app;
    app.get("/big", [](Request&) -> Coro<Response> { co_return Response::text(std::string(100'000, 'x')); });
    Duration time{};
    testing::run(stall(app, time));
    CHECK(time == 4s);
}

namespace {

struct Fate {
    bool started = false;
    bool finished = false;
    bool cancelled = false;
};

Router fateful(Fate& fate, Duration time) {
    Router app;
    app.any("/", [&fate, time](Request&) -> Coro<Response> {
        fate.started = true;
        try {
            co_await sleep(time);
        } catch (const CancelledError&) {
            fate.cancelled = true;
            throw;
        }
        fate.finished = true;
        co_return Response::text("done");
    });
    return app;
}

Coro<> go_away(const Router& app, std::string bytes) {
    auto [client, server] = net::memory_pipe();
    auto serving = create_task(serve_stream(std::move(server), app));
    co_await client.write(bytes);
    co_await sleep(10ms);
    client.close();
    co_await serving;
}

}  // namespace

TEST_CASE("a handler is cancelled when its client is gone, and not when it has only ended its half") {
    Fate fate;
    testing::run(go_away(fateful(fate, 1h), request("GET /")));
    CHECK(fate.started);
    CHECK(fate.cancelled);
    Fate patient;
    const Router app = fateful(patient, 30s);
    const auto answer = run_talk(app, request("GET /"));
    CHECK(patient.finished);
    CHECK(last_body(answer) == "done");
    Fate uploading;
    testing::run(go_away(fateful(uploading, 1h), request("POST /", {}, "some body")));
    CHECK(uploading.cancelled);
}

namespace {

Router streaming_app() {
    Router app;
    app.get("/stream", [](Request&) -> Coro<Response> {
        co_return Response::stream("text/plain", [](BodyWriter& out) -> Coro<> {
            for (int i = 0; i < 3; ++i) {
                co_await out.write("piece");
                co_await sleep(1s);
            }
        });
    });
    app.get("/sized", [](Request&) -> Coro<Response> {
        co_return Response::stream("text/plain", [](BodyWriter& out) -> Coro<> { co_await out.write("12345"); }, 5);
    });
    app.get("/short", [](Request&) -> Coro<Response> {
        co_return Response::stream("text/plain", [](BodyWriter& out) -> Coro<> { co_await out.write("123"); }, 5);
    });
    app.get("/midfail", [](Request&) -> Coro<Response> {
        co_return Response::stream("text/plain", [](BodyWriter& out) -> Coro<> {
            co_await out.write("begun");
            throw std::runtime_error("detail");
        });
    });
    app.get("/earlyfail", [](Request&) -> Coro<Response> {
        co_return Response::stream("text/plain", [](BodyWriter&) -> Coro<> {
            throw std::runtime_error("detail");
            co_return;
        });
    });
    app.get("/", hello);
    return app;
}

std::string quiet_talk(const Router& app, const std::string& bytes) {
    testing::TestLoop loop;
    loop.loop().set_exception_handler([](Loop&, const ExceptionContext&) {});
    return loop.run(talk(app, bytes));
}

}  // namespace

TEST_CASE("a streamed body is chunked, or has the length that it says, and one that fails is visibly cut") {
    const Router app = streaming_app();
    const std::string next = request("GET /");
    auto answer = quiet_talk(app, request("GET /stream") + next);
    CHECK(answer.find("Transfer-Encoding: chunked\r\n") != answer.npos);
    CHECK(answer.find("\r\n\r\n5\r\npiece\r\n5\r\npiece\r\n5\r\npiece\r\n0\r\n\r\nHTTP/1.1 200") != answer.npos);
    answer = quiet_talk(app, request("HEAD /stream") + next);
    CHECK(count(answer, "HTTP/1.1 200") == 2);
    CHECK(count(answer, "piece") == 0);
    answer = quiet_talk(app, "GET /stream HTTP/1.0\r\n\r\n");
    CHECK(last_body(answer) == "piecepiecepiece");
    answer = quiet_talk(app, request("GET /sized") + next);
    CHECK(answer.find("Content-Length: 5\r\n\r\n12345HTTP/1.1 200") != answer.npos);
    answer = quiet_talk(app, request("GET /short") + next);
    CHECK(last_body(answer) == "123");
    answer = quiet_talk(app, request("GET /midfail") + next);
    CHECK(last_body(answer) == "5\r\nbegun\r\n");
    answer = quiet_talk(app, request("GET /earlyfail") + next);
    CHECK(count(answer, "HTTP/1.1 500") == 1);
    CHECK(count(answer, "HTTP/1.1 200") == 1);
}

namespace {

Coro<> pipelined_writes(const Router& app) {
    auto [client, server] = net::memory_pipe();
    auto serving = create_task(serve_stream(std::move(server), app));
    // The first answer does not wait for the second request's handler.
    co_await client.write(request("GET /") + request("GET /slow?ms=1000") + request("GET /"));
    const auto start = Clock::now();
    static_cast<void>(co_await client.read_until("hello\n"));
    CHECK(Clock::now() == start);
    static_cast<void>(co_await client.read_until("hello\n"));
    CHECK(Clock::now() - start == 1s);
    client.close();
    co_await serving;
}

}  // namespace

TEST_CASE("an answer does not wait for the handler of the next pipelined request") {
    const Router app = small_app();
    testing::run(pipelined_writes(app));
}

TEST_CASE("however a server's connection is cancelled, its handler ends and nothing is left") {
    const Router app = small_app();
    auto once = [&]() -> Coro<> {
        return [](const Router& router) -> Coro<> {
            auto [client, server] = net::memory_pipe(64);
            auto serving = create_task(serve_stream(std::move(server), router));
            auto asking = create_task([](net::Stream& stream) -> Coro<> {
                try {
                    co_await stream.write(request("GET /slow?ms=3") + request("POST /echo", {}, std::string(300, 'x')));
                    static_cast<void>(co_await stream.read_to_end(10'000));
                } catch (const Error&) {  // NOLINT: closed below
                }
            }(client));
            std::exception_ptr failure;
            try {
                co_await sleep(20ms);
                client.close();
                co_await serving;
            } catch (...) {
                failure = std::current_exception();
            }
            serving.cancel();
            client.close();
            if (failure) std::rethrow_exception(failure);
        }(app);
    };
    testing::cut(once, [](std::size_t) -> Coro<> {
        for (int i = 0; i < 5; ++i) co_await sleep(0s);
        CHECK(all_tasks().size() == 1);
    });
}

TEST_CASE("the access log writes a line for each request, and gives it an id") {
    std::vector<std::string> lines;
    Router app = small_app();
    app.use(access_log([&](std::string_view line) { lines.emplace_back(line); }));
    testing::TestLoop loop;
    loop.loop().set_exception_handler([](Loop&, const ExceptionContext&) {});
    const auto answer =
        loop.run(talk(app, request("GET /slow?ms=20", "X-Request-Id: my-id.7\r\n") +
                               request("GET /throw", "X-Request-Id: \"quoted\"\r\n") + request("GET /no")));
    REQUIRE(lines.size() == 3);
    CHECK(lines[0].find("\"id\":\"my-id.7\",\"method\":\"GET\",\"target\":\"/slow?ms=20\",\"route\":\"/slow\","
                        "\"status\":200,\"bytes\":4,\"ms\":20.000}") != std::string::npos);
    CHECK(lines[1].find("\"status\":500") != std::string::npos);
    CHECK(lines[1].find("quoted") == std::string::npos);
    CHECK(lines[2].find("\"route\":\"\",\"status\":404") != std::string::npos);
    CHECK(count(answer, "X-Request-Id: my-id.7\r\n") == 1);
    CHECK(count(answer, "X-Request-Id: ") == 2);
}

TEST_CASE("a connection ends where either side says so, and for HTTP/1.0 unless it asks") {
    Router app = small_app();
    app.get("/close",
            [](Request&) -> Coro<Response> { co_return Response::text("bye").header("Connection", "close"); });
    const std::string next = request("GET /");
    CHECK(count(run_talk(app, request("GET /close") + next), "HTTP/1.1 200") == 1);
    CHECK(count(run_talk(app, request("GET /", "Connection: close\r\n") + next), "HTTP/1.1 200") == 1);
    CHECK(count(run_talk(app, "GET / HTTP/1.0\r\n\r\n" + next), "HTTP/1.1 200") == 1);
    CHECK(count(run_talk(app, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + next), "HTTP/1.1 200") == 2);
}
