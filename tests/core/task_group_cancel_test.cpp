// SPDX-License-Identifier: MIT
#include <coaio/core/task_group.hpp>

#include "task_group_support.hpp"

using namespace tests;
using namespace std::chrono_literals;

TEST_CASE("TGP-23: a group outside a task is refused") {
    coaio::testing::TestLoop test;
    bool refused = false;
    test.loop().call_soon([&] {
        try {
            const TaskGroup group;
        } catch (const coaio::RuntimeError&) {
            refused = true;
        }
        test.loop().stop();
    });
    test.loop().run_forever();
    REQUIRE(refused);
}

TEST_CASE("TGP-25: after a task failed, in the body or while waiting, no request is left and nothing strikes") {
    auto block = [](bool in_body) -> Coro<> {
        co_await coaio::task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(fail_after(1s, "child"));
            if (in_body) co_await coaio::sleep(1h);
        });
    };
    auto main = [](auto make, bool in_body) -> Coro<std::string> {
        std::string text = co_await outcome(make(in_body));
        text += " " + std::to_string(requests());
        const bool thrown = co_await struck();
        co_return text + (thrown ? " struck" : " calm");
    };
    REQUIRE(coaio::testing::run(main(block, true)) == "group(child) 0 calm");
    REQUIRE(coaio::testing::run(main(block, false)) == "group(child) 0 calm");
}

TEST_CASE("TGP-26: tasks of an inner and an outer group fail in one turn") {
    auto block = [](Log& log) -> Coro<> {
        co_await coaio::task_group([&](TaskGroup& outer) -> Coro<> {
            auto inner_block = []() -> Coro<> {
                co_await coaio::task_group([](TaskGroup& inner) -> Coro<> {
                    inner.create_task(fail_after(1s, "inner"));
                    co_await coaio::sleep(1h);
                });
            };
            outer.create_task(fail_after(1s, "outer"));
            log.push_back(co_await outcome(inner_block()));
            log.push_back(std::to_string(requests()));
        });
    };
    auto main = [](auto make, Log& log) -> Coro<std::string> {
        std::string text = co_await outcome(make(log));
        co_return text + " " + std::to_string(requests());
    };
    Log log;
    REQUIRE(coaio::testing::run(main(block, log)) == "group(outer) 0");
    REQUIRE(log == Log{"group(inner)", "1"});
}

TEST_CASE("TGP-27: a failure in the turn of an outside cancel gives the group, and the cancel strikes afterwards") {
    auto block = []() -> Coro<> {
        co_await coaio::task_group([](TaskGroup& group) -> Coro<> {
            group.create_task(fail_after(1s, "child"));
            co_return;
        });
    };
    auto parent = [](auto make) -> Coro<std::string> {
        std::string text = co_await outcome(make());
        text += " " + std::to_string(requests());
        const bool thrown = co_await struck();
        co_return text + (thrown ? " struck" : " calm");
    };
    auto main = [](auto run, auto make) -> Coro<std::string> {
        auto task = create_task(run(make));
        co_await coaio::sleep(1s);
        task.cancel();
        co_return co_await task;
    };
    REQUIRE(coaio::testing::run(main(parent, block)) == "group(child) 1 struck");
}

TEST_CASE("TGP-29: a body may swallow the group's own cancel and go on") {
    auto block = [](Log& log) -> Coro<> {
        co_await coaio::task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(fail_after(1s, "child"));
            try {
                co_await coaio::sleep(1h);
            } catch (const coaio::CancelledError&) {}
            co_await coaio::sleep(1s);
            log.emplace_back("went on");
        });
    };
    auto main = [](auto make, Log& log) -> Coro<std::string> {
        std::string text = co_await outcome(make(log));
        co_return text + " " + std::to_string(requests());
    };
    Log log;
    REQUIRE(coaio::testing::run(main(block, log)) == "group(child) 0");
    REQUIRE(log == Log{"went on"});
}

TEST_CASE("TGP-30: a body that swallows an outside cancel ends its group normally") {
    auto block = [](int& value) -> Coro<> {
        co_await coaio::task_group([&](TaskGroup& group) -> Coro<> {
            auto task = group.create_task(value_after(3s, 9));
            try {
                co_await coaio::sleep(1h);
            } catch (const coaio::CancelledError&) {}
            value = co_await task;
        });
    };
    auto main = [](auto make, int& value) -> Coro<std::string> {
        auto task = create_task(outcome(make(value)));
        co_await coaio::sleep(1s);
        task.cancel();
        const std::string text = co_await task;
        co_return text + " " + std::to_string(task.cancelling());
    };
    int value = 0;
    REQUIRE(coaio::testing::run(main(block, value)) == "done 1");
    REQUIRE(value == 9);
}

