// SPDX-License-Identifier: MIT
#include "encode.hpp"

#include <coaio/http/error.hpp>

#include "http/decode_events.hpp"
#include "support/catch.hpp"

#include <string>

using namespace coaio::http;
using namespace coaio::http::detail;

namespace {

std::string head(const ResponsePlanInput& input, const Headers& headers = {}, std::string_view date_line = {},
                 std::string_view server = {}) {
    std::string out;
    write_response_head(out, input.status, {}, headers, plan_response(input), input, date_line, server);
    return out;
}

}  // namespace

TEST_CASE("a response of known length says it") {
    ResponsePlanInput input;
    input.length = 13;
    CHECK(head(input, {{"Content-Type", "text/plain"}}, "Date: DATE\r\n", "coaio") ==
          "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: DATE\r\nServer: coaio\r\nContent-Length: 13\r\n\r\n");
    input.keep_alive = false;
    CHECK(head(input) == "HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n");
}

TEST_CASE("a response of unknown length is chunked, and to HTTP/1.0 ends with the stream") {
    ResponsePlanInput input;
    CHECK(head(input) == "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    input.request_minor = 0;
    CHECK(head(input) == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    input.length = 2;
    CHECK(head(input) == "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n");
}

TEST_CASE("HEAD is told what GET would be, without a body") {
    ResponsePlanInput input;
    input.head_request = true;
    input.length = 5;
    CHECK(head(input) == "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    CHECK_FALSE(plan_response(input).send_body);
    input.length = 0;
    CHECK(head(input, {{"content-length", "77"}}) == "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n");
}

TEST_CASE("204 and 304 have neither a body nor a framing of their own") {
    ResponsePlanInput input;
    input.status = 204;
    input.length = 0;
    CHECK(head(input) == "HTTP/1.1 204 No Content\r\n\r\n");
    input.status = 304;
    CHECK(head(input, {{"Content-Length", "9"}, {"ETag", "\"x\""}}) ==
          "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 9\r\n\r\n");
    CHECK_FALSE(plan_response(input).send_body);
}

TEST_CASE("what a handler says about framing does not reach the wire, its other words about the connection do") {
    ResponsePlanInput input;
    input.length = 1;
    CHECK(head(input, {{"Content-Length", "99"}, {"Transfer-Encoding", "chunked"}, {"Connection", "close, X-Hop"}}) ==
          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: X-Hop\r\n\r\n");
    ResponsePlanInput upgrade;
    upgrade.status = 101;
    CHECK(head(upgrade, {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}}) ==
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
}

TEST_CASE("a code without a phrase has none") {
    ResponsePlanInput input;
    input.status = 299;
    input.length = 0;
    CHECK(head(input) == "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n");
}

TEST_CASE("a request head starts with its Host") {
    std::string out;
    RequestPlan plan;
    write_request_head(out, "GET", "/a?b", "example.org:81", {{"Accept", "*/*"}}, plan);
    CHECK(out == "GET /a?b HTTP/1.1\r\nHost: example.org:81\r\nAccept: */*\r\n\r\n");
    out.clear();
    plan.framing = Framing::length;
    plan.length = 3;
    plan.keep_alive = false;
    plan.expect_continue = true;
    write_request_head(out, "POST", "/", "a", {{"host", "b"}, {"Expect", "x"}}, plan);
    CHECK(out ==
          "POST / HTTP/1.1\r\nHost: b\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
}

TEST_CASE("nothing gets through a method, target or host into the protocol") {
    std::string out;
    RequestPlan plan;
    CHECK_THROWS_AS(write_request_head(out, "GET /", "/", "a", {}, plan), HeaderError);
    CHECK_THROWS_AS(write_request_head(out, "", "/", "a", {}, plan), HeaderError);
    for (const char* target : {"", "/a b", "/a\r\nX: y", "/\xc3\xa4", "/a#b", "/\x7f"}) {
        CHECK_THROWS_AS(write_request_head(out, "GET", target, "a", {}, plan), HeaderError);
    }
    CHECK_THROWS_AS(write_request_head(out, "GET", "/", "a\r\nX: y", {}, plan), HeaderError);
    CHECK(out.empty());
}

TEST_CASE("chunks and trailers") {
    CHECK(ChunkHead(0).text() == "0\r\n");
    CHECK(ChunkHead(255).text() == "ff\r\n");
    CHECK(ChunkHead(UINT64_MAX).text() == "ffffffffffffffff\r\n");
    std::string out;
    write_last_chunk(out, {{"X-Sum", "1"}, {"Content-Length", "5"}, {"Set-Cookie", "a=b"}});
    CHECK(out == "0\r\nX-Sum: 1\r\n\r\n");
}

TEST_CASE("what is encoded is decoded to the same") {
    ResponsePlanInput input;
    std::string wire = head(input, {{"X", "y"}});
    wire += std::string(ChunkHead(5).text()) + "hello" + std::string(chunk_end) + std::string(last_chunk);
    auto events = tests::decode_events(Side::response, wire, {}, "GET", {});
    CHECK(events == std::vector<std::string>{"200 OK HTTP/1.1 chunked keep-alive", "body hello", "header X: y",
                                             "header Transfer-Encoding: chunked", "end"});
}
