// SPDX-License-Identifier: MIT
#include <coaio/http/headers.hpp>

#include <coaio/http/error.hpp>

#include "support/catch.hpp"

#include <string>
#include <utility>

using coaio::http::HeaderError;
using coaio::http::Headers;

TEST_CASE("headers keep their order, their case and their duplicates") {
    Headers headers;
    headers.add("Set-Cookie", "a=1").add("X-Id", "7").add("set-cookie", "b=2");
    REQUIRE(headers.size() == 3);
    CHECK(headers[0].name == "Set-Cookie");
    CHECK(headers[2].name == "set-cookie");
    CHECK(headers.get_all("SET-COOKIE") == std::vector<std::string_view>{"a=1", "b=2"});
    CHECK(headers.get("x-id") == "7");
    CHECK_FALSE(headers.get("x-i").has_value());
    CHECK(headers.get_or("none", "else") == "else");
}

TEST_CASE("set replaces all of a name and keeps the first one's place") {
    Headers headers{{"A", "1"}, {"B", "2"}, {"a", "3"}};
    headers.set("A", "4");
    CHECK(headers == Headers{{"A", "4"}, {"B", "2"}});
    headers.set("C", "5");
    CHECK(headers.size() == 3);
    CHECK(headers.remove("b") == 1);
    CHECK(headers.remove("b") == 0);
    CHECK(headers == Headers{{"A", "4"}, {"C", "5"}});
}

TEST_CASE("no line break, NUL or control character gets into a header") {
    Headers headers;
    using namespace std::string_literals;
    for (const auto& bad : {"a\r\nB: c"s, "a\nb"s, "a\rb"s, "a\0b"s, "a\x01"s, "a\x7f"s}) {
        CHECK_THROWS_AS(headers.add("X", bad), HeaderError);
        CHECK_THROWS_AS(headers.set("X", bad), HeaderError);
    }
    for (std::string bad : {"", "a b", "a:", "a\r\n", "ä", "a(b)"}) CHECK_THROWS_AS(headers.add(bad, "x"), HeaderError);
    CHECK(headers.empty());
    headers.add("X", "tab\there, high \xc3\xa4");
    CHECK(headers.size() == 1);
    CHECK_THROWS_WITH(headers.add("X-Name", "ab\nc"), tests::contains("X-Name") && tests::contains("byte 2"));
}

TEST_CASE("spaces around a value are not part of it") {
    Headers headers;
    headers.add("X", " \t a b \t");
    CHECK(headers.get("X") == "a b");
}

TEST_CASE("a list is searched by its words, and not inside quotes") {
    Headers headers{{"Connection", "keep-alive, Upgrade"}, {"connection", "x"}, {"Y", "\"a, close\", b"}};
    CHECK(headers.has_word("connection", "upgrade"));
    CHECK(headers.has_word("connection", "X"));
    CHECK_FALSE(headers.has_word("connection", "keep"));
    CHECK_FALSE(headers.has_word("y", "close"));
    CHECK(headers.has_word("y", "b"));
    CHECK(headers.joined("Connection") == "keep-alive, Upgrade, x");
}

TEST_CASE("a copy owns its text, and a move leaves nothing behind") {
    Headers copy;
    {
        Headers headers{{"A", std::string(2000, 'x')}, {"B", "2"}};
        copy = headers;
        Headers moved = std::move(headers);
        CHECK(moved == copy);
        CHECK(headers.empty());  // NOLINT: moved from on purpose
    }
    CHECK(copy.get("A")->size() == 2000);
    copy = Headers{};
    CHECK(copy.empty());
}

TEST_CASE("a header that is set again and again does not grow for ever, even from its own text") {
    Headers headers{{"A", "first"}, {"B", "kept"}};
    for (int i = 0; i < 20000; ++i) {
        headers.set("A", std::string(static_cast<std::size_t>(i % 97), 'a') + std::to_string(i));
        if (i % 3 == 0) headers.set("B", *headers.get("B"));
        if (i % 5 == 0) headers.set("A", *headers.get("A"));
    }
    CHECK(headers.get("B") == "kept");
    CHECK(headers.get("A") == std::string(19999 % 97, 'a') + "19999");
    headers.add("C", *headers.get("A"));
    CHECK(headers.get("C") == headers.get("A"));
}
