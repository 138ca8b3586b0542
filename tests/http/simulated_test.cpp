// SPDX-License-Identifier: MIT
// Server and client whole over a simulated network, seed by seed and cut by cut.
#include <coaio/http/client.hpp>
#include <coaio/http/server.hpp>

#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/net/testing.hpp>

#include "net/streams.hpp"
#include "support/catch.hpp"
#include "support/seeds.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace coaio;
using namespace coaio::http;
using namespace std::chrono_literals;
using net::testing::Network;
using net::testing::NetworkOptions;

namespace {

constexpr std::string_view piece = "0123456789abcdef";

/// How often each order that a client posted was taken.
using Orders = std::map<int, int>;

Router shop(Orders& orders) {
    Router app;
    app.get("/text", [](Request&) -> Coro<Response> { co_return Response::text("hello"); });
    app.any("/echo", [](Request& req) -> Coro<Response> {
        auto body = co_await req.body();
        co_return Response::text(std::move(body));
    });
    app.get("/stream", [](Request&) -> Coro<Response> {
        co_return Response::stream("text/plain", [](BodyWriter& out) -> Coro<> {
            for (int i = 0; i < 50; ++i) {
                co_await out.write(piece);
                if (i % 10 == 0) co_await sleep(100ms);
            }
        });
    });
    app.get("/unread", [](Request&) -> Coro<Response> { co_return Response::text(std::string(100'000, 'u')); });
    app.post("/orders/{id}", [&orders](Request& req) -> Coro<Response> {
        ++orders[req.param<int>("id")];
        co_return Response::text("taken");
    });
    return app;
}

Coro<Router> build_shop(Orders& orders) { co_return shop(orders); }

std::size_t draw(std::size_t below) { return get_running_loop().random() % below; }

/// What the requests of one run came to.
struct Tally {
    int right = 0;
    int failed = 0;
    int cancelled = 0;
    int next_order = 0;
};

void require_answer(const ClientResponse& response, const std::string& text, const std::string& expected) {
    if (response.status() != Status::ok) throw std::logic_error("status " + std::to_string(response.status().code()));
    if (text != expected) throw std::logic_error("a wrong answer, " + std::to_string(text.size()) + " bytes");
}

Coro<> read_all(ClientResponse response, std::string expected) {
    const std::string text = co_await response.body();
    require_answer(response, text, expected);
}

Coro<> one_request(const Client& client, const std::string& base, Tally& tally) {
    switch (draw(5)) {
    case 0: {
        auto response = co_await client.get(base + "/text");
        co_await read_all(std::move(response), "hello");
        break;
    }
    case 1: {
        std::string body(draw(20'000), 'b');
        auto response = co_await client.post(base + "/echo", body, "text/plain");
        co_await read_all(std::move(response), std::move(body));
        break;
    }
    case 2: {
        std::string whole;
        for (int i = 0; i < 50; ++i) whole += piece;
        auto response = co_await client.get(base + "/stream");
        co_await read_all(std::move(response), std::move(whole));
        break;
    }
    case 3: {
        auto response = co_await client.get(base + "/unread");
        require_answer(response, {}, {});
        break;
    }
    default: {
        const std::string where = base + "/orders/" + std::to_string(tally.next_order++);
        auto response = co_await client.post(where, "order", "text/plain");
        co_await read_all(std::move(response), "taken");
    }
    }
}

// Errors of coaio are clear ones; a wrong answer is a logic_error, and fails the run.
Coro<> customer(const Client& client, const std::string& base, Tally& tally) {
    for (int i = 0; i < 4; ++i) {
        auto task = create_task(one_request(client, base, tally));
        std::optional<TimerHandle> axe;
        if (draw(4) == 0) {
            axe = get_running_loop().call_later(Duration(draw(200'000'000)), [task] { task.cancel(); });
        }
        try {
            co_await task;
            ++tally.right;
        } catch (const Error& error) {
            ++tally.failed;
            if (std::string_view(error.what()).size() < 10) throw std::logic_error("an unclear error");
        } catch (const CancelledError&) {
            ++tally.cancelled;
        }
        if (axe) axe->cancel();
        co_await sleep(Duration(draw(3'000'000'000)));
    }
}

// Whole: nobody is busy, and as many requests at once as may be are answered, whatever happened before.
Coro<> check_pool(const Client& client, const std::string& base, std::size_t max_per_host) {
    CHECK(client.statistics().busy == 0);
    CHECK(client.statistics().idle <= max_per_host);
    std::vector<Task<>> tasks;
    tasks.reserve(max_per_host + 1);
    for (std::size_t i = 0; i < max_per_host + 1; ++i) {
        tasks.push_back(create_task([](const Client& from, std::string url) -> Coro<> {
            auto response = co_await from.get(url, {.timeout = 10s});
            co_await read_all(std::move(response), "hello");
        }(client, base + "/text")));
    }
    for (const auto& each : tasks) co_await each;
    CHECK(client.statistics().busy == 0);
    CHECK(client.statistics().idle <= max_per_host);
}

Coro<> trade(Tally& all, bool secure) {
    Network network({.jitter = 20ms,
                     .chunk = true,
                     .loss_rate = 0.02,
                     .reset_rate = 0.002,
                     .refuse_rate = 0.05,
                     .lookup_failure_rate = 0.02,
                     .exhaustion_rate = 0.02});
    network.host("shop.example", "10.0.0.1");
    get_running_loop().set_exception_handler([](Loop&, const ExceptionContext&) {});  // of the server's EMFILE
    Orders orders;
    Tally tally;
    const auto server_tls = tests::server_context();
    ServeOptions options{.host = "", .port = 80};
    if (secure) options.tls = &server_tls;
    std::optional<Server> server;
    // Its own socket, too, may be refused by a kernel that has none.
    for (bool up = false; !up;) {
        server.emplace([&orders](Scope&) -> Coro<Router> { return build_shop(orders); }, options);
        try {
            co_await server->start();
            up = true;
        } catch (const IoError&) {}  // NOLINT: again
    }
    {
        const std::size_t most = 3;
        const Client client(ClientOptions().max_per_host(most).tls(tests::client_context()).timeout(60s));
        const std::string base = secure ? "https://localhost:80" : "http://shop.example";
        std::vector<Task<>> customers;
        customers.reserve(5);
        for (int i = 0; i < 5; ++i) customers.push_back(create_task(customer(client, base, tally)));
        for (const auto& each : customers) co_await each;
        network.set_options({});
        co_await check_pool(client, base, most);
        for (const auto& [id, count] : orders) {
            if (count > 1) throw std::logic_error("order " + std::to_string(id) + " was taken twice");
        }
    }
    co_await server->stop(5s);
    CHECK(server->statistics().connections == 0);
    CHECK(server->statistics().running == 0);
    server.reset();
    co_await sleep(1s);
    CHECK(network.sockets() == 0);
    all.right += tally.right;
    all.failed += tally.failed;
    all.cancelled += tally.cancelled;
}

/// A server and a client with one connection at most, for a request that is cut.
struct Stage {
    explicit Stage(NetworkOptions options)
        : network(options),
          server([this](Scope&) -> Coro<Router> { return build_shop(orders); }, {.host = "10.0.0.1", .port = 80}),
          client(ClientOptions().max_per_host(1)) {}
    Network network;
    Orders orders;
    Server server;
    Client client;
};

using Ask = Coro<> (*)(const Client& client);

Coro<> set_up_and_ask(std::unique_ptr<Stage>& stage, Ask request) {
    stage = std::make_unique<Stage>(NetworkOptions{.jitter = 3ms, .chunk = true});
    co_await stage->server.start();
    co_await request(stage->client);
}

Coro<> check_stage(std::unique_ptr<Stage>& stage) {
    if (stage == nullptr) co_return;
    co_await sleep(10s);  // what was not cut comes to its end
    if (stage->server.port() != 0) {
        co_await check_pool(stage->client, "http://10.0.0.1", 1);
        for (const auto& [id, count] : stage->orders) CHECK(count == 1);
    }
    co_await stage->server.stop(1s);
    Network network = stage->network;
    stage.reset();
    co_await sleep(1s);
    CHECK(network.sockets() == 0);
}

std::size_t cut_each_turn(Ask request, std::optional<std::uint64_t> seed) {
    std::unique_ptr<Stage> stage;
    std::size_t cuts = 0;
    testing::cut([&] { return set_up_and_ask(stage, request); },
                 [&](std::size_t) {
                     ++cuts;
                     return check_stage(stage);
                 },
                 {.seed = seed});
    return cuts;
}

/// In the plain order, and in that of some seeds; gives how many cuts the plain order has.
std::size_t cut_everywhere(Ask request) {
    for (std::uint64_t seed = 1; seed <= tests::dear_seeds(3); ++seed) {
        CAPTURE(seed);
        cut_each_turn(request, seed);
    }
    return cut_each_turn(request, std::nullopt);
}

}  // namespace

TEST_CASE("on rough networks every request gets its whole answer or a clear error, and the pool stays whole") {
    Tally all;
    testing::explore([&] { return trade(all, false); });
    CHECK(all.right > all.failed);
    CHECK(all.failed > 0);
    CHECK(all.cancelled > 0);
}

TEST_CASE("on rough networks, over TLS, too") {
    Tally all;
    // So many and no more: handshakes are dear.
    for (std::uint64_t seed = 1; seed <= tests::dear_seeds(10); ++seed) {
        CAPTURE(seed);
        testing::run(trade(all, true), {.seed = seed});
    }
    CHECK(all.right > all.failed);
    CHECK(all.failed > 0);
}

TEST_CASE("a request that is cut at any turn leaves the pool whole: a small answer, then a streamed one") {
    const std::size_t cuts = cut_everywhere([](const Client& client) -> Coro<> {
        auto response = co_await client.get("http://10.0.0.1/text");
        co_await read_all(std::move(response), "hello");
        response = co_await client.get("http://10.0.0.1/stream");
        std::string text = co_await response.body();
        CHECK(text.size() == 50 * piece.size());
    });
    CHECK(cuts > 50);
}

TEST_CASE("a request that is cut at any turn leaves the pool whole: a posted body, and an order never taken twice") {
    const std::size_t cuts = cut_everywhere([](const Client& client) -> Coro<> {
        auto response = co_await client.post("http://10.0.0.1/echo", std::string(100'000, 'b'), "text/plain");
        co_await read_all(std::move(response), std::string(100'000, 'b'));
        response = co_await client.post("http://10.0.0.1/orders/1", "order", "text/plain");
        co_await read_all(std::move(response), "taken");
    });
    CHECK(cuts > 20);
}

TEST_CASE("a request that is cut while it waits for its turn leaves the turn to the next") {
    const std::size_t cuts = cut_everywhere([](const Client& client) -> Coro<> {
        auto first = create_task([](const Client& from) -> Coro<> {
            auto response = co_await from.get("http://10.0.0.1/stream");
            static_cast<void>(co_await response.body());
        }(client));
        auto response = co_await client.get("http://10.0.0.1/text");
        co_await read_all(std::move(response), "hello");
        co_await first;
    });
    CHECK(cuts > 20);
}

TEST_CASE("a connection that the server closes for idleness at the moment of a request: asked again, never twice") {
    int again = 0;
    for (int step = -30; step <= 30; ++step) {
        for (const bool get : {true, false}) {
            CAPTURE(step, get);
            testing::run([](int at, bool is_get, int& repeated) -> Coro<> {
                const Network network;
                Orders orders;
                Server server([&orders](Scope&) -> Coro<Router> { return build_shop(orders); },
                              {.host = "10.0.0.1", .port = 80, .idle_timeout = 5s});
                co_await server.start();
                const Client client;
                auto response = co_await client.get("http://10.0.0.1/text");
                co_await read_all(std::move(response), "hello");
                co_await sleep(5s + at * 100us);
                if (is_get) {
                    response = co_await client.get("http://10.0.0.1/text");
                    co_await read_all(std::move(response), "hello");
                    if (client.statistics().opened == 2) ++repeated;
                } else {
                    try {
                        response = co_await client.post("http://10.0.0.1/orders/1", "order", "text/plain");
                        co_await read_all(std::move(response), "taken");
                        CHECK(orders[1] == 1);
                    } catch (const Error&) {
                        CHECK(orders[1] == 0);
                    }
                }
                CHECK(client.statistics().busy == 0);
                co_await server.stop(1s);
            }(step, get, again));
        }
    }
    CHECK(again > 5);
}

TEST_CASE("a connection that is reset after the handler and before the answer: GET is asked again, POST is not") {
    for (const bool get : {true, false}) {
        CAPTURE(get);
        testing::run([](bool is_get) -> Coro<> {
            const Network network;
            int calls = 0;
            auto build = [&calls](Scope&) -> Coro<Router> {
                return [](int& count) -> Coro<Router> {
                    Router app;
                    app.any("/", [&count](Request&) -> Coro<Response> {
                        // The second call is the first on a connection that was used before.
                        if (++count == 2) Network::current().reset("10.0.0.1");
                        co_return Response::text("hello");
                    });
                    co_return app;
                }(calls);
            };
            Server server(build, {.host = "10.0.0.1", .port = 80});
            co_await server.start();
            const Client client;
            auto response = co_await client.get("http://10.0.0.1/");
            co_await read_all(std::move(response), "hello");
            bool failed = false;
            try {
                response = co_await client.request(ClientRequest(is_get ? "GET" : "POST", "http://10.0.0.1/"));
                co_await read_all(std::move(response), "hello");
            } catch (const IoError&) {
                failed = true;
            }
            CHECK(failed == !is_get);
            CHECK(calls == (is_get ? 3 : 2));
            CHECK(client.statistics().busy == 0);
            co_await server.stop(1s);
        }(get));
    }
}
