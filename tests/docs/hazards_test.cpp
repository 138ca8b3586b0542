// SPDX-License-Identifier: MIT
// The listings of docs/hazards.md, as they stand there, compiled and run.
#include <coaio/core.hpp>

#include "support/catch.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

using namespace std::chrono_literals;

namespace {

coaio::Coro<bool> still_open() { co_return true; }

coaio::Coro<int> length(std::string text) {
    co_await coaio::sleep(1ms);
    co_return static_cast<int>(text.size());
}

struct Connection {
    int open = 0;
    int closed = 0;
};

coaio::Coro<> handshake(Connection& connection) {
    ++connection.open;
    co_await coaio::sleep(1s);
}

coaio::Coro<> goodbye(Connection& connection) {
    co_await coaio::sleep(1s);
    ++connection.closed;
}

// [lambda-parameters]
coaio::Coro<int> total(std::vector<std::string> words) {
    // No capture: what the coroutine needs are its parameters, which it owns.
    auto count = [](std::string word) -> coaio::Coro<int> { co_return co_await length(std::move(word)); };
    std::vector<coaio::Coro<int>> counts;
    for (auto& word : words) counts.push_back(count(word));
    int sum = 0;
    for (const int each : co_await coaio::gather(std::move(counts))) sum += each;
    co_return sum;
}
// [/lambda-parameters]

// [lambda-scope]
coaio::Coro<int> total_in_group(std::vector<std::string> words) {
    int sum = 0;
    // Takes the group first: whoever hands out the group keeps the lambda alive until the body is done.
    co_await coaio::task_group([&](coaio::TaskGroup& group) -> coaio::Coro<> {
        for (auto& word : words) group.create_task(length(word));
        sum = co_await length(words.front());
    });
    co_return sum;
}
// [/lambda-scope]

// [condition]
coaio::Coro<int> rounds() {
    int count = 0;
    for (;;) {
        const bool open = co_await still_open();  // not: if (!co_await still_open())
        if (!open || ++count == 3) co_return count;
    }
}
// [/condition]

// [named-body]
coaio::Coro<int> with_name(std::string name) {
    auto body = [name](coaio::Timeout&) -> coaio::Coro<int> { co_return co_await length(name); };
    co_return co_await coaio::timeout(1s, body);  // not: timeout(1s, [name](coaio::Timeout&) ...)
}
// [/named-body]

// [clean-up]
coaio::Coro<> talk(Connection& connection) {
    co_await coaio::finally(
        [&](coaio::Scope&) -> coaio::Coro<> {
            co_await handshake(connection);
            co_await coaio::sleep(1h);
        },
        [&](coaio::Scope&) -> coaio::Coro<> { co_await goodbye(connection); });
}
// [/clean-up]

// [blocking]
coaio::Coro<long> sum_elsewhere(std::vector<long> numbers) {
    co_return co_await coaio::to_thread(
        [](std::vector<long> all) {
            long sum = 0;
            for (const long each : all) sum += each;
            return sum;
        },
        std::move(numbers));
}
// [/blocking]

// [reference]
coaio::Coro<std::optional<int>> look_up(std::map<std::string, int>& table, std::string key) {
    co_await coaio::sleep(1s);           // others may change the table meanwhile,
    const auto found = table.find(key);  // so the iterator is taken after the suspension, not before
    if (found == table.end()) co_return std::nullopt;
    co_return found->second;
}
// [/reference]

}  // namespace

TEST_CASE("the listings of docs/hazards.md do what the page says") {
    const std::vector<std::string> words{"one", "three"};
    REQUIRE(coaio::testing::run(total(words)) == 8);
    REQUIRE(coaio::testing::run(total_in_group(words)) == 3);
    REQUIRE(coaio::testing::run(rounds()) == 3);
    REQUIRE(coaio::testing::run(with_name("name")) == 4);
    REQUIRE(coaio::testing::run(sum_elsewhere({1, 2, 3})) == 6);
    std::map<std::string, int> table{{"a", 1}};
    REQUIRE(coaio::testing::run(look_up(table, "a")) == 1);
}

TEST_CASE("the clean-up of docs/hazards.md runs when the task is cancelled") {
    Connection connection;
    const auto main = [](Connection& shared) -> coaio::Coro<> {
        auto task = coaio::create_task(talk(shared));
        co_await coaio::sleep(2s);
        task.cancel();
        const std::vector tasks{task};
        co_await coaio::wait(tasks);
        REQUIRE(task.cancelled());
    };
    coaio::testing::run(main(connection));
    REQUIRE(connection.open == 1);
    REQUIRE(connection.closed == 1);
}
