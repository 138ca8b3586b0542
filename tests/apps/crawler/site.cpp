// SPDX-License-Identifier: MIT
#include "site.hpp"

#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/testing.hpp>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

namespace tests {
namespace {

class Count {
public:
    explicit Count(std::size_t& count) : count_(&count) { ++*count_; }
    Count(const Count&) = delete;
    Count& operator=(const Count&) = delete;
    ~Count() { --*count_; }

private:
    std::size_t* count_;
};

}  // namespace

Reply page(std::string body) {
    Reply reply;
    reply.body = std::move(body);
    return reply;
}

Reply text(std::string body, std::string type) {
    auto reply = page(std::move(body));
    reply.type = std::move(type);
    return reply;
}

Reply status(int code) {
    Reply reply;
    reply.status = code;
    return reply;
}

Reply redirect(std::string location, int code) {
    auto reply = status(code);
    reply.location = std::move(location);
    return reply;
}

Reply links(const std::vector<std::string>& targets) {
    std::string body;
    for (const auto& each : targets) body += "<a href=\"" + each + "\">" + each + "</a>\n";
    return page(std::move(body));
}

Site& Site::add(const std::string& url, Reply reply) {
    replies_[url].push_back(std::move(reply));
    return *this;
}

coaio::Coro<crawl::Answer> Site::fetch(coaio::http::Url url, crawl::FetchOptions options) {
    const auto now = coaio::Clock::now();
    if (requests_.empty()) first_ = now;
    const auto whole = url.to_string();
    requests_.push_back({whole, now - first_});
    auto& host = hosts_[url.origin()];
    const Count here(host.running);
    const Count everywhere(running_);
    host.most = std::max(host.most, host.running);
    most_running_ = std::max(most_running_, running_);

    Reply reply = status(404);
    if (const auto found = replies_.find(whole); found != replies_.end()) {
        auto& given = given_[whole];
        reply = found->second[std::min(given, found->second.size() - 1)];
        ++given;
    }
    co_await coaio::sleep(reply.delay);
    if (!reply.failure.empty()) throw std::runtime_error(reply.failure);
    crawl::Answer answer;
    answer.status = reply.status;
    answer.content_type = reply.type;
    answer.location = reply.location;
    answer.retry_after = reply.retry_after;
    if (!reply.robots_tag.empty()) answer.robots_tags.push_back(reply.robots_tag);
    const auto type = reply.type.substr(0, reply.type.find(';'));
    if (reply.status == 200 && crawl::wants(options, type)) {
        answer.complete = reply.body.size() <= options.max_size;
        answer.body = reply.body.substr(0, options.max_size);
        answer.size = answer.body.size();
    }
    co_return answer;
}

std::size_t Site::count(const std::string& url) const { return times(url).size(); }

std::vector<long> Site::times(const std::string& url) const {
    std::vector<long> found;
    for (const auto& each : requests_) {
        if (each.url == url) found.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(each.at).count());
    }
    return found;
}

std::size_t Site::most_running(const std::string& origin) const {
    const auto found = hosts_.find(origin);
    return found == hosts_.end() ? 0 : found->second.most;
}

void Site::forget_requests() {
    requests_.clear();
    given_.clear();
    hosts_.clear();
    most_running_ = 0;
}

crawl::Options crawl_of(std::vector<std::string> urls) {
    crawl::Options options;
    options.urls = std::move(urls);
    options.sitemaps = false;
    options.user_agent = "coaio-crawl/test";
    options.quiet = true;
    return options;
}

std::map<std::string, int> answered(const crawl::Crawler& crawler) {
    std::map<std::string, int> found;
    for (const auto& each : crawler.frontier().pages()) {
        if (each.state == crawl::PageState::done) found.emplace(each.url, each.status);
    }
    return found;
}

const crawl::Page* find_page(const crawl::Crawler& crawler, const std::string& url) {
    for (const auto& each : crawler.frontier().pages()) {
        if (each.url == url) return &each;
    }
    return nullptr;
}

std::string broken(const crawl::Crawler& crawler) {
    std::string out;
    for (const auto& link : crawler.frontier().broken_links()) {
        out += link.url + ": " + link.reason;
        for (const auto& referrer : link.referrers) {
            out += " <- " + crawler.frontier().page(referrer.page).url + " line " + std::to_string(referrer.line);
        }
        out += "\n";
    }
    return out;
}

void run(crawl::Crawler& crawler) { coaio::testing::run(crawler.run()); }

}  // namespace tests
