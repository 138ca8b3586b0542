// SPDX-License-Identifier: MIT
#include "money.hpp"

#include <coaio/core/sleep.hpp>
#include <coaio/core/timeout.hpp>

#include <array>
#include <iostream>
#include <optional>

#include "support/token_table.hpp"

namespace soak {

namespace db = coaio::db;
using coaio::Coro;
using namespace std::chrono_literals;

namespace {

constexpr int accounts = 20;
constexpr int units_each = 1000;

struct Transfer {
    std::int64_t id;
    int from;
    int to;
    int units;
};

enum class Manner : unsigned char {
    once,      ///< one transaction
    again,     ///< and again, where it had no effect
    nested,    ///< with a savepoint that is undone in the middle
    careless,  ///< overlooks that a statement failed, so the server turns COMMIT into ROLLBACK
    left,      ///< begun by hand, and left open
};

Transfer draw_transfer(World& world) {
    Transfer made{};
    made.id = ++world.last_id;
    made.from = static_cast<int>(world.below(accounts));
    made.to = static_cast<int>((static_cast<std::uint64_t>(made.from) + 1 + world.below(accounts - 1)) % accounts);
    made.units = 1 + static_cast<int>(world.below(9));
    return made;
}

Manner draw_manner(World& world) {
    const auto luck = world.below(20);
    if (luck < 9) return Manner::once;
    if (luck < 15) return Manner::again;
    if (luck < 18) return Manner::nested;
    return luck == 18 ? Manner::careless : Manner::left;
}

template <class On>
Coro<> book(const On& on, Transfer what) {
    co_await on.execute("update account set units = units - $1 where id = $2", what.units, what.from);
    co_await on.execute("update account set units = units + $1 where id = $2", what.units, what.to);
    co_await on.execute("insert into ledger values ($1, $2, $3, $4)", what.id, what.from, what.to, what.units);
}

Coro<> overlook_a_failure(const db::Transaction& tx) {
    try {
        co_await tx.query("select 1/0");
    } catch (const db::Error& error) {
        if (!error.connection_good()) throw;
    }
}

// The account is emptied, and full again once the savepoint is rolled back to.
Coro<> change_ones_mind(db::Transaction& tx, int account) {
    auto inner = [account](db::Transaction& sub) -> Coro<> {
        co_await sub.execute("update account set units = 0 where id = $1", account);
        throw std::out_of_range("better not");
    };
    try {
        co_await tx.transaction(inner);
    } catch (const std::out_of_range&) {}
}

Coro<> leave_open(db::Pool pool, Transfer what) {
    auto connection = co_await pool.acquire();
    co_await connection.execute("begin");
    co_await book(connection, what);
}

Coro<> transfer(db::Pool pool, Transfer what, Manner manner) {
    if (manner == Manner::left) {
        co_await leave_open(pool, what);
        co_return;
    }
    auto body = [what, manner](db::Transaction& tx) -> Coro<> {
        co_await book(tx, what);
        if (manner == Manner::nested) co_await change_ones_mind(tx, what.from);
        if (manner == Manner::careless) co_await overlook_a_failure(tx);
    };
    if (manner == Manner::again) {
        co_await pool.retry_transaction(body);
    } else {
        co_await pool.transaction(body);
    }
}

/// In one case of four it is given up at some instant, always when it takes too long: what is in a black hole has no
/// other end.
coaio::Duration draw_patience(World& world) {
    if (world.below(4) == 0) return std::chrono::microseconds(world.below(120'000));
    return 5s;
}

Coro<Told> attempt(db::Pool pool, Transfer what, Manner manner, coaio::Duration patience) {
    try {
        co_await coaio::wait_for(transfer(pool, what, manner), patience);
    } catch (const db::Error& error) {
        // What became of a BEGIN by hand does not matter.
        const bool open = error.outcome() == db::Outcome::unknown && manner != Manner::left;
        if (open) std::cout << "unknown: transfer " << what.id << ": " << error.what() << '\n';
        co_return open ? Told::unknown : Told::without_effect;
    } catch (const coaio::TimeoutError&) {
        co_return Told::cancelled;
    }
    co_return manner == Manner::left ? Told::without_effect : Told::committed;
}

/// Counts what does not hold, and says so.
class Verdict {
public:
    void expect(bool holds, const std::string& what) {
        if (holds) return;
        ++wrong_;
        std::cout << "WRONG: " << what << '\n';
    }
    [[nodiscard]] int wrong() const noexcept { return wrong_; }

private:
    int wrong_ = 0;
};

void check_transfer(Verdict& verdict, std::int64_t id, Told told, int found) {
    const std::string name = "transfer " + std::to_string(id);
    const std::string there = " there " + std::to_string(found) + " times";
    if (told == Told::committed) verdict.expect(found == 1, name + " was acknowledged and is" + there);
    // Once COMMIT is sent its outcome is had, so who was cancelled was so before.
    if (told == Told::cancelled) verdict.expect(found == 0, name + " was cancelled and is" + there);
    if (told == Told::without_effect) verdict.expect(found == 0, name + " was called rolled back and is" + there);
    if (told == Told::unknown) verdict.expect(found <= 1, name + " is" + there);
}

}  // namespace

World::World(std::chrono::seconds time, std::uint64_t seed, std::string only)
    : length(time),
      random(seed),
      only_fault(std::move(only)),
      // As a server that is to keep what it has acknowledged; each commit takes long enough to be hit.
      server({{"fsync", "on"},
              {"full_page_writes", "on"},
              {"commit_delay", "50000"},
              {"commit_siblings", "0"},
              {"deadlock_timeout", "100ms"}}),
      proxy(server, seed) {
    server.sql("postgres", "create database soak template template0");
    server.sql("soak", "create table account (id int primary key, units int not null); insert into account select i, " +
                           std::to_string(units_each) + " from generate_series(0, " + std::to_string(accounts - 1) +
                           ") i; create table ledger (id bigint, source int, target int, units int); " +
                           tests::token_table + "; checkpoint");
}

Coro<> move_units(World& world, db::Pool pool) {
    while (!world.over) {
        const Transfer what = draw_transfer(world);
        const Manner manner = draw_manner(world);
        const coaio::Duration patience = draw_patience(world);
        world.told[what.id] = Told::unknown;  // should it never end
        world.told[what.id] = co_await attempt(pool, what, manner, patience);
        co_await coaio::sleep(std::chrono::microseconds(world.below(3000)));
    }
}

Coro<> add_up(World& world, db::Pool pool) {
    while (!world.over) {
        co_await coaio::sleep(std::chrono::microseconds(world.below(20'000)));
        try {
            const auto sum =
                co_await coaio::wait_for(pool.query_value<std::int64_t>("select sum(units) from account"), 3s);
            ++world.sums_read;
            world.sums_wrong += sum == accounts * units_each ? 0 : 1;
        } catch (const db::Error&) {  // it read nothing, so nothing wrong
        } catch (const coaio::TimeoutError&) {}
    }
}

int check(const World& world) {
    const auto number = [&world](const std::string& sql) { return std::stoll(world.server.value("soak", sql)); };
    Verdict verdict;
    std::map<std::int64_t, int> rows;
    for (const auto& row : world.server.sql("soak", "select id from ledger")) ++rows[std::stoll(*row[0])];
    std::array<int, 4> counts{};
    for (const auto& [id, told] : world.told) {
        ++counts[static_cast<std::size_t>(told)];
        check_transfer(verdict, id, told, rows[id]);
    }
    verdict.expect(counts[2] == 0, std::to_string(counts[2]) + " outcomes stayed unknown");
    verdict.expect(counts[0] > 0, "nothing was committed");
    verdict.expect(rows.size() <= world.told.size(), "there are transfers that nobody made");
    verdict.expect(number("select sum(units) from account") == accounts * units_each,
                   "the sum of all units has changed");
    verdict.expect(world.sums_wrong == 0, std::to_string(world.sums_wrong) + " sums read meanwhile were wrong");
    verdict.expect(
        number("select count(*) from account a where units <> " + std::to_string(units_each) +
               " + coalesce((select sum(units) from ledger where target = a.id), 0) - coalesce((select sum(units) from "
               "ledger where source = a.id), 0)") == 0,
        "an account does not agree with the ledger");
    verdict.expect(world.proxy.most_sessions() <= pool_size, std::to_string(world.proxy.most_sessions()) +
                                                                 " sessions were open at once, of a pool of " +
                                                                 std::to_string(pool_size));
    verdict.expect(world.server.await_sessions("soak", 0), "sessions are left in the server");
    std::cout << counts[0] << " committed, " << counts[1] << " without effect, " << counts[3] << " cancelled, "
              << counts[2] << " unknown; " << number("select count(*) from coaio_commit where at = 'infinity'")
              << " fenced off; at most " << world.proxy.most_sessions() << " sessions; " << world.sums_read
              << " sums read\n";
    for (const auto& [name, count] : world.faults) std::cout << "  " << name << ": " << count << '\n';
    return verdict.wrong();
}

}  // namespace soak
