// SPDX-License-Identifier: MIT
#include "server_support.hpp"

#include <coaio/core/sleep.hpp>
#include <coaio/net/error.hpp>

#include <algorithm>

namespace tests {

using namespace coaio;

namespace {

Coro<> say(net::Stream& stream, std::string bytes, std::size_t step) {
    try {
        if (step == 0) step = std::max<std::size_t>(bytes.size(), 1);
        for (std::size_t at = 0; at < bytes.size(); at += step) {
            co_await stream.write(std::string_view(bytes).substr(at, step));
            co_await sleep(Duration::zero());
        }
        co_await stream.shutdown_write();
    } catch (const Error&) {  // NOLINT: the server has closed
    }
}

}  // namespace

Coro<std::string> talk(const http::Router& router, std::string bytes, http::ServeOptions options, std::size_t step) {
    auto [client, server] = net::memory_pipe();
    auto serving = create_task(http::serve_stream(std::move(server), router, options));
    auto saying = create_task(say(client, std::move(bytes), step));
    auto answer = co_await client.read_to_end(100'000'000);
    co_await saying;
    client.close();
    co_await serving;
    co_return answer;
}

std::string without_dates(std::string_view bytes) {
    std::string text(bytes);
    for (;;) {
        const auto at = text.find("Date: ");
        if (at == text.npos) return text;
        text.erase(at, text.find("\r\n", at) + 2 - at);
    }
}

std::size_t count(std::string_view text, std::string_view part) {
    std::size_t found = 0;
    for (auto at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) ++found;
    return found;
}

std::string last_body(std::string_view bytes) {
    const auto at = bytes.rfind("\r\n\r\n");
    return at == bytes.npos ? std::string() : std::string(bytes.substr(at + 4));
}

std::string request(std::string_view line, std::string_view headers, std::string_view body) {
    std::string text(line);
    text.append(" HTTP/1.1\r\nHost: x\r\n").append(headers);
    if (!body.empty()) text.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
    return text.append("\r\n").append(body);
}

}  // namespace tests
