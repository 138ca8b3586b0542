// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

namespace crawl {

/// What the user asked of `coaio-crawl worker`.
struct WorkerOptions {
    std::string database_url;  // may hold a password
    std::size_t hosts = 10;    // at the same time
    std::size_t share = 100;   // pages of a host before others have a turn
    std::chrono::milliseconds lease{30'000};
    std::chrono::milliseconds grace{10'000};
    std::chrono::milliseconds longest_share{60'000};  // before others have a turn
    std::string user_agent;                           // empty: what the crawl says
    bool until_done = false;
    bool quiet = false;
};

/// What parsing came to: options, or a text and an exit code.
struct ParsedWorkerOptions {
    std::optional<WorkerOptions> options;
    std::string text;
    int exit_code = 0;
};

/// Reads the command line after "worker", and the environment. A flag wins.
[[nodiscard]] ParsedWorkerOptions parse_worker_options(int argc, const char* const* argv, const std::string& version);

}  // namespace crawl
