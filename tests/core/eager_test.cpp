// SPDX-License-Identifier: MIT
#include <coaio/core/context.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/gather.hpp>
#include <coaio/core/generator.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/staggered_race.hpp>

#include "task_group_support.hpp"

#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace tests;

namespace {

Coro<int> answer() { co_return 42; }

Coro<> note(Log& log, std::string text) {
    log.push_back(std::move(text));
    co_return;
}

Coro<std::string> message_of_cancel() {
    std::string text = "none";
    try {
        co_await coaio::sleep(1h);
    } catch (const coaio::CancelledError& error) {
        text = error.message().value_or("empty");
    }
    co_return text;
}

Coro<> cancels_itself(bool suspend, Log& log) {
    coaio::current_task()->cancel("self");
    log.emplace_back("on");
    if (suspend) {
        co_await coaio::sleep(0s);
        log.emplace_back("too far");
    }
}

}  // namespace

TEST_CASE("EAG-02, EAG-05: an eager task that ends at once is done on return, one that suspends goes on as any other") {
    auto main = []() -> Coro<> {
        auto quick = create_task(answer(), {.eager_start = true});
        REQUIRE(quick.done());
        REQUIRE_FALSE(quick.cancel());
        REQUIRE(quick.result() == 42);
        auto slow = create_task(value_after(1s, 7), {.eager_start = true});
        REQUIRE_FALSE(slow.done());
        const int value = co_await slow;
        REQUIRE(value == 7);
        auto failed = create_task(
            []() -> Coro<> {
                throw std::runtime_error("at once");
                co_return;
            }(),
            {.eager_start = true});
        REQUIRE(failed.done());
        REQUIRE_THROWS_AS(failed.result(), std::runtime_error);
    };
    coaio::testing::run(main());
}

TEST_CASE("EAG-03, EAG-04: in its eager step a task is the current one and in all_tasks, afterwards its creator is") {
    auto child = [](Log& log, bool suspend) -> Coro<> {
        log.push_back(coaio::current_task()->name());
        log.push_back(std::to_string(coaio::all_tasks().size()));
        if (suspend) co_await coaio::sleep(1s);
    };
    auto main = [](auto make) -> Coro<> {
        const coaio::AnyTask me = *coaio::current_task();
        for (const bool suspend : {false, true}) {
            Log log;
            auto task = create_task(make(log, suspend), {.name = "child", .eager_start = true});
            REQUIRE(log == Log{"child", "2"});
            REQUIRE(*coaio::current_task() == me);
            REQUIRE(coaio::all_tasks().size() == (suspend ? 2 : 1));
            co_await task;
        }
    };
    coaio::testing::run(main(child));
}

TEST_CASE("EAG-03: an eager task made in a plain callback is the current one, and none is afterwards") {
    coaio::testing::TestLoop test;
    Log log;
    test.loop().call_soon([&] {
        create_task(note(log, "child"), {.eager_start = true});
        log.emplace_back(coaio::current_task() ? "task" : "none");
        test.loop().stop();
    });
    test.loop().run_forever();
    REQUIRE(log == Log{"child", "none"});
}

TEST_CASE("EAG-06: cancelling an eager task after it suspended strikes there, with the message") {
    auto main = []() -> Coro<std::string> {
        auto task = create_task(message_of_cancel(), {.eager_start = true});
        REQUIRE(task.cancel("why"));
        co_return co_await task;
    };
    REQUIRE(coaio::testing::run(main()) == "why");
}

TEST_CASE("EAG-08: a self-cancel in the eager step strikes at the next suspension, or at the end") {
    auto main = []() -> Coro<> {
        Log log;
        auto ends = create_task(cancels_itself(false, log), {.eager_start = true});
        REQUIRE(ends.cancelled());
        auto suspends = create_task(cancels_itself(true, log), {.eager_start = true});
        co_await coaio::sleep(1s);
        REQUIRE(suspends.cancelled());
        REQUIRE(log == Log{"on", "on"});
    };
    coaio::testing::run(main());
}

TEST_CASE("EAG-09: before the loop runs an eager task is scheduled as any other") {
    coaio::testing::TestLoop test;
    Log log;
    auto task = test.loop().create_task(note(log, "ran"), {.eager_start = true});
    REQUIRE(log.empty());
    test.loop().run_until_complete(task);
    REQUIRE(log == Log{"ran"});
}

