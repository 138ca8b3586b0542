// SPDX-License-Identifier: MIT
#include <coaio/http/response.hpp>

#include "date_text.hpp"
#include "decode.hpp"
#include "encode.hpp"
#include "request_access.hpp"
#include "route_tree.hpp"

#include "support/catch.hpp"

#include <cstddef>
#include <cstdlib>
#include <new>
#include <string>

namespace {
std::size_t allocations = 0;
}

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
                            date.at(WallTime{}), "coaio");
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
