// SPDX-License-Identifier: MIT
#include <coaio/net/tls.hpp>

#include "net/streams.hpp"
#include "support/catch.hpp"

#include <coaio/core/gather.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/task.hpp>

#include <optional>
#include <string>
#include <vector>

namespace {

using coaio::Coro;
using coaio::net::Stream;
using coaio::net::TlsClientOptions;
using coaio::net::TlsContext;
using coaio::net::TlsError;
using coaio::net::TlsServerOptions;

struct Outcome {
    Outcome() = default;
    std::optional<coaio::net::TlsInfo> client;
    std::optional<coaio::net::TlsInfo> server;
    std::optional<TlsError> client_error;
    std::optional<TlsError> server_error;
};

Coro<> client_side(Stream below, TlsContext context, std::string name, Outcome& outcome) {
    try {
        Stream stream = co_await coaio::net::start_tls(std::move(below), context, name);
        outcome.client = *stream.tls();
        co_await stream.write("ping");
        const std::string answer = co_await stream.read_to_end(100);
        CHECK(answer == "pong");
    } catch (const TlsError& error) {
        outcome.client_error = error;
    }
}

Coro<> server_side(Stream below, TlsContext context, Outcome& outcome) {
    try {
        Stream stream = co_await coaio::net::accept_tls(std::move(below), context);
        outcome.server = *stream.tls();
        const std::string question = co_await stream.read_exactly(4);
        CHECK(question == "ping");
        co_await stream.write("pong");
        co_await stream.shutdown_write();
    } catch (const TlsError& error) {
        outcome.server_error = error;
    }
}

/// What comes of a handshake of these two, over memory.
Outcome meet(const TlsContext& client, const std::string& name, const TlsContext& server) {
    Outcome outcome;
    coaio::Loop loop;
    loop.run_until_complete([](TlsContext c, std::string host, TlsContext s, Outcome& out) -> Coro<> {
        auto [a, b] = coaio::net::memory_pipe();
        co_await coaio::gather(client_side(std::move(a), c, host, out), server_side(std::move(b), s, out));
    }(client, name, server, outcome));
    return outcome;
}

TlsContext trusting(const std::string& root) { return TlsContext::client(TlsClientOptions().roots(root)); }

}  // namespace

TEST_CASE("a client and a server agree, and know with whom and how") {
    const auto outcome = meet(tests::client_context(), "localhost", tests::server_context());
    REQUIRE(outcome.client);
    REQUIRE(outcome.server);
    CHECK(outcome.client->version == "TLSv1.3");
    CHECK_FALSE(outcome.client->cipher.empty());
    CHECK_THAT(outcome.client->peer, tests::contains("localhost"));
    CHECK(outcome.server->server_name == "localhost");
    CHECK(outcome.server->peer.empty());
}

TEST_CASE("a numeric address is verified as an address, and not sent as a name") {
    const auto outcome = meet(tests::client_context(), "127.0.0.1", tests::server_context());
    REQUIRE(outcome.server);
    CHECK(outcome.server->server_name.empty());
    CHECK(meet(tests::client_context(), "127.0.0.2", tests::server_context()).client_error);
}

TEST_CASE("a certificate for another name, of another authority, or expired is refused, and the error says whose") {
    const auto wrong_name = meet(tests::client_context(), "example.com", tests::server_context());
    REQUIRE(wrong_name.client_error);
    CHECK(wrong_name.client_error->reason() == TlsError::Reason::certificate);
    CHECK_THAT(wrong_name.client_error->certificate(), tests::contains("localhost"));
    CHECK_THAT(wrong_name.client_error->what(), tests::contains("hostname mismatch"));
    CHECK(wrong_name.server_error);

    const tests::NetAuthority other;
    const auto untrusted = meet(trusting(other.root), "localhost", tests::server_context());
    REQUIRE(untrusted.client_error);
    CHECK(untrusted.client_error->reason() == TlsError::Reason::certificate);

    const auto late = meet(tests::client_context(), "localhost",
                           TlsContext::server(TlsServerOptions(tests::authority().issue("DNS:localhost", true))));
    REQUIRE(late.client_error);
    CHECK_THAT(late.client_error->what(), tests::contains("expired"));

    const auto system = meet(TlsContext::client(), "localhost", tests::server_context());
    REQUIRE(system.client_error);
    CHECK(system.client_error->reason() == TlsError::Reason::certificate);
}

TEST_CASE("verification can be switched off") {
    const auto outcome = meet(TlsContext::client(TlsClientOptions().verify(false)), "whoever", tests::server_context());
    CHECK(outcome.client);
    CHECK(outcome.server);
}

TEST_CASE("an application protocol is agreed on by the server's preference, or the client is refused") {
    const auto server =
        TlsContext::server(TlsServerOptions(tests::authority().issue("DNS:localhost")).protocols({"h2", "http/1.1"}));
    const auto client = [](std::vector<std::string> names) {
        return TlsContext::client(TlsClientOptions().roots(tests::authority().root).protocols(std::move(names)));
    };
    const auto both = meet(client({"http/1.1", "h2"}), "localhost", server);
    REQUIRE(both.client);
    CHECK(both.client->protocol == "h2");
    CHECK(both.server->protocol == "h2");
    const auto one = meet(client({"http/1.1"}), "localhost", server);
    REQUIRE(one.client);
    CHECK(one.client->protocol == "http/1.1");
    const auto silent = meet(tests::client_context(), "localhost", server);
    REQUIRE(silent.client);
    CHECK(silent.client->protocol.empty());
    const auto none = meet(client({"spdy/1"}), "localhost", server);
    REQUIRE(none.client_error);
    CHECK(none.client_error->reason() == TlsError::Reason::protocol);
}