TEST_CASE("TGP-31: a body that throws CancelledError unasked cancels its tasks and lets it out") {
    auto block = [](Log& log) -> Coro<> {
        co_await coaio::task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(hang(log, "task"));
            co_await coaio::sleep(1s);
            throw coaio::CancelledError();
        });
    };
    auto main = [](auto make, Log& log) -> Coro<std::string> {
        std::string text = co_await outcome(make(log));
        co_return text + " " + std::to_string(requests());
    };
    Log log;
    REQUIRE(coaio::testing::run(main(block, log)) == "cancelled 0");
    REQUIRE(log == Log{"task"});
}

TEST_CASE("TGP-32: a parent cancelled again while slow tasks clean up keeps waiting for them") {
    auto block = []() -> Coro<> {
        co_await coaio::task_group([](TaskGroup& group) -> Coro<> {
            group.create_task(slow_to_cancel(5s, ""));
            co_return;
        });
    };
    auto main = [](auto make) -> Coro<std::string> {
        auto task = create_task(outcome(make()));
        co_await coaio::sleep(1s);
        task.cancel();
        co_await coaio::sleep(1s);
        task.cancel();
        const auto before = coaio::Clock::now();
        const std::string text = co_await task;
        REQUIRE(coaio::Clock::now() - before == 4s);
        co_return text + " " + std::to_string(task.cancelling());
    };
    REQUIRE(coaio::testing::run(main(block)) == "cancelled 2");
}

TEST_CASE("TGP-34: a task that fails just before the body's future has its value costs the body that value") {
    auto block = [](coaio::Future<int> future, Log& log) -> Coro<> {
        co_await coaio::task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task([](coaio::Future<int> sets) -> Coro<> {
                co_await coaio::sleep(1s);
                coaio::get_running_loop().call_soon([sets] { sets.set_result(1); });
                throw std::runtime_error("child");
            }(future));
            try {
                co_await coaio::shield(future);
                log.emplace_back("value");
            } catch (const coaio::CancelledError&) {
                log.emplace_back("cancelled");
                throw;
            }
        });
    };
    auto main = [](auto make, Log& log) -> Coro<std::string> {
        const coaio::Future<int> future;
        co_return co_await outcome(make(future, log));
    };
    Log log;
    REQUIRE(coaio::testing::run(main(block, log)) == "group(child)");
    REQUIRE(log == Log{"cancelled"});
}

TEST_CASE("TGP-40: cancelling a group ends its tasks and its body, and nothing comes out") {
    auto block = [](Log& log, bool in_body) -> Coro<> {
        co_await coaio::task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(hang(log, "task"));
            group.create_task([](TaskGroup& mine) -> Coro<> {
                co_await coaio::sleep(1s);
                mine.cancel();
                mine.cancel();
            }(group));
            if (in_body) co_await hang(log, "body");
        });
    };
    auto main = [](auto make, Log& log, bool in_body) -> Coro<std::string> {
        std::string text = co_await outcome(make(log, in_body));
        text += " " + std::to_string(requests());
        const bool thrown = co_await struck();
        co_return text + (thrown ? " struck" : " calm");
    };
    Log log;
    REQUIRE(coaio::testing::run(main(block, log, true)) == "done 0 calm");
    REQUIRE(log == Log{"task", "body"});
    REQUIRE(coaio::testing::run(main(block, log, false)) == "done 0 calm");
}

TEST_CASE("TGP-40: errors of tasks are still grouped after the group was cancelled") {
    auto block = []() -> Coro<> {
        co_await coaio::task_group([](TaskGroup& group) -> Coro<> {
            group.create_task(slow_to_cancel(1s, "late"));
            co_await coaio::sleep(1s);
            group.cancel();
        });
    };
    auto main = [](auto make) -> Coro<std::string> { co_return co_await outcome(make()); };
    REQUIRE(coaio::testing::run(main(block)) == "group(late)");
}

TEST_CASE("TGP-41: an outside cancel that comes while a cancelled group's tasks clean up is not lost") {
    auto block = []() -> Coro<> {
        co_await coaio::task_group([](TaskGroup& group) -> Coro<> {
            group.create_task(slow_to_cancel(5s, ""));
            co_await coaio::sleep(1s);
            group.cancel();
        });
    };
    auto main = [](auto make) -> Coro<std::string> {
        auto task = create_task(outcome(make()));
        co_await coaio::sleep(3s);
        task.cancel();
        const std::string text = co_await task;
        co_return text + " " + std::to_string(task.cancelling());
    };
    REQUIRE(coaio::testing::run(main(block)) == "cancelled 1");
}

