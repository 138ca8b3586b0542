// SPDX-License-Identifier: MIT
#include "support.hpp"

#include <coaio/core/to_thread.hpp>
#include <coaio/http/request.hpp>
#include <coaio/http/response.hpp>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/postmaster_file.hpp"

namespace tests {

namespace fs = std::filesystem;
using coaio::http::Request;
using coaio::http::Response;

Folder::Folder() {
    std::string name = "/tmp/coaio-server-test-XXXXXX";
    if (mkdtemp(name.data()) == nullptr || chmod(name.c_str(), 0755) != 0)
        throw std::runtime_error("no folder in /tmp");
    path_ = name;
}

Folder::~Folder() {
    std::error_code ignored;
    for (const auto& entry : fs::recursive_directory_iterator(path_, ignored)) {
        if (entry.path().filename() != "cluster") continue;
        const auto file = server::read_postmaster_file(entry.path());
        if (file && server::is_postmaster_of(file->pid, entry.path())) kill(file->pid, SIGQUIT);
    }
    fs::remove_all(path_, ignored);
}

Program::Program(std::vector<std::string> words) {
    const char* const folder = std::getenv("COAIO_BIN_DIR");
    if (folder == nullptr) throw std::runtime_error("COAIO_BIN_DIR is not set: run this by ctest");
    words.insert(words.begin(), std::string(folder) + "/coaio-server");
    words.emplace_back("--port=0");
    std::vector<char*> arguments;
    for (auto& each : words) arguments.push_back(each.data());
    arguments.push_back(nullptr);
    std::array<std::string, 2> texts = {"PATH=/usr/bin:/bin", "HOME=/nonexistent"};
    std::array<char*, 3> environment = {texts[0].data(), texts[1].data(), nullptr};
    const std::string log = (folder_.path() / "log").string();
    std::array<int, 2> out{};
    if (pipe2(out.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(127);
        dup2(out[1], STDOUT_FILENO);
        dup2(open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), STDERR_FILENO);
        execve(arguments[0], arguments.data(), environment.data());
        _exit(127);
    }
    const int failure = errno;
    close(out[1]);
    out_ = out[0];
    if (pid_ < 0) {
        close(out_);
        throw std::system_error(failure, std::generic_category(), "fork");
    }
}

Program::~Program() {
    close(out_);
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
}

std::string Program::read_line() const {
    std::string line;
    for (char c = 0; read(out_, &c, 1) == 1 && c != '\n';) line += c;
    return line;
}

coaio::Coro<std::string> Program::ready() {
    const std::string begin = "listening on ";
    auto reading = coaio::to_thread([this] { return read_line(); });
    const std::string line = co_await std::move(reading);
    if (!line.starts_with(begin)) throw std::runtime_error("the server does not listen: " + line + log());
    co_return line.substr(begin.size());
}

void Program::signal(int number) const {
    if (pid_ > 0) kill(pid_, number);
}

int Program::wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {}
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

coaio::Coro<int> Program::ended() {
    auto waiting = coaio::to_thread([this] { return wait(); });
    co_return co_await std::move(waiting);
}

std::string Program::log() const {
    std::ifstream in(folder_.path() / "log");
    return {std::istreambuf_iterator<char>(in), {}};
}

coaio::Coro<Response> Site::answer(std::string path, std::string html) {
    ++requests_[path];
    if (hold_after_ >= 0 && ++asked_ > hold_after_) {
        held_.set();
        co_await gate_.wait();
    }
    co_return Response::html(std::move(html));
}

coaio::Coro<coaio::http::Router> Site::build() {
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
        std::string html =
            "<title>Page " + std::to_string(number) + "</title>word" + std::to_string(number) + " <a href=/>home</a>";
        return answer(std::string(request.path()), std::move(html));
    });
    co_return app;
}

nlohmann::json Reply::json() const { return nlohmann::json::parse(text); }

namespace {

coaio::Coro<Reply> exchange(coaio::http::Client client, coaio::http::ClientRequest request) {
    auto response = co_await client.request(std::move(request));
    Reply reply;
    reply.status = response.status();
    reply.type = std::string(response.header("Content-Type").value_or(""));
    reply.text = co_await response.text();
    co_return reply;
}

}  // namespace

coaio::Coro<Reply> get(coaio::http::Client client, std::string url) {
    return exchange(std::move(client), coaio::http::ClientRequest("GET", url));
}

coaio::Coro<Reply> post(coaio::http::Client client, std::string url, std::string body, std::string type) {
    coaio::http::ClientRequest request("POST", url);
    request.body(std::move(body), type);
    return exchange(std::move(client), std::move(request));
}

coaio::Coro<Reply> erase(coaio::http::Client client, std::string url) {
    return exchange(std::move(client), coaio::http::ClientRequest("DELETE", url));
}

coaio::Coro<std::int64_t> start_crawl(coaio::http::Client client, std::string server, std::string site) {
    auto posting =
        post(client, server + "/api/crawls", R"({"url":")" + site + R"(/","concurrency":4,"sitemaps":false})");
    const Reply reply = co_await std::move(posting);
    if (reply.status != 201) throw std::runtime_error(reply.text);
    co_return reply.json().at("id").get<std::int64_t>();
}

coaio::Coro<std::string> watch(coaio::http::Client client, std::string server, std::int64_t crawl) {
    auto response = co_await client.get(server + "/api/crawls/" + std::to_string(crawl) + "/events");
    co_return co_await response.text();
}

}  // namespace tests
