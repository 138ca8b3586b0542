// SPDX-License-Identifier: MIT
#include <coaio/core/loop.hpp>

#include <coaio/core/dump.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/gather.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/testing.hpp>

#include "core/reports.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;
using coaio::Future;
using coaio::Loop;
using tests::Reports;

namespace {

using Log = std::vector<std::string>;

Coro<> nap(coaio::Duration delay) { co_await coaio::sleep(delay); }
Coro<int> answer() { co_return 42; }
Coro<> throws_interrupt() {
    co_await coaio::sleep(0s);
    throw coaio::KeyboardInterrupt();
}

void once(Loop& loop) {
    loop.stop();
    loop.run_forever();
}

struct Mark {
    explicit Mark(Log& where, std::string what) : log(&where), text(std::move(what)) {}
    Mark(Mark&& other) noexcept : log(std::exchange(other.log, nullptr)), text(std::move(other.text)) {}
    Mark(const Mark&) = delete;
    Mark& operator=(const Mark&) = delete;
    ~Mark() {
        if (log != nullptr) log->push_back(text);
    }
    Log* log;
    std::string text;
};

}  // namespace

TEST_CASE("LOOP-01, LOOP-02: callbacks run in order of registration, what they register runs a turn later") {
    coaio::testing::TestLoop test;
    Loop& loop = test.loop();
    Log log;
    loop.call_soon([&] {
        log.emplace_back("a");
        loop.call_soon([&] { log.emplace_back("c"); });
    });
    loop.call_soon([&] { log.emplace_back("b"); });
    REQUIRE(log.empty());
    once(loop);
    REQUIRE(log == Log{"a", "b"});
    once(loop);
    REQUIRE(log == Log{"a", "b", "c"});
}

TEST_CASE("LOOP-03, LOOP-06: a callback cancelled in its own turn is skipped, and cancelling again is no matter") {
    coaio::testing::TestLoop test;
    Loop& loop = test.loop();
    bool ran = false;
    std::optional<coaio::Handle> second;
    loop.call_soon([&] { second->cancel(); });
    second = loop.call_soon([&] { ran = true; });
    once(loop);
    second->cancel();
    REQUIRE(second->cancelled());
    REQUIRE_FALSE(ran);
    auto timer = loop.call_later(0s, [&] { ran = true; });
    once(loop);
    REQUIRE(ran);
    timer.cancel();
    timer.cancel();
}

TEST_CASE(
    "LOOP-05: a cancelled handle lets go of its callable inside cancel(), whose destructor may re-enter the loop") {
    coaio::testing::TestLoop test;
    Loop& loop = test.loop();
    Log log;
    struct Reenter {
        Loop* loop;
        Log* log;
        Reenter(Loop& where, Log& what) : loop(&where), log(&what) {}
        Reenter(Reenter&& other) noexcept : loop(std::exchange(other.loop, nullptr)), log(other.log) {}
        ~Reenter() {
            if (loop != nullptr) loop->call_soon([mine = log] { mine->emplace_back("re-entered"); });
        }
        void operator()() const { log->emplace_back("ran"); }
    };
    auto handle = loop.call_later(1h, Reenter(loop, log));
    handle.cancel();
    once(loop);
    REQUIRE(log == Log{"re-entered"});
    REQUIRE(loop.stats().timers == 0);
}

TEST_CASE("LOOP-09, LOOP-10, LOOP-12: timers run in order of their time, equal ones as they were made") {
    coaio::testing::TestLoop test;
    Loop& loop = test.loop();
    std::vector<int> log;
    loop.call_later(3s, [&] { log.push_back(3); });
    loop.call_later(1s, [&] { log.push_back(1); });
    loop.call_later(2s, [&] { log.push_back(2); });
    for (int i = 10; i < 18; ++i) loop.call_later(5s, [&log, i] { log.push_back(i); });
    std::optional<coaio::TimerHandle> victim;
    loop.call_later(6s, [&] { victim->cancel(); });
    victim = loop.call_later(6s, [&] { log.push_back(99); });
    loop.call_later(7s, [&] { loop.stop(); });
    loop.run_forever();
    REQUIRE(log == std::vector<int>{1, 2, 3, 10, 11, 12, 13, 14, 15, 16, 17});
}

