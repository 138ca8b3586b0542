// SPDX-License-Identifier: MIT
#include "support.hpp"

#include <coaio/core/to_thread.hpp>
#include <coaio/http/request.hpp>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tests {
namespace {

using coaio::http::Request;
using coaio::http::Response;

std::string read_file(const std::string& name) {
    std::ifstream in(name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> all;
    for (auto& each : words) all.push_back(each.data());
    all.push_back(nullptr);
    return all;
}

}  // namespace

CrawlProgram::CrawlProgram(std::vector<std::string> words, std::vector<std::string> environment) {
    const char* const binaries = std::getenv("COAIO_BIN_DIR");
    if (binaries == nullptr) throw std::runtime_error("COAIO_BIN_DIR is not set: run this by ctest");
    auto name = (std::filesystem::temp_directory_path() / "coaio-crawl-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = name;
    words.insert(words.begin(), std::string(binaries) + "/coaio-crawl");
    const auto arguments = pointers(words);
    environment.emplace_back("PATH=/usr/bin:/bin");
    environment.emplace_back("HOME=/nonexistent");
    const auto variables = pointers(environment);
    const std::string out = folder_ + "/out";
    const std::string log = folder_ + "/log";
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(127);
        dup2(open(out.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), STDOUT_FILENO);
        dup2(open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), STDERR_FILENO);
        execve(arguments[0], arguments.data(), variables.data());
        _exit(127);
    }
    if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
}

CrawlProgram::~CrawlProgram() {
    if (pid_ > 0) {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

void CrawlProgram::signal(int number) const {
    if (pid_ > 0) kill(pid_, number);
}

int CrawlProgram::wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {}
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

coaio::Coro<int> CrawlProgram::ended() {
    auto waiting = coaio::to_thread([this] { return wait(); });
    co_return co_await std::move(waiting);
}

std::string CrawlProgram::out() const { return read_file(folder_ + "/out"); }
std::string CrawlProgram::log() const { return read_file(folder_ + "/log"); }

void HeldSite::open() {
    left_ = -1;
    gate_.set();
}

coaio::Coro<Response> HeldSite::answer(std::string path, std::string html) {
    ++requests_[path];
    if (left_ == 0) {
        held_.set();
        co_await gate_.wait();
    }
    if (left_ > 0) --left_;
    co_return Response::html(std::move(html));
}

coaio::Coro<coaio::http::Router> HeldSite::build() {
    coaio::http::Router app;
    app.get("/", [this](Request&) {
        std::string html = "<title>Home</title><a href=/gone>nowhere</a>\n";
        for (int i = 0; i < pages_; ++i) {
            const std::string path = "/page/" + std::to_string(i);
            html += "<a href=" + path + ">" + path + "</a>\n";
        }
        return answer("/", std::move(html));
    });
    app.get("/page/{number}", [this](Request& request) {
        const auto number = request.param<int>("number");
        std::string html = "<title>Page " + std::to_string(number) + "</title><a href=/>home</a>";
        if (number == pages_ - 1) html += "<a href=/late>late</a>";
        return answer(std::string(request.path()), std::move(html));
    });
    app.get("/late", [this](Request&) { return answer("/late", "<a href=/>home</a>"); });
    co_return app;
}

}  // namespace tests
