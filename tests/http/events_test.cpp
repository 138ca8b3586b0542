// SPDX-License-Identifier: MIT
#include <coaio/http/events.hpp>

#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/http/server.hpp>

#include "server_support.hpp"
#include "support/catch.hpp"

#include <string>
#include <thread>

using namespace coaio;
using namespace coaio::http;
using namespace std::chrono_literals;

TEST_CASE("an event is written with its type, its id, and a field for each line of its data") {
    CHECK(SentEvent("a").text() == "data: a\n\n");
    CHECK(SentEvent("a\nb\r\nc\r").type("page").id("7").text() ==
          "event: page\nid: 7\ndata: a\ndata: b\ndata: c\ndata: \n\n");
    CHECK_THROWS_AS(SentEvent().type("a\nb"), ValueError);
    CHECK_THROWS_AS(SentEvent().id(std::string_view("a\0b", 3)), ValueError);
}

TEST_CASE("each subscriber gets every event in order, and one that is slow loses the oldest") {
    auto body = []() -> Coro<> {
        EventChannel channel(3);
        channel.publish(SentEvent("nobody hears this"));
        auto one = channel.subscribe();
        auto other = channel.subscribe();
        CHECK(channel.subscribers() == 2);
        for (int i = 0; i < 5; ++i) channel.publish(SentEvent(std::to_string(i)));
        for (const char* expected : {"data: 2\n\n", "data: 3\n\n", "data: 4\n\n"}) {
            auto text = co_await one.next();
            CHECK(text == expected);
        }
        CHECK(one.lost() == 2);
        auto waiting = create_task(one.next());
        co_await sleep(1s);
        CHECK_FALSE(waiting.done());
        channel.publish(SentEvent("late"));
        auto late = co_await std::move(waiting);
        CHECK(late == "data: late\n\n");
        channel.close();
        auto end = co_await one.next();
        CHECK_FALSE(end.has_value());
        auto held = co_await other.next();
        CHECK(held == "data: 3\n\n");
    };
    testing::run(body());
}

TEST_CASE("events cross over from another thread") {
    auto body = []() -> Coro<> {
        EventChannel channel;
        auto subscription = channel.subscribe();
        std::thread thread([channel] {
            for (int i = 0; i < 1000; ++i) channel.publish(SentEvent(std::to_string(i)));
            channel.close();
        });
        int received = 0;
        for (;;) {
            auto text = co_await subscription.next();
            if (!text) break;
            ++received;
        }
        thread.join();
        CHECK(static_cast<std::uint64_t>(received) + subscription.lost() == 1000);
    };
    coaio::run(body());
}

TEST_CASE("a client hears events, and a heartbeat when there is nothing to say") {
    auto body = []() -> Coro<> {
        EventChannel channel;
        Router app;
        app.get("/events", [channel](Request&) -> Coro<Response> { co_return event_stream(channel, 10s); });
        auto [client, server] = net::memory_pipe();
        auto serving = create_task(serve_stream(std::move(server), app));
        co_await client.write(tests::request("GET /events"));
        auto head = co_await client.read_until("\r\n\r\n");
        CHECK(head.find("Content-Type: text/event-stream\r\n") != head.npos);
        CHECK(channel.subscribers() == 1);
        channel.publish(SentEvent("x"));
        auto chunk = co_await client.read_until("\n\n\r\n");
        CHECK(chunk == "9\r\ndata: x\n\n\r\n");
        const auto start = Clock::now();
        chunk = co_await client.read_until("\n\n\r\n");
        CHECK(chunk == "3\r\n:\n\n\r\n");
        CHECK(Clock::now() - start == 10s);
        client.close();
        co_await serving;
        CHECK(channel.subscribers() == 0);
    };
    testing::run(body());
}
