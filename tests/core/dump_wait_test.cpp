// SPDX-License-Identifier: MIT
// What a dump says at the leaf: what a task waits for, who has it, and how many others wait.
#include <coaio/core/activity.hpp>
#include <coaio/core/barrier.hpp>
#include <coaio/core/condition.hpp>
#include <coaio/core/dump.hpp>
#include <coaio/core/event.hpp>
#include <coaio/core/future.hpp>
#include <coaio/core/io.hpp>
#include <coaio/core/lock.hpp>
#include <coaio/core/queue.hpp>
#include <coaio/core/semaphore.hpp>
#include <coaio/core/to_thread.hpp>
#include <coaio/core/wait.hpp>

#include "loop_thread.hpp"
#include "sync_support.hpp"

#include "support/catch.hpp"

#include <nlohmann/json.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <fcntl.h>

#include <array>
#include <bit>
#include <cstdint>
#include <future>
#include <sstream>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;
using tests::contains;
using tests::turn;
using tests::turns;
using Json = nlohmann::json;

namespace {

/// What the task of this name waits for, by a dump of all tasks of the loop.
Json wait_of(const std::string& name) {
    const Json dump = Json::parse(coaio::dump_tasks({.format = coaio::DumpFormat::json}));
    for (const Json& node : dump["tasks"]) {
        if (node["name"] == name) return node.value("wait", Json());
    }
    return {};
}

std::string address_of(const void* object) {
    std::ostringstream text;
    text << "0x" << std::hex << std::bit_cast<std::uintptr_t>(object);
    return text.str();
}

Coro<> asleep() { co_await coaio::sleep(1h); }

}  // namespace

TEST_CASE("Who waits for a lock says who holds it, how old that one is, and how many wait") {
    coaio::testing::run([]() -> Coro<> {
        coaio::Lock lock;
        auto holds = [](coaio::Lock& mine) -> Coro<> {
            const auto guard = co_await mine.scoped();
            co_await coaio::sleep(10s);
        };
        auto keeper = create_task(holds(lock), {.name = "keeper"});
        co_await turn();
        auto first = create_task(holds(lock), {.name = "first"});
        auto second = create_task(holds(lock), {.name = "second"});
        co_await coaio::sleep(2s);
        const Json wait = wait_of("second");
        CHECK(wait["what"] == "lock held by keeper");
        CHECK(wait["detail"] == Json({{"holder", 2}, {"holder_name", "keeper"}, {"holder_age", 2.0}, {"waiting", 2}}));
        keeper.cancel();
        co_await turns(3);
        CHECK(wait_of("second")["what"] == "lock held by first");
        first.cancel();
        second.cancel();
        co_await turns(3);  // both are gone before the lock is
    }());
}

TEST_CASE("A lock whose holder has ended says so, and does not look at it") {
    coaio::testing::run([]() -> Coro<> {
        coaio::Lock lock;
        auto takes = [](coaio::Lock& mine) -> Coro<> { co_await mine.acquire(); };
        co_await create_task(takes(lock));
        auto task = create_task(takes(lock), {.name = "unlucky"});
        co_await turn();
        CHECK(wait_of("unlucky")["what"] == "lock held by Task-2, which has ended");
        CHECK(wait_of("unlucky")["detail"] == Json({{"holder", 2}, {"waiting", 1}}));
        lock.release();
        co_await task;
    }());
}

TEST_CASE("Who waits for a semaphore, an event or a condition says how many do") {
    coaio::testing::run([]() -> Coro<> {
        coaio::Semaphore semaphore(0);
        coaio::Event event;
        coaio::Condition condition;
        auto units = [](coaio::Semaphore& mine) -> Coro<> { co_await mine.acquire(); };
        auto set = [](coaio::Event& mine) -> Coro<> { co_await mine.wait(); };
        auto bell = [](coaio::Condition& mine) -> Coro<> {
            const auto guard = co_await mine.scoped();
            co_await mine.wait();
        };
        std::vector<coaio::Task<>> tasks;
        tasks.push_back(create_task(units(semaphore), {.name = "units"}));
        tasks.push_back(create_task(units(semaphore)));
        tasks.push_back(create_task(set(event), {.name = "set"}));
        tasks.push_back(create_task(bell(condition), {.name = "bell"}));
        tasks.push_back(create_task(bell(condition)));
        tasks.push_back(create_task(bell(condition)));
        co_await turns(2);
        CHECK(wait_of("units")["what"] == "semaphore (0 units free, 2 waiting)");
        CHECK(wait_of("units")["detail"] == Json({{"free", 0}, {"waiting", 2}}));
        CHECK(wait_of("set")["what"] == "event (1 waiting)");
        CHECK(wait_of("set")["detail"] == Json({{"waiting", 1}}));
        CHECK(wait_of("bell")["what"] == "condition (3 waiting)");
        CHECK(wait_of("bell")["detail"] == Json({{"waiting", 3}}));
        for (auto& task : tasks) task.cancel();
        co_await coaio::wait(tasks);  // gone before what they wait for is
    }());
}

