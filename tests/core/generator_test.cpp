// SPDX-License-Identifier: MIT
#include <coaio/core/generator.hpp>

#include <coaio/core/dump.hpp>
#include <coaio/core/event.hpp>
#include <coaio/core/loop.hpp>

#include "sync_support.hpp"

#include <algorithm>
#include <memory>

using namespace tests;
using coaio::AsyncGenerator;
using coaio::Coro;

namespace {

AsyncGenerator<int> count(int n) {
    for (int i = 0; i < n; ++i) {
        co_await turn();
        co_yield i;
    }
}

AsyncGenerator<int> count_and_fail(int n) {
    for (int i = 0; i < n; ++i) co_yield i;
    throw coaio::ValueError("out of numbers");
}

struct OnExit {
    Log& log;
    std::string text;
    OnExit(Log& into, std::string what) : log(into), text(std::move(what)) {}
    OnExit(const OnExit&) = delete;
    OnExit& operator=(const OnExit&) = delete;
    ~OnExit() { log.push_back(text); }
};

// Yields, and cleans up with awaits when it is stopped.
AsyncGenerator<int> careful(Log& log, std::string name = "") {
    const OnExit frame(log, name + "frame gone");
    std::exception_ptr stop;
    try {
        for (int i = 0;; ++i) co_yield i;
    } catch (const coaio::GeneratorExit&) {
        stop = std::current_exception();
    }
    log.push_back(name + "cleaning");
    co_await turns(2);
    log.push_back(name + "clean");
    std::rethrow_exception(stop);
}

AsyncGenerator<int> waiting_inside(coaio::Event& event, Log& log) {
    std::exception_ptr error;
    co_yield 1;
    try {
        co_await event.wait();
        co_yield 2;
    } catch (const coaio::CancelledError&) {
        log.push_back("cancelled inside");
        error = std::current_exception();
    }
    if (error) std::rethrow_exception(error);
}

Coro<int> sum(AsyncGenerator<int> numbers) {
    int total = 0;
    while (auto number = co_await numbers.next()) total += *number;
    co_return total;
}

Coro<> take_two(AsyncGenerator<int>& numbers) {
    co_await numbers.next();
    co_await numbers.next();
}

Coro<> close_it(AsyncGenerator<int>& numbers) { co_await numbers.aclose(); }

}  // namespace

TEST_CASE("AGN-01: yields and awaits mix freely") {
    run([]() -> Coro<> {
        const int total = co_await sum(count(5));
        CHECK(total == 10);
        auto none = count(0);
        const auto first = co_await none.next();
        CHECK_FALSE(first.has_value());
        const auto again = co_await none.next();
        CHECK_FALSE(again.has_value());
    });
}

TEST_CASE("AGN-01: an exception comes out to the consumer and ends the generator") {
    run([]() -> Coro<> {
        auto numbers = count_and_fail(1);
        auto first = co_await numbers.next();
        CHECK(first == 0);
        std::string what;
        try {
            co_await numbers.next();
        } catch (const coaio::ValueError& error) {
            what = error.what();
        }
        CHECK(what == "out of numbers");
        const auto after = co_await numbers.next();
        CHECK_FALSE(after.has_value());
        co_await numbers.aclose();
    });
}

TEST_CASE("A generator that yields without awaiting does not give up the turn") {
    run([]() -> Coro<> {
        auto numbers = count_and_fail(1000);
        auto other = coaio::create_task(turns(0));
        for (int i = 0; i < 1000; ++i) {
            auto number = co_await numbers.next();
            if (number != i) FAIL("wrong number");
        }
        CHECK_FALSE(other.done());
        co_await other;
    });
}

TEST_CASE("AGN-02: aclose runs the clean-up with its awaits to the end, and nothing after") {
    run([]() -> Coro<> {
        Log log;
        auto numbers = careful(log);
        co_await numbers.next();
        co_await numbers.aclose();
        CHECK(log == Log{"cleaning", "clean", "frame gone"});
        const auto after = co_await numbers.next();
        CHECK_FALSE(after.has_value());
    });
}

TEST_CASE("AGN-02: aclose of a generator that never ran runs nothing of it") {
    run([]() -> Coro<> {
        Log log;
        auto numbers = careful(log);
        co_await numbers.aclose();
        CHECK(log.empty());
        const auto after = co_await numbers.next();
        CHECK_FALSE(after.has_value());
    });
}

TEST_CASE("AGN-02: what the clean-up throws comes out of aclose") {
    run([]() -> Coro<> {
        auto numbers = []() -> AsyncGenerator<int> {
            try {
                co_yield 1;
            } catch (const coaio::GeneratorExit&) {
                throw coaio::ValueError("cannot clean up");
            }
        }();
        co_await numbers.next();
        std::string what;
        try {
            co_await numbers.aclose();
        } catch (const coaio::ValueError& error) {
            what = error.what();
        }
        CHECK(what == "cannot clean up");
    });
}

