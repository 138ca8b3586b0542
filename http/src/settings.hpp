// SPDX-License-Identifier: MIT
#pragma once

#include "connection.hpp"
#include "decode.hpp"

#include <coaio/http/server.hpp>
#include <coaio/net/tls.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace coaio::http::detail {

/// The options of a server, owned.
struct Settings {
    explicit Settings(const ServeOptions& options);

    std::string host;
    std::string server;
    std::optional<net::TlsContext> tls;
    DecodeLimits limits;
    ConnectionTimes times;
    ServeOptions plain;  // its views and pointers are not to be used
};

}  // namespace coaio::http::detail
