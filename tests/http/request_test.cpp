// SPDX-License-Identifier: MIT
#include <coaio/http/request.hpp>

#include <coaio/http/error.hpp>

#include "http/support.hpp"
#include "support/catch.hpp"

#include <cstdint>
#include <string>

using namespace coaio::http;
using tests::FakeRequest;

TEST_CASE("a request shows its head") {
    auto fake = FakeRequest::of("GET /a%20b?x=1&y=a+b&x=2", "Cookie: a=1; b=2\r\nCookie: c=3\r\n");
    const auto& request = fake.request;
    CHECK(request.method() == "GET");
    CHECK(request.target() == "/a%20b?x=1&y=a+b&x=2");
    CHECK(request.path() == "/a%20b");
    CHECK(request.query_string() == "x=1&y=a+b&x=2");
    CHECK(request.query<int>("x") == 1);
    CHECK(request.query("y") == "a b");
    CHECK_FALSE(request.query("z").has_value());
    CHECK(request.query_items().size() == 3);
    CHECK(request.host() == "example.org");
    CHECK(request.header("HOST") == "example.org");
    CHECK(request.cookie("c") == "3");
    CHECK_FALSE(request.cookie("d").has_value());
    CHECK(request.minor_version() == 1);
    CHECK(request.route().empty());
}

TEST_CASE("the other forms of a target are read too") {
    FakeRequest absolute("GET HTTP://Other.org:81?q HTTP/1.1\r\nHost: example.org\r\n\r\n");
    CHECK(absolute.request.host() == "Other.org:81");
    CHECK(absolute.request.path() == "/");
    CHECK(absolute.request.query_string() == "q");
    FakeRequest connect("CONNECT a.b:443 HTTP/1.1\r\nHost: a.b\r\n\r\n");
    CHECK(connect.request.host() == "a.b:443");
    CHECK(connect.request.path().empty());
    FakeRequest options("OPTIONS * HTTP/1.1\r\nHost: a.b\r\n\r\n");
    CHECK(options.request.path() == "*");
}

TEST_CASE("a value that is not of its type is the client's mistake") {
    auto fake = FakeRequest::of("GET /?a=x&b=300&c=-1&d=9223372036854775808&e=&f=-9223372036854775808&g=1%20");
    const auto& request = fake.request;
    CHECK_THROWS_AS(request.query<int>("a"), BadRequest);
    CHECK_THROWS_AS(request.query<std::uint8_t>("b"), BadRequest);
    CHECK(request.query<int>("b") == 300);
    CHECK_THROWS_AS(request.query<unsigned>("c"), BadRequest);
    CHECK(request.query<std::int8_t>("c") == -1);
    CHECK_THROWS_AS(request.query<std::int64_t>("d"), BadRequest);
    CHECK(request.query<std::uint64_t>("d") == 9223372036854775808ULL);
    CHECK_THROWS_AS(request.query<int>("e"), BadRequest);
    CHECK(request.query<std::int64_t>("f") == INT64_MIN);
    CHECK_THROWS_AS(request.query<int>("g"), BadRequest);
    try {
        (void)request.query<int>("a");
        FAIL();
    } catch (const BadRequest& error) {
        CHECK(error.status() == 400);
        CHECK(std::string(error.what()) == "the parameter a is not an integer that fits: x");
    }
}
