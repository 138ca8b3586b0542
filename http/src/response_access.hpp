// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/http/response.hpp>

namespace coaio::http::detail {

/// The connection's door into a response.
struct ResponseAccess {
    [[nodiscard]] static StreamBody& stream(Response& response) noexcept { return response.stream_; }
};

}  // namespace coaio::http::detail