TEST_CASE("cut: every task of a group has ended when the group is left, whatever turn the cancellation comes in") {
    int running = 0;
    auto child = [](int& count, coaio::Duration delay) -> Coro<> {
        struct Count {
            int& count;
            ~Count() { --count; }
        } const counted{++count};
        co_await coaio::sleep(delay);
        co_await coaio::sleep(0s);
    };
    auto factory = [&] {
        return [](int& count, auto make) -> Coro<> {
            co_await coaio::task_group([&](TaskGroup& group) -> Coro<> {
                group.create_task(make(count, 1s));
                co_await coaio::sleep(2s);
                group.create_task(make(count, 0s));
            });
            REQUIRE(count == 0);
        }(running, child);
    };
    coaio::testing::cut(factory, [&](std::size_t) { REQUIRE(running == 0); });
}

TEST_CASE("TGP-11: a task that fails while the cancelled body cleans up makes it a group") {
    auto block = []() -> Coro<> {
        co_await coaio::task_group([](TaskGroup& group) -> Coro<> {
            group.create_task(fail_after(2s, "meanwhile"));
            co_await slow_to_cancel(5s, "");
        });
    };
    auto parent = [](auto make, std::string& text) -> Coro<> { text = co_await outcome(make()); };
    auto main = [](auto run, auto make) -> Coro<std::string> {
        std::string text;
        auto task = create_task(run(make, text));
        co_await coaio::sleep(1s);
        task.cancel();
        co_await coaio::sleep(10s);
        co_return text;
    };
    REQUIRE(coaio::testing::run(main(parent, block)) == "group(meanwhile)");
}

TEST_CASE("TGP-13: a body that turns the outside cancellation into an error of its own gives a group with that") {
    auto block = [](Log& log) -> Coro<> {
        co_await coaio::task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(hang(log, "task"));
            co_await slow_to_cancel(0s, "own");
        });
    };
    auto parent = [](auto make, Log& log, std::string& text) -> Coro<> { text = co_await outcome(make(log)); };
    auto main = [](auto run, auto make, Log& log) -> Coro<std::string> {
        std::string text;
        auto task = create_task(run(make, log, text));
        co_await coaio::sleep(1s);
        task.cancel();
        co_await coaio::sleep(1s);
        co_return text;
    };
    Log log;
    REQUIRE(coaio::testing::run(main(parent, block, log)) == "group(own)");
    REQUIRE(log == Log{"task"});
}

TEST_CASE("TGP-19: finished tasks are dropped at once, so a long-lived group does not grow") {
    auto main = []() -> Coro<> {
        co_await coaio::task_group([](TaskGroup& group) -> Coro<> {
            const auto value = std::make_shared<int>(1);
            auto child = [](std::shared_ptr<int> mine) -> Coro<std::shared_ptr<int>> { co_return mine; };
            for (int i = 0; i < 100; ++i) {
                group.create_task(child(value));
                co_await coaio::sleep(0s);
                co_await coaio::sleep(0s);
                REQUIRE(value.use_count() == 1);
            }
        });
    };
    coaio::testing::run(main());
}

TEST_CASE(
    "TGP-28: a parent that handles a group thrown in answer to its cancellation is struck at its next suspension") {
    auto block = []() -> Coro<> {
        co_await coaio::task_group([](TaskGroup& group) -> Coro<> {
            group.create_task(slow_to_cancel(1s, "cleanup"));
            co_await coaio::sleep(1h);
        });
    };
    auto parent = [](auto make) -> Coro<std::string> {
        std::string text = co_await outcome(make());
        text += " " + std::to_string(requests());
        const bool thrown = co_await struck();
        co_return text + (thrown ? " struck" : " calm");
    };
    auto main = [](auto run, auto make) -> Coro<std::string> {
        auto task = create_task(run(make));
        co_await coaio::sleep(1s);
        task.cancel();
        co_return co_await task;
    };
    REQUIRE(coaio::testing::run(main(parent, block)) == "group(cleanup) 1 struck");
}

TEST_CASE("TGP-35: a task that fails when its parent is already over is reported, and nobody is cancelled") {
    coaio::testing::TestLoop test;
    std::vector<std::string> reports;
    test.loop().set_exception_handler([&](coaio::Loop&, const coaio::ExceptionContext& context) {
        reports.push_back(context.message + ": " + coaio::describe_exception(context.exception));
    });
    // Only a program that holds the group by itself can leave it like this.
    auto parent = [](Log& log) -> Coro<> {
        TaskGroup group;
        group.create_task(fail_after(1s, "orphan"));
        group.create_task([](Log& names) -> Coro<> {
            co_await coaio::sleep(2s);
            names.emplace_back("sibling done");
        }(log));
        co_return;
    };
    auto main = [](auto make) -> Coro<> {
        Log log;
        co_await create_task(make(log));
        co_await coaio::sleep(5s);
        REQUIRE(log == Log{"sibling done"});
    };
    test.run(main(parent));
    REQUIRE(reports.size() == 1);
    REQUIRE_THAT(reports[0], tests::contains("parent was already over"));
    REQUIRE_THAT(reports[0], tests::contains("orphan"));
}
