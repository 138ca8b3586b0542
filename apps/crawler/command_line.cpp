// SPDX-License-Identifier: MIT
#include "crawler/command_line.hpp"

#include <cctype>
#include <sstream>

namespace crawl {
namespace {

// "--max-pages" is COAIO_CRAWL_MAX_PAGES.
std::string environment_name(std::string flag) {
    for (char& c : flag) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return "COAIO_CRAWL_" + flag;
}

}  // namespace

std::optional<Stop> read_command_line(CLI::App& app, int argc, const char* const* argv) {
    for (auto* option : app.get_options()) {
        if (option->get_lnames().empty()) continue;
        const auto& flag = option->get_lnames().front();
        if (flag != "help" && flag != "version") option->envname(environment_name(flag));
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        std::ostringstream out;
        std::ostringstream errors;
        Stop stop;
        stop.exit_code = app.exit(error, out, errors) == 0 ? 0 : 1;
        stop.text = out.str() + errors.str();
        return stop;
    }
    return std::nullopt;
}

}  // namespace crawl
