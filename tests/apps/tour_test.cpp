// SPDX-License-Identifier: MIT
#include "tour/tour.hpp"

#include <coaio/core/testing.hpp>

#include "support/catch.hpp"

#include <sstream>
#include <string>
#include <string_view>

using namespace std::chrono_literals;

namespace {

struct Run {
    std::string output;
    coaio::Duration took{};
};

Run run_example(std::string_view name) {
    for (const tour::Example& each : tour::examples()) {
        if (each.name != name) continue;
        coaio::testing::TestLoop loop;
        std::ostringstream out;
        const auto start = loop.loop().time();
        coaio::TimePoint end;
        const auto timed = [](const tour::Example& example, std::ostream& to, coaio::TimePoint& at) -> coaio::Coro<> {
            co_await example.run(to);
            at = coaio::Clock::now();
        };
        loop.run(timed(each, out, end));
        return {out.str(), end - start};
    }
    FAIL("no example is called " << name);
    return {};
}

}  // namespace

TEST_CASE("tour hello: hello, one second, world") {
    const Run run = run_example("hello");
    REQUIRE(run.output == "hello\nworld\n");
    REQUIRE(run.took == 1s);
}

TEST_CASE("tour sequential: two coroutines take three seconds") {
    const Run run = run_example("sequential");
    REQUIRE(run.output == "started at 22:13:20\nhello\nworld\nfinished at 22:13:23\n");
    REQUIRE(run.took == 3s);
}

TEST_CASE("tour concurrent: two tasks take two seconds") {
    const Run run = run_example("concurrent");
    REQUIRE(run.output == "started at 22:13:20\nhello\nworld\nfinished at 22:13:22\n");
    REQUIRE(run.took == 2s);
}

TEST_CASE("tour not-awaited: nothing runs, then 42") { REQUIRE(run_example("not-awaited").output == "42\n"); }

TEST_CASE("tour task-state: pending where it runs, then finished with its result") {
    const Run run = run_example("task-state");
    REQUIRE_THAT(run.output, tests::contains("<Task pending name='Task-2' coro=<execute() running at "));
    REQUIRE_THAT(run.output, tests::contains("tour.cpp:"));
    REQUIRE_THAT(run.output, tests::contains("<Task finished name='Task-2' coro=<execute() done, defined at "));
    REQUIRE_THAT(run.output, tests::contains("result=1>"));
    REQUIRE(run.took == 1s);
}

TEST_CASE("tour ensure-future: a coroutine becomes a task, a task stays what it is") {
    REQUIRE(run_example("ensure-future").output == "a coroutine becomes a task, it is done\ntrue\n");
}

TEST_CASE("tour future: a future beside a coroutine, and one from a thread") {
    const Run run = run_example("future");
    REQUIRE(run.output == "hello ...\n... world\na coroutine beside it is done\nfrom a thread\n");
    REQUIRE(run.took == 1s);
}

TEST_CASE("tour display-date: the date each second for five seconds") {
    const Run run = run_example("display-date");
    REQUIRE(run.output == "2023-11-14 22:13:20\n2023-11-14 22:13:21\n2023-11-14 22:13:22\n2023-11-14 22:13:23\n"
                          "2023-11-14 22:13:24\n");
    REQUIRE(run.took == 4s);
}

TEST_CASE("tour factorial: three tasks take turns") {
    const Run run = run_example("factorial");
    REQUIRE(run.output == "Task A: Compute factorial(2), currently i=2...\n"
                          "Task B: Compute factorial(3), currently i=2...\n"
                          "Task C: Compute factorial(4), currently i=2...\n"
                          "Task A: factorial(2) = 2\n"
                          "Task B: Compute factorial(3), currently i=3...\n"
                          "Task C: Compute factorial(4), currently i=3...\n"
                          "Task B: factorial(3) = 6\n"
                          "Task C: Compute factorial(4), currently i=4...\n"
                          "Task C: factorial(4) = 24\n"
                          "[2, 6, 24]\n");
    REQUIRE(run.took == 3s);
}

TEST_CASE("tour gather-exceptions: outcomes, or the first failure") {
    REQUIRE(run_example("gather-exceptions").output ==
            "1\nstd::runtime_error: this one failed\nthe first failure is thrown: this one failed\n");
}

TEST_CASE("tour shield: the caller is cancelled, the save is finished") {
    const Run run = run_example("shield");
    REQUIRE(run.output ==
            "saving\nthe request was cancelled\nsaved\ncaller cancelled: true, saving cancelled: false\n");
    REQUIRE(run.took == 2s);
}

TEST_CASE("tour wait-for: timeout after one second") {
    const Run run = run_example("wait-for");
    REQUIRE(run.output == "timeout!\n");
    REQUIRE(run.took == 1s);
}

TEST_CASE("tour wait: the first done, then the others") {
    REQUIRE(run_example("wait").output == "1 done, 2 pending\n2\n3\n");
}

TEST_CASE("tour as-completed: in the order in which they come") {
    REQUIRE(run_example("as-completed").output == "1\n2\n3\n");
}

TEST_CASE("tour generator: three values") {
    const Run run = run_example("generator");
    REQUIRE(run.output == "0\n1\n2\n");
    REQUIRE(run.took == 3s);
}
