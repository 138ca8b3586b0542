// SPDX-License-Identifier: MIT
#include <coaio/core/context.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include <unistd.h>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;
using coaio::ExceptionContext;
using coaio::Future;
using coaio::Loop;

namespace {

using Log = std::vector<std::string>;

coaio::ContextVar<std::string> request;

// What `function()` writes to standard error.
template <class F>
std::string standard_error_of(F function) {
    std::fflush(stderr);
    std::FILE* const file = std::tmpfile();
    REQUIRE(file != nullptr);
    const int before = ::dup(STDERR_FILENO);
    ::dup2(::fileno(file), STDERR_FILENO);
    function();
    std::fflush(stderr);
    ::dup2(before, STDERR_FILENO);
    ::close(before);
    std::string text;
    std::rewind(file);
    for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text += static_cast<char>(c);
    std::fclose(file);
    return text;
}

void once(Loop& loop) {
    loop.stop();
    loop.run_forever();
}

Coro<> fails(std::string what) {
    co_await coaio::sleep(0s);
    throw std::runtime_error(what);
}

Coro<> drops_failing_task() {
    { const auto dropped = create_task(fails("unread"), {.name = "dropped"}); }
    co_await coaio::sleep(1s);
}

std::string text_of(const std::exception_ptr& exception) {
    return exception == nullptr ? "none" : coaio::describe_exception(exception);
}

// COAIO_DEBUG as a test wants it, and afterwards as it was.
class DebugVariable {
public:
    explicit DebugVariable(const char* value) {
        if (const char* const set = std::getenv("COAIO_DEBUG")) before_ = set;
        value != nullptr ? ::setenv("COAIO_DEBUG", value, 1) : ::unsetenv("COAIO_DEBUG");
    }
    DebugVariable(const DebugVariable&) = delete;
    DebugVariable& operator=(const DebugVariable&) = delete;
    ~DebugVariable() { before_ ? ::setenv("COAIO_DEBUG", before_->c_str(), 1) : ::unsetenv("COAIO_DEBUG"); }

private:
    std::optional<std::string> before_;
};

Coro<bool> in_debug_mode() { co_return coaio::get_running_loop().debug(); }

template <class F>
concept Schedulable = requires(Loop& loop, F function) { loop.call_soon(function); };

}  // namespace

TEST_CASE("HND-02: a handler gets the loop, the message, the exception and the handle; unset, the default is back") {
    coaio::testing::TestLoop test;
    Loop& loop = test.loop();
    int calls = 0;
    std::optional<coaio::Handle> handle;
    loop.set_exception_handler([&](Loop& mine, const ExceptionContext& context) {
        ++calls;
        REQUIRE(&mine == &loop);
        REQUIRE_THAT(context.message, tests::contains("callback"));
        REQUIRE_THAT(text_of(context.exception), tests::contains("first"));
        REQUIRE(handle->is(context.handle));
    });
    handle = loop.call_soon([] { throw std::runtime_error("first"); });
    once(loop);
    REQUIRE(calls == 1);
    loop.set_exception_handler(nullptr);
    loop.call_soon([] { throw std::runtime_error("second"); });
    const std::string text = standard_error_of([&] { once(loop); });
    REQUIRE(calls == 1);
    REQUIRE_THAT(text, tests::contains("second"));
}

TEST_CASE("HND-03: of a handler that throws, its failure is logged, and what it was given") {
    coaio::testing::TestLoop test;
    Loop& loop = test.loop();
    loop.set_exception_handler([](Loop&, const ExceptionContext&) { throw std::runtime_error("in the handler"); });
    loop.call_soon([] { throw std::runtime_error("the original"); });
    const std::string text = standard_error_of([&] { once(loop); });
    REQUIRE_THAT(text, tests::contains("handler itself failed"));
    REQUIRE_THAT(text, tests::contains("in the handler"));
    REQUIRE_THAT(text, tests::contains("the original"));
}

TEST_CASE("HND-06: an empty handler means the default, and what cannot be called is refused") {
    STATIC_REQUIRE(std::is_convertible_v<std::nullptr_t, Loop::ExceptionHandler>);
    STATIC_REQUIRE_FALSE(std::is_convertible_v<int, Loop::ExceptionHandler>);
    STATIC_REQUIRE_FALSE(std::is_convertible_v<void (*)(), Loop::ExceptionHandler>);
    coaio::testing::TestLoop test;
    bool called = false;
    test.loop().set_exception_handler([&called](Loop&, const ExceptionContext&) { called = true; });
    test.loop().set_exception_handler(Loop::ExceptionHandler());
    const std::string text =
        standard_error_of([&] { test.loop().call_exception_handler({.message = "said to the default"}); });
    REQUIRE_THAT(text, tests::contains("said to the default"));
    REQUIRE_FALSE(called);
}

