// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/task.hpp>
#include <coaio/http/router.hpp>
#include <coaio/http/server.hpp>
#include <coaio/net/stream.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace tests {

/// Raw bytes to a server over memory, and all that comes back until it ends, or until the client's end was answered.
/// With `step`, so many bytes a turn.
[[nodiscard]] coaio::Coro<std::string> talk(const coaio::http::Router& router, std::string bytes,
                                            coaio::http::ServeOptions options = {}, std::size_t step = 0);

/// The answers without their Date headers.
[[nodiscard]] std::string without_dates(std::string_view bytes);
/// How often `part` stands in `text`.
[[nodiscard]] std::size_t count(std::string_view text, std::string_view part);
/// The body of the last answer, where it has no chunks.
[[nodiscard]] std::string last_body(std::string_view bytes);
[[nodiscard]] std::string request(std::string_view line, std::string_view headers = {}, std::string_view body = {});

}  // namespace tests