TEST_CASE("Who waits in a barrier says how many have come") {
    coaio::testing::run([]() -> Coro<> {
        coaio::Barrier barrier(3);
        auto comes = [](coaio::Barrier& mine) -> Coro<> { co_await mine.wait(); };
        auto first = create_task(comes(barrier), {.name = "first"});
        auto second = create_task(comes(barrier));
        co_await turns(2);
        CHECK(wait_of("first")["what"] == "barrier (2 of 3 have come)");
        CHECK(wait_of("first")["detail"] == Json({{"come", 2}, {"parties", 3}}));
        co_await comes(barrier);
        const std::vector both{first, second};
        co_await coaio::wait(both);  // they leave before the barrier does
    }());
}

TEST_CASE("Who waits for a queue says for what, how full it is, and how many wait") {
    coaio::testing::run([]() -> Coro<> {
        coaio::Queue<int> empty;
        coaio::Queue<int> full(2);
        full.put_nowait(1);
        full.put_nowait(2);
        auto get = [](coaio::Queue<int>& mine) -> Coro<> { static_cast<void>(co_await mine.get()); };
        auto put = [](coaio::Queue<int>& mine) -> Coro<> { co_await mine.put(3); };
        auto join = [](coaio::Queue<int>& mine) -> Coro<> { co_await mine.join(); };
        std::vector<coaio::Task<>> tasks;
        tasks.push_back(create_task(get(empty), {.name = "get"}));
        tasks.push_back(create_task(get(empty)));
        tasks.push_back(create_task(put(full), {.name = "put"}));
        tasks.push_back(create_task(join(full), {.name = "join"}));
        co_await turn();
        CHECK(wait_of("get")["what"] == "queue (empty, 2 waiting for an item)");
        CHECK(wait_of("get")["detail"] == Json({{"size", 0}, {"waiting", 2}}));
        CHECK(wait_of("put")["what"] == "queue (full, 1 waiting for a place)");
        CHECK(wait_of("put")["detail"] == Json({{"size", 2}, {"waiting", 1}, {"maxsize", 2}}));
        CHECK(wait_of("join")["what"] == "queue (2 items unfinished)");
        CHECK(wait_of("join")["detail"] == Json({{"unfinished", 2}, {"size", 2}}));
        for (auto& task : tasks) task.cancel();
        co_await coaio::wait(tasks);  // gone before what they wait for is
    }());
}

