// SPDX-License-Identifier: MIT
#include "tour.hpp"

#include <chrono>
#include <cstdio>
#include <ctime>
#include <string>

using namespace std::chrono_literals;

namespace tour {

namespace {

std::tm calendar() {
    const std::time_t now = std::chrono::system_clock::to_time_t(coaio::get_running_loop().wall_time());
    std::tm parts{};
    gmtime_r(&now, &parts);
    return parts;
}

coaio::Coro<> set_after(coaio::Future<std::string> future, coaio::Duration delay, std::string value) {
    co_await coaio::sleep(delay);
    future.set_result(std::move(value));
}

coaio::Coro<std::string> compute(std::string what) {
    co_await coaio::sleep(1s);
    co_return what + " is done";
}

std::string blocking_io() { return "from a thread"; }

}  // namespace

std::string clock_text() {
    char text[16];
    const std::tm parts = calendar();
    std::strftime(text, sizeof text, "%H:%M:%S", &parts);
    return text;
}

std::string date_text() {
    char text[32];
    const std::tm parts = calendar();
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
    return text;
}

// [ensure-future]
coaio::Coro<> ensure_future(std::ostream& out) {
    auto first = coaio::ensure_future(compute("a coroutine becomes a task, it"));
    auto same = coaio::ensure_future(first);  // a task or future stays what it is
    out << co_await same << std::endl;
    out << std::boolalpha << same.same_as(first) << std::endl;
}
// [/ensure-future]

// [future]
coaio::Coro<> future(std::ostream& out) {
    coaio::Future<std::string> later;
    coaio::create_task(set_after(later, 1s, "... world"));
    out << "hello ..." << std::endl;
    auto [beside, value] = co_await coaio::gather(compute("a coroutine beside it"), later);
    out << value << std::endl;
    out << beside << std::endl;
    out << co_await coaio::to_thread(blocking_io) << std::endl;
}
// [/future]

// [display-date]
coaio::Coro<> display_date(std::ostream& out) {
    auto& loop = coaio::get_running_loop();
    const auto end = loop.time() + 5s;
    for (;;) {
        out << date_text() << std::endl;
        if (loop.time() + 1s >= end) co_return;
        co_await coaio::sleep(1s);
    }
}
// [/display-date]

}  // namespace tour
