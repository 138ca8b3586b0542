// SPDX-License-Identifier: MIT
// With whom a task of a dump deals: peers of reads and writes, of attempts to connect, of handshakes.
#include <coaio/net/connect.hpp>
#include <coaio/net/listen.hpp>
#include <coaio/net/tls.hpp>

#include <coaio/core/dump.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>

#include "net/streams.hpp"
#include "support/catch.hpp"

#include <nlohmann/json.hpp>

#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;
using coaio::net::Address;
using coaio::net::Stream;
using tests::contains;
using Json = nlohmann::json;

namespace {

template <class F, class... Args>
void in_loop(F body, Args... args) {
    coaio::Loop loop;
    loop.run_until_complete(body(std::move(args)...));
}

Json task_named(const std::string& name) {
    const Json dump = Json::parse(coaio::dump_tasks({.format = coaio::DumpFormat::json}));
    for (const Json& node : dump["tasks"]) {
        if (node["name"] == name) return node;
    }
    return {};
}

Coro<> read_one(Stream& stream) { static_cast<void>(co_await stream.read_exactly(1)); }
Coro<> write_much(Stream& stream) { co_await stream.write(std::string(100'000'000, 'x')); }
Coro<> accept_one(coaio::net::Listener& listener, Stream& into) { into = co_await listener.accept(); }

Coro<> ends(coaio::Task<> task) {
    task.cancel();
    try {
        co_await task;
    } catch (const coaio::CancelledError&) {}
}

}  // namespace

TEST_CASE("Who reads, writes or accepts says with whom, and where") {
    in_loop([]() -> Coro<> {
        auto listener = co_await coaio::net::listen("127.0.0.1", 0);
        const std::string at = listener.address().text();
        Stream server;
        auto accepting = create_task(accept_one(listener, server), {.name = "accepts"});
        co_await coaio::sleep(0s);
        const Json accepts = task_named("accepts")["wait"];
        const int number = accepts["detail"]["descriptor"];
        CHECK(accepts["what"] == "accept on socket " + std::to_string(number) + " (" + at + ")");
        CHECK(accepts["detail"]["local"] == at);
        Stream client = co_await coaio::net::connect(listener.address());
        co_await accepting;
        auto reading = create_task(read_one(client), {.name = "reads"});
        auto writing = create_task(write_much(client), {.name = "writes"});
        while (task_named("writes").value("wait", Json()).is_null()) co_await coaio::sleep(0s);
        const std::string socket = "socket " + std::to_string(client.descriptor()) + " (" + at + ")";
        CHECK(task_named("reads")["wait"]["what"] == "read from " + socket);
        CHECK(task_named("reads")["wait"]["detail"] == Json({{"descriptor", client.descriptor()}, {"peer", at}}));
        CHECK(task_named("writes")["wait"]["what"] == "write to " + socket);
        co_await ends(reading);
        co_await ends(writing);
    });
}

TEST_CASE("A Unix socket is shown by its path") {
    std::string folder = "/tmp/coaio-XXXXXX";
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    in_loop(
        [](std::string where) -> Coro<> {
            auto listener = coaio::net::listen(Address::local(where));
            Stream server;
            auto accepting = create_task(accept_one(listener, server));
            Stream client = co_await coaio::net::connect(listener.address());
            co_await accepting;
            auto reading = create_task(read_one(client), {.name = "client"});
            auto answering = create_task(read_one(server), {.name = "server"});
            co_await coaio::sleep(0s);
            CHECK(task_named("client")["wait"]["detail"]["peer"] == "unix:" + where);
            CHECK(task_named("server")["wait"]["detail"]["local"] == "unix:" + where);
            co_await ends(reading);
            co_await ends(answering);
        },
        folder + "/socket");
    ::rmdir(folder.c_str());
}

TEST_CASE("Who connects says with whom: a listener whose queue is full leaves it in the dark") {
    in_loop([]() -> Coro<> {
        auto listener = co_await coaio::net::listen("127.0.0.1", 0, {.backlog = 1});
        const std::string at = listener.address().text();
        auto connects = [](Address where) -> Coro<> {
            const Stream stream = co_await coaio::net::connect(where);
            co_await coaio::sleep(1h);
        };
        std::vector<coaio::Task<>> tasks;
        for (int i = 0; i < 8; ++i) tasks.push_back(create_task(connects(listener.address()), {.name = "the last"}));
        co_await coaio::sleep(0s);
        co_await coaio::sleep(0s);
        Json node;
        const Json dump = Json::parse(coaio::dump_tasks({.format = coaio::DumpFormat::json}));
        for (const Json& each : dump["tasks"]) {
            if (each.contains("doing")) node = each;
        }
        REQUIRE_FALSE(node.is_null());
        CHECK(node["doing"] == Json::array({{{"what", "connect to " + at}, {"detail", {{"peer", at}}}}}));
        CHECK(node["wait"]["what"].get<std::string>().starts_with("connect of socket "));
        for (auto& each : tasks) co_await ends(each);
    });
}

TEST_CASE("Who shakes hands says with whom, and for which name") {
    in_loop([]() -> Coro<> {
        auto listener = co_await coaio::net::listen("127.0.0.1", 0);
        const std::string at = listener.address().text();
        auto connects = [](Address where) -> Coro<> {
            auto context = coaio::net::TlsContext::client();
            const Stream stream = co_await coaio::net::connect(where, {.tls = &context, .server_name = "site.example"});
        };
        auto connecting = create_task(connects(listener.address()), {.name = "connects"});
        Json node;
        while (!node.contains("doing")) {
            co_await coaio::sleep(0s);
            node = task_named("connects");
        }
        CHECK(node["doing"][0]["what"] == "TLS handshake with " + at + " for site.example");
        CHECK(node["doing"][0]["detail"] == Json({{"peer", at}, {"server_name", "site.example"}}));
        CHECK_THAT(coaio::dump_tasks(), contains("|  in TLS handshake with " + at + " for site.example\n"));
        co_await ends(connecting);
    });
}
