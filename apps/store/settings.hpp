// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "crawler/options.hpp"

namespace store {

/// The settings of a coaio-crawl as the database keeps them, under the names that the API uses.
[[nodiscard]] std::string settings_of(const crawl::Options& options);

/// The crawler's options of such settings, or of those that the API made; what they lack is as usual.
[[nodiscard]] crawl::Options options_of(std::vector<std::string> urls, const std::string& settings);

/// Those settings that say how a crawl asks, and not what for: two crawls that differ in them are the same.
[[nodiscard]] const std::vector<std::string>& manners_settings();

/// The start addresses, without passwords and fragments.
[[nodiscard]] std::vector<std::string> urls_of(const crawl::Options& options);

}  // namespace store
