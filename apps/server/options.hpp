// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace server {

enum class LogFormat : std::uint8_t { json, text };

/// What the user asked for.
struct Options {
    std::string host = "127.0.0.1";
    std::uint16_t port = 8080;
    std::string public_host;  // under which a proxy shows it
    std::size_t workers = 1;
    std::string database_url;  // empty: an embedded Postgres
    std::string data_dir;      // of the embedded one; empty: the default
    std::string tls_cert;
    std::string tls_key;
    LogFormat log_format = LogFormat::json;
    bool debug_tasks = false;
    bool debug_tasks_anybody = false;
    std::size_t crawls = 4;  // that run at the same time; the others wait
    std::chrono::seconds grace{10};
};

/// What parsing came to: options, or a text and an exit code.
struct ParsedOptions {
    std::optional<Options> options;
    std::string text;   // --help, --version, or what is wrong and what to do
    int exit_code = 0;  // 0 for --help and --version, 1 for a mistake
};

/// Reads the command line and the environment: --data-dir is COAIO_SERVER_DATA_DIR there, and so on, but the database's
/// is DATABASE_URL. A flag wins.
[[nodiscard]] ParsedOptions parse_options(int argc, const char* const* argv, const std::string& version);

}  // namespace server
