// SPDX-License-Identifier: MIT
#include "store/settings.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

#include <coaio/core/version.hpp>
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

crawl::Options options_of(std::vector<std::string> urls, const std::string& text) {
    const auto settings = nlohmann::json::parse(text);
    crawl::Options options;
    options.urls = std::move(urls);
    const auto read = [&settings](const char* name, auto& value) {
        const auto found = settings.find(name);
        if (found != settings.end()) found->get_to(value);
    };
    const auto read_millis = [&read](const char* name, std::chrono::milliseconds& value) {
        std::int64_t count = value.count();
        read(name, count);
        value = std::chrono::milliseconds(count);
    };
    bool same_site = false;
    read("same_site", same_site);
    options.scope.hosts = same_site ? crawl::Hosts::same_site : crawl::Hosts::same_host;
    read("max_pages", options.scope.max_pages);
    read("depth", options.scope.max_depth);
    read("include", options.scope.include);
    read("exclude", options.scope.exclude);
    read("check_external", options.scope.check_external);
    read("max_url_size", options.scope.max_url_size);
    read("check_fragments", options.check_fragments);
    read("max_size", options.max_size);
    read("types", options.types);
    read("ignore_robots", options.ignore_robots);
    read("ignore_nofollow", options.ignore_nofollow);
    read("sitemaps", options.sitemaps);
    read("concurrency", options.concurrency);
    read("per_host", options.manners.per_host);
    read_millis("delay_ms", options.manners.delay);
    read_millis("timeout_ms", options.timeout);
    read("max_retries", options.manners.max_retries);
    options.user_agent = std::string(crawl::product_token) + "/" + std::string(coaio::version());
    read("user_agent", options.user_agent);
    options.quiet = true;
    return options;
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
