// SPDX-License-Identifier: MIT
// What a dump shows of the tree: who awaits whom, and the groups between them, as text and as JSON.
#include <coaio/core/activity.hpp>
#include <coaio/core/as_completed.hpp>
#include <coaio/core/dump.hpp>
#include <coaio/core/gather.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/shield.hpp>
#include <coaio/core/task_group.hpp>
#include <coaio/core/wait.hpp>

#include "sync_support.hpp"

#include "support/catch.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;
using coaio::DumpFormat;
using coaio::Task;
using tests::contains;
using tests::turn;
using Json = nlohmann::json;

namespace {

Coro<> nap(coaio::Duration delay) { co_await coaio::sleep(delay); }

Task<> napping(std::string name) { return create_task(nap(5s), {.name = std::move(name)}); }

Coro<std::string> as_text() { co_return coaio::dump_tasks(); }

Json as_json() { return Json::parse(coaio::dump_tasks({.format = DumpFormat::json})); }

/// The task of this name, wherever it stands whole.
Json find_task(const Json& nodes, const std::string& name) {
    for (const Json& node : nodes) {
        if (node.value("name", "") == name && !node.contains("elsewhere")) return node;
        const Json found = find_task(node.value("children", Json::array()), name);
        if (!found.is_null()) return found;
    }
    return {};
}

std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
}

/// The lines of a dump without the parts that tell times and places.
std::vector<std::string> outline(const std::string& text) {
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = text.find('\n', at);
        const std::string line = text.substr(at, end - at);
        at = end + 1;
        if (line.find(" at ") != std::string::npos && line.find(", age") == std::string::npos) continue;
        if (line.find("waits for") != std::string::npos) continue;
        lines.push_back(line.substr(0, line.find(", age")));
    }
    return lines;
}

}  // namespace

TEST_CASE("A dump is a tree: who is awaited stands below, and groups, gathers and shields are nodes between") {
    coaio::testing::run([]() -> Coro<> {
        auto parent = [](coaio::TaskGroup& group) -> Coro<> {
            group.create_task(nap(9s), {.name = "member"});
            auto both = coaio::gather(napping("left"), napping("right"));
            co_await coaio::shield(std::move(both));
        };
        auto whole = [](auto body) -> Coro<> { co_await coaio::task_group(body); };
        auto task = create_task(whole(parent), {.name = "parent"});
        co_await coaio::sleep(1s);
        const std::string text = coaio::dump_tasks();
        CHECK(outline(text) == std::vector<std::string>{
                                   "Task-1 running",
                                   "parent waiting",
                                   "|- task group (1 tasks)",
                                   "|  |- member waiting",
                                   "|- shield",
                                   "|  |- gather (2 of 2 pending)",
                                   "|  |  |- left waiting",
                                   "|  |  |- right waiting",
                               });
        CHECK_THAT(text, contains("|  waits for shield, for 1.0 s"));
        CHECK_THAT(text, contains("|  |  |  |  waits for sleep, 4.0 s to go, for 1.0 s"));
        const Json node = find_task(as_json()["tasks"], "parent");
        REQUIRE(node["children"].size() == 2);
        const Json group = node["children"][0];
        CHECK(group["kind"] == "group");
        CHECK(group["what"] == "task group (1 tasks)");
        CHECK(group["detail"]["tasks"] == 1);
        CHECK(group["children"][0]["name"] == "member");
        const Json gather = node["children"][1]["children"][0];
        CHECK(gather["detail"] == Json({{"pending", 2}, {"total", 2}}));
        CHECK(gather["children"][1]["name"] == "right");
        task.cancel();
    }());
}

