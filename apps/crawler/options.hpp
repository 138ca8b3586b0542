// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "crawler/manners.hpp"
#include "crawler/scope.hpp"

namespace crawl {

/// The product token of the User-Agent, and of robots.txt.
inline constexpr char product_token[] = "coaio-crawl";

/// What the user asked for.
struct Options {
    std::vector<std::string> urls;
    ScopeOptions scope;
    MannersOptions manners;
    unsigned concurrency = 16;                         // requests at the same time, in all
    std::chrono::milliseconds timeout{30'000};         // of one request, body and all
    std::uint64_t max_size = std::uint64_t{16} << 20;  // of one body
    std::vector<std::string> types;                    // globs of media types whose bodies are read; none: HTML and CSS
    bool ignore_robots = false;
    bool ignore_nofollow = false;
    bool check_fragments = true;
    bool sitemaps = true;
    std::string user_agent;
    std::vector<std::string> reports;  // files; the format is in the name
    bool quiet = false;
    bool verbose = false;
    std::string database_url;  // a Postgres connection string, which may hold a password; empty: all in memory
    bool new_crawl = false;
};

/// What parsing came to: options, or a text and an exit code.
struct ParsedOptions {
    std::optional<Options> options;
    std::string text;   // --help, --version, or what is wrong and what to do
    int exit_code = 0;  // 0 for --help and --version, 1 for a mistake
};

/// Reads the command line and the environment: --max-pages is COAIO_CRAWL_MAX_PAGES there, and so on. A flag wins.
[[nodiscard]] ParsedOptions parse_options(int argc, const char* const* argv, const std::string& version);

}  // namespace crawl