TEST_CASE("LOOP-17, LOOP-18: stop() lets the turn end; a run of a stopped loop makes one turn") {
    coaio::testing::TestLoop test;
    Loop& loop = test.loop();
    Log log;
    loop.call_soon([&] {
        loop.stop();
        loop.call_soon([&] { log.emplace_back("next run"); });
    });
    loop.call_soon([&] { log.emplace_back("same turn"); });
    loop.run_forever();
    REQUIRE(log == Log{"same turn"});
    once(loop);
    REQUIRE(log == Log{"same turn", "next run"});
}

TEST_CASE("LOOP-19: a run that is stopped before its task is done says so, and the task can be driven on") {
    coaio::testing::TestLoop test;
    Loop& loop = test.loop();
    auto task = loop.create_task(nap(2s));
    loop.call_later(1s, [&] { loop.stop(); });
    REQUIRE_THROWS_AS(loop.run_until_complete(task), coaio::RuntimeError);
    REQUIRE_FALSE(task.done());
    loop.run_until_complete(task);
    REQUIRE(task.done());
}

TEST_CASE("LOOP-20: a task that ends by KeyboardInterrupt leaves the run, and no stop request for the next") {
    coaio::testing::TestLoop test;
    Loop& loop = test.loop();
    Reports reports(loop);
    {
        auto task = loop.create_task(throws_interrupt());
        REQUIRE_THROWS_AS(loop.run_until_complete(task), coaio::KeyboardInterrupt);
        REQUIRE(task.done());
    }
    REQUIRE(loop.run_until_complete(answer()) == 42);
    REQUIRE(reports.messages().empty());
}

TEST_CASE("LOOP-23, LOOP-25: inside a running loop no loop can be run, and it cannot be closed") {
    coaio::testing::TestLoop test;
    Loop& loop = test.loop();
    auto main = [](Loop& mine) -> Coro<> {
        Loop other;
        REQUIRE_THROWS_AS(mine.run_forever(), coaio::RuntimeError);
        REQUIRE_THROWS_AS(other.run_forever(), coaio::RuntimeError);
        REQUIRE_THROWS_AS(mine.close(), coaio::RuntimeError);
        co_await coaio::sleep(1s);
    };
    loop.run_until_complete(main(loop));
    REQUIRE_FALSE(loop.is_closed());
}

TEST_CASE("LOOP-24, LOOP-26: a closed loop refuses everything, and a coroutine given to it goes away unstarted") {
    Loop loop;
    loop.close();
    loop.close();
    REQUIRE(loop.is_closed());
    REQUIRE_THROWS_AS(loop.run_forever(), coaio::RuntimeError);
    REQUIRE_THROWS_AS(loop.call_soon([] {}), coaio::RuntimeError);
    REQUIRE_THROWS_AS(loop.call_later(1s, [] {}), coaio::RuntimeError);
    REQUIRE_THROWS_AS(loop.call_at(loop.time(), [] {}), coaio::RuntimeError);
    REQUIRE_THROWS_AS(loop.call_soon_threadsafe([] {}), coaio::RuntimeError);
    bool ran = false;
    REQUIRE_THROWS_AS(loop.run_in_executor([&ran] { ran = true; }), coaio::RuntimeError);
    REQUIRE_FALSE(ran);
    {
        const coaio::detail::CoreGuard guard(loop.core());  // as code has it that runs while its loop closes
        const Future<int> bare;
        bare.set_result(1);
        REQUIRE(bare.result() == 1);
    }
    const auto held = std::make_shared<int>(1);
    auto body = [](std::shared_ptr<int>) -> Coro<> { co_return; };
    REQUIRE_THROWS_AS(loop.create_task(body(held)), coaio::RuntimeError);
    REQUIRE(held.use_count() == 1);
}

TEST_CASE("LOOP-27: closing destroys what is left where it hangs, reports each task once, and drops callbacks unrun") {
    Log log;
    auto body = [](Log& where, coaio::Duration delay) -> Coro<> {
        const Mark mark(where, "frame");
        co_await nap(delay);
    };
    std::optional<coaio::Task<>> kept;
    Log messages;
    {
        coaio::testing::TestLoop test;
        Loop& loop = test.loop();
        Reports reports(loop);
        kept = loop.create_task(body(log, 1h));
        loop.create_task(body(log, 0s));
        once(loop);
        loop.create_task(nap(1s), {.name = "unstarted"});
        loop.call_soon([mark = Mark(log, "callback")] {});
        loop.call_later(1h, [mark = Mark(log, "timer")] {});
        loop.close();
        messages = reports.messages();
    }
    REQUIRE(messages.size() == 3);
    REQUIRE(log.size() == 4);
    REQUIRE(kept->cancelled());
    REQUIRE_FALSE(kept->cancel());
}

