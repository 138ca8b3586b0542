// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include "crawler/options.hpp"

namespace server {

/// What a client asks for with POST /api/crawls, checked, with every setting spelled out, as the database keeps it.
struct CrawlSettings {
    std::vector<std::string> urls;
    std::string json;  // of all the rest
};

/// Reads the body of such a request. Throws `coaio::http::BadRequest` that says what is wrong with which field.
[[nodiscard]] CrawlSettings read_settings(std::string_view body);

/// The crawler's options of settings that `read_settings` made.
[[nodiscard]] crawl::Options crawl_options(std::vector<std::string> urls, const std::string& json);

}  // namespace server