TEST_CASE("A task of a dump has its state, age, spawn site, stack and what it waits for, as JSON too") {
    coaio::testing::run([]() -> Coro<> {
        auto outer = []() -> Coro<> { co_await nap(5s); };
        const unsigned line = __LINE__ + 1;
        auto task = create_task(outer(), {.name = "sleeper"});
        co_await coaio::sleep(2s);
        auto fresh = napping("fresh");
        const Json tasks = as_json()["tasks"];
        const Json node = find_task(tasks, "sleeper");
        CHECK(node["kind"] == "task");
        CHECK(node["id"] == 2);
        CHECK(node["state"] == "waiting");
        CHECK(node["age"] == 2.0);
        CHECK(node["spawned"]["line"] == line);
        CHECK_THAT(node["spawned"]["file"].get<std::string>(), contains("dump_test.cpp"));
        REQUIRE(node["stack"].size() == 2);
        CHECK(node["stack"][1]["function"] == "nap");
        CHECK(node["stack"][1]["line"] > 0);
        CHECK(node["wait"]["what"] == "sleep");
        CHECK(node["wait"]["since"] == 2.0);
        CHECK(node["wait"]["until"] == 3.0);
        CHECK_FALSE(node.contains("children"));
        CHECK_FALSE(node.contains("cancelling"));
        CHECK(find_task(tasks, "fresh")["state"] == "not started");
        const Json self = find_task(tasks, "Task-1");
        CHECK(self["state"] == "running");
        CHECK_FALSE(self.contains("wait"));
        task.cancel();
        CHECK(find_task(as_json()["tasks"], "sleeper")["cancelling"] == true);
        CHECK(find_task(as_json()["tasks"], "sleeper")["state"] == "ready");
        CHECK_THAT(coaio::dump_tasks(), contains("sleeper ready, being cancelled, age"));
    }());
}

TEST_CASE("A running task is shown down to the innermost coroutine") {
    auto main = []() -> Coro<std::string> { co_return co_await as_text(); };
    CHECK_THAT(coaio::testing::run(main()), contains("|  as_text at "));
}

TEST_CASE("A task that waits for its group says so, and for how many") {
    coaio::testing::run([]() -> Coro<> {
        auto body = [](coaio::TaskGroup& group) -> Coro<> {
            group.create_task(nap(2s));
            group.create_task(nap(4s));
            co_return;
        };
        auto whole = [](auto inner) -> Coro<> { co_await coaio::task_group(inner); };
        auto task = create_task(whole(body), {.name = "parent"});
        co_await coaio::sleep(1s);
        CHECK_THAT(coaio::dump_tasks(), contains("waits for task group (2 tasks), for 1.0 s"));
        co_await coaio::sleep(2s);
        CHECK_THAT(coaio::dump_tasks(), contains("waits for task group (1 tasks), for 3.0 s"));
        task.cancel();
        co_await turn();
        CHECK_THAT(coaio::dump_tasks(), contains("task group (1 tasks, shutting down)"));
        const std::vector<Task<>> alone(1, task);
        co_await coaio::wait(alone);
        CHECK(coaio::dump_tasks().find("group") == std::string::npos);
    }());
}

TEST_CASE("Those that wait and as_completed look after stand below the one that waits") {
    coaio::testing::run([]() -> Coro<> {
        std::vector<Task<>> tasks{create_task(nap(2s), {.name = "short"}), create_task(nap(6s), {.name = "long"})};
        auto waits = [](std::vector<Task<>> all) -> Coro<> {
            const auto result = co_await coaio::wait(std::move(all));
            static_cast<void>(result);
        };
        auto collects = [](std::vector<Task<>> all) -> Coro<> {
            auto finished = coaio::as_completed(std::move(all));
            for (auto next = co_await finished.next(); next; next = co_await finished.next()) {}
        };
        auto first = create_task(waits(tasks), {.name = "waits"});
        auto second = create_task(collects(tasks), {.name = "collects"});
        co_await coaio::sleep(1s);
        CHECK(outline(coaio::dump_tasks()) == std::vector<std::string>{
                                                  "Task-1 running",
                                                  "waits waiting",
                                                  "|- wait (all completed, 2 of 2 pending)",
                                                  "|  |- short waiting",
                                                  "|  |- long waiting",
                                                  "collects waiting",
                                                  "|- as_completed (2 of 2 pending)",
                                                  "|  |- short (shown above)",
                                                  "|  |- long (shown above)",
                                              });
        co_await coaio::sleep(2s);
        const std::string later = coaio::dump_tasks();
        CHECK_THAT(later, contains("waits for wait (all completed, 1 of 2 pending), for 3.0 s"));
        CHECK_THAT(later, contains("waits for as_completed (1 of 2 pending), for 1.0 s"));
        CHECK(count(later, "short") == 0);
        const Json node = find_task(as_json()["tasks"], "collects");
        CHECK(node["children"][0]["children"][0]["elsewhere"] == true);
        CHECK(node["children"][0]["children"][0]["name"] == "long");
        co_await second;
        CHECK(first.done());
    }());
}

