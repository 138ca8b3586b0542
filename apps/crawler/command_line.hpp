// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>

#include <CLI/CLI.hpp>

namespace crawl {

/// What ends a program before it begins: --help, --version, or what is wrong and what to do.
struct Stop {
    std::string text;
    int exit_code = 0;  // 0 for --help and --version, 1 for a mistake
};

/// Reads the command line, and the environment: --max-pages is COAIO_CRAWL_MAX_PAGES there, and so on. A flag wins.
[[nodiscard]] std::optional<Stop> read_command_line(CLI::App& app, int argc, const char* const* argv);

}  // namespace crawl
