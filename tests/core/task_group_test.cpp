// SPDX-License-Identifier: MIT
#include <coaio/core/task_group.hpp>

#include "task_group_support.hpp"

using namespace tests;
using namespace std::chrono_literals;

TEST_CASE("TGP-01: leaving a group waits for every task, also one that was added late") {
    auto main = []() -> Coro<int> {
        std::vector<coaio::Task<int>> tasks;
        co_await coaio::task_group([&](TaskGroup& group) -> Coro<> {
            tasks.push_back(group.create_task(value_after(3s, 1)));
            co_await coaio::sleep(1s);
            tasks.push_back(group.create_task(value_after(5s, 2)));
        });
        co_return tasks[0].result() + tasks[1].result();
    };
    REQUIRE(coaio::testing::run(main()) == 3);
}

TEST_CASE("TGP-01: a group gives what its body gives") {
    auto main = []() -> Coro<std::unique_ptr<int>> {
        auto body = [](TaskGroup& group) -> Coro<std::unique_ptr<int>> {
            group.create_task(ticks(3));
            co_return std::make_unique<int>(5);
        };
        co_return co_await coaio::task_group(body);
    };
    REQUIRE(*coaio::testing::run(main()) == 5);
}

TEST_CASE("TGP-02: one task cancelled on its own is no error, and the others finish") {
    auto main = []() -> Coro<int> {
        int result = 0;
        co_await coaio::task_group([&](TaskGroup& group) -> Coro<> {
            auto victim = group.create_task(value_after(1h, 1));
            auto other = group.create_task(value_after(2s, 7));
            co_await coaio::sleep(1s);
            victim.cancel();
            result = co_await other;
        });
        co_return result;
    };
    REQUIRE(coaio::testing::run(main()) == 7);
}

TEST_CASE("TGP-03: a failing task cancels its siblings and the body, and a group is thrown when all are done") {
    auto block = [](Log& log) -> Coro<> {
        co_await coaio::task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(fail_after(1s, "boom"));
            group.create_task(hang(log, "sibling"));
            co_await hang(log, "body");
        });
    };
    auto main = [](auto make, Log& log) -> Coro<std::string> { co_return co_await outcome(make(log)); };
    Log log;
    REQUIRE(coaio::testing::run(main(block, log)) == "group(boom)");
    REQUIRE(log == Log{"sibling", "body"});
}

TEST_CASE("TGP-04: a parent cancelled at the end of its group cancels the tasks and is cancelled, without a group") {
    auto block = [](Log& log) -> Coro<> {
        co_await coaio::task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(hang(log, "a"));
            group.create_task(hang(log, "b"));
            co_return;
        });
    };
    auto main = [](auto make, Log& log) -> Coro<std::string> {
        auto task = create_task(outcome(make(log)));
        co_await coaio::sleep(1s);
        task.cancel();
        const std::string text = co_await task;
        REQUIRE(task.cancelling() == 1);
        co_return text;
    };
    Log log;
    REQUIRE(coaio::testing::run(main(block, log)) == "cancelled");
    REQUIRE(log == Log{"a", "b"});
}

TEST_CASE("TGP-05: a parent cancelled in its body sees it once, and so does each task") {
    auto block = [](Log& log) -> Coro<> {
        co_await coaio::task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(hang(log, "task"));
            co_await hang(log, "body");
        });
    };
    auto main = [](auto make, Log& log) -> Coro<std::string> {
        auto task = create_task(outcome(make(log)));
        co_await coaio::sleep(1s);
        task.cancel();
        co_return co_await task;
    };
    Log log;
    REQUIRE(coaio::testing::run(main(block, log)) == "cancelled");
    REQUIRE(log == Log{"body", "task"});
}

TEST_CASE("TGP-06: tasks that fail while cleaning up after an outside cancellation make it a group") {
    auto block = []() -> Coro<> {
        co_await coaio::task_group([](TaskGroup& group) -> Coro<> {
            group.create_task(slow_to_cancel(1s, "cleanup"));
            co_return;
        });
    };
    auto parent = [](auto make, std::string& text) -> Coro<> { text = co_await outcome(make()); };
    auto main = [](auto run, auto make) -> Coro<std::string> {
        std::string text;
        auto task = create_task(run(make, text));
        co_await coaio::sleep(1s);
        task.cancel();
        co_await coaio::sleep(2s);
        co_return text;
    };
    REQUIRE(coaio::testing::run(main(parent, block)) == "group(cleanup)");
}

