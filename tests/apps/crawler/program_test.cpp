// SPDX-License-Identifier: MIT
// The program itself, as a user runs it, against a server on loopback.
#include <coaio/core/event.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/to_thread.hpp>
#include <coaio/http/router.hpp>
#include <coaio/http/server.hpp>

#include <array>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/catch.hpp"

using coaio::Coro;
using coaio::http::Request;
using coaio::http::Response;
using coaio::http::Router;
using tests::contains;

namespace {

struct Ended {
    int code = -1;
    std::string out;
    std::string err;
};

/// A run of coaio-crawl; its environment has none of the crawler's settings.
class Program {
public:
    explicit Program(std::vector<std::string> words) {
        const char* const folder = std::getenv("COAIO_BIN_DIR");
        if (folder == nullptr) throw std::runtime_error("COAIO_BIN_DIR is not set: run this by ctest");
        const std::string program = std::string(folder) + "/coaio-crawl";
        words.insert(words.begin(), program);
        std::vector<char*> arguments;
        for (auto& each : words) arguments.push_back(each.data());
        arguments.push_back(nullptr);
        std::array<int, 2> out{};
        std::array<int, 2> err{};
        if (pipe2(out.data(), O_CLOEXEC) != 0 || pipe2(err.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe");
        pid_ = fork();
        if (pid_ == 0) {
            dup2(out[1], STDOUT_FILENO);
            dup2(err[1], STDERR_FILENO);
            execv(program.c_str(), arguments.data());
            _exit(127);
        }
        if (pid_ < 0) throw std::runtime_error("fork");
        close(out[1]);
        close(err[1]);
        out_ = out[0];
        err_ = err[0];
    }
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;
    ~Program() {
        close(out_);
        close(err_);
    }

    void signal(int number) const {
        if (pid_ > 0) kill(pid_, number);
    }

    /// Blocks until it has ended.
    Ended wait() {
        Ended ended;
        std::array<pollfd, 2> from{{{out_, POLLIN, 0}, {err_, POLLIN, 0}}};
        while (from[0].fd >= 0 || from[1].fd >= 0) {
            poll(from.data(), from.size(), -1);
            for (auto& each : from) {
                if (each.revents == 0) continue;
                std::array<char, 4096> buffer{};
                const auto count = read(each.fd, buffer.data(), buffer.size());
                auto& text = each.fd == out_ ? ended.out : ended.err;
                if (count > 0) text.append(buffer.data(), static_cast<std::size_t>(count));
                if (count <= 0) each.fd = -1;
            }
        }
        int status = 0;
        waitpid(pid_, &status, 0);
        ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        return ended;
    }

private:
    pid_t pid_ = 0;
    int out_ = -1;
    int err_ = -1;
};

Coro<Router> site() {
    Router router;
    router.get("/", [](Request&) -> Coro<Response> { co_return Response::html("<a href=/x>x</a>"); });
    router.get("/x", [](Request&) -> Coro<Response> { co_return Response::html("<a href=/>home</a>"); });
    router.get("/broken", [](Request&) -> Coro<Response> { co_return Response::html("\n<a href=/gone>gone</a>"); });
    co_return router;
}

Coro<Ended> run_against_site(std::string path, std::vector<std::string> words) {
    coaio::http::Server server(site, {.port = 0});
    co_await server.start();
    words.push_back(server.url() + path);
    auto run = [words = std::move(words)] { return Program(words).wait(); };
    auto running = coaio::to_thread(std::move(run));
    auto ended = co_await std::move(running);
    co_await server.stop();
    co_return ended;
}

Ended run_program(std::vector<std::string> words) { return Program(std::move(words)).wait(); }

}  // namespace

TEST_CASE("the program crawls a site and says that all is good") {
    const auto ended = coaio::run(run_against_site("/", {}));
    CHECK(ended.code == 0);
    CHECK_THAT(ended.out, contains("2 pages in "));
    CHECK_THAT(ended.out, contains("no broken links"));
    CHECK(ended.err.empty());
}

TEST_CASE("the program tells of broken links, with 2") {
    const auto ended = coaio::run(run_against_site("/broken", {"--verbose"}));
    CHECK(ended.code == 2);
    CHECK_THAT(ended.out, contains("/gone\n    status 404\n    linked from http://127.0.0.1:"));
    CHECK_THAT(ended.out, contains("/broken line 2 \"gone\""));
    CHECK_THAT(ended.err, contains("404 http://127.0.0.1:"));
}

TEST_CASE("the program ends with 1 where it cannot do its work") {
    // Port 1 of loopback: nobody listens there, or the test machine is a strange one.
    auto ended = run_program({"--retries=0", "http://127.0.0.1:1/"});
    CHECK(ended.code == 1);
    CHECK_THAT(ended.out, contains("refused"));
    ended = run_program({});
    CHECK(ended.code == 1);
    CHECK_THAT(ended.err, contains("no URL is given"));
    ended = run_program({"--version"});
    CHECK(ended.code == 0);
    CHECK_THAT(ended.out, contains("coaio-crawl "));
    ended = run_program({"--help"});
    CHECK(ended.code == 0);
    CHECK_THAT(ended.out, contains("--max-pages"));
}

namespace {

struct Hanging {
    coaio::Event asked;
};

Coro<Router> site_that_hangs(Hanging& hanging) {
    Router router;
    router.get("/", [](Request&) -> Coro<Response> { co_return Response::html("<a href=/never>never</a>"); });
    router.get("/never", [&hanging](Request&) -> Coro<Response> {
        hanging.asked.set();
        coaio::Event never;
        co_await never.wait();
        co_return Response::html("");
    });
    co_return router;
}

Coro<Ended> interrupt(int number) {
    Hanging hanging;
    coaio::http::Server server([&hanging] { return site_that_hangs(hanging); }, {.port = 0});
    co_await server.start();
    Program program({server.url() + "/"});
    auto wait = [&program] { return program.wait(); };
    auto waiting = coaio::create_task(coaio::to_thread(wait));
    co_await hanging.asked.wait();
    program.signal(number);
    auto ended = co_await waiting;
    co_await server.stop(std::chrono::seconds(0));
    co_return ended;
}

}  // namespace

TEST_CASE("interrupted, the program tells what it has found so far") {
    const auto ended = coaio::run(interrupt(SIGINT));
    CHECK(ended.code == 1);
    CHECK_THAT(ended.out, contains("1 page in "));
    CHECK_THAT(ended.out, contains("ended early: interrupted"));
    const auto terminated = coaio::run(interrupt(SIGTERM));
    CHECK(terminated.code == 1);
    CHECK_THAT(terminated.out, contains("ended early: terminated"));
}