TEST_CASE("what a destructor schedules while the loop closes is let go too") {
    const auto held = std::make_shared<int>(1);
    {
        coaio::testing::TestLoop test;
        Loop& loop = test.loop();
        struct Late {
            Loop* loop;
            std::shared_ptr<int> held;
            Late(Loop& where, std::shared_ptr<int> what) : loop(&where), held(std::move(what)) {}
            Late(Late&& other) noexcept : loop(std::exchange(other.loop, nullptr)), held(std::move(other.held)) {}
            ~Late() {
                if (loop != nullptr) loop->call_soon([mine = std::move(held)] {});
            }
        };
        loop.call_later(1h, [late = Late(loop, held)] {});
        loop.close();
    }
    REQUIRE(held.use_count() == 1);
}

TEST_CASE("a loop closes over tasks that wait in every combinator") {
    coaio::testing::TestLoop test;
    Loop& loop = test.loop();
    Reports reports(loop);
    auto main = []() -> Coro<> {
        auto waits = [](Future<int> never) -> Coro<> { co_await never; };
        co_await coaio::gather(coaio::gather(nap(1h), waits(Future<int>())), nap(2h));
    };
    loop.create_task(main());
    once(loop);
    once(loop);
    loop.close();
    REQUIRE(reports.messages().size() == 4);
}

TEST_CASE("LOOP-35: KeyboardInterrupt and SystemExit out of a callback leave the run, other errors are reported") {
    coaio::testing::TestLoop test;
    Loop& loop = test.loop();
    Reports reports(loop);
    bool after = false;
    loop.call_soon([] { throw std::runtime_error("reported"); });
    loop.call_soon([] { throw coaio::SystemExit(2); });
    loop.call_soon([&] { after = true; });
    REQUIRE_THROWS_AS(loop.run_forever(), coaio::SystemExit);
    REQUIRE(reports.messages().size() == 1);
    REQUIRE_FALSE(after);
    once(loop);
    REQUIRE(after);
}

TEST_CASE("HND-03, HND-05: a handler that fails does not harm the loop, one that throws SystemExit leaves it") {
    coaio::testing::TestLoop test;
    Loop& loop = test.loop();
    loop.set_exception_handler([](Loop&, const coaio::ExceptionContext&) { throw std::runtime_error("handler"); });
    loop.call_soon([] { throw std::runtime_error("first"); });
    once(loop);
    loop.set_exception_handler([](Loop&, const coaio::ExceptionContext&) { throw coaio::SystemExit(1); });
    loop.call_soon([] { throw std::runtime_error("second"); });
    REQUIRE_THROWS_AS(loop.run_forever(), coaio::SystemExit);
    loop.set_exception_handler({});
}

TEST_CASE("DBG-05: in debug mode a coroutine that was never awaited is reported, with its definition") {
    coaio::testing::TestLoop test({.debug = true});
    Reports reports(test.loop());
    auto main = []() -> Coro<> {
        { const auto forgotten = answer(); }
        co_return;
    };
    test.loop().run_until_complete(main());
    REQUIRE(reports.messages().size() == 1);
    REQUIRE_THAT(reports.messages()[0], tests::contains("answer at "));
}

TEST_CASE("RUN-01, RUN-11, RUN-25: run gives the result or the error, also of a type that only moves") {
    auto moves = []() -> Coro<std::unique_ptr<int>> { co_return std::make_unique<int>(9); };
    REQUIRE(*coaio::run(moves()) == 9);
    auto fails = []() -> Coro<> {
        co_await coaio::sleep(0s);
        throw std::runtime_error("out");
    };
    REQUIRE_THROWS_AS(coaio::run(fails()), std::runtime_error);
    auto cancels = []() -> Coro<> {
        coaio::current_task()->cancel();
        co_await coaio::sleep(0s);
    };
    REQUIRE_THROWS_AS(coaio::run(cancels()), coaio::CancelledError);
}

TEST_CASE("RUN-03: run from inside a loop is refused") {
    auto main = []() -> Coro<> {
        REQUIRE_THROWS_AS(coaio::run(answer()), coaio::RuntimeError);
        co_return;
    };
    coaio::run(main());
}

