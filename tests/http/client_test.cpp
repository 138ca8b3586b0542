// SPDX-License-Identifier: MIT
#include <coaio/http/client.hpp>

#include <coaio/core/gather.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/http/server.hpp>

#include "server_support.hpp"
#include "support/catch.hpp"

#include <zlib.h>

#include <memory>
#include <string>
#include <vector>

using namespace coaio;
using namespace coaio::http;
using namespace std::chrono_literals;
using tests::count;

namespace {

/// A server in memory for every origin, and what it was asked.
struct Net {
    Router app;
    ServeOptions options;
    std::size_t opened = 0;
    std::vector<std::string> origins;

    Net() {
        app.any("/echo", [](Request& req) -> Coro<Response> {
            auto body = co_await req.body();
            std::string text(req.method());
            text += " " + std::string(req.target()) + "\n";
            for (const auto& each : req.headers())
                text += std::string(each.name) + ": " + std::string(each.value) + "\n";
            co_return Response::text(text + "\n" + body);
        });
        app.get("/slow", [](Request& req) -> Coro<Response> {
            co_await sleep(std::chrono::milliseconds(req.query<int>("ms").value_or(1000)));
            co_return Response::text("slow");
        });
        app.any("/to/{status}", [](Request& req) -> Coro<Response> {
            co_return Response::redirect(req.query("where").value_or("/echo"), Status(req.param<int>("status")));
        });
        app.get("/cookie", [](Request&) -> Coro<Response> {
            co_return Response::text("set").cookie(SetCookie("a", "1").path("/"));
        });
        app.get("/big", [](Request&) -> Coro<Response> { co_return Response::text(std::string(500'000, 'x')); });
        app.get("/stream", [](Request&) -> Coro<Response> {
            co_return Response::stream("text/plain", [](BodyWriter& out) -> Coro<> {
                for (int i = 0; i < 5; ++i) {
                    co_await out.write("piece");
                    co_await sleep(1s);
                }
                out.trailers().add("X-Sum", "5");
            });
        });
    }

    Connector connector() {
        return [this](const Url& url) { return open(*this, url); };
    }
    static Coro<net::Stream> open(Net& self, Url url) {
        ++self.opened;
        self.origins.push_back(url.origin());
        auto [client, server] = net::memory_pipe();
        static_cast<void>(create_task(serve_stream(std::move(server), self.app, self.options)));
        co_return std::move(client);
    }
    Client client(ClientOptions how = {}) { return Client(how.connector(connector())); }
};

/// Answers with fixed bytes, one text a connection, whatever it is asked.
struct Script {
    std::vector<std::string> answers;
    std::vector<std::string> asked;
    std::size_t opened = 0;
    Duration delay{};

    Connector connector() {
        return [this](const Url&) { return open(*this); };
    }
    static Coro<> play(Script& self, net::Stream stream, std::string answer) {
        self.asked.push_back(co_await stream.read_until("\r\n\r\n"));
        co_await sleep(self.delay);
        co_await stream.write(answer);
        co_await stream.shutdown_write();
        try {
            static_cast<void>(co_await stream.read_to_end(1'000'000));
        } catch (const Error&) {  // NOLINT: gone
        }
    }
    static Coro<net::Stream> open(Script& self) {
        auto [client, server] = net::memory_pipe();
        const std::string answer = self.answers.at(self.opened++);
        static_cast<void>(create_task(play(self, std::move(server), answer)));
        co_return std::move(client);
    }
};

Coro<std::string> text_of(const Client& client, std::string url) {
    auto response = co_await client.get(url);
    co_return co_await response.text();
}

}  // namespace

TEST_CASE("a client asks with Host, agent and codings, and keeps its connection for the next request") {
    Net world;
    auto body = [](Net& net) -> Coro<> {
        auto client = net.client();
        auto response = co_await client.get("http://example.org/echo?q=1#part");
        CHECK(response.status() == Status::ok);
        CHECK(response.url().to_string() == "http://example.org/echo?q=1#part");
        const auto text = co_await response.text();
        CHECK(text == "GET /echo?q=1\nHost: example.org\nUser-Agent: coaio\nAccept: */*\n"
                      "Accept-Encoding: gzip, deflate, br\n\n");
        CHECK(client.statistics().idle == 1);
        auto posted = co_await client.post("http://example.org/echo", "hello", "text/plain");
        const auto echoed = co_await posted.text();
        CHECK(echoed.ends_with("\n\nhello"));
        CHECK(net.opened == 1);
        co_await sleep(31s);
        CHECK(client.statistics().idle == 0);
    };
    testing::run(body(world));
}

TEST_CASE("a connection that died while it was idle is no error") {
    Net world;
    world.options.idle_timeout = 5s;
    auto body = [](Net& net) -> Coro<> {
        auto client = net.client();
        static_cast<void>(co_await text_of(client, "http://a/echo"));
        CHECK(client.statistics().idle == 1);
        co_await sleep(6s);
        CHECK(client.statistics().idle == 0);
        static_cast<void>(co_await text_of(client, "http://a/echo"));
        CHECK(net.opened == 2);
    };
    testing::run(body(world));
}

namespace {

/// Answers once, and hangs up on the second request without a word.
struct Fickle {
    std::size_t opened = 0;
    std::size_t asked = 0;

    Connector connector() {
        return [this](const Url&) { return open(*this); };
    }
    static Coro<> play(Fickle& self, net::Stream stream) {
        static_cast<void>(co_await stream.read_until("\r\n\r\n"));
        ++self.asked;
        co_await stream.write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
        try {
            static_cast<void>(co_await stream.read_until("\r\n\r\n"));
            ++self.asked;
        } catch (const Error&) {  // NOLINT: gone
        }
    }
    static Coro<net::Stream> open(Fickle& self) {
        ++self.opened;
        auto [client, server] = net::memory_pipe();
        static_cast<void>(create_task(play(self, std::move(server))));
        co_return std::move(client);
    }
};

}  // namespace

TEST_CASE("a request to which a kept connection died is repeated where that is allowed, and not otherwise") {
    Fickle server;
    auto body = [](Fickle& fickle) -> Coro<> {
        Client client(ClientOptions().connector(fickle.connector()));
        static_cast<void>(co_await text_of(client, "http://a/"));
        static_cast<void>(co_await text_of(client, "http://a/"));
        CHECK(fickle.opened == 2);
        CHECK(fickle.asked == 3);
        bool failed = false;
        try {
            static_cast<void>(co_await client.post("http://a/", "x", "text/plain"));
        } catch (const net::IncompleteReadError&) {
            failed = true;
        }
        CHECK(failed);
        CHECK(fickle.opened == 2);
        CHECK(client.statistics().idle == 0);
    };
    testing::run(body(server));
}

TEST_CASE("redirects are followed with the right method, and credentials stay at home") {
    Net world;
    auto body = [](Net& net) -> Coro<> {
        auto client = net.client();
        auto response = co_await client.request(ClientRequest("POST", "http://a/to/302")
                                                    .body("secret body", "text/plain")
                                                    .header("Authorization", "Basic x"));
        auto text = co_await response.text();
        CHECK(text.starts_with("GET /echo\n"));
        CHECK(text.find("secret body") == text.npos);
        CHECK(text.find("Content-Type") == text.npos);
        CHECK(text.find("Authorization: Basic x") != text.npos);
        CHECK(response.history().size() == 1);
        CHECK(net.opened == 1);
        response = co_await client.request(ClientRequest("POST", "http://a/to/307").body("kept", "text/plain"));
        text = co_await response.text();
        CHECK(text.starts_with("POST /echo\n"));
        CHECK(text.ends_with("\n\nkept"));
        response = co_await client.request(ClientRequest("GET", "http://a/to/301?where=http://b/echo")
                                               .header("Authorization", "Basic x")
                                               .header("Cookie", "k=v"));
        text = co_await response.text();
        CHECK(text.find("Authorization") == text.npos);
        CHECK(text.find("Cookie") == text.npos);
        CHECK(response.url().host() == "b");
        response = co_await client.get("http://a/to/302?where=/elsewhere", {.max_redirects = 0});
        CHECK(response.status() == Status::found);
        bool refused = false;
        try {
            response = co_await client.get("http://a/to/302?where=/to/302", {.max_redirects = 5});
        } catch (const TooManyRedirects&) {
            refused = true;
        }
        CHECK_FALSE(refused);  // the second goes to /echo
    };
    testing::run(body(world));
}

TEST_CASE("cookies come back") {
    Net world;
    auto body = [](Net& net) -> Coro<> {
        auto client = net.client();
        static_cast<void>(co_await text_of(client, "http://a/cookie"));
        auto text = co_await text_of(client, "http://a/echo");
        CHECK(text.find("Cookie: a=1\n") != text.npos);
        text = co_await text_of(client, "http://b/echo");
        CHECK(text.find("Cookie") == text.npos);
    };
    testing::run(body(world));
}

TEST_CASE("a deadline covers the wait, the head and the body") {
    Net world;
    auto body = [](Net& net) -> Coro<> {
        auto client = net.client();
        const auto start = Clock::now();
        int late = 0;
        try {
            static_cast<void>(co_await client.get("http://a/slow?ms=9000", {.timeout = 2s}));
        } catch (const TimeoutError&) {
            ++late;
        }
        CHECK(Clock::now() - start == 2s);
        auto response = co_await client.get("http://a/stream", {.timeout = 3s});
        try {
            static_cast<void>(co_await response.text());
        } catch (const TimeoutError&) {
            ++late;
        }
        CHECK(Clock::now() - start == 5s);
        CHECK(late == 2);
        CHECK(client.statistics().busy == 0);
        CHECK(client.statistics().idle == 0);
    };
    testing::run(body(world));
}

TEST_CASE("a body can be read as it comes, with its trailers at the end") {
    Net world;
    auto body = [](Net& net) -> Coro<> {
        auto client = net.client();
        auto response = co_await client.get("http://a/stream");
        const auto start = Clock::now();
        int pieces = 0;
        for (;;) {
            const auto piece = co_await response.read_some();
            if (piece.empty()) break;
            CHECK(piece == "piece");
            CHECK(Clock::now() - start == pieces * 1s);
            ++pieces;
        }
        CHECK(pieces == 5);
        CHECK(response.trailers().get_or("X-Sum", "") == "5");
        CHECK(client.statistics().idle == 1);
    };
    testing::run(body(world));
}

TEST_CASE("requests beyond the limit of a host wait for their turn") {
    Net world;
    auto body = [](Net& net) -> Coro<> {
        auto client = net.client(ClientOptions().max_per_host(2));
        const auto start = Clock::now();
        std::vector<Task<std::string>> tasks;
        for (int i = 0; i < 6; ++i) tasks.push_back(create_task(text_of(client, "http://a/slow?ms=1000")));
        tasks.push_back(create_task(text_of(client, "http://b/slow?ms=1000")));
        for (auto& each : tasks) co_await each;
        CHECK(Clock::now() - start == 3s);
        CHECK(net.opened == 3);
        CHECK(client.statistics().busy == 0);
        CHECK(client.statistics().idle == 3);
    };
    testing::run(body(world));
}

TEST_CASE("a response that is too long, broken or cut off is an error, and its connection is not used again") {
    auto fails = [](std::string bytes, std::string& what) -> Coro<> {
        Script script;
        script.answers = {std::move(bytes)};
        Client client(ClientOptions().connector(script.connector()).max_body(10).max_head(1000));
        try {
            static_cast<void>(co_await text_of(client, "http://a/"));
            what = "no error";
        } catch (const LimitError&) {
            what = "limit";
        } catch (const ProtocolError&) {
            what = "protocol";
        } catch (const net::IncompleteReadError&) {
            what = "incomplete";
        }
        CHECK(client.statistics().idle == 0);
        CHECK(client.statistics().busy == 0);
        co_await sleep(1s);
    };
    auto failure = [&](std::string answer) {
        std::string what;
        testing::run(fails(std::move(answer), what));
        return what;
    };
    CHECK(failure("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n01234567890") == "limit");
    CHECK(failure("HTTP/1.1 200 OK\r\n\r\n01234567890") == "limit");
    CHECK(failure("HTTP/1.1 200 OK\r\nX: " + std::string(2000, 'x') + "\r\n\r\n") == "limit");
    CHECK(failure("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n0123") == "incomplete");
    CHECK(failure("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n") == "incomplete");
    CHECK(failure("") == "incomplete");
    CHECK(failure("SSH-2.0-OpenSSH_9\r\n") == "protocol");
    CHECK(failure("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab") == "protocol");
    CHECK(failure("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.0 200 OK\r\n\r\nshort") == "no error");
}

TEST_CASE("a streamed request goes out in chunks, or with its length") {
    Net world;
    auto body = [](Net& net) -> Coro<> {
        auto client = net.client();
        auto write = [](BodyWriter& out) -> Coro<> {
            co_await out.write("one");
            co_await sleep(1s);
            co_await out.write("two");
        };
        auto response = co_await client.request(ClientRequest("POST", "http://a/echo").stream("text/plain", write));
        auto text = co_await response.text();
        CHECK(text.find("Transfer-Encoding: chunked\n") != text.npos);
        CHECK(text.ends_with("\n\nonetwo"));
        response = co_await client.request(ClientRequest("POST", "http://a/echo").stream("text/plain", write, 6));
        text = co_await response.text();
        CHECK(text.find("Content-Length: 6\n") != text.npos);
        CHECK(net.opened == 1);
    };
    testing::run(body(world));
}

TEST_CASE("however an exchange is cancelled, the pool is idle afterwards and works") {
    Net world;
    std::unique_ptr<Client> kept;
    auto exchange = [](Net& net, std::unique_ptr<Client>& client) -> Coro<> {
        client = std::make_unique<Client>(net.client(ClientOptions().max_per_host(1)));
        static_cast<void>(co_await text_of(*client, "http://a/slow?ms=1"));
        static_cast<void>(co_await text_of(*client, "http://a/to/302?where=http://b/big"));
    };
    auto check = [](Net& net, std::unique_ptr<Client>& client) -> Coro<> {
        if (!client) client = std::make_unique<Client>(net.client());
        CHECK(client->statistics().busy == 0);
        const auto text = co_await text_of(*client, "http://a/big");
        CHECK(text.size() == 500'000);
        CHECK(client->statistics().idle >= 1);
        client->close_idle();
        client.reset();
        co_await sleep(2s);
        CHECK(all_tasks().size() == 1);
    };
    testing::cut([&] { return exchange(world, kept); }, [&](std::size_t) { return check(world, kept); });
}

namespace {

std::string deflated(const std::string& text) {
    uLongf size = compressBound(static_cast<uLong>(text.size()));
    std::string out(size, '\0');
    compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(text.data()),
             static_cast<uLong>(text.size()));
    out.resize(size);
    return out;
}

}  // namespace

TEST_CASE("a compressed body is decoded, and bounded by what it becomes") {
    const std::string text(300'000, 'z');
    const std::string packed = deflated(text);
    const std::string answer =
        "HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: " + std::to_string(packed.size()) +
        "\r\n\r\n" + packed;
    auto body = [](std::string packed_answer, std::string plain) -> Coro<> {
        Script script;
        script.answers = {packed_answer, packed_answer};
        Client client(ClientOptions().connector(script.connector()).max_idle(0));
        auto got = co_await text_of(client, "http://a/");
        CHECK(got == plain);
        CHECK(script.asked[0].find("Accept-Encoding: gzip, deflate, br\r\n") != std::string::npos);
        bool refused = false;
        try {
            auto response = co_await client.get("http://a/", {.max_body = 299'999});
            static_cast<void>(co_await response.text());
        } catch (const HttpError&) {
            refused = true;
        }
        CHECK(refused);
        CHECK(client.statistics().busy == 0);
        co_await sleep(1s);
    };
    testing::run(body(answer, text));
}

namespace {

Coro<> fetch_and_perhaps_stop(const Client& client, std::string url, Duration patience) {
    auto task = create_task(text_of(client, std::move(url)));
    co_await sleep(patience);
    task.cancel();
    try {
        static_cast<void>(co_await task);
    } catch (const CancelledError&) {  // NOLINT: asked for
    }
}

Coro<> many_at_once(Net& net) {
    auto client = net.client(ClientOptions().max_per_host(3));
    std::vector<Task<>> tasks;
    for (int i = 0; i < 40; ++i) {
        const std::string host = i % 3 == 0 ? "http://b" : "http://a";
        const std::string path = i % 2 == 0 ? "/slow?ms=" + std::to_string(i % 7) : "/big";
        tasks.push_back(create_task(fetch_and_perhaps_stop(client, host + path, std::chrono::milliseconds(i % 11))));
    }
    for (auto& each : tasks) co_await each;
    if (client.statistics().busy != 0) throw ValueError("a turn was lost");
    if (client.statistics().idle > 6) throw ValueError("too many connections");
    const auto text = co_await text_of(client, "http://a/big");
    if (text.size() != 500'000) throw ValueError("the pool is poisoned");
    client.close_idle();
    co_await sleep(2s);
    if (all_tasks().size() != 1) throw ValueError("a task is left");
}

}  // namespace

TEST_CASE("in whatever order requests run and are cancelled, the pool comes out clean") {
    Net world;
    testing::explore([&] { return many_at_once(world); });
    SUCCEED("each run has looked for itself");
}
