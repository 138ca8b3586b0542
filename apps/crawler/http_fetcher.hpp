// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

#include <coaio/core/coro.hpp>
#include <coaio/http/client.hpp>
#include <coaio/http/url.hpp>

#include "crawler/fetcher.hpp"
#include "crawler/options.hpp"

namespace crawl {

/// Over HTTP.
class HttpFetcher final : public Fetcher {
public:
    explicit HttpFetcher(coaio::http::Client client) : client_(std::move(client)) {}
    [[nodiscard]] coaio::Coro<Answer> fetch(coaio::http::Url url, FetchOptions options) override;

private:
    coaio::http::Client client_;
};

/// How the crawler's client behaves; a test adds a connector.
[[nodiscard]] coaio::http::ClientOptions client_options(const Options& options);

}  // namespace crawl
