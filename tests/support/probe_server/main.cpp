// SPDX-License-Identifier: MIT
#include "app.hpp"

#include <coaio/core.hpp>
#include <coaio/net.hpp>

#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

using namespace std::chrono_literals;

namespace {

struct Arguments {
    Arguments() = default;
    std::uint16_t port = 0;
    std::string certificate;
    std::string key;
};

constexpr const char* usage = "usage: coaio-probe-server [--port N] [--tls-cert FILE --tls-key FILE]\n";

std::optional<Arguments> read_arguments(const std::vector<std::string>& given) {
    Arguments arguments;
    for (std::size_t i = 0; i + 1 < given.size(); i += 2) {
        const std::string& value = given[i + 1];
        if (given[i] == "--port") {
            const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), arguments.port);
            if (error != std::errc() || end != value.data() + value.size()) return std::nullopt;
        } else if (given[i] == "--tls-cert") {
            arguments.certificate = value;
        } else if (given[i] == "--tls-key") {
            arguments.key = value;
        } else if (given[i] != "--static") {
            return std::nullopt;
        }
    }
    if (given.size() % 2 != 0 || arguments.certificate.empty() != arguments.key.empty()) return std::nullopt;
    return arguments;
}

coaio::Coro<> serve(Arguments arguments) {
    std::optional<coaio::net::TlsContext> tls;
    if (!arguments.certificate.empty()) {
        const auto identity = coaio::net::TlsIdentity::from_files(arguments.certificate, arguments.key);
        tls = coaio::net::TlsContext::server(coaio::net::TlsServerOptions(identity).protocols({"http/1.1"}));
    }
    coaio::http::ServeOptions options;
    options.port = arguments.port;
    options.tls = tls ? &*tls : nullptr;
    options.max_head = 64 * 1024;
    options.max_body = 8 * 1024 * 1024;
    options.head_timeout = 5s;
    options.body_timeout = 5s;
    options.idle_timeout = 5s;
    options.write_timeout = 5s;

    coaio::Event stop;
    auto& loop = coaio::get_running_loop();
    loop.add_signal_handler(SIGTERM, [&stop] { stop.set(); });
    coaio::http::Server server(probe::build_app, options);
    co_await server.start();
    std::cout << "listening on " << server.url() << std::endl;
    co_await stop.wait();
    co_await server.stop();
    loop.remove_signal_handler(SIGTERM);
}

}  // namespace

int main(int count, char** given) {
    const auto arguments = read_arguments(std::vector<std::string>(given + 1, given + count));
    if (!arguments) {
        std::cerr << usage;
        return 2;
    }
    try {
        coaio::run(serve(*arguments));
    } catch (const std::exception& error) {
        std::cerr << "coaio-probe-server: " << error.what() << '\n';
        return 1;
    }
    return 0;
}