TEST_CASE("TGP-07, TGP-08: a body that throws at once comes out in a group, and its tasks never start") {
    auto block = [](std::shared_ptr<int> held, Log& log) -> Coro<> {
        co_await coaio::task_group([&](TaskGroup& group) -> Coro<> {
            auto child = [](std::shared_ptr<int>, Log& names) -> Coro<> {
                names.emplace_back("started");
                co_return;
            };
            group.create_task(child(held, log));
            throw std::runtime_error("body");
            co_return;
        });
    };
    auto main = [](auto make, std::shared_ptr<int> held, Log& log) -> Coro<std::string> {
        co_return co_await outcome(make(held, log));
    };
    Log log;
    const auto held = std::make_shared<int>(1);
    REQUIRE(coaio::testing::run(main(block, held, log)) == "group(body)");
    REQUIRE(log.empty());
    REQUIRE(held.use_count() == 1);
}

TEST_CASE("TGP-10: an inner group cancelled for an outer failure adds nothing to it") {
    auto block = [](Log& log) -> Coro<> {
        co_await coaio::task_group([&](TaskGroup& outer) -> Coro<> {
            outer.create_task(fail_after(1s, "outer"));
            co_await coaio::task_group([&](TaskGroup& inner) -> Coro<> {
                inner.create_task(hang(log, "inner"));
                co_return;
            });
        });
    };
    auto main = [](auto make, Log& log) -> Coro<std::string> { co_return co_await outcome(make(log)); };
    Log log;
    REQUIRE(coaio::testing::run(main(block, log)) == "group(outer)");
    REQUIRE(log == Log{"inner"});
}

TEST_CASE("TGP-12: a task that fails while the body cleans up after an outside cancel strikes the body again") {
    auto block = [](int& struck_times) -> Coro<> {
        co_await coaio::task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(fail_after(2s, "child"));
            bool first = false;
            try {
                co_await coaio::sleep(1h);
            } catch (const coaio::CancelledError&) {
                first = true;
                ++struck_times;
            }
            try {
                co_await coaio::sleep(1h);
            } catch (const coaio::CancelledError&) {
                ++struck_times;
            }
            if (first) throw coaio::CancelledError();
        });
    };
    auto parent = [](auto make, int& times) -> Coro<std::string> {
        std::string text = co_await outcome(make(times));
        text += " " + std::to_string(requests());
        const bool thrown = co_await struck();
        co_return text + (thrown ? " struck" : " calm");
    };
    auto main = [](auto run, auto make, int& times) -> Coro<std::string> {
        auto task = create_task(run(make, times));
        co_await coaio::sleep(1s);
        task.cancel();
        co_return co_await task;
    };
    int times = 0;
    REQUIRE(coaio::testing::run(main(parent, block, times)) == "group(child) 1 struck");
    REQUIRE(times == 2);
}

TEST_CASE("TGP-14, TGP-15: failures stand in the order in which they happened, the body's own last") {
    auto block = []() -> Coro<> {
        co_await coaio::task_group([](TaskGroup& group) -> Coro<> {
            group.create_task(slow_to_cancel(2s, "slow"));
            group.create_task(slow_to_cancel(1s, "quick"));
            group.create_task(fail_after(1s, "first"));
            bool cancelled = false;
            try {
                co_await coaio::sleep(1h);
            } catch (const coaio::CancelledError&) {
                cancelled = true;
            }
            if (cancelled) throw std::runtime_error("body");
        });
    };
    auto main = [](auto make) -> Coro<std::string> { co_return co_await outcome(make()); };
    REQUIRE(coaio::testing::run(main(block)) == "group(first,quick,slow,body)");
}

TEST_CASE("TGP-16: a body that throws KeyboardInterrupt lets it out bare, after its tasks were cancelled and awaited") {
    auto block = [](Log& log) -> Coro<> {
        co_await coaio::task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(hang(log, "task"));
            group.create_task(slow_to_cancel(1s, "dropped"));
            co_await coaio::sleep(1s);
            throw coaio::KeyboardInterrupt();
        });
    };
    auto main = [](auto make, Log& log) -> Coro<std::string> { co_return co_await outcome(make(log)); };
    Log log;
    REQUIRE(coaio::testing::run(main(block, log)) == "interrupt");
    REQUIRE(log == Log{"task"});
}

TEST_CASE("TGP-17: a failure that is no std::exception makes it a base group") {
    auto block = []() -> Coro<> {
        co_await coaio::task_group([](TaskGroup& group) -> Coro<> {
            group.create_task([]() -> Coro<> {
                co_await coaio::sleep(1s);
                throw 7;
            }());
            co_await coaio::sleep(1h);
        });
    };
    auto main = [](auto make) -> Coro<std::string> { co_return co_await outcome(make()); };
    REQUIRE_THAT(coaio::testing::run(main(block)), tests::contains("base group("));
}

