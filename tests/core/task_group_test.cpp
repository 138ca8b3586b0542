// SPDX-License-Identifier: MIT
#include <coaio/core/task_group.hpp>

#include <coaio/core/error.hpp>
#include <coaio/core/shield.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>

#include "support/catch.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;
using coaio::TaskGroup;

namespace {

using Log = std::vector<std::string>;

Coro<> ticks(int count) {
    for (int i = 0; i < count; ++i) co_await coaio::sleep(0s);
}

Coro<int> value_after(coaio::Duration delay, int value) {
    co_await coaio::sleep(delay);
    co_return value;
}

Coro<> fail_after(coaio::Duration delay, std::string what) {
    co_await coaio::sleep(delay);
    throw std::runtime_error(what);
}

Coro<> hang(Log& log, std::string name) {
    try {
        co_await coaio::sleep(1h);
    } catch (const coaio::CancelledError&) {
        log.push_back(name);
        throw;
    }
}

// Needs `delay` more to clean up after its cancellation, then throws `what`, or the cancellation when that is empty.
Coro<> slow_to_cancel(coaio::Duration delay, std::string what) {
    bool cancelled = false;
    try {
        co_await coaio::sleep(1h);
    } catch (const coaio::CancelledError&) {
        cancelled = true;
    }
    if (!cancelled) co_return;
    co_await coaio::sleep(delay);
    if (!what.empty()) throw std::runtime_error(what);
    throw coaio::CancelledError();
}

std::vector<std::string> messages(const std::vector<std::exception_ptr>& errors) {
    std::vector<std::string> texts;
    for (const auto& each : errors) {
        try {
            std::rethrow_exception(each);
        } catch (const std::exception& error) {
            texts.emplace_back(error.what());
        } catch (...) {
            texts.push_back(coaio::describe_exception(each));
        }
    }
    return texts;
}

// How a coroutine ended, in a word: "done", "cancelled", "group(a,b)", "base group(...)" or the error's text.
Coro<std::string> outcome(Coro<> coro) {
    std::string text = "done";
    const auto list = [](const std::vector<std::exception_ptr>& errors) {
        std::string joined;
        for (const auto& each : messages(errors)) joined += (joined.empty() ? "" : ",") + each;
        return "(" + joined + ")";
    };
    try {
        co_await std::move(coro);
    } catch (const coaio::ExceptionGroup& group) {
        text = "group" + list(group.exceptions());
    } catch (const coaio::BaseExceptionGroup& group) {
        text = "base group" + list(group.exceptions());
    } catch (const coaio::CancelledError&) {
        text = "cancelled";
    } catch (const coaio::KeyboardInterrupt&) {
        text = "interrupt";
    } catch (const std::exception& error) {
        text = error.what();
    }
    co_return text;
}

std::size_t requests() { return coaio::current_task()->cancelling(); }

// Whether the next suspension throws.
Coro<bool> struck() {
    bool thrown = false;
    try {
        co_await coaio::sleep(0s);
    } catch (const coaio::CancelledError&) {
        thrown = true;
    }
    co_return thrown;
}

}  // namespace

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

TEST_CASE("TGP-22: no task can be created in a group that is shutting down, and the coroutine goes unstarted") {
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
