// SPDX-License-Identifier: MIT
#include "store/settings.hpp"

#include <algorithm>

#include <coaio/http/url.hpp>

#include <nlohmann/json.hpp>

namespace store {
namespace {

// What is asked for does not depend on their order, so that does not make another crawl.
std::vector<std::string> sorted(std::vector<std::string> globs) {
    std::sort(globs.begin(), globs.end());
    return globs;
}

}  // namespace

std::string settings_of(const crawl::Options& options) {
    nlohmann::json settings;
    settings["max_pages"] = options.scope.max_pages;
    settings["depth"] = options.scope.max_depth;
    settings["include"] = sorted(options.scope.include);
    settings["exclude"] = sorted(options.scope.exclude);
    settings["same_site"] = options.scope.hosts == crawl::Hosts::same_site;
    settings["check_external"] = options.scope.check_external;
    settings["check_fragments"] = options.check_fragments;
    settings["max_url_size"] = options.scope.max_url_size;
    settings["max_size"] = options.max_size;
    settings["types"] = sorted(options.types);
    settings["ignore_robots"] = options.ignore_robots;
    settings["ignore_nofollow"] = options.ignore_nofollow;
    settings["sitemaps"] = options.sitemaps;
    settings["concurrency"] = options.concurrency;
    settings["per_host"] = options.manners.per_host;
    settings["delay_ms"] = options.manners.delay.count();
    settings["timeout_ms"] = options.timeout.count();
    settings["max_retries"] = options.manners.max_retries;
    settings["user_agent"] = options.user_agent;
    // Words of a command line may be anything but UTF-8.
    return settings.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

const std::vector<std::string>& manners_settings() {
    static const std::vector<std::string> names = {"concurrency", "per_host",    "delay_ms",
                                                   "timeout_ms",  "max_retries", "user_agent"};
    return names;
}

std::vector<std::string> urls_of(const crawl::Options& options) {
    std::vector<std::string> urls;
    for (const std::string& text : options.urls) {
        urls.push_back(coaio::http::Url::parse(text).without_credentials().without_fragment().to_string());
    }
    return urls;
}

}  // namespace store
