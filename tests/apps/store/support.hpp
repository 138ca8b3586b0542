// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>

#include <optional>
#include <string>
#include <vector>

#include "apps/child_program.hpp"

namespace tests {

/// A run of coaio-crawl that keeps what it writes.
class CrawlProgram {
public:
    explicit CrawlProgram(std::vector<std::string> words, std::vector<std::string> environment = {});
    CrawlProgram(const CrawlProgram&) = delete;
    CrawlProgram& operator=(const CrawlProgram&) = delete;
    ~CrawlProgram();

    void signal(int number) const { child_->signal(number); }
    [[nodiscard]] coaio::Coro<int> ended() { return child_->ended(); }
    /// Returns when its log has these words.
    [[nodiscard]] coaio::Coro<> says(std::string words) const;
    /// What it has written.
    [[nodiscard]] std::string out() const { return read_file(folder_ + "/out"); }
    [[nodiscard]] std::string log() const { return read_file(folder_ + "/log"); }

private:
    std::string folder_;
    std::optional<ChildProgram> child_;
};

}  // namespace tests