TEST_CASE("TGP-18: a task that throws SystemExit tears down the run") {
    auto main = []() -> Coro<> {
        co_await coaio::task_group([](TaskGroup& group) -> Coro<> {
            group.create_task([]() -> Coro<> {
                co_await coaio::sleep(1s);
                throw coaio::SystemExit(3);
            }());
            co_await coaio::sleep(1h);
        });
    };
    REQUIRE_THROWS_AS(coaio::testing::run(main()), coaio::SystemExit);
}

TEST_CASE("TGP-20: tasks may start siblings while the parent waits, until the last is done") {
    auto main = []() -> Coro<int> {
        int count = 0;
        struct Spawner {
            static Coro<> spawn(TaskGroup& group, int depth, int& total) {
                ++total;
                co_await coaio::sleep(1s);
                if (depth > 0) group.create_task(spawn(group, depth - 1, total));
            }
        };
        co_await coaio::task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(Spawner::spawn(group, 4, count));
            co_return;
        });
        co_return count;
    };
    REQUIRE(coaio::testing::run(main()) == 5);
}

TEST_CASE("TGP-21: no task can be created in a group that is shutting down, and the coroutine goes unstarted") {
    auto block = [](std::shared_ptr<int> held, Log& log) -> Coro<> {
        co_await coaio::task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(fail_after(1s, "child"));
            try {
                co_await coaio::sleep(1h);
            } catch (const coaio::CancelledError&) {}
            try {
                group.create_task([](std::shared_ptr<int>) -> Coro<> { co_return; }(held));
            } catch (const coaio::RuntimeError& error) {
                log.emplace_back(error.what());
            }
        });
    };
    auto main = [](auto make, std::shared_ptr<int> held, Log& log) -> Coro<std::string> {
        co_return co_await outcome(make(held, log));
    };
    Log log;
    const auto held = std::make_shared<int>(1);
    REQUIRE(coaio::testing::run(main(block, held, log)) == "group(child)");
    REQUIRE(log.size() == 1);
    REQUIRE_THAT(log[0], tests::contains("shutting down"));
    REQUIRE(held.use_count() == 1);
}

TEST_CASE("TGP-22: no task can be created in a group whose last task has ended, and the coroutine goes unstarted") {
    // Between the end of the last task and that of the group only a callback can get at it.
    auto main = [](std::shared_ptr<int> held, Log& log) -> Coro<> {
        co_await coaio::task_group([&](TaskGroup& group) -> Coro<> {
            auto last = group.create_task(value_after(1s, 1));
            last.add_done_callback([&](const coaio::Task<int>&) {
                try {
                    group.create_task([](std::shared_ptr<int>) -> Coro<> { co_return; }(held));
                } catch (const coaio::RuntimeError& error) {
                    log.emplace_back(error.what());
                }
            });
            co_return;
        });
    };
    Log log;
    const auto held = std::make_shared<int>(1);
    coaio::testing::run(main(held, log));
    REQUIRE(log.size() == 1);
    REQUIRE_THAT(log[0], tests::contains("finished"));
    REQUIRE(held.use_count() == 1);
}

TEST_CASE("TGP-39: of what a group's tasks were given, gave and failed with nothing is left when it is over") {
    const auto held = std::make_shared<int>(1);
    struct Failure : std::runtime_error {
        explicit Failure(std::shared_ptr<int> what) : std::runtime_error("failed"), held(std::move(what)) {}
        std::shared_ptr<int> held;
    };
    auto gives = [](std::shared_ptr<int> argument) -> Coro<std::shared_ptr<int>> {
        co_await coaio::sleep(1s);
        co_return argument;
    };
    auto fails = [](std::shared_ptr<int> argument, coaio::Duration delay) -> Coro<> {
        co_await coaio::sleep(delay);
        throw Failure(argument);
    };
    auto main = [](auto give, auto fail, const std::shared_ptr<int>& object) -> Coro<> {
        std::size_t failures = 0;
        try {
            co_await coaio::task_group([&](TaskGroup& group) -> Coro<> {
                group.create_task(give(object));
                group.create_task(fail(object, 2s));
                group.create_task(fail(object, 2s));
                group.create_task(fail(object, 1h));
                co_await coaio::sleep(1500ms);
                REQUIRE(object.use_count() == 4);  // what has ended has let go of all
            });
        } catch (const coaio::ExceptionGroup& group) {
            failures = group.exceptions().size();
        }
        REQUIRE(failures != 0);
        REQUIRE(object.use_count() == 1);
    };
    coaio::testing::run(main(gives, fails, held));
    REQUIRE(held.use_count() == 1);
}
