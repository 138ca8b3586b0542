// SPDX-License-Identifier: MIT
#include "crawler/robots.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

// The first line is the target that is asked for, the rest the file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view input(reinterpret_cast<const char*>(data), size);
    auto end = input.find('\n');
    auto target = input.substr(0, end);
    auto file = end == std::string_view::npos ? std::string_view() : input.substr(end + 1);

    auto robots = crawl::Robots::parse(file, "coaio-crawl");
    bool allowed = robots.allows(target);
    // Normalising is idempotent, so the rules cannot tell a target from its normal form.
    if (robots.allows(crawl::robots_normalised(target.substr(0, target.find('#')), false)) != allowed &&
        target != "/robots.txt" && crawl::robots_normalised(target, false) != "/robots.txt") {
        std::abort();
    }
    if (!robots.allows("/robots.txt")) std::abort();
    return 0;
}