TEST_CASE("RUN-05, RUN-10: a left-over task has its first step, is cancelled, and its failure is reported") {
    coaio::Runner runner;
    Reports reports(runner.get_loop());
    Log log;
    auto leftover = [](Log& where) -> Coro<> {
        where.emplace_back("started");
        try {
            co_await coaio::sleep(1h);
        } catch (const coaio::CancelledError&) {
            throw std::runtime_error("while closing");
        }
    };
    auto main = [](auto make, Log& where) -> Coro<int> {
        create_task(make(where));
        co_return 5;
    };
    REQUIRE(runner.run(main(leftover, log)) == 5);
    runner.close();
    REQUIRE(log == Log{"started"});
    REQUIRE(reports.messages().size() == 1);
    REQUIRE_THAT(reports.messages()[0], tests::contains("shutting down"));
}

TEST_CASE("RUN-08: a task that a left-over task starts while it is cancelled is destroyed and reported") {
    coaio::Runner runner;
    Reports reports(runner.get_loop());
    auto leftover = []() -> Coro<> {
        try {
            co_await coaio::sleep(1h);
        } catch (const coaio::CancelledError&) {
            create_task(nap(1h), {.name = "late"});
        }
    };
    auto main = [](auto make) -> Coro<> {
        create_task(make());
        co_return;
    };
    runner.run(main(leftover));
    runner.close();
    REQUIRE(reports.messages().size() == 1);
    REQUIRE_THAT(reports.messages()[0], tests::contains("late"));
}

TEST_CASE("RUN-14: a Runner runs several times on one loop, and is of no use once closed") {
    coaio::Runner runner;
    Loop& loop = runner.get_loop();
    auto same = [](Loop& expected) -> Coro<bool> { co_return &coaio::get_running_loop() == &expected; };
    REQUIRE(runner.run(same(loop)));
    REQUIRE(runner.run(same(loop)));
    runner.close();
    runner.close();
    REQUIRE_THROWS_AS(runner.run(answer()), coaio::RuntimeError);
}

TEST_CASE("the running task's own stack is shown as it is now, after coroutines it awaited have gone") {
    auto main = []() -> Coro<std::string> {
        co_await nap(1s);
        co_return coaio::dump_tasks() + coaio::current_task()->repr();
    };
    const std::string text = coaio::testing::run(main());
    REQUIRE_THAT(text, tests::contains("running"));
    REQUIRE(text.find("nap") == std::string::npos);
}

TEST_CASE("a task's repr shows its state, its coroutine, where it is, and its result") {
    auto main = []() -> Coro<> {
        auto task = create_task(answer());
        REQUIRE_THAT(task.repr(),
                     tests::contains("<Task pending name='" + task.name() + "' coro=<answer() running at "));
        co_await task;
        REQUIRE_THAT(task.repr(), tests::contains("<Task finished name='" + task.name() + "' coro=<answer() done, "));
        REQUIRE_THAT(task.repr(), tests::contains("> result=42>"));
    };
    coaio::testing::run(main());
}

TEST_CASE("two seeds give different orders, the same seed the same") {
    auto main = []() -> Coro<std::string> {
        std::string order;
        auto worker = [](std::string& where, char name) -> Coro<> {
            for (int i = 0; i < 3; ++i) {
                co_await coaio::sleep(0s);
                where += name;
            }
        };
        std::vector<Coro<>> workers;
        for (char name = 'a'; name < 'i'; ++name) workers.push_back(worker(order, name));
        co_await coaio::gather(std::move(workers));
        co_return order;
    };
    const auto with = [&](std::uint64_t seed) { return coaio::testing::run(main(), {.seed = seed}); };
    REQUIRE(with(1) == with(1));
    REQUIRE(with(1) != with(2));
    REQUIRE(coaio::testing::run(main()) == "abcdefghabcdefghabcdefgh");
}

TEST_CASE("nothing can ever happen again is an error with the task tree, which cleaning up does not hide") {
    auto main = []() -> Coro<> {
        const Future<> never;
        for (int i = 0; i < 2; ++i) {
            try {
                co_await never;
            } catch (const coaio::CancelledError&) {}
            const Future<> again;
            co_await again;
        }
    };
    REQUIRE_THROWS_AS(coaio::testing::run(main()), coaio::DeadlockError);
}
