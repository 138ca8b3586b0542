// SPDX-License-Identifier: MIT
// The listings of docs/tutorial.md that are not programs of the tour.
#include <coaio/core.hpp>

#include "support/catch.hpp"

#include <memory>
#include <string>

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

}  // namespace

TEST_CASE("the test of docs/tutorial.md passes") { test_withdraw(); }