TEST_CASE("the server's certificate follows the name that the client asks for") {
    const auto& authority = tests::authority();
    const auto server = TlsContext::server(TlsServerOptions(authority.issue("DNS:fallback"))
                                               .host("one.example", authority.issue("DNS:one.example"))
                                               .host("*.two.example", authority.issue("DNS:*.two.example")));
    for (const std::string name : {"one.example", "ONE.example", "any.two.example", "fallback"}) {
        CAPTURE(name);
        CHECK(meet(tests::client_context(), name, server).client);
    }
    CHECK(meet(tests::client_context(), "a.b.two.example", server).client_error);
}

TEST_CASE("a reload changes what new connections get, and a bad one changes nothing") {
    const auto server = TlsContext::server(TlsServerOptions(tests::authority().issue("DNS:old.example")));
    CHECK(meet(tests::client_context(), "old.example", server).client);
    CHECK_THROWS_AS(server.reload(TlsServerOptions(coaio::net::TlsIdentity("nonsense", "nonsense"))), TlsError);
    CHECK(meet(tests::client_context(), "old.example", server).client);
    server.reload(TlsServerOptions(tests::authority().issue("DNS:new.example")));
    CHECK(meet(tests::client_context(), "new.example", server).client);
    CHECK(meet(tests::client_context(), "old.example", server).client_error);
}

TEST_CASE("a server can demand to know its clients") {
    const auto& authority = tests::authority();
    const auto server =
        TlsContext::server(TlsServerOptions(authority.issue("DNS:localhost")).client_roots(authority.root));
    const auto known =
        meet(TlsContext::client(TlsClientOptions().roots(authority.root).identity(authority.issue("DNS:the-client"))),
             "localhost", server);
    REQUIRE(known.server);
    CHECK_THAT(known.server->peer, tests::contains("the-client"));
    const auto unknown = meet(tests::client_context(), "localhost", server);
    CHECK(unknown.server_error);
    CHECK(unknown.client_error);
}

TEST_CASE("an end without a goodbye is an error, not an end") {
    coaio::Loop loop;
    loop.run_until_complete([]() -> Coro<> {
        // A relay between the two cuts the connection after the handshake and one message.
        auto [a, relay_a] = coaio::net::memory_pipe();
        auto [b, relay_b] = coaio::net::memory_pipe();
        const auto pump = [](Stream& from, Stream& to) -> Coro<> {
            std::array<std::byte, 4096> room{};
            for (;;) {
                const std::size_t count = co_await from.read_some(room);
                if (count == 0) break;
                co_await to.write(std::span<const std::byte>(room.data(), count));
            }
        };
        auto there = coaio::create_task(pump(relay_a, relay_b));
        auto back = coaio::create_task(pump(relay_b, relay_a));
        auto [client, server] =
            co_await coaio::gather(coaio::net::start_tls(std::move(a), tests::client_context(), "localhost"),
                                   coaio::net::accept_tls(std::move(b), tests::server_context()));
        co_await client.write("whole");
        const std::string whole = co_await server.read_exactly(5);
        CHECK(whole == "whole");
        there.cancel();
        back.cancel();
        co_await tests::turns(3);
        relay_b.close();
        std::optional<TlsError::Reason> reason;
        try {
            const std::string rest = co_await server.read_to_end(100);
        } catch (const TlsError& error) {
            reason = error.reason();
        }
        CHECK(reason == TlsError::Reason::truncated);
    }());
}

TEST_CASE("bytes that are not TLS end the stream with an error on both sides") {
    coaio::Loop loop;
    loop.run_until_complete([]() -> Coro<> {
        auto [a, b] = coaio::net::memory_pipe();
        auto server = coaio::create_task(coaio::net::accept_tls(std::move(b), tests::server_context()));
        co_await a.write("this is no handshake, and will never be one");
        std::optional<TlsError::Reason> reason;
        try {
            co_await server;
        } catch (const TlsError& error) {
            reason = error.reason();
        }
        CHECK(reason == TlsError::Reason::protocol);
    }());
}

TEST_CASE("settings that cannot be used are refused with the reason, and no secret is shown") {
    const auto identity = tests::authority().issue("DNS:one");
    const auto other = tests::authority().issue("DNS:other");
    try {
        static_cast<void>(TlsContext::server(TlsServerOptions(coaio::net::TlsIdentity(identity.chain(), other.key()))));
        FAIL("accepted");
    } catch (const TlsError& error) {
        CHECK(error.reason() == TlsError::Reason::configuration);
        CHECK_THAT(error.what(), tests::contains("private key does not belong"));
        CHECK_THAT(error.what(), !tests::contains("BEGIN"));
    }
    CHECK_THROWS_AS(TlsContext::client(TlsClientOptions().roots("nothing")), TlsError);
    CHECK_THROWS_AS(TlsContext::client(TlsClientOptions().protocols({""})), TlsError);
    CHECK_THROWS_AS(coaio::net::TlsIdentity::from_files("/no/such/chain", "/no/such/key"), coaio::IoError);
    CHECK_THROWS_AS(coaio::net::start_tls(Stream(), tests::client_context(), ""), TlsError);
    CHECK_THROWS_AS(coaio::net::start_tls(Stream(), tests::server_context(), "x"), TlsError);
    CHECK_THROWS_AS(coaio::net::accept_tls(Stream(), tests::client_context()), TlsError);
}
