// SPDX-License-Identifier: MIT
#include <coaio/core/event.hpp>

#include <coaio/core/dump.hpp>

#include "sync_support.hpp"

#include <memory>

using namespace tests;
using coaio::Coro;
using coaio::Event;

namespace {

Coro<> wait_and_log(Event& event, Log& log, std::string name) {
    const bool value = co_await event.wait();
    if (value) log.push_back(name);
}

}  // namespace

TEST_CASE("EVT-01: set wakes all in their order, and one that comes after it runs on at once") {
    run([]() -> Coro<> {
        Event event;
        Log log;
        auto a = coaio::create_task(wait_and_log(event, log, "a"));
        auto b = coaio::create_task(wait_and_log(event, log, "b"));
        co_await turn();
        CHECK(log.empty());
        auto late = coaio::create_task(wait_and_log(event, log, "late"));
        event.set();
        co_await late;
        // The late one was queued before the two were woken.
        CHECK(log == Log{"late", "a", "b"});
        co_await a;
        co_await b;
    });
}

TEST_CASE("EVT-02: a wait on a set event gives true without suspending") {
    run([]() -> Coro<> {
        Event event;
        Log log;
        event.set();
        auto other = coaio::create_task(wait_and_log(event, log, "other"));
        const bool value = co_await event.wait();
        CHECK(value);
        CHECK(log.empty());
        co_await other;
    });
}

TEST_CASE("EVT-03: a cancelled waiter leaves nothing behind") {
    run([]() -> Coro<> {
        Event event;
        Log log;
        auto waiter = coaio::create_task(wait_and_log(event, log, "a"));
        co_await turn();
        waiter.cancel();
        const auto how = co_await outcome(waiter);
        CHECK(how == "cancelled");
        event.set();
        co_await turns(2);
        CHECK(log.empty());
    });
}

TEST_CASE("EVT-05: set and clear follow each other and change nothing when said twice") {
    Event event;
    CHECK_FALSE(event.is_set());
    event.set();
    event.set();
    CHECK(event.is_set());
    event.clear();
    event.clear();
    CHECK_FALSE(event.is_set());
}

TEST_CASE("A waiter woken by set goes on although the event is cleared before it resumes") {
    run([]() -> Coro<> {
        Event event;
        Log log;
        auto waiter = coaio::create_task(wait_and_log(event, log, "a"));
        co_await turn();
        event.set();
        event.clear();
        co_await waiter;
        CHECK(log == Log{"a"});
    });
}

TEST_CASE("EVT-06: a woken waiter cancelled before it resumes is cancelled, the others wake") {
    run([]() -> Coro<> {
        Event event;
        Log log;
        auto a = coaio::create_task(wait_and_log(event, log, "a"));
        auto b = coaio::create_task(wait_and_log(event, log, "b"));
        co_await turn();
        event.set();
        a.cancel();
        const auto how = co_await outcome(a);
        CHECK(how == "cancelled");
        CHECK(log == Log{"b"});
        co_await b;
    });
}

TEST_CASE("An event may go right after it was set; a waiter it leaves behind is told") {
    run([]() -> Coro<> {
        Log log;
        auto event = std::make_unique<Event>();
        auto waiter = coaio::create_task(wait_and_log(*event, log, "a"));
        co_await turn();
        event->set();
        event.reset();
        co_await waiter;
        CHECK(log == Log{"a"});

        event = std::make_unique<Event>();
        auto left = coaio::create_task(wait_and_log(*event, log, "b"));
        co_await turn();
        event.reset();
        const auto how = co_await outcome(left);
        CHECK_THAT(how, contains("destroyed"));
    });
}

TEST_CASE("A task dump says that a task waits for an event") {
    run([]() -> Coro<> {
        Event event;
        Log log;
        auto waiter = coaio::create_task(wait_and_log(event, log, "a"));
        co_await turn();
        CHECK_THAT(coaio::dump_tasks(), contains("waits for event"));
        event.set();
        co_await waiter;
    });
}

TEST_CASE("An event cut at any turn still wakes the others") {
    std::shared_ptr<Event> event;
    std::shared_ptr<Log> log;
    const auto body = [](std::shared_ptr<Event> mine, std::shared_ptr<Log> into) -> Coro<> {
        into->push_back("start");
        coaio::create_task(wait_and_log(*mine, *into, "other"));
        co_await turn();
        co_await mine->wait();
    };
    const auto check = [](std::shared_ptr<Event> mine, std::shared_ptr<Log> into) -> Coro<> {
        mine->set();
        co_await turns(5);
        if (!into->empty()) CHECK(*into == Log{"start", "other"});
        co_await mine->wait();
    };
    coaio::testing::cut(
        [&] {
            event = std::make_shared<Event>();
            log = std::make_shared<Log>();
            coaio::get_running_loop().call_later(coaio::Duration(1), [mine = event] { mine->set(); });
            return body(event, log);
        },
        [&](std::size_t) { return check(event, log); });
}
