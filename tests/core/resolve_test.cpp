// SPDX-License-Identifier: MIT
#include <coaio/core/resolve.hpp>

#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <string>

namespace {

using coaio::AddressFamily;
using coaio::Coro;

}  // namespace

TEST_CASE("a numeric address needs no resolver", "[threads]") {
    coaio::Loop loop;
    auto answers = loop.run_until_complete(loop.getaddrinfo("127.0.0.1", "8080"));
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].address == "127.0.0.1");
    CHECK(answers[0].port == 8080);
    CHECK(answers[0].family == AddressFamily::ipv4);
    answers = loop.run_until_complete(loop.getaddrinfo("::1", ""));
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].family == AddressFamily::ipv6);
    CHECK(answers[0].port == 0);
}

TEST_CASE("a port may be given as a number") {
    coaio::Loop loop;
    const auto answers = loop.run_until_complete(loop.getaddrinfo("127.0.0.1", 8080));
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].port == 8080);
}

TEST_CASE("a name is looked up on a thread, each answer once", "[threads]") {
    coaio::Loop loop;
    const auto answers = loop.run_until_complete(loop.getaddrinfo("localhost", "80"));
    REQUIRE_FALSE(answers.empty());
    for (const auto& answer : answers) {
        CHECK((answer.address == "127.0.0.1" || answer.address == "::1"));
        CHECK(answer.port == 80);
        CHECK(std::count(answers.begin(), answers.end(), answer) == 1);
    }
}

TEST_CASE("the family can be chosen, and an empty host is for listening", "[threads]") {
    coaio::Loop loop;
    const auto four = loop.run_until_complete(loop.getaddrinfo("localhost", "80", {.family = AddressFamily::ipv4}));
    REQUIRE_FALSE(four.empty());
    CHECK(four[0].address == "127.0.0.1");
    const auto every =
        loop.run_until_complete(loop.getaddrinfo("", "80", {.family = AddressFamily::ipv4, .passive = true}));
    REQUIRE(every.size() == 1);
    CHECK(every[0].address == "0.0.0.0");
}

TEST_CASE("a name that does not exist is an error of the resolver that says which", "[threads]") {
    coaio::Loop loop;
    try {
        loop.run_until_complete(loop.getaddrinfo("no-such-host.invalid", "80", {.numeric_only = true}));
        FAIL("found");
    } catch (const coaio::IoError& error) {
        CHECK(error.code().category() == coaio::resolver_category());
        CHECK_THAT(error.what(), tests::contains("no-such-host.invalid:80"));
        CHECK_FALSE(error.code().message().empty());
    }
    CHECK_THROWS_AS(loop.run_until_complete(loop.getaddrinfo(std::string("a\0b", 3), "80")), coaio::ValueError);
}

TEST_CASE("a look-up can be cancelled at once", "[threads]") {
    coaio::Loop loop;
    const bool cancelled = loop.run_until_complete([]() -> Coro<bool> {
        auto task = coaio::create_task(coaio::get_running_loop().getaddrinfo("localhost", "80"));
        co_await coaio::sleep(coaio::Duration::zero());
        task.cancel();
        try {
            co_await task;
        } catch (const coaio::CancelledError&) {
            co_return true;
        }
        co_return false;
    }());
    CHECK(cancelled);
}