TEST_CASE("A generator that yields again instead of stopping makes aclose throw, and is gone") {
    run([]() -> Coro<> {
        Log log;
        auto numbers = [](Log& into) -> AsyncGenerator<Item> {
            const OnExit frame(into, "frame gone");
            bool stopped = false;
            try {
                co_yield Item(1);
            } catch (const coaio::GeneratorExit&) {
                stopped = true;
            }
            if (stopped) co_yield Item(2);
        }(log);
        co_await numbers.next();
        std::string what;
        try {
            co_await numbers.aclose();
        } catch (const coaio::RuntimeError& error) {
            what = error.what();
        }
        CHECK_THAT(what, contains("ignored GeneratorExit"));
        CHECK(log == Log{"frame gone"});
        CHECK(Item::alive() == 0);
    });
}

TEST_CASE("AGN-04: a generator that swallows the stop and returns is closed all the same") {
    run([]() -> Coro<> {
        auto numbers = []() -> AsyncGenerator<int> {
            try {
                co_yield 1;
            } catch (const coaio::GeneratorExit&) {  // enough
            }
        }();
        co_await numbers.next();
        co_await numbers.aclose();
        const auto after = co_await numbers.next();
        CHECK_FALSE(after.has_value());
    });
}

TEST_CASE("AGN-05: a clean-up that awaits a failing task and handles it is fine") {
    run([]() -> Coro<> {
        Log log;
        auto numbers = [](Log& into) -> AsyncGenerator<int> {
            try {
                co_yield 1;
            } catch (const coaio::GeneratorExit&) {  // on to the clean-up
            }
            auto failing = coaio::create_task(sum(count_and_fail(2)));
            try {
                co_await failing;
            } catch (const coaio::ValueError&) {
                into.push_back("handled");
            }
        }(log);
        co_await numbers.next();
        co_await numbers.aclose();
        CHECK(log == Log{"handled"});
    });
}

TEST_CASE("AGN-07: aclose twice, or after the end, has no effect") {
    run([]() -> Coro<> {
        Log log;
        auto numbers = careful(log);
        co_await numbers.next();
        co_await numbers.aclose();
        co_await numbers.aclose();
        CHECK(log == Log{"cleaning", "clean", "frame gone"});
        auto ended = count(0);
        co_await ended.next();
        co_await ended.aclose();
    });
}

TEST_CASE("AGN-08: a second next or aclose while one is under way throws, and the first is undisturbed") {
    run([]() -> Coro<> {
        coaio::Event event;
        Log log;
        auto numbers = waiting_inside(event, log);
        auto first = coaio::create_task(take_two(numbers));
        co_await turn();
        const auto next = co_await outcome(coaio::create_task(take_two(numbers)));
        CHECK_THAT(next, contains("already running"));
        const auto close = co_await outcome(coaio::create_task(close_it(numbers)));
        CHECK_THAT(close, contains("already running"));
        event.set();
        co_await first;
        co_await numbers.aclose();
    });
}

TEST_CASE("AGN-10: a consumer cancelled while the generator awaits cancels it inside") {
    run([]() -> Coro<> {
        coaio::Event event;
        Log log;
        auto numbers = waiting_inside(event, log);
        auto consumer = coaio::create_task(take_two(numbers));
        co_await turn();
        consumer.cancel("enough");
        const auto how = co_await outcome(consumer);
        CHECK(how == "cancelled: enough");
        CHECK(log == Log{"cancelled inside"});
        const auto after = co_await numbers.next();
        CHECK_FALSE(after.has_value());
    });
}

TEST_CASE("AGN-11: a consumer cancelled between two steps leaves the generator where it is") {
    run([]() -> Coro<> {
        Log log;
        auto numbers = careful(log);
        auto consumer = coaio::create_task([](AsyncGenerator<int>& from) -> Coro<> {
            co_await from.next();
            co_await turns(5);
        }(numbers));
        co_await turn();
        consumer.cancel();
        const auto how = co_await outcome(consumer);
        CHECK(how == "cancelled");
        CHECK(log.empty());
        const auto second = co_await numbers.next();
        CHECK(second == 1);
        co_await numbers.aclose();
    });
}

TEST_CASE("AGN-12: a half-run generator that is dropped is closed by the loop in a new task, a turn later") {
    run([]() -> Coro<> {
        Log log;
        {
            auto numbers = careful(log);
            co_await numbers.next();
        }
        CHECK(log.empty());
        CHECK(coaio::all_tasks().size() == 2);
        co_await turn();
        CHECK(log == Log{"cleaning"});
        co_await turns(2);
        CHECK(log == Log{"cleaning", "clean", "frame gone"});
        CHECK(coaio::all_tasks().size() == 1);
    });
}