TEST_CASE("A task that several await stands below the first") {
    coaio::testing::run([]() -> Coro<> {
        auto waits = [](Task<> other) -> Coro<> { co_await other; };
        auto slow = napping("slow");
        auto a = create_task(waits(slow), {.name = "first"});
        auto b = create_task(waits(slow), {.name = "second"});
        co_await turn();
        CHECK(outline(coaio::dump_tasks()) == std::vector<std::string>{
                                                  "Task-1 running",
                                                  "first waiting",
                                                  "|- slow waiting",
                                                  "second waiting",
                                                  "|- slow (shown above)",
                                              });
        slow.cancel();
    }());
}

TEST_CASE("Tasks that wait for each other in a ring are all shown") {
    coaio::Loop loop;
    loop.set_exception_handler([](coaio::Loop&, const coaio::ExceptionContext&) {});  // they are lost at the end
    std::vector<Task<>> ring;
    auto next_in_ring = [](std::vector<Task<>>& all, std::size_t i) -> Coro<> { co_await all[(i + 1) % 3]; };
    auto main = [](auto next, std::vector<Task<>>& tasks) -> Coro<std::string> {
        for (std::size_t i = 0; i < 3; ++i) {
            tasks.push_back(create_task(next(tasks, i), {.name = std::to_string(i)}));
        }
        co_await turn();
        co_return coaio::dump_tasks();
    };
    CHECK(outline(loop.run_until_complete(main(next_in_ring, ring))) == std::vector<std::string>{
                                                                            "Task-1 running",
                                                                            "0 waiting",
                                                                            "|- 1 waiting",
                                                                            "|  |- 2 waiting",
                                                                            "|  |  |- 0 (shown above)",
                                                                        });
    loop.close();
}

