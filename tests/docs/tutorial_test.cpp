// SPDX-License-Identifier: MIT
// The listings of docs/tutorial.md that are not programs of the tour.
#include <coaio/core.hpp>

#include "support/catch.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;

namespace {

// [testing]
struct Account {
    coaio::Lock lock;
    long balance = 100;
};

coaio::Coro<> withdraw(std::shared_ptr<Account> account, long amount) {
    auto guard = co_await account->lock.scoped();
    const long before = account->balance;
    co_await coaio::sleep(1h);  // takes no time under coaio::testing
    account->balance = before - amount;
}

coaio::Coro<> two_at_once() {
    auto account = std::make_shared<Account>();
    co_await coaio::gather(withdraw(account, 30), withdraw(account, 50));
    if (account->balance != 20) throw std::logic_error("lost an update");
}

void test_withdraw() {
    coaio::testing::explore(two_at_once, {.seeds = 20});

    auto account = std::make_shared<Account>();
    auto once = [&] {
        account = std::make_shared<Account>();
        return withdraw(account, 30);
    };
    // Cancelled before any turn: the lock is free again, and the money is all there or rightly gone.
    coaio::testing::cut(once, [&](std::size_t) {
        if (account->lock.locked()) throw std::logic_error("the lock is held by nobody");
        if (account->balance != 100 && account->balance != 70) throw std::logic_error("money was lost");
    });
}
// [/testing]

// [pool]
class Connections {
public:
    explicit Connections(int count) : free_(count) {}

    coaio::Coro<> take() {
        auto guard = co_await changed_.scoped();
        co_await changed_.wait_for([this] { return free_ > 0; });
        --free_;
    }
    coaio::Coro<> give_back() {
        auto guard = co_await changed_.scoped();
        ++free_;
        changed_.notify();
    }
    int free() const { return free_; }

private:
    coaio::Condition changed_;
    int free_;
};

coaio::Coro<> use(Connections& pool) {
    co_await pool.take();
    auto body = [](coaio::Scope&) -> coaio::Coro<> { co_await coaio::sleep(20ms); };
    auto give_back = [&pool](coaio::Scope&) -> coaio::Coro<> { co_await pool.give_back(); };
    co_await coaio::finally(body, give_back);
}
// [/pool]

// [pool-test]
coaio::Coro<> many_users(std::shared_ptr<Connections> pool) {
    auto body = [&pool](coaio::TaskGroup& group) -> coaio::Coro<> {
        std::vector<coaio::Task<>> users;
        for (int i = 0; i < 5; ++i) users.push_back(group.create_task(use(*pool)));
        co_await coaio::sleep(10ms * static_cast<int>(coaio::get_running_loop().random() % 5));
        users[1].cancel();
    };
    co_await coaio::task_group(body);
    if (pool->free() != 2) throw std::logic_error("a connection was lost");
}

void test_pool() {
    coaio::testing::explore([] { return many_users(std::make_shared<Connections>(2)); });

    auto pool = std::make_shared<Connections>(2);
    auto once = [&] {
        pool = std::make_shared<Connections>(2);
        return many_users(pool);
    };
    coaio::testing::cut(once, [&](std::size_t) {
        if (pool->free() != 2) throw std::logic_error("a connection was lost");
    });
}
// [/pool-test]

// [seeing]
struct Kitchen {
    coaio::Lock oven;
};

coaio::Coro<> bake(std::shared_ptr<Kitchen> kitchen) {
    auto guard = co_await kitchen->oven.scoped();
    co_await coaio::sleep(1h);
}

coaio::Coro<std::string> look_inside() {
    auto kitchen = std::make_shared<Kitchen>();
    std::string dump;
    co_await coaio::task_group([&](coaio::TaskGroup& group) -> coaio::Coro<> {
        group.create_task(bake(kitchen), {.name = "bread"});
        group.create_task(bake(kitchen), {.name = "cake"});
        co_await coaio::sleep(1s);
        dump = coaio::dump_tasks();
        group.cancel();
    });
    co_return dump;
}
// [/seeing]

}  // namespace

TEST_CASE("the test of docs/tutorial.md passes") { test_withdraw(); }

TEST_CASE("the pool of docs/tutorial.md loses nothing") { test_pool(); }

TEST_CASE("the dump of docs/tutorial.md looks as it does there") {
    const std::string dump = coaio::testing::run(look_inside());
    CHECK_THAT(dump, tests::contains("|- task group (2 tasks)\n|  |- bread waiting, age 1.0 s, created at "));
    CHECK_THAT(dump, tests::contains("|  |  |  waits for sleep, 3599.0 s to go, for 1.0 s\n|  |- cake waiting, "));
    CHECK_THAT(dump, tests::contains("|  |  |  waits for lock held by bread at 0x"));
}
