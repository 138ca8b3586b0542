// SPDX-License-Identifier: MIT
#include <coaio/net/address.hpp>

#include "support/catch.hpp"

#include <coaio/core/error.hpp>

using coaio::net::Address;

TEST_CASE("an address says what it is, in text and in parts") {
    const auto four = Address::ip("127.0.0.1", 80);
    CHECK(four.text() == "127.0.0.1:80");
    CHECK(four.host() == "127.0.0.1");
    CHECK(four.port() == 80);
    CHECK(four.family() == Address::Family::ipv4);
    const auto six = Address::ip("::1", 443);
    CHECK(six.text() == "[::1]:443");
    CHECK(six.family() == Address::Family::ipv6);
    const auto linked = Address::ip("fe80::1%1", 1);
    CHECK_THAT(linked.host(), tests::contains("fe80::1%"));
    const auto local = Address::local("/run/some.sock");
    CHECK(local.text() == "unix:/run/some.sock");
    CHECK(local.host() == "/run/some.sock");
    CHECK(local.port() == 0);
    CHECK(Address::local(std::string_view("\0name", 5)).text() == "unix:@name");
    CHECK(Address().text().empty());
}

TEST_CASE("addresses compare by value, and survive the kernel's form") {
    const auto one = Address::ip("::1", 443);
    CHECK(one == Address::from_bytes(one.bytes()));
    CHECK_FALSE(one == Address::ip("::1", 444));
    CHECK(Address::from_bytes({}) == Address());
}

TEST_CASE("what is no address is refused, and the error shows it") {
    CHECK_THROWS_WITH(Address::ip("localhost", 1), tests::contains("localhost"));
    CHECK_THROWS_AS(Address::ip("", 1), coaio::ValueError);
    CHECK_THROWS_AS(Address::ip("::1%no-such-interface", 1), coaio::ValueError);
    CHECK_THROWS_AS(Address::local(""), coaio::ValueError);
    CHECK_THROWS_AS(Address::local(std::string(200, 'x')), coaio::ValueError);
    CHECK_NOTHROW(Address::local(std::string(107, 'x')));
}
