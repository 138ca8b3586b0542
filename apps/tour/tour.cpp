// SPDX-License-Identifier: MIT
#include "tour.hpp"

#include <string>

using namespace std::chrono_literals;

namespace {

// [execute]
coaio::Coro<int> execute() {
    co_await coaio::sleep(1s);
    co_return 1;
}
// [/execute]

}  // namespace

namespace tour {

namespace {

// [say_after]
coaio::Coro<> say_after(coaio::Duration delay, std::string what, std::ostream& out) {
    co_await coaio::sleep(delay);
    out << what << std::endl;
}
// [/say_after]

// [nested]
coaio::Coro<int> nested() { co_return 42; }
// [/nested]

}  // namespace

// [hello]
coaio::Coro<> hello(std::ostream& out) {
    out << "hello" << std::endl;
    co_await coaio::sleep(1s);
    out << "world" << std::endl;
}
// [/hello]

// [sequential]
coaio::Coro<> sequential(std::ostream& out) {
    out << "started at " << clock_text() << std::endl;
    co_await say_after(1s, "hello", out);
    co_await say_after(2s, "world", out);
    out << "finished at " << clock_text() << std::endl;
}
// [/sequential]

// [concurrent]
coaio::Coro<> concurrent(std::ostream& out) {
    auto task1 = coaio::create_task(say_after(1s, "hello", out));
    auto task2 = coaio::create_task(say_after(2s, "world", out));
    out << "started at " << clock_text() << std::endl;
    co_await task1;
    co_await task2;
    out << "finished at " << clock_text() << std::endl;
}
// [/concurrent]

// [not-awaited]
coaio::Coro<> not_awaited(std::ostream& out) {
    static_cast<void>(nested());  // a coroutine object is made, and nothing runs
    out << co_await nested() << std::endl;
}
// [/not-awaited]

// [task-state]
coaio::Coro<> task_state(std::ostream& out) {
    auto task = coaio::create_task(execute());
    out << task.repr() << std::endl;
    co_await task;
    out << task.repr() << std::endl;
}
// [/task-state]

}  // namespace tour
