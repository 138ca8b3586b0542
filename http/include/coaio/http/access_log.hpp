// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/http/router.hpp>

#include <functional>
#include <string_view>

namespace coaio::http {

/// Takes one line, without its line break. Called on the loop of the request, so with several workers from several
/// threads at once; it must not block.
using LogSink = std::function<void(std::string_view line)>;

/// A middleware that gives each request an id and writes one line of JSON when it has been answered:
///
///     {"time":"2026-01-02T03:04:05.678Z","id":"…","peer":"127.0.0.1:5","method":"GET","target":"/a?b","route":"/a",
///      "status":200,"bytes":12,"ms":0.31}
///
/// The id is that of the request's `X-Request-Id` if it is a short plain one, else a new one; it stands in the answer's
/// `X-Request-Id` and in `Request::id()`. `bytes` is left out for a streamed body, whose end is not waited for. A request
/// that failed or was cancelled is written with "status":500 or "status":499 and the rest the same.
/// Without a sink the lines go to standard error.
[[nodiscard]] Middleware access_log(LogSink sink = {});

}  // namespace coaio::http