TEST_CASE("HND-07: the handler runs in the context of the task or callback that failed") {
    coaio::testing::TestLoop test;
    Log seen;
    test.loop().set_exception_handler(
        [&seen](Loop&, const ExceptionContext&) { seen.push_back(request.get_or("none")); });
    auto failing = [](std::string id) -> Coro<> {
        request.set(std::move(id));
        co_await fails("x");
    };
    auto main = [](auto make) -> Coro<> {
        auto& loop = coaio::get_running_loop();
        auto task = create_task(make("of the task"));
        co_await coaio::sleep(1s);
        request.set("of the dropper");
        { const auto last = std::move(task); }
        request.set("of the callback");
        loop.call_soon([] { throw std::runtime_error("callback"); });
        const Future<> future;
        future.add_done_callback([](const auto&) { throw std::runtime_error("done callback"); });
        request.set("moved on");
        future.set_result();
        co_await coaio::sleep(0s);
        create_task(make("of a left-over task"));
        co_await coaio::sleep(0s);
        REQUIRE(request.get() == "moved on");
    };
    test.run(main(failing));
    REQUIRE(seen == Log{"of the task", "of the callback", "of the callback", "of a left-over task"});
}

TEST_CASE("HND-08: a failed task that is dropped unread is logged with its exception") {
    coaio::testing::TestLoop test;
    const std::string text = standard_error_of([&] { test.run(drops_failing_task()); });
    REQUIRE_THAT(text, tests::contains("never retrieved"));
    REQUIRE_THAT(text, tests::contains("dropped"));
    REQUIRE_THAT(text, tests::contains("unread"));
}

TEST_CASE("HND-09: a handler that throws while a task is let go is logged and goes no further") {
    coaio::testing::TestLoop test;
    test.loop().set_exception_handler([](Loop&, const ExceptionContext&) { throw std::logic_error("by the handler"); });
    const std::string text = standard_error_of([&] { test.run(drops_failing_task()); });
    REQUIRE_THAT(text, tests::contains("by the handler"));
    REQUIRE_THAT(text, tests::contains("unread"));
}

TEST_CASE("DBG-01: a slow callback is reported with the place where it was scheduled") {
    Loop loop;
    Log messages;
    loop.set_exception_handler(
        [&messages](Loop&, const ExceptionContext& context) { messages.push_back(context.message); });
    loop.set_debug(true);
    loop.set_slow_step_limit(2ms);
    loop.call_soon([] {
        const auto until = std::chrono::steady_clock::now() + 3ms;
        while (std::chrono::steady_clock::now() < until) {}
    });
    once(loop);
    REQUIRE_FALSE(messages.empty());
    REQUIRE_THAT(messages[0], tests::contains("a callback (scheduled at "));
    REQUIRE_THAT(messages[0], tests::contains("handler_test.cpp"));
}

TEST_CASE("DBG-04: what cannot be called cannot be scheduled") {
    STATIC_REQUIRE(Schedulable<void (*)()>);
    STATIC_REQUIRE_FALSE(Schedulable<int>);
    STATIC_REQUIRE_FALSE(Schedulable<std::string>);
    STATIC_REQUIRE_FALSE(Schedulable<void (*)(int)>);
}

TEST_CASE("DBG-07: tasks, futures and handles know where they were made, and reports say so") {
    coaio::testing::TestLoop test;
    Log messages;
    test.loop().set_exception_handler(
        [&messages](Loop&, const ExceptionContext& context) { messages.push_back(context.message); });
    auto main = []() -> Coro<> {
        {
            const Future<int> future;
            future.set_exception(std::runtime_error("future"));
        }
        coaio::get_running_loop().call_later(0s, [] { throw std::runtime_error("callback"); });
        co_await coaio::sleep(0s);
        co_await drops_failing_task();
    };
    test.run(main());
    REQUIRE(messages.size() == 3);
    for (const std::string& each : messages) REQUIRE_THAT(each, tests::contains("handler_test.cpp:"));
}

TEST_CASE("DBG-08, RUN-12: an environment variable turns debug mode on, and an explicit choice wins") {
    for (const auto& [value, expected] :
         {std::pair<const char*, bool>("1", true), {"yes", true}, {"0", false}, {"", false}, {nullptr, false}}) {
        const DebugVariable variable(value);
        REQUIRE(Loop().debug() == expected);
        REQUIRE(coaio::run(in_debug_mode()) == expected);
        REQUIRE(coaio::run(in_debug_mode(), {.debug = true}));
        REQUIRE_FALSE(coaio::run(in_debug_mode(), {.debug = false}));
        Loop loop;
        loop.set_debug(!expected);
        REQUIRE(loop.debug() != expected);
    }
}
