// SPDX-License-Identifier: MIT
#include <coaio/core/detail/signals.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>

#include "support/catch.hpp"
#include "support/sanitizers.hpp"

#include <csignal>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using coaio::Coro;

void (*disposition(int number))(int) {
    struct sigaction now{};
    ::sigaction(number, nullptr, &now);
    return now.sa_handler;
}

// SIGINT as a program finds it: the test runner has taken it for itself.
class DefaultInterrupt {
public:
    DefaultInterrupt() { before_ = std::signal(SIGINT, SIG_DFL); }
    DefaultInterrupt(const DefaultInterrupt&) = delete;
    DefaultInterrupt& operator=(const DefaultInterrupt&) = delete;
    ~DefaultInterrupt() { std::signal(SIGINT, before_); }

private:
    void (*before_)(int);
};

Coro<int> interrupted(bool catches) {
    ::raise(SIGINT);
    try {
        co_await coaio::sleep(std::chrono::hours(1));
    } catch (const coaio::CancelledError&) {
        if (!catches) throw;
    }
    co_return 7;
}

}  // namespace

TEST_CASE("a signal calls its handler from the loop, and wakes a loop that waits", "[threads]") {
    coaio::Loop loop;
    int calls = 0;
    loop.add_signal_handler(SIGUSR1, [&] {
        ++calls;
        loop.stop();
    });
    ::raise(SIGUSR1);
    CHECK(calls == 0);  // not from the signal handler itself
    loop.run_forever();
    CHECK(calls == 1);

    const auto self = ::pthread_self();
    auto sent = loop.run_in_executor([self] { ::pthread_kill(self, SIGUSR1); });
    loop.run_forever();
    CHECK(calls == 2);
    loop.run_until_complete(loop.shutdown_default_executor());
}

TEST_CASE("removing a handler restores what the signal did before", "[threads]") {
    std::signal(SIGUSR2, SIG_IGN);
    coaio::Loop loop;
    loop.add_signal_handler(SIGUSR2, [] {});
    CHECK(disposition(SIGUSR2) != SIG_IGN);
    CHECK(loop.remove_signal_handler(SIGUSR2));
    CHECK(disposition(SIGUSR2) == SIG_IGN);
    CHECK_FALSE(loop.remove_signal_handler(SIGUSR2));
    loop.add_signal_handler(SIGUSR2, [] {});
    loop.close();
    CHECK(disposition(SIGUSR2) == SIG_IGN);
    std::signal(SIGUSR2, SIG_DFL);
}

TEST_CASE("a second handler of the same loop replaces the first; another loop is refused", "[threads]") {
    coaio::Loop loop;
    std::string called;
    loop.add_signal_handler(SIGUSR1, [&] { called += "first "; });
    loop.add_signal_handler(SIGUSR1, [&] {
        called += "second";
        loop.stop();
    });
    ::raise(SIGUSR1);
    loop.run_forever();
    CHECK(called == "second");
    coaio::Loop other;
    CHECK_THROWS_AS(other.add_signal_handler(SIGUSR1, [] {}), coaio::RuntimeError);
}