TEST_CASE("EAG-10: a gather of eager children that never suspend is done at once, and nothing is scheduled") {
    auto main = []() -> Coro<> {
        auto& loop = coaio::get_running_loop();
        loop.set_eager_tasks(true);
        auto both = coaio::gather(answer(), coaio::gather(answer(), answer()));
        REQUIRE(both.done());
        REQUIRE(loop.stats().ready == 0);
        auto [one, two] = both.result();
        REQUIRE(one == 42);
        REQUIRE(two == std::tuple(42, 42));
        co_return;
    };
    coaio::testing::run(main());
}

TEST_CASE("EAG-11: a group whose eager task fails at once is aborting on return, and the body is struck next") {
    auto block = [](Log& log) -> Coro<> {
        co_await coaio::task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(
                []() -> Coro<> {
                    throw std::runtime_error("eager");
                    co_return;
                }(),
                {.eager_start = true});
            log.push_back(std::to_string(requests()));
            try {
                group.create_task(ticks(1));
            } catch (const coaio::RuntimeError&) {
                log.emplace_back("refused");
            }
            co_await hang(log, "struck");
        });
    };
    auto main = [](auto make, Log& log) -> Coro<std::string> {
        std::string text = co_await outcome(make(log));
        co_return text + " " + std::to_string(requests());
    };
    Log log;
    REQUIRE(coaio::testing::run(main(block, log)) == "group(eager) 0");
    REQUIRE(log == Log{"1", "refused", "struck"});
}

TEST_CASE("EAG-11: a group whose eager task fails leaves no cancellation behind when its body never suspends") {
    auto main = []() -> Coro<std::string> {
        std::string text = co_await outcome(coaio::task_group([](TaskGroup& group) -> Coro<> {
            group.create_task(
                []() -> Coro<> {
                    throw std::runtime_error("eager");
                    co_return;
                }(),
                {.eager_start = true});
            co_return;
        }));
        co_await coaio::sleep(0s);
        co_return text + " " + std::to_string(requests());
    };
    REQUIRE(coaio::testing::run(main()) == "group(eager) 0");
}

TEST_CASE("EAG-11: an eager task that ends its group before it belongs to it is ended with it") {
    auto main = [](Log& log) -> Coro<std::string> {
        auto child = [](TaskGroup& group, Log& names) -> Coro<> {
            group.cancel();
            co_await hang(names, "child");
        };
        co_return co_await outcome(coaio::task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(child(group, log), {.eager_start = true});
            co_return;
        }));
    };
    Log log;
    REQUIRE(coaio::testing::run(main(log)) == "done");
    REQUIRE(log == Log{"child"});
}

TEST_CASE("TGP-38: a task that creates a failing sibling in its eager first step is cancelled too") {
    auto block = [](Log& log) -> Coro<> {
        co_await coaio::task_group([&](TaskGroup& group) -> Coro<> {
            auto second = [](TaskGroup& mine, Log& names) -> Coro<> {
                auto third = []() -> Coro<> {
                    throw std::runtime_error("third");
                    co_return;
                };
                mine.create_task(third(), {.eager_start = true});
                co_await hang(names, "second");
            };
            group.create_task(second(group, log), {.eager_start = true});
            co_return;
        });
    };
    auto main = [](auto make, Log& log) -> Coro<std::string> { co_return co_await outcome(make(log)); };
    Log log;
    REQUIRE(coaio::testing::run(main(block, log)) == "group(third)");
    REQUIRE(log == Log{"second"});
}

TEST_CASE("EAG-12: an eager step sets context variables in a copy of its creator's context") {
    static coaio::ContextVar<std::string> name;
    auto child = []() -> Coro<std::string> {
        std::string before = name.get_or("none");
        name.set("child");
        co_return before;
    };
    auto main = [](auto make) -> Coro<> {
        name.set("creator");
        auto task = create_task(make(), {.eager_start = true});
        REQUIRE(task.result() == "creator");
        REQUIRE(name.get() == "creator");
        co_return;
    };
    coaio::testing::run(main(child));
}

