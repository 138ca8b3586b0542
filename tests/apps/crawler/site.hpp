// SPDX-License-Identifier: MIT
#pragma once

#include "crawler/crawler.hpp"

#include <coaio/core/coro.hpp>
#include <coaio/core/time.hpp>

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace tests {

/// What a page of a `Site` answers.
struct Reply {
    int status = 200;
    std::string body;
    std::string type = "text/html; charset=utf-8";
    std::string location;
    std::string retry_after;
    std::string robots_tag;
    std::string failure;  // no answer, but this error
    coaio::Duration delay = std::chrono::milliseconds(10);
};

[[nodiscard]] Reply page(std::string body);
[[nodiscard]] Reply text(std::string body, std::string type = "text/plain");
[[nodiscard]] Reply status(int code);
[[nodiscard]] Reply redirect(std::string location, int code = 301);
/// A page of links: `<a href="each">each</a>`, a line each.
[[nodiscard]] Reply links(const std::vector<std::string>& targets);

/// Some sites in memory, by whole URL; what is not there is 404. Speaks to a crawler in place of the network.
class Site final : public crawl::Fetcher {
public:
    struct Request {
        std::string url;
        coaio::Duration at{};  // since the first request
    };

    /// One more answer for the URL: each is given once, the last for ever.
    Site& add(const std::string& url, Reply reply);

    [[nodiscard]] coaio::Coro<crawl::Answer> fetch(coaio::http::Url url, crawl::FetchOptions options) override;

    [[nodiscard]] const std::vector<Request>& requests() const noexcept { return requests_; }
    [[nodiscard]] std::size_t count(const std::string& url) const;
    /// When each request for the URL came, in milliseconds since the first of all.
    [[nodiscard]] std::vector<long> times(const std::string& url) const;
    [[nodiscard]] std::size_t running() const noexcept { return running_; }
    [[nodiscard]] std::size_t most_running() const noexcept { return most_running_; }
    [[nodiscard]] std::size_t most_running(const std::string& origin) const;
    void forget_requests();

private:
    struct Host {
        std::size_t running = 0;
        std::size_t most = 0;
    };
    std::map<std::string, std::vector<Reply>> replies_;
    std::map<std::string, std::size_t> given_;
    std::map<std::string, Host> hosts_;
    std::vector<Request> requests_;
    coaio::TimePoint first_{};
    std::size_t running_ = 0;
    std::size_t most_running_ = 0;
};

/// Options for a crawl from these URLs: no robots.txt rules unless the site has some, no sitemaps.
[[nodiscard]] crawl::Options crawl_of(std::vector<std::string> urls);

/// The addresses of all pages that were answered, with their status, in order of the address.
[[nodiscard]] std::map<std::string, int> answered(const crawl::Crawler& crawler);
[[nodiscard]] const crawl::Page* find_page(const crawl::Crawler& crawler, const std::string& url);
/// "url: reason <- referrer line n" a line, in order.
[[nodiscard]] std::string broken(const crawl::Crawler& crawler);

/// Runs a crawl on a virtual clock.
void run(crawl::Crawler& crawler);

}  // namespace tests
