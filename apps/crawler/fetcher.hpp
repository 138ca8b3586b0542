// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <coaio/core/coro.hpp>
#include <coaio/core/error.hpp>
#include <coaio/http/url.hpp>

namespace crawl {

/// What a server said to one GET.
struct Answer {
    int status = 0;
    std::string content_type;
    std::string location;
    std::string retry_after;
    std::vector<std::string> robots_tags;  // each X-Robots-Tag
    std::string body;                      // decoded; empty where it was not wanted
    bool complete = false;                 // the body was read to its end
    std::uint64_t size = 0;                // of the body, as far as it was read
};

/// Which bodies one GET wants. What it points to outlives the call.
struct FetchOptions {
    std::uint64_t max_size = 0;
    /// Globs of media types; null: HTML and CSS.
    const std::vector<std::string>* types = nullptr;
    bool any_type = false;
    /// No body at all: only whether it is there.
    bool check_only = false;
};

/// The host is not to be asked any more, by whoever crawls it now: that ends the crawl, and the page is still to be
/// fetched.
class FetchRefused final : public coaio::Error {
public:
    using Error::Error;
};

/// Makes single requests: no redirect is followed, nothing is tried again.
/// Errors: what stood in the way of an answer, or FetchRefused. There is no deadline inside. Cancellation: closes the
/// connection.
class Fetcher {
public:
    Fetcher() = default;
    Fetcher(const Fetcher&) = delete;
    Fetcher& operator=(const Fetcher&) = delete;
    virtual ~Fetcher();

    [[nodiscard]] virtual coaio::Coro<Answer> fetch(coaio::http::Url url, FetchOptions options) = 0;
};

/// Whether the body of an answer of this type is wanted. Without a type it is taken for HTML, as browsers and wget do.
[[nodiscard]] bool wants(const FetchOptions& options, std::string_view media_type);

[[nodiscard]] bool is_html(std::string_view media_type) noexcept;
[[nodiscard]] bool is_css(std::string_view media_type) noexcept;

}  // namespace crawl
