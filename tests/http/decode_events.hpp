// SPDX-License-Identifier: MIT
#pragma once

#include "decode.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tests {

/// `text` with what is not printable written \r \n \t \0 \xNN, and \\ for a backslash.
[[nodiscard]] std::string escaped(std::string_view text);
[[nodiscard]] std::string unescaped(std::string_view text);

/// What a decoder makes of `input` that arrives in these pieces (the last is the rest): one line an event, pieces of a
/// body joined. A response is the answer to `method`. The end of input is the peer's end of stream.
[[nodiscard]] std::vector<std::string> decode_events(coaio::http::detail::Side side, std::string_view input,
                                                     const std::vector<std::size_t>& pieces, std::string_view method,
                                                     const coaio::http::detail::DecodeLimits& limits);

}  // namespace tests
