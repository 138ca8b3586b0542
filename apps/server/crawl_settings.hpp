// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace server {

/// What a client asks for with POST /api/crawls, checked, with every setting spelled out, as the database keeps it.
struct CrawlSettings {
    std::vector<std::string> urls;
    std::string json;  // of all the rest
};

/// Reads the body of such a request. Throws `coaio::http::BadRequest` that says what is wrong with which field.
[[nodiscard]] CrawlSettings read_settings(std::string_view body);

}  // namespace server
