// SPDX-License-Identifier: MIT
#include "streams.hpp"

#include <coaio/core/gather.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/net/testing.hpp>

#include <unistd.h>

#include <chrono>
#include <stdexcept>

namespace tests {

namespace {

using coaio::Coro;

}  // namespace

coaio::net::TlsIdentity NetAuthority::issue(const std::string& names, bool expired) const {
    Identity made = Authority::issue(names, expired);
    return {std::move(made.certificate), std::move(made.key)};
}

const NetAuthority& authority() {
    static const NetAuthority instance;
    return instance;
}

coaio::net::TlsContext server_context() {
    static const auto context =
        coaio::net::TlsContext::server(coaio::net::TlsServerOptions(authority().issue("DNS:localhost,IP:127.0.0.1")));
    return context;
}

coaio::net::TlsContext client_context() {
    static const auto context = coaio::net::TlsContext::client(coaio::net::TlsClientOptions().roots(authority().root));
    return context;
}

const char* name_of(Kind kind) {
    switch (kind) {
    case Kind::memory: return "memory";
    case Kind::tcp: return "TCP";
    case Kind::local: return "a Unix socket";
    case Kind::tls_over_tcp: return "TLS over TCP";
    case Kind::tls_over_memory: return "TLS over memory";
    case Kind::simulated: return "a simulated network";
    case Kind::rough: return "a rough simulated network";
    case Kind::tls_over_rough: return "TLS over a rough simulated network";
    }
    return "?";
}

namespace {

Coro<Ends> join(coaio::net::Listener& listener) {
    auto [a, b] = co_await coaio::gather(coaio::net::connect(listener.address()), listener.accept());
    co_return Ends(std::move(a), std::move(b));
}

Coro<Ends> encrypt(Ends plain) {
    auto [a, b] = co_await coaio::gather(coaio::net::start_tls(std::move(plain.a), client_context(), "localhost"),
                                         coaio::net::accept_tls(std::move(plain.b), server_context()));
    co_return Ends(std::move(a), std::move(b));
}

Ends memory_ends(std::size_t capacity) {
    auto [a, b] = coaio::net::memory_pipe(capacity);
    return {std::move(a), std::move(b)};
}

}  // namespace

Coro<Ends> make_ends(Kind kind, std::optional<std::size_t> capacity) {
    const std::size_t in_memory = capacity.value_or(8 * 1024);
    if (kind == Kind::memory) co_return memory_ends(in_memory);
    if (kind == Kind::tls_over_memory) {
        auto ends = co_await encrypt(memory_ends(in_memory));
        co_return ends;
    }
    if (is_simulated(kind)) {
        coaio::net::testing::NetworkOptions rough{
            .seed = network_seed, .jitter = std::chrono::milliseconds(20), .chunk = true, .loss_rate = 0.01};
        coaio::net::testing::NetworkOptions smooth{.seed = network_seed, .latency = coaio::Duration::zero()};
        auto& options = kind == Kind::simulated ? smooth : rough;
        options.buffer = capacity.value_or(options.buffer);
        const coaio::net::testing::Network network(options);
    }
    std::string path(1, '\0');
    path += "coaio-test-" + std::to_string(::getpid());
    const auto address =
        kind == Kind::local ? coaio::net::Address::local(path) : coaio::net::Address::ip("127.0.0.1", 0);
    auto listener = coaio::net::listen(address);
    auto ends = co_await join(listener);
    if (kind != Kind::tls_over_tcp && kind != Kind::tls_over_rough) co_return ends;
    auto encrypted = co_await encrypt(std::move(ends));
    co_return encrypted;
}

Coro<> turns(int count) {
    for (int i = 0; i < count; ++i) co_await coaio::sleep(coaio::Duration::zero());
}

}  // namespace tests
