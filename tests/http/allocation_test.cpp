// SPDX-License-Identifier: MIT
#include <coaio/http/response.hpp>

#include <coaio/core/loop.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/http/router.hpp>
#include <coaio/http/server.hpp>
#include <coaio/net/stream.hpp>

#include "date_text.hpp"
#include "decode.hpp"
#include "encode.hpp"
#include "request_access.hpp"
#include "route_tree.hpp"

#include "support/catch.hpp"
#include "support/sanitizers.hpp"

#include <array>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <span>
#include <string>
#include <string_view>

namespace {
std::size_t allocations = 0;
}  // namespace

#if !COAIO_TEST_SANITIZED  // which have their own
void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
    throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    ++allocations;
    return std::malloc(size == 0 ? 1 : size);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif

using namespace coaio::http;
using namespace coaio::http::detail;

TEST_CASE("once warm, a plain request allocates nothing between its bytes and those of its answer") {
    const std::string bytes = "GET /users/7?x=%20 HTTP/1.1\r\nHost: example.org\r\nUser-Agent: a/1.0\r\nAccept: */*\r\n"
                              "Accept-Language: en\r\nAccept-Encoding: gzip\r\nCookie: a=b\r\nX-A: 1\r\nX-B: 2\r\n\r\n";
    Decoder decoder(Side::request, {});
    Request request;
    RouteTree tree;
    tree.add("GET", "/users/{id}");
    DateText date;
    std::string out;
    std::size_t body = 0;

    auto serve = [&] {
        out.clear();
        auto step = decoder.next(bytes);
        RequestAccess::assign(request, decoder.head());
        auto match = tree.find(request.method(), request.path(), RequestAccess::params(request));
        auto response = Response::text("a small fixed response that is longer than a short string");
        response.header("X-Id", request.param("id"));
        ResponsePlanInput input;
        input.length = response.body().size();
        input.keep_alive = decoder.head().keep_alive;
        write_response_head(out, response.status(), {}, response.headers(), plan_response(input), input,
                            date.line(WallTime{}), "coaio");
        body += response.body().size() + match.route + step.consumed;
        step = decoder.next({});
        decoder.begin();
    };
    for (int i = 0; i < 3; ++i) serve();
    std::size_t before = allocations;
    for (int i = 0; i < 100; ++i) serve();
    CHECK(allocations - before == 0);
    CHECK(body > 0);
    CHECK(out.find("X-Id: 7\r\n") != out.npos);
}

namespace {

std::array<char, 64 * 1024> room{};  // too large for a frame of the pool

coaio::Coro<> ask(coaio::net::Stream& stream, std::string_view bytes, std::size_t expected) {
    co_await stream.write(bytes);
    for (std::size_t got = 0; got < expected;) got += co_await stream.read_some(std::span<char>(room));
}

coaio::Coro<> count_requests(const Router& app, std::string bytes, std::size_t answers, std::size_t& counted) {
    auto [client, server] = coaio::net::memory_pipe();
    auto serving = coaio::create_task(serve_stream(std::move(server), app));
    // The length of one answer.
    co_await client.write(bytes);
    std::size_t size = 0;
    while (size == 0 || room[size - 1] != '!') {
        size += co_await client.read_some(std::span<char>(room).subspan(size));
    }
    CHECK(std::string_view(room.data(), size).find("200 OK") != std::string_view::npos);
    std::string many;
    for (std::size_t i = 0; i < answers; ++i) many += bytes;
    for (int i = 0; i < 20; ++i) co_await ask(client, many, size * answers);
    const std::size_t before = allocations;
    for (int i = 0; i < 200; ++i) co_await ask(client, many, size * answers);
    counted = allocations - before;
    client.close();
    co_await serving;
}

coaio::Coro<Response> small(Request& request) {
    auto response = Response::text("a small fixed response that is longer than a short string!");
    response.header("X-Id", request.param("id"));
    co_return response;
}

coaio::Coro<Response> read_and_answer(Request& request) {
    std::size_t size = 0;
    for (;;) {
        const auto piece = co_await request.read_some();
        if (piece.empty()) break;
        size += piece.size();
    }
    co_return size == 5 ? Response::text("got it all!") : Response::text("not all!", Status::bad_request);
}

}  // namespace

TEST_CASE("once warm, a server's connection allocates nothing for a plain request, alone or pipelined") {
    Router app;
    app.get("/users/{id}", small);
    app.post("/read", read_and_answer);
    std::size_t counted = 0;
    {
        coaio::Loop loop;
        auto nothing = []() -> coaio::Coro<> { co_return; };
        loop.run_until_complete(nothing());
        if (loop.stats().frame_pool_bytes == 0) return;  // this build takes each frame from the heap
    }
    const std::string get = "GET /users/7 HTTP/1.1\r\nHost: example.org\r\nUser-Agent: a/1.0\r\nAccept: */*\r\n\r\n";
    coaio::testing::run(count_requests(app, get, 1, counted));
    CHECK(counted == 0);
    coaio::testing::run(count_requests(app, get, 16, counted));
    CHECK(counted == 0);
    const std::string post = "POST /read HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5\r\n\r\nhello";
    coaio::testing::run(count_requests(app, post, 1, counted));
    CHECK(counted == 0);
}