TEST_CASE("Of two queues, locks or events a dump says which, in both forms") {
    coaio::testing::run([]() -> Coro<> {
        coaio::Queue<int> first;
        coaio::Queue<int> second;
        coaio::Queue<int> full(1);
        full.put_nowait(1);
        coaio::Lock lock;
        coaio::Event event;
        coaio::Condition condition;
        coaio::Semaphore semaphore(0);
        coaio::Barrier barrier(2);
        auto get = [](coaio::Queue<int>& mine) -> Coro<> { static_cast<void>(co_await mine.get()); };
        auto put = [](coaio::Queue<int>& mine) -> Coro<> { co_await mine.put(3); };
        auto join = [](coaio::Queue<int>& mine) -> Coro<> { co_await mine.join(); };
        auto acquire = [](coaio::Lock& mine) -> Coro<> { co_await mine.acquire(); };
        auto unit = [](coaio::Semaphore& mine) -> Coro<> { co_await mine.acquire(); };
        auto set = [](coaio::Event& mine) -> Coro<> { co_await mine.wait(); };
        auto bell = [](coaio::Condition& mine) -> Coro<> {
            const auto guard = co_await mine.scoped();
            co_await mine.wait();
        };
        auto comes = [](coaio::Barrier& mine) -> Coro<> { co_await mine.wait(); };
        const auto guard = co_await lock.scoped();
        std::vector<coaio::Task<>> tasks;
        tasks.push_back(create_task(get(first), {.name = "a"}));
        tasks.push_back(create_task(get(first), {.name = "b"}));
        tasks.push_back(create_task(get(second), {.name = "c"}));
        tasks.push_back(create_task(put(full), {.name = "put"}));
        tasks.push_back(create_task(join(full), {.name = "join"}));
        tasks.push_back(create_task(acquire(lock), {.name = "lock"}));
        tasks.push_back(create_task(unit(semaphore), {.name = "unit"}));
        tasks.push_back(create_task(set(event), {.name = "set"}));
        tasks.push_back(create_task(bell(condition), {.name = "bell"}));
        tasks.push_back(create_task(comes(barrier), {.name = "comes"}));
        tasks.push_back(create_task(asleep(), {.name = "sleep"}));
        co_await turns(2);
        const std::string text = coaio::dump_tasks();
        const auto shown = [&text](const std::string& name, const void* object) {
            const std::string address = address_of(object);
            CHECK(wait_of(name)["object"] == address);
            CHECK_THAT(text, contains(wait_of(name)["what"].get<std::string>() + " at " + address + ", for "));
        };
        shown("a", &first);
        shown("b", &first);
        shown("c", &second);
        CHECK(wait_of("a")["object"] != wait_of("c")["object"]);
        shown("put", &full);
        shown("join", &full);
        shown("lock", &lock);
        shown("unit", &semaphore);
        shown("set", &event);
        shown("bell", &condition);
        shown("comes", &barrier);
        CHECK_FALSE(wait_of("sleep").contains("object"));
        for (auto& task : tasks) task.cancel();
        co_await coaio::wait(tasks);  // gone before what they wait for is
    }());
}

TEST_CASE("Who waits for a future says where it was made, for a task its name, for a thread that it is one") {
    coaio::testing::run([]() -> Coro<> {
        coaio::Future<int> future;
        const int line = __LINE__ - 1;
        std::promise<void> open;
        auto made = [](coaio::Future<int>& mine) -> Coro<> { static_cast<void>(co_await mine); };
        auto job = [](std::future<void> door) -> Coro<> { co_await coaio::to_thread([&door] { door.wait(); }); };
        auto a = create_task(made(future), {.name = "made"});
        auto b = create_task(job(open.get_future()), {.name = "job"});
        auto waits = [](coaio::Task<>& other) -> Coro<> { co_await other; };
        auto c = create_task(waits(a), {.name = "waits"});
        co_await turn();
        const auto what = wait_of("made");
        CHECK(what.is_null());  // it stands below the one that waits for it
        const std::string text = coaio::dump_tasks();
        CHECK_THAT(text, contains("waits for a future, created at "));
        CHECK_THAT(text, contains("dump_wait_test.cpp:" + std::to_string(line) + ", for"));
        CHECK_THAT(text, contains("|  waits for made, for"));
        CHECK(wait_of("job")["what"] == "a job on another thread");
        open.set_value();
        co_await b;
        a.cancel();
        co_await turns(3);  // gone before what they wait for is
    }());
}

TEST_CASE("Who waits for a descriptor says which, and in which direction") {
    coaio::testing::run([]() -> Coro<> {
        std::array<int, 2> ends{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
        std::array<int, 2> pipe{};
        REQUIRE(::pipe2(pipe.data(), O_NONBLOCK | O_CLOEXEC) == 0);
        coaio::io::Descriptor socket(ends[0]);
        const coaio::io::Descriptor other(ends[1]);
        auto reads = [](coaio::io::Descriptor& mine) -> Coro<> {
            std::array<std::byte, 1> byte{};
            static_cast<void>(co_await mine.read(byte));
        };
        auto ready = [](int fd) -> Coro<> { static_cast<void>(co_await coaio::io::wait_readable(fd)); };
        auto first = create_task(reads(socket), {.name = "reads"});
        auto second = create_task(ready(pipe[0]), {.name = "ready"});
        co_await turn();
        CHECK(wait_of("reads")["what"] == "read from socket " + std::to_string(ends[0]));
        CHECK(wait_of("reads")["detail"] == Json({{"descriptor", ends[0]}}));
        CHECK(wait_of("ready")["what"] == "readable descriptor " + std::to_string(pipe[0]));
        CHECK(wait_of("ready")["detail"] == Json({{"descriptor", pipe[0]}}));
        first.cancel();
        second.cancel();
        co_await turns(2);
        ::close(pipe[0]);
        ::close(pipe[1]);
    }());
}