TEST_CASE("EAG-13: the choice for one call overrides the loop's default") {
    auto main = []() -> Coro<> {
        auto& loop = coaio::get_running_loop();
        REQUIRE_FALSE(loop.eager_tasks());
        REQUIRE_FALSE(create_task(answer()).done());
        REQUIRE(create_task(answer(), {.eager_start = true}).done());
        loop.set_eager_tasks(true);
        REQUIRE(create_task(answer()).done());
        REQUIRE_FALSE(create_task(answer(), {.eager_start = false}).done());
        co_return;
    };
    coaio::testing::run(main());
}

TEST_CASE("EAG-15: an eager start on a loop that runs in another thread is refused, and runs nothing", "[threads]") {
    coaio::Loop loop;
    Log log;
    bool refused = false;
    auto main = [](coaio::Loop& mine, Log& names, bool& said) -> Coro<> {
        std::thread other([&] {
            try {
                mine.create_task(note(names, "ran"), {.eager_start = true});
            } catch (const coaio::RuntimeError&) {
                said = true;
            }
        });
        other.join();
        co_return;
    };
    loop.run_until_complete(main(loop, log, refused));
    REQUIRE(refused);
    REQUIRE(log.empty());
}

TEST_CASE("EAG-17: a deadline entered in the eager step belongs to the child, not to its creator") {
    auto child = []() -> Coro<bool> {
        bool late = false;
        try {
            co_await coaio::wait_for(coaio::sleep(1h), 1s);
        } catch (const coaio::TimeoutError&) {
            late = true;
        }
        co_return late;
    };
    auto main = [](auto make) -> Coro<> {
        auto task = create_task(make(), {.eager_start = true});
        co_await coaio::sleep(5s);
        REQUIRE(task.result());
        REQUIRE(requests() == 0);
    };
    coaio::testing::run(main(child));
}

TEST_CASE("an eager task whose first step is deep, or makes more eager tasks, comes back to its creator") {
    struct Nest {
        static Coro<int> make(int depth) {
            if (depth == 0) co_return 1;
            auto inner = create_task(make(depth - 1), {.eager_start = true});
            co_return co_await inner + 1;
        }
    };
    auto main = []() -> Coro<int> {
        auto task = create_task(Nest::make(50), {.eager_start = true});
        REQUIRE(task.done());
        co_return co_await task;
    };
    REQUIRE(coaio::testing::run(main()) == 51);
}

TEST_CASE("eager tasks that make eager tasks do not pile up on the native stack") {
    struct Nest {
        static Coro<int> make(int depth) {
            if (depth == 0) co_return 0;
            auto inner = create_task(make(depth - 1), {.eager_start = true});
            const int below = co_await inner;
            co_return below + 1;
        }
    };
    auto main = []() -> Coro<int> { co_return co_await create_task(Nest::make(20'000), {.eager_start = true}); };
    REQUIRE(coaio::testing::run(main()) == 20'000);
}

TEST_CASE("an eager task made while an exception is on its way neither takes it nor loses it") {
    struct MakesTask {
        explicit MakesTask(int& made) : result(&made) {}
        MakesTask(MakesTask&& other) noexcept : result(std::exchange(other.result, nullptr)) {}
        MakesTask& operator=(MakesTask&&) = delete;
        ~MakesTask() {
            auto twice = []() -> Coro<int> {
                const int once = co_await answer();
                co_return 2 * once;
            };
            if (result != nullptr) *result = create_task(twice(), {.eager_start = true}).result();
        }
        int* result;
    };
    // The argument goes with the generator's frame, when its exception is already set.
    auto yields_and_fails = [](MakesTask) -> coaio::AsyncGenerator<int> {
        co_yield 1;
        throw std::runtime_error("out of the generator");
    };
    auto main = [](auto make) -> Coro<std::string> {
        int made = 0;
        std::string text;
        auto generator = make(MakesTask(made));
        try {
            while (auto item = co_await generator.next()) text += std::to_string(*item);
        } catch (const std::runtime_error& error) {
            text += error.what();
        }
        co_return text + " " + std::to_string(made);
    };
    REQUIRE(coaio::testing::run(main(yields_and_fails)) == "1out of the generator 84");
}
