// SPDX-License-Identifier: MIT
#include "support.hpp"

#include <coaio/core/to_thread.hpp>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "server/postmaster_file.hpp"

namespace tests {

namespace fs = std::filesystem;

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
    const auto is_port = [](const std::string& word) { return word.starts_with("--port="); };
    if (std::none_of(words.begin(), words.end(), is_port)) words.emplace_back("--port=0");
    std::array<int, 2> out{};
    if (pipe2(out.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    out_ = out[0];
    child_.emplace("coaio-server", std::move(words), std::vector<std::string>(), out[1], folder_.path() / "log");
    close(out[1]);
}

Program::~Program() { close(out_); }

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

std::string Program::log() const { return read_file(folder_.path() / "log"); }

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
