// SPDX-License-Identifier: MIT
#pragma once

#include "pool.hpp"

#include <coaio/http/client.hpp>
#include <coaio/http/cookie.hpp>

#include <cstdint>
#include <memory>

namespace coaio::http::detail {

/// What the handles of one client share.
struct ClientState {
    explicit ClientState(ClientOptions given);

    /// A connection to where this URL lives, by the client's connector or the network.
    [[nodiscard]] Coro<net::Stream> connect(Url origin);

    [[nodiscard]] std::size_t max_redirects() const noexcept { return options.max_redirects_; }
    [[nodiscard]] std::uint64_t max_body() const noexcept { return options.max_body_; }
    [[nodiscard]] std::size_t max_head() const noexcept { return options.max_head_; }
    [[nodiscard]] Duration timeout() const noexcept { return options.timeout_; }
    [[nodiscard]] Duration connect_timeout() const noexcept { return options.connect_timeout_; }
    [[nodiscard]] bool keeps_cookies() const noexcept { return options.cookies_; }
    [[nodiscard]] bool decodes() const noexcept { return options.decode_; }
    [[nodiscard]] const std::string& user_agent() const noexcept { return options.user_agent_; }
    [[nodiscard]] const Headers& headers() const noexcept { return options.headers_; }

    ClientOptions options;
    std::shared_ptr<Pool> pool;
    CookieJar cookies;
    std::uint64_t opened = 0;
    std::uint64_t requests = 0;
};

}  // namespace coaio::http::detail
