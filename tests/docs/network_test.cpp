// SPDX-License-Identifier: MIT
// The listing about the simulated network in docs/tutorial.md.
#include "support/catch.hpp"

#include <coaio/core.hpp>
#include <coaio/http/client.hpp>
#include <coaio/http/server.hpp>
#include <coaio/net/testing.hpp>

#include <chrono>
#include <stdexcept>
#include <string>

namespace {

using namespace std::chrono_literals;
namespace http = coaio::http;

// [network]
coaio::Coro<http::Router> build_clock() {
    http::Router app;
    app.get("/time", [](http::Request&) -> coaio::Coro<http::Response> {
        co_await coaio::sleep(200ms);
        co_return http::Response::text("noon");
    });
    co_return app;
}

coaio::Coro<> ask_the_clock() {
    coaio::net::testing::Network network({.jitter = 50ms, .chunk = true, .reset_rate = 0.01});
    network.host("clock.example", "10.0.0.1");
    http::Server server(build_clock, {.host = "clock.example", .port = 80});
    co_await server.start();

    const http::Client client;
    for (int i = 0; i < 10; ++i) {
        std::string time;
        try {
            auto response = co_await client.get("http://clock.example/time", {.timeout = 5s});
            time = co_await response.text();
        } catch (const coaio::IoError&) {  // the network reset the connection
            continue;
        }
        if (time != "noon") throw std::logic_error("it is never " + time);
    }

    network.silence("clock.example");
    bool late = false;
    try {
        auto response = co_await client.get("http://clock.example/time", {.timeout = 5s});
    } catch (const coaio::TimeoutError&) {
        late = true;
    }
    if (!late) throw std::logic_error("nobody can have answered");
    co_await server.stop(1s);
}

void test_clock() { coaio::testing::explore(ask_the_clock, {.seeds = 20}); }
// [/network]

}  // namespace

TEST_CASE("the listing about the simulated network is a test that passes") { test_clock(); }