TEST_CASE("AGN-12: one that never ran, or has ended, just goes") {
    run([]() -> Coro<> {
        Log log;
        {
            auto never = careful(log);
            auto ended = count(0);
            co_await ended.next();
        }
        CHECK(log.empty());
        CHECK(coaio::all_tasks().size() == 1);
    });
}

TEST_CASE("AGN-12: without a running loop a half-run generator is destroyed where it stands") {
    Log log;
    std::unique_ptr<AsyncGenerator<int>> kept;
    {
        coaio::Loop loop;
        auto start = [](std::unique_ptr<AsyncGenerator<int>>& into, Log& mine) -> Coro<> {
            into = std::make_unique<AsyncGenerator<int>>(careful(mine));
            co_await into->next();
        };
        loop.run_until_complete(start(kept, log));
    }
    CHECK(log.empty());
    kept.reset();
    CHECK(log == Log{"frame gone"});
}

TEST_CASE("A generator dropped while another task awaits its step goes when that step is over") {
    run([]() -> Coro<> {
        coaio::Event event;
        Log log;
        auto numbers = std::make_unique<AsyncGenerator<int>>(waiting_inside(event, log));
        auto consumer = coaio::create_task(take_two(*numbers));
        co_await turn();
        numbers.reset();
        event.set();
        co_await consumer;
        co_await turns(3);
        CHECK(coaio::all_tasks().size() == 1);
    });
}

TEST_CASE("A generator can be moved, and assigned over one that is half-run") {
    run([]() -> Coro<> {
        Log log;
        auto a = careful(log, "a ");
        co_await a.next();
        auto b = std::move(a);
        const auto second = co_await b.next();
        CHECK(second == 1);
        const auto from_empty = co_await a.next();
        CHECK_FALSE(from_empty.has_value());
        b = count(3);
        co_await turns(4);
        CHECK(log == Log{"a cleaning", "a clean", "a frame gone"});
        const auto first = co_await b.next();
        CHECK(first == 0);
    });
}

TEST_CASE("AGN-14: the end of a run closes all live generators at the same time, and waits for their awaits") {
    Log log;
    std::unique_ptr<AsyncGenerator<int>> a;
    std::unique_ptr<AsyncGenerator<int>> b;
    coaio::Loop loop;
    const auto start = [](std::unique_ptr<AsyncGenerator<int>>& into, Log& mine, std::string name) -> Coro<> {
        into = std::make_unique<AsyncGenerator<int>>(careful(mine, name));
        co_await into->next();
    };
    loop.run_until_complete(start(a, log, "a "));
    loop.run_until_complete(start(b, log, "b "));
    loop.run_until_complete(loop.shutdown_asyncgens());
    CHECK(log == Log{"b cleaning", "a cleaning", "b clean", "b frame gone", "a clean", "a frame gone"});
    loop.close();
}

TEST_CASE("AGN-14: a generator dropped while the end of a run closes it is closed once") {
    run([]() -> Coro<> {
        Log log;
        auto numbers = std::make_unique<AsyncGenerator<int>>(careful(log));
        co_await numbers->next();
        auto closing = coaio::create_task(coaio::get_running_loop().shutdown_asyncgens());
        co_await turn();
        numbers.reset();
        co_await closing;
        CHECK(log == Log{"cleaning", "clean", "frame gone"});
    });
}

TEST_CASE("AGN-16: a clean-up that throws at the end of a run is reported with its generator, and the rest goes on") {
    Log log;
    Log reports;
    coaio::Loop loop;
    loop.set_exception_handler([&](coaio::Loop&, const coaio::ExceptionContext& context) {
        reports.push_back(context.message + ": " + coaio::describe_exception(context.exception));
    });
    std::unique_ptr<AsyncGenerator<int>> good;
    std::unique_ptr<AsyncGenerator<int>> bad;
    const auto start = [](std::unique_ptr<AsyncGenerator<int>>& fine, std::unique_ptr<AsyncGenerator<int>>& failing,
                          Log& mine) -> Coro<> {
        fine = std::make_unique<AsyncGenerator<int>>(careful(mine));
        co_await fine->next();
        failing = std::make_unique<AsyncGenerator<int>>([]() -> AsyncGenerator<int> {
            try {
                co_yield 1;
            } catch (const coaio::GeneratorExit&) {
                throw coaio::ValueError("broken clean-up");
            }
        }());
        co_await failing->next();
    };
    loop.run_until_complete(start(good, bad, log));
    loop.run_until_complete(loop.shutdown_asyncgens());
    CHECK(log == Log{"cleaning", "clean", "frame gone"});
    REQUIRE(reports.size() == 1);
    CHECK_THAT(reports[0], contains("closing of the asynchronous generator"));
    CHECK_THAT(reports[0], contains("generator_test.cpp"));
    CHECK_THAT(reports[0], contains("broken clean-up"));
}

