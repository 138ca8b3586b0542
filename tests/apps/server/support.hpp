// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/http/client.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>
#include <sys/types.h>

#include "apps/child_program.hpp"

namespace tests {

/// A folder that the user of the database can enter, and that goes away with whatever Postgres runs in it.
class Folder {
public:
    Folder();
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder();
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
};

/// A run of coaio-server, on a free port unless the words name one.
class Program {
public:
    explicit Program(std::vector<std::string> words);
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;
    ~Program();

    /// Waits until it listens, and gives where. Throws with its standard error when it ends before.
    [[nodiscard]] coaio::Coro<std::string> ready();
    void signal(int number) const { child_->signal(number); }
    [[nodiscard]] coaio::Coro<int> ended() { return child_->ended(); }
    [[nodiscard]] pid_t pid() const noexcept { return child_->pid(); }
    /// What it has written to standard error.
    [[nodiscard]] std::string log() const;

private:
    [[nodiscard]] std::string read_line() const;

    Folder folder_;
    std::optional<ChildProgram> child_;
    int out_ = -1;
};

/// What a JSON API answered.
struct Reply {
    int status = 0;
    std::string type;
    std::string text;
    [[nodiscard]] nlohmann::json json() const;
};

[[nodiscard]] coaio::Coro<Reply> get(coaio::http::Client client, std::string url);
[[nodiscard]] coaio::Coro<Reply> post(coaio::http::Client client, std::string url, std::string body,
                                      std::string type = "application/json");
[[nodiscard]] coaio::Coro<Reply> erase(coaio::http::Client client, std::string url);
/// Starts a crawl of the site and gives its number.
[[nodiscard]] coaio::Coro<std::int64_t> start_crawl(coaio::http::Client client, std::string server, std::string site);
/// Listens to a crawl's events until it is over, and gives them all.
[[nodiscard]] coaio::Coro<std::string> watch(coaio::http::Client client, std::string server, std::int64_t crawl);

}  // namespace tests
