// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/event.hpp>
#include <coaio/http/client.hpp>
#include <coaio/http/router.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>
#include <sys/types.h>

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

/// A run of coaio-server on a free port, with an environment of its own; killed if it still runs at the end.
class Program {
public:
    explicit Program(std::vector<std::string> words);
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;
    ~Program();

    /// Waits until it listens, and gives where. Throws with its standard error when it ends before.
    [[nodiscard]] coaio::Coro<std::string> ready();
    void signal(int number) const;
    /// Waits for its end and gives the exit code; 128 and the number for a signal.
    [[nodiscard]] coaio::Coro<int> ended();
    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    /// What it has written to standard error.
    [[nodiscard]] std::string log() const;

private:
    [[nodiscard]] std::string read_line() const;
    [[nodiscard]] int wait();

    Folder folder_;
    pid_t pid_ = 0;
    int out_ = -1;
};

/// A site on loopback: `/` links to `/page/0` … and to `/gone`, which is not there; each page links home. It counts what
/// it is asked for, and can hold its answers back.
class Site {
public:
    explicit Site(int pages) : pages_(pages) {}
    [[nodiscard]] coaio::Coro<coaio::http::Router> build();

    /// From so many requests for pages on, answers wait until `open`.
    void hold_after(int requests) { hold_after_ = requests; }
    /// Set when the first one waits.
    [[nodiscard]] coaio::Event& held() noexcept { return held_; }
    void open() {
        hold_after_ = -1;
        gate_.set();
    }
    [[nodiscard]] const std::map<std::string, int>& requests() const noexcept { return requests_; }

private:
    coaio::Coro<coaio::http::Response> answer(std::string path, std::string html);

    int pages_;
    int hold_after_ = -1;
    int asked_ = 0;
    coaio::Event held_;
    coaio::Event gate_;
    std::map<std::string, int> requests_;
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
