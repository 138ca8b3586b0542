// SPDX-License-Identifier: MIT
#include <coaio/core/run.hpp>

#include <coaio/core/error.hpp>
#include <coaio/core/executor.hpp>
#include <coaio/core/generator.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>

#include "support/catch.hpp"
#include "support/sanitizers.hpp"

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;

namespace {

using Log = std::vector<std::string>;

Coro<> leftover(Log& log) {
    try {
        co_await coaio::sleep(1h);
    } catch (const coaio::CancelledError&) {
        log.emplace_back("task cancelled");
    }
    co_await coaio::sleep(1ms);
    log.emplace_back("task ended");
}

coaio::AsyncGenerator<int> numbers(Log& log) {
    try {
        co_yield 1;
    } catch (const coaio::GeneratorExit&) {
        log.emplace_back("generator closing");
    }
    co_await coaio::sleep(1ms);
    log.emplace_back("generator closed");
}

struct Last {
    explicit Last(Log& where) : log(&where) {}
    Last(Last&& other) noexcept : log(std::exchange(other.log, nullptr)) {}
    Last& operator=(Last&&) = delete;
    ~Last() {
        if (log != nullptr) log->emplace_back("loop closed");
    }
    void operator()() const {}
    Log* log;
};

template <class E>
concept DefaultExecutor = requires(coaio::Loop& loop, E executor) { loop.set_default_executor(executor); };

}  // namespace

TEST_CASE("RUN-07, EXE-11: the end of a run: left-over tasks, then generators, then threads, then the loop",
          "[threads]") {
    Log log;
    std::promise<void> gate;
    std::atomic<bool> job_done = false;
    std::optional<coaio::AsyncGenerator<int>> generator;
    generator.emplace(numbers(log));
    auto main = [](Log& names, std::optional<coaio::AsyncGenerator<int>>& stream, std::promise<void>& open,
                   std::atomic<bool>& done) -> Coro<int> {
        auto& loop = coaio::get_running_loop();
        create_task(leftover(names));
        const auto first = co_await stream->next();
        REQUIRE(first == 1);
        loop.run_in_executor([wait = open.get_future().share(), &done] {
            wait.wait();
            done = true;
        });
        // The gate opens when all else of the clean-up is over, and only if the loop still waits for the thread.
        loop.call_later(50ms, [&open] { open.set_value(); });
        loop.call_later(1h, Last(names));
        co_await coaio::sleep(0s);
        names.emplace_back("main ended");
        co_return 7;
    };
    REQUIRE(coaio::run(main(log, generator, gate, job_done)) == 7);
    REQUIRE(job_done);
    REQUIRE(log ==
            Log{"main ended", "task cancelled", "task ended", "generator closing", "generator closed", "loop closed"});
}

TEST_CASE("RUN-24: a KeyboardInterrupt out of the main task comes out of the run, and is not reported as unread") {
    coaio::Runner runner;
    Log reports;
    runner.get_loop().set_exception_handler(
        [&reports](coaio::Loop&, const coaio::ExceptionContext& context) { reports.push_back(context.message); });
    auto main = []() -> Coro<> {
        co_await coaio::sleep(0s);
        throw coaio::KeyboardInterrupt();
    };
    REQUIRE_THROWS_AS(runner.run(main()), coaio::KeyboardInterrupt);
    runner.close();
    REQUIRE(reports.empty());
}

#if !COAIO_TEST_SANITIZED  // a child that was forked among their threads
TEST_CASE("a SystemExit out of the program cleans up and ends the process with its code", "[threads]") {
    int pipe[2];
    REQUIRE(::pipe(pipe) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        auto main = [](int out) -> Coro<int> {
            create_task([](int end) -> Coro<> {
                const coaio::Future<> never;
                try {
                    co_await never;
                } catch (const coaio::CancelledError&) {
                    if (::write(end, "c", 1) != 1) ::_exit(1);
                }
            }(out));
            co_await coaio::sleep(0s);
            throw coaio::SystemExit(7);
        };
        ::_exit(coaio::run(main(pipe[1])));
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 7);
    char byte = 0;
    CHECK(::read(pipe[0], &byte, 1) == 1);
    ::close(pipe[0]);
    ::close(pipe[1]);
}
#endif

TEST_CASE("a Runner throws the SystemExit of its program") {
    coaio::Runner runner;
    auto main = []() -> Coro<> {
        co_await coaio::sleep(0s);
        throw coaio::SystemExit(7);
    };
    REQUIRE_THROWS_AS(runner.run(main()), coaio::SystemExit);
}

TEST_CASE("EXE-10: only a pool of threads can be the default executor") {
    STATIC_REQUIRE(DefaultExecutor<std::shared_ptr<coaio::ThreadPoolExecutor>>);
    STATIC_REQUIRE_FALSE(DefaultExecutor<std::shared_ptr<int>>);
    STATIC_REQUIRE_FALSE(DefaultExecutor<int>);
}