TEST_CASE("signals that cannot be caught, or do not exist, are refused", "[threads]") {
    coaio::Loop loop;
    CHECK_THROWS_AS(loop.add_signal_handler(SIGKILL, [] {}), coaio::RuntimeError);
    CHECK_THROWS_AS(loop.add_signal_handler(0, [] {}), coaio::ValueError);
    CHECK_THROWS_AS(loop.add_signal_handler(10'000, [] {}), coaio::ValueError);
}

TEST_CASE("what a signal handler throws goes to the exception handler", "[threads]") {
    coaio::Loop loop;
    std::vector<std::string> reports;
    loop.set_exception_handler([&](coaio::Loop&, const coaio::ExceptionContext& context) {
        reports.push_back(coaio::describe_exception(context.exception));
        loop.stop();
    });
    loop.add_signal_handler(SIGUSR1, [] { throw std::runtime_error("in the handler"); });
    ::raise(SIGUSR1);
    loop.run_forever();
    REQUIRE(reports.size() == 1);
    CHECK_THAT(reports[0], tests::contains("in the handler"));
}

#if !COAIO_TEST_SANITIZED  // the thread sanitizer holds signals back until the loop would see them
TEST_CASE("an insistent watch ends the process when the loop does not look", "[threads]") {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        coaio::Loop loop;
        const coaio::detail::SignalWatch watch(loop, SIGINT, [] {}, true);
        ::raise(SIGINT);
        ::raise(SIGINT);
        ::raise(SIGINT);
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGINT);
}
#endif

TEST_CASE("a signal is free for a run only where nobody has taken it", "[threads]") {
    void (*const before)(int) = std::signal(SIGINT, SIG_DFL);  // a shell in the background ignores it
    CHECK(coaio::detail::signal_is_free(SIGINT));
    coaio::Loop loop;
    loop.add_signal_handler(SIGINT, [] {});
    CHECK_FALSE(coaio::detail::signal_is_free(SIGINT));
    loop.remove_signal_handler(SIGINT);
    CHECK(coaio::detail::signal_is_free(SIGINT));
    std::signal(SIGINT, SIG_IGN);
    CHECK_FALSE(coaio::detail::signal_is_free(SIGINT));
    std::signal(SIGINT, before);
}

TEST_CASE("RUN-16: the first SIGINT cancels the main task, and run throws KeyboardInterrupt", "[threads]") {
    const DefaultInterrupt interrupt;
    coaio::Runner runner;
    CHECK_THROWS_AS(runner.run(interrupted(false)), coaio::KeyboardInterrupt);
    CHECK(disposition(SIGINT) == SIG_DFL);
}

TEST_CASE("RUN-17: a main task that catches the interrupt and returns gives its value", "[threads]") {
    const DefaultInterrupt interrupt;
    coaio::Runner runner;
    CHECK(runner.run(interrupted(true)) == 7);
}

TEST_CASE("RUN-19: a second SIGINT ends the run while the main task still cleans up", "[threads]") {
    const DefaultInterrupt interrupt;
    coaio::Runner runner;
    const auto stubborn = []() -> Coro<> {
        static_cast<void>(co_await interrupted(true));
        ::raise(SIGINT);
        co_await coaio::sleep(std::chrono::hours(1));
    };
    CHECK_THROWS_AS(runner.run(stubborn()), coaio::KeyboardInterrupt);
}

TEST_CASE("a program's own handler of SIGINT takes the place of the run's", "[threads]") {
    const DefaultInterrupt interrupt;
    coaio::Runner runner;
    const auto main = []() -> Coro<int> {
        coaio::Future<int> told;
        coaio::get_running_loop().add_signal_handler(SIGINT, [told] { told.set_result(5); });
        ::raise(SIGINT);
        co_return co_await told;
    };
    CHECK(runner.run(main()) == 5);
}

TEST_CASE("RUN-18: a main task that answers the interrupt with an error of its own gives that", "[threads]") {
    const DefaultInterrupt interrupt;
    coaio::Runner runner;
    const auto answers = []() -> Coro<> {
        static_cast<void>(co_await interrupted(true));
        throw std::runtime_error("own answer");
    };
    CHECK_THROWS_WITH(runner.run(answers()), tests::contains("own answer"));
    CHECK(disposition(SIGINT) == SIG_DFL);
}

TEST_CASE("RUN-20: a main task that somebody else cancelled too gives CancelledError", "[threads]") {
    const DefaultInterrupt interrupt;
    coaio::Runner runner;
    const auto cancelled_too = []() -> Coro<> {
        const coaio::AnyTask me = *coaio::current_task();
        coaio::get_running_loop().call_soon([me] { me.cancel(); });
        static_cast<void>(co_await interrupted(false));
    };
    CHECK_THROWS_AS(runner.run(cancelled_too()), coaio::CancelledError);
}

TEST_CASE("RUN-21: where SIGINT is taken, or off the main thread, a run leaves it alone and works", "[threads]") {
    const auto looks = []() -> Coro<void (*)(int)> { co_return disposition(SIGINT); };
    const auto own = [](int) {};
    {
        const DefaultInterrupt interrupt;
        CHECK(coaio::run(looks()) != SIG_DFL);
        std::signal(SIGINT, own);
        CHECK(coaio::run(looks()) == static_cast<void (*)(int)>(own));
        std::signal(SIGINT, SIG_DFL);
        void (*elsewhere)(int) = own;
        std::thread([&] { elsewhere = coaio::run(looks()); }).join();
        CHECK(elsewhere == SIG_DFL);
    }
}

TEST_CASE("RUN-22: after a run SIGINT is as before, and left-over tasks were cancelled before the interrupt leaves",
          "[threads]") {
    const DefaultInterrupt interrupt;
    bool cancelled = false;
    const auto leftover = [](bool& flag) -> Coro<> {
        try {
            co_await coaio::sleep(std::chrono::hours(1));
        } catch (const coaio::CancelledError&) {
            flag = true;
        }
    };
    const auto main = [](auto make, bool& flag) -> Coro<> {
        coaio::create_task(make(flag));
        static_cast<void>(co_await interrupted(false));
    };
    bool thrown = false;
    try {
        coaio::Runner runner;
        runner.run(main(leftover, cancelled));
    } catch (const coaio::KeyboardInterrupt&) {
        thrown = true;
    }
    CHECK(thrown);
    CHECK(cancelled);
    CHECK(disposition(SIGINT) == SIG_DFL);
}
