// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include <coaio/core/coro.hpp>

#include "crawler/html.hpp"

namespace crawl {

/// Reads a page or a style sheet in whatever charset: of a style sheet there are links only.
[[nodiscard]] Document read_document(std::string_view body, std::string_view content_type,
                                     const std::function<bool()>& stop = {});

/// The same beside the loop: a page that may take long is read in a thread, for at most ten seconds, after which it is
/// `too_complex`. Cancellation: ends the thread's work soon.
[[nodiscard]] coaio::Coro<Document> read_document_aside(std::string body, std::string content_type);

}  // namespace crawl
