// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/event.hpp>
#include <coaio/http/response.hpp>
#include <coaio/http/router.hpp>

#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

namespace tests {

/// A run of coaio-crawl, in an environment of its own; killed if it still runs at the end.
class CrawlProgram {
public:
    explicit CrawlProgram(std::vector<std::string> words, std::vector<std::string> environment = {});
    CrawlProgram(const CrawlProgram&) = delete;
    CrawlProgram& operator=(const CrawlProgram&) = delete;
    ~CrawlProgram();

    void signal(int number) const;
    /// Waits for its end and gives the exit code; 128 and the number for a signal.
    [[nodiscard]] coaio::Coro<int> ended();
    /// What it has written.
    [[nodiscard]] std::string out() const;
    [[nodiscard]] std::string log() const;

private:
    [[nodiscard]] int wait();

    std::string folder_;
    pid_t pid_ = 0;
};

/// A site on loopback: `/` links to `/page/0` … and to `/gone`, which is not there; each page links home, and the last
/// one to `/late`. It counts what it is asked for, and can hold its answers back.
class HeldSite {
public:
    explicit HeldSite(int pages) : pages_(pages) {}
    [[nodiscard]] coaio::Coro<coaio::http::Router> build();

    /// So many answers are given, the next ones wait until `open`.
    void hold_after(int answers) { left_ = answers; }
    /// Set when the first one waits.
    [[nodiscard]] coaio::Event& held() noexcept { return held_; }
    void open();
    /// How often each page was asked for.
    [[nodiscard]] const std::map<std::string, int>& requests() const noexcept { return requests_; }
    void forget_requests() { requests_.clear(); }
    /// How many pages there are, the one that is not there included.
    [[nodiscard]] int size() const noexcept { return pages_ + 3; }

private:
    coaio::Coro<coaio::http::Response> answer(std::string path, std::string html);

    int pages_;
    int left_ = -1;
    coaio::Event held_;
    coaio::Event gate_;
    std::map<std::string, int> requests_;
};

}  // namespace tests
