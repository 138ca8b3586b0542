// SPDX-License-Identifier: MIT
#include "tour.hpp"

#include <CLI/CLI.hpp>

#include <iostream>
#include <string>

int main(int argc, char** argv) {
    CLI::App app("asyncio's \"Coroutines and Tasks\" page, example by example", "coaio-tour");
    app.set_version_flag("--version", std::string(coaio::version()));
    app.require_subcommand(1);
    app.footer("Each example is a small function in apps/tour/.");
    const tour::Example* chosen = nullptr;
    for (const tour::Example& each : tour::examples()) {
        app.add_subcommand(std::string(each.name), std::string(each.summary))->callback([&chosen, &each] {
            chosen = &each;
        });
    }
    CLI11_PARSE(app, argc, argv);
    coaio::run(chosen->run(std::cout));
    return 0;
}
