// SPDX-License-Identifier: MIT
#include "support.hpp"

#include <coaio/core/sleep.hpp>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace tests {

CrawlProgram::CrawlProgram(std::vector<std::string> words, std::vector<std::string> environment) {
    auto name = (std::filesystem::temp_directory_path() / "coaio-crawl-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = name;
    const int out = open((folder_ + "/out").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    child_.emplace("coaio-crawl", std::move(words), std::move(environment), out, folder_ + "/log");
    close(out);
}

CrawlProgram::~CrawlProgram() {
    child_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

coaio::Coro<> CrawlProgram::says(std::string words) const {
    while (log().find(words) == std::string::npos) co_await coaio::sleep(std::chrono::milliseconds(5));
}

}  // namespace tests