TEST_CASE("A chain of very many tasks is shown whole, in pieces") {
    coaio::testing::run([]() -> Coro<> {
        auto waits = [](Task<> other) -> Coro<> { co_await other; };
        Task<> task = napping("the last");
        for (int i = 0; i < 2'000; ++i) task = create_task(waits(std::move(task)));
        co_await turn();
        const std::string text = coaio::dump_tasks();
        CHECK(count(text, ", age ") == 2'002);
        CHECK(count(text, "(shown below)") == 2'000 / 64);
        CHECK(text.size() < 2'002 * 1'000);
        const Json tasks = as_json()["tasks"];
        CHECK(tasks.size() == 2 + 2'000 / 64);
        CHECK_FALSE(find_task(tasks, "the last").is_null());
        task.cancel();
    }());
}

TEST_CASE("A dump is cut at a limit, and says by how much") {
    coaio::testing::run([]() -> Coro<> {
        std::vector<Task<>> tasks;
        for (int i = 0; i < 10; ++i) tasks.push_back(napping("one of many"));
        auto all = coaio::gather(tasks);
        co_await turn();
        const std::string text = coaio::dump_tasks({.limit = 4});
        CHECK(count(text, ", age ") == 4);
        CHECK_THAT(text, contains("(7 more tasks)\n"));
        const Json cut = Json::parse(coaio::dump_tasks({.format = DumpFormat::json, .limit = 4}));
        CHECK(cut["tasks"].size() == 4);
        CHECK(cut["omitted"] == 7);
        CHECK_FALSE(as_json().contains("omitted"));
        all.cancel();
    }());
}

TEST_CASE("Shields around shields do not make a dump as deep as themselves") {
    coaio::testing::run([]() -> Coro<> {
        auto task = napping("innermost");
        coaio::Future<> outer = coaio::shield(task);
        for (int i = 0; i < 200; ++i) outer = coaio::shield(std::move(outer));
        auto waits = [](coaio::Future<> all) -> Coro<> { co_await all; };
        auto waiter = create_task(waits(outer), {.name = "waiter"});
        co_await turn();
        const std::string text = coaio::dump_tasks();
        CHECK(count(text, "shield") < 80);
        CHECK_THAT(text, contains("shield (shown below)"));
        CHECK_THAT(text, contains("\ninnermost "));
        waiter.cancel();
        task.cancel();
    }());
}

TEST_CASE("Names from outside can neither break a line of a dump, nor speak to a terminal, nor spoil the JSON") {
    coaio::testing::run([]() -> Coro<> {
        auto task = napping("bad\n\x1b[31m\"name\\ \xff\xc3\xa4 \xed\xa0\x80 \xf0\x9f\x90\x99\x7f\xc2\x9b");
        co_await turn();
        const std::string text = coaio::dump_tasks();
        CHECK_THAT(text, contains("\nbad\\x0a\\x1b[31m\"name\\ "));
        CHECK_THAT(text, contains("\"name\\ \\xff\xc3\xa4 \\xed\\xa0\\x80 \xf0\x9f\x90\x99\\x7f\\xc2\\x9b"));
        CHECK(count(text, "\n") == 5);
        const std::string replacement = "\xef\xbf\xbd";
        const std::string name = "bad\n\x1b[31m\"name\\ " + replacement + "\xc3\xa4 " + replacement + replacement +
                                 replacement + " \xf0\x9f\x90\x99\x7f\xc2\x9b";
        CHECK_FALSE(find_task(as_json()["tasks"], name).is_null());
        task.cancel();
    }());
}

namespace {

class Working final : public coaio::Activity {
public:
    explicit Working(const std::string& on) : on_(on) {}
    [[nodiscard]] coaio::WaitInfo describe() const override {
        coaio::WaitInfo info{.what = "work on \"" + coaio::shortened(on_, 20) + "\""};
        info.fact("on", on_).fact("size", on_.size()).fact("share", 0.5);
        return info;
    }
    void end() noexcept { finish(); }

private:
    const std::string& on_;
};

}  // namespace

TEST_CASE("What a task is in the midst of stands in its dump until it is over") {
    coaio::testing::run([]() -> Coro<> {
        auto worker = [](std::string text) -> Coro<> {
            Working working(text);
            co_await coaio::sleep(2s);
            const Working inner(text);
            working.end();
            co_await coaio::sleep(2s);
        };
        auto task = create_task(worker("a long\n  text that is cut"), {.name = "worker"});
        co_await coaio::sleep(1s);
        CHECK_THAT(coaio::dump_tasks(), contains("|  in work on \"a long text that is …\"\n|  waits for sleep"));
        const Json node = find_task(as_json()["tasks"], "worker");
        REQUIRE(node["doing"].size() == 1);
        CHECK(node["doing"][0]["what"] == "work on \"a long text that is …\"");
        CHECK(node["doing"][0]["detail"]["on"] == "a long\n  text that is cut");
        CHECK(node["doing"][0]["detail"]["size"] == 25);
        CHECK(node["doing"][0]["detail"]["share"] == 0.5);
        CHECK_FALSE(find_task(as_json()["tasks"], "Task-1").contains("doing"));
        co_await coaio::sleep(2s);
        CHECK(count(coaio::dump_tasks(), "in work on") == 1);
        co_await task;
        CHECK(count(coaio::dump_tasks(), "in work on") == 0);
    }());
    const std::string nothing;
    const Working outside(nothing);  // where no loop runs it belongs to nobody
    CHECK(outside.task_id() == 0);
}

TEST_CASE("A long text is shortened between characters, its white space folded") {
    CHECK(coaio::shortened("select  1\n\tfrom x ") == "select 1 from x");
    CHECK(coaio::shortened("") == "");
    CHECK(coaio::shortened(" \n ") == "");
    CHECK(coaio::shortened("abcdef", 6) == "abcdef");
    CHECK(coaio::shortened("abcdefg", 6) == "abcdef…");
    CHECK(coaio::shortened("abc def", 3) == "abc…");
    CHECK(coaio::shortened("abcd\xc3\xa4g", 5) == "abcd…");
    CHECK(coaio::shortened(std::string(1'000'000, 'x'), 5) == "xxxxx…");
    CHECK(coaio::shortened("\x80\x80\x80", 2) == "…");
}
