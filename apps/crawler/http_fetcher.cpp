// SPDX-License-Identifier: MIT
#include "crawler/http_fetcher.hpp"

#include <algorithm>
#include <charconv>
#include <exception>
#include <limits>

#include "crawler/charset.hpp"

namespace crawl {
namespace {

using coaio::http::ClientResponse;

// Reading so much for nothing is cheaper than a new connection.
constexpr std::uint64_t worth_draining = 64 * 1024;

bool is_short(const ClientResponse& response) {
    const auto text = response.headers().get_or("Content-Length", "");
    std::uint64_t length = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
    return !text.empty() && error == std::errc() && end == text.data() + text.size() && length <= worth_draining;
}

coaio::Coro<> read_body(ClientResponse& response, std::uint64_t max_size, Answer& answer) {
    for (;;) {
        const auto piece = co_await response.read_some();
        if (piece.empty()) {
            answer.complete = true;
            co_return;
        }
        const auto room = max_size - answer.size;
        answer.body.append(piece.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(room, piece.size()))));
        answer.size = std::min(max_size, answer.size + piece.size());
        if (piece.size() > room) co_return;
    }
}

coaio::Coro<> drain(ClientResponse& response) {
    try {
        for (;;) {
            const auto piece = co_await response.read_some();
            if (piece.empty()) co_return;
        }
    } catch (const std::exception&) {  // the answer has been given: only the connection is lost
    }
}

}  // namespace

coaio::Coro<Answer> HttpFetcher::fetch(coaio::http::Url url, FetchOptions options) {
    coaio::http::ClientRequest request("GET", std::move(url));
    request.max_redirects(0).max_body(std::numeric_limits<std::uint64_t>::max());
    auto response = co_await client_.request(std::move(request));

    Answer answer;
    answer.status = response.status().code();
    answer.content_type = response.headers().get_or("Content-Type", "");
    answer.location = response.headers().get_or("Location", "");
    answer.retry_after = response.headers().get_or("Retry-After", "");
    for (const auto tag : response.headers().get_all("X-Robots-Tag")) answer.robots_tags.emplace_back(tag);
    if (response.ok() && wants(options, media_type(answer.content_type))) {
        co_await read_body(response, options.max_size, answer);
    } else if (is_short(response)) {
        co_await drain(response);
    }
    co_return answer;
}

coaio::http::ClientOptions client_options(const Options& options) {
    using std::chrono::seconds;
    coaio::http::ClientOptions client;
    // Deadlines and the number of requests to a host are the crawler's own affair.
    client.timeout(seconds(0)).connect_timeout(seconds(0)).max_per_host(options.concurrency);
    client.cookies(false).max_redirects(0).user_agent(options.user_agent);
    client.header("Accept", "text/html,application/xhtml+xml,text/css,*/*;q=0.8");
    return client;
}

}  // namespace crawl
