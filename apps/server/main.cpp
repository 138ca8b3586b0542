// SPDX-License-Identifier: MIT
#include <exception>
#include <iostream>
#include <string>
#include <utility>

#include <coaio/core/version.hpp>

#include "server/options.hpp"
#include "server/service.hpp"

int main(int argc, char** argv) {
    auto parsed = server::parse_options(argc, argv, std::string(coaio::version()));
    if (!parsed.options) {
        (parsed.exit_code == 0 ? std::cout : std::cerr) << parsed.text;
        return parsed.exit_code;
    }
    try {
        return server::run_service(std::move(*parsed.options));
    } catch (const std::exception& error) {
        std::cerr << "coaio-server: " << error.what() << std::endl;
        return 1;
    }
}