TEST_CASE("AGN-18: a clean-up that starts another generator after shutdown began is reported and does not hang") {
    Log reports;
    coaio::Loop loop;
    loop.set_exception_handler(
        [&](coaio::Loop&, const coaio::ExceptionContext& context) { reports.push_back(context.message); });
    std::unique_ptr<AsyncGenerator<int>> outer;
    const auto start = [](std::unique_ptr<AsyncGenerator<int>>& into) -> Coro<> {
        into = std::make_unique<AsyncGenerator<int>>([]() -> AsyncGenerator<int> {
            try {
                co_yield 1;
            } catch (const coaio::GeneratorExit&) {  // on to the clean-up
            }
            co_await sum(count(2));
        }());
        co_await into->next();
    };
    loop.run_until_complete(start(outer));
    loop.run_until_complete(loop.shutdown_asyncgens());
    REQUIRE(reports.size() == 1);
    CHECK_THAT(reports[0], contains("started after the loop had closed its generators"));
}

TEST_CASE("A loop that closes while a task awaits inside a generator destroys both") {
    Log log;
    coaio::Event event;
    std::unique_ptr<AsyncGenerator<int>> outlives;
    {
        coaio::Loop loop;
        loop.set_exception_handler([](coaio::Loop&, const coaio::ExceptionContext&) {});
        outlives = std::make_unique<AsyncGenerator<int>>(waiting_inside(event, log));
        loop.create_task(take_two(*outlives));
        loop.run_until_complete(turns(2));
    }
    CHECK(log.empty());
    event.set();
    outlives.reset();
}

TEST_CASE("Values are moved out, each lives once") {
    run([]() -> Coro<> {
        auto items = []() -> AsyncGenerator<Item> {
            for (int i = 0; i < 3; ++i) co_yield Item(i);
        }();
        int sum_of_values = 0;
        while (auto item = co_await items.next()) {
            sum_of_values += item->value();
            // The one here, and no more than the husk of the yielded temporary.
            CHECK(Item::alive() <= 2);
        }
        CHECK(sum_of_values == 3);
        CHECK(Item::alive() == 0);
    });
}

TEST_CASE("A task dump shows the generator between its consumer and what it waits for") {
    run([]() -> Coro<> {
        coaio::Event event;
        Log log;
        auto numbers = waiting_inside(event, log);
        auto consumer = coaio::create_task(take_two(numbers));
        co_await turn();
        const std::string dump = coaio::dump_tasks();
        CHECK_THAT(dump, contains("take_two"));
        CHECK_THAT(dump, contains("waiting_inside"));
        CHECK_THAT(dump, contains("waits for event"));
        event.set();
        co_await consumer;
        co_await numbers.aclose();
    });
}

TEST_CASE("A generator cut at any turn is cleaned up once and holds nothing") {
    std::shared_ptr<Log> log;
    const auto body = [](std::shared_ptr<Log> mine) -> Coro<> {
        auto numbers = careful(*mine);
        for (int i = 0; i < 3; ++i) {
            co_await numbers.next();
            mine->push_back("got");
            co_await turn();
        }
        co_await numbers.aclose();
    };
    const auto check = [](std::shared_ptr<Log> mine) -> Coro<> {
        co_await turns(5);
        const auto count_of = [&](const std::string& text) { return std::count(mine->begin(), mine->end(), text); };
        if (!mine->empty()) {
            CHECK(count_of("frame gone") == 1);
            CHECK(count_of("cleaning") == 1);
        }
        CHECK(coaio::all_tasks().size() == 1);
    };
    coaio::testing::cut(
        [&] {
            log = std::make_shared<Log>();
            return body(log);
        },
        [&](std::size_t) { return check(log); });
}

TEST_CASE("AGN-15: a half-run generator without clean-up goes at the end of a run without a word") {
    coaio::testing::TestLoop loop;
    loop.fail_on_reports();
    static std::optional<coaio::AsyncGenerator<int>> kept;
    auto plain = []() -> coaio::AsyncGenerator<int> {
        co_yield 1;
        co_yield 2;
    };
    auto main = [](auto make) -> Coro<> {
        kept.emplace(make());
        const auto first = co_await kept->next();
        REQUIRE(first == 1);
    };
    loop.run(main(plain));
    kept.reset();
}
