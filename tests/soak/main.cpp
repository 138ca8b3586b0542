// SPDX-License-Identifier: MIT
#include <coaio/db/pool.hpp>

#include <coaio/core/executor.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/timeout.hpp>

#include "support/postgres.hpp"
#include "support/postgres_proxy.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <vector>

namespace db = coaio::db;
using coaio::Clock;
using coaio::Coro;
using tests::Fault;
using tests::Spot;
using tests::Way;
using namespace std::chrono_literals;

namespace {

constexpr int accounts = 20;
constexpr int units_each = 1000;
constexpr int workers = 16;
constexpr std::size_t pool_size = 8;

/// What the program was told of a transfer.
enum class Told : unsigned char { committed, without_effect, unknown, cancelled };

struct Soak {
    Soak(std::chrono::seconds time, std::uint64_t with_seed)
        : length(time), random(with_seed), seed(with_seed), proxy(server, with_seed) {}
    Soak(const Soak&) = delete;
    Soak& operator=(const Soak&) = delete;

    [[nodiscard]] std::uint64_t below(std::uint64_t limit) { return random() % limit; }

    std::chrono::seconds length;
    std::mt19937_64 random;
    std::uint64_t seed;
    // A server goes with the thread that started it.
    coaio::ThreadPoolExecutor keeper{1, "keeper"};
    // As a server that is to keep what it has acknowledged; each commit takes long enough to be hit.
    tests::Postgres server{{{"fsync", "on"},
                            {"full_page_writes", "on"},
                            {"commit_delay", "50000"},
                            {"commit_siblings", "0"},
                            {"deadlock_timeout", "100ms"}}};
    tests::PostgresProxy proxy;
    std::map<std::int64_t, Told> told;
    std::map<std::string, int> faults;
    std::int64_t last_id = 0;
    bool over = false;
};

db::PoolOptions options() {
    return db::PoolOptions()
        .max_size(pool_size)
        .acquire_timeout(5s)
        .connect_timeout(2s)
        .cancel_timeout(500ms)
        .commit_timeout(1s)
        .resolve_timeout(30s);
}

/// The program overlooks that a statement failed, so the server turns COMMIT into ROLLBACK.
Coro<> overlook_a_failure(const db::Transaction& tx) {
    try {
        co_await tx.query("select 1/0");
    } catch (const db::Error& error) {
        if (!error.connection_good()) throw;
    }
}

Coro<> transfer(db::Pool pool, std::int64_t id, int from, int to, int units, bool careless) {
    auto body = [id, from, to, units, careless](db::Transaction& tx) -> Coro<> {
        co_await tx.execute("update account set units = units - $1 where id = $2", units, from);
        co_await tx.execute("update account set units = units + $1 where id = $2", units, to);
        co_await tx.execute("insert into ledger values ($1, $2, $3, $4)", id, from, to, units);
        if (careless) co_await overlook_a_failure(tx);
    };
    co_await pool.transaction(body);
}

/// One transfer, which is given up at some instant in one case of four.
Coro<Told> attempt(Soak& soak, db::Pool pool, std::int64_t id) {
    const int from = static_cast<int>(soak.below(accounts));
    const int to = static_cast<int>((static_cast<std::uint64_t>(from) + 1 + soak.below(accounts - 1)) % accounts);
    const int units = 1 + static_cast<int>(soak.below(9));
    const coaio::Duration patience =
        soak.below(4) == 0 ? std::chrono::microseconds(soak.below(120'000)) : coaio::Duration(1h);
    try {
        co_await coaio::wait_for(transfer(pool, id, from, to, units, soak.below(20) == 0), patience);
    } catch (const db::Error& error) {
        co_return error.outcome() == db::Outcome::unknown ? Told::unknown : Told::without_effect;
    } catch (const coaio::TimeoutError&) {
        co_return Told::cancelled;
    }
    co_return Told::committed;
}

Coro<> work(Soak& soak, db::Pool pool) {
    while (!soak.over) {
        const std::int64_t id = ++soak.last_id;
        soak.told[id] = Told::unknown;  // should it never end
        soak.told[id] = co_await attempt(soak, pool, id);
        co_await coaio::sleep(std::chrono::microseconds(soak.below(3000)));
    }
}

void terminate_some(const tests::Postgres& server, std::uint64_t luck) {
    try {
        server.sql("postgres",
                   "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'soak' and pid % 3 = " +
                       std::to_string(luck));
    } catch (const std::runtime_error&) {  // it is down, or ends us as well
    }
}

Coro<> on_keeper(Soak& soak, std::function<void()> step) {
    co_await coaio::get_running_loop().run_in_executor(soak.keeper, std::move(step));
}

Coro<> break_something(Soak& soak) {
    const Spot commit_sent = Spot(Way::to_server, 'Q').containing("; commit").nth(0);
    const Spot commit_answered = Spot(Way::to_client, 'C').containing("COMMIT").nth(0);
    static const std::array<const char*, 9> names = {"terminate",         "restart",          "cut all",
                                                     "cut before COMMIT", "cut after COMMIT", "freeze",
                                                     "freeze COMMIT",     "cut anything",     "late cancels"};
    const std::size_t what = soak.below(names.size());
    ++soak.faults[names[what]];
    switch (what) {
    case 0: {
        const std::uint64_t luck = soak.below(3);
        std::function<void()> step = [&soak, luck] { terminate_some(soak.server, luck); };
        co_await on_keeper(soak, std::move(step));
        break;
    }
    case 1: {
        std::function<void()> step = [&soak] { soak.server.restart(tests::Stop::immediate); };
        co_await on_keeper(soak, std::move(step));
        break;
    }
    case 2: soak.proxy.cut_all(); break;
    case 3: soak.proxy.on(Spot(commit_sent).times(3), Fault::cut_before()); break;
    case 4: soak.proxy.on(Spot(commit_answered).times(3), Fault::cut_before()); break;
    case 5:
        soak.proxy.freeze_all();
        co_await coaio::sleep(std::chrono::milliseconds(soak.below(1500)));
        soak.proxy.thaw_all();
        break;
    case 6: soak.proxy.on(Spot(commit_answered).times(2), Fault::freeze()); break;
    case 7:
        soak.proxy.on(Spot(Way::to_client, tests::message::any).nth(0).chance(0.01).times(3), Fault::reset_after());
        break;
    default: soak.proxy.on(Spot(Way::to_server, tests::message::cancel).times(5), Fault::delay(300ms)); break;
    }
}

Coro<> run(Soak& soak) {
    db::Pool pool(soak.proxy.conninfo("soak"), options());
    std::vector<coaio::Task<>> tasks;
    for (int i = 0; i < workers; ++i) tasks.push_back(coaio::create_task(work(soak, pool)));
    const auto end = Clock::now() + soak.length;
    while (Clock::now() < end) {
        co_await coaio::sleep(std::chrono::milliseconds(50 + soak.below(400)));
        co_await break_something(soak);
        if (soak.below(3) == 0) soak.proxy.clear();
    }
    soak.over = true;
    soak.proxy.clear();
    soak.proxy.thaw_all();
    for (auto& task : tasks) co_await task;
    // Whole and idle again.
    while (pool.statistics().opening + pool.statistics().cleaning > 0) co_await coaio::sleep(1ms);
    const int one = co_await pool.query_value<int>("select 1");
    const auto stats = pool.statistics();
    if (one != 1 || stats.in_use != 0 || stats.waiting != 0 || stats.size > pool_size || stats.idle != stats.size) {
        throw std::runtime_error("the pool is not whole: " + std::to_string(stats.in_use) + " in use, " +
                                 std::to_string(stats.idle) + " of " + std::to_string(stats.size) + " idle");
    }
    std::cout << stats.opened << " sessions opened, " << stats.connect_errors << " attempts failed\n";
    co_await pool.close();
}

int check(const Soak& soak) {
    const auto number = [&soak](const std::string& sql) { return std::stoll(soak.server.value("soak", sql)); };
    int wrong = 0;
    const auto expect = [&wrong](bool holds, const std::string& what) {
        if (holds) return;
        ++wrong;
        std::cout << "WRONG: " << what << '\n';
    };
    std::map<std::int64_t, int> rows;
    for (const auto& row : soak.server.sql("soak", "select id from ledger")) ++rows[std::stoll(*row[0])];
    std::array<int, 4> counts{};
    for (const auto& [id, told] : soak.told) {
        ++counts[static_cast<std::size_t>(told)];
        const int found = rows.count(id) != 0 ? rows.at(id) : 0;
        const std::string name = "transfer " + std::to_string(id);
        if (told == Told::committed)
            expect(found == 1, name + " was acknowledged and is there " + std::to_string(found) + " times");
        // Once COMMIT is sent its outcome is had, so who was cancelled was so before.
        if (told == Told::cancelled) expect(found == 0, name + " was cancelled and is there");
        if (told == Told::without_effect) expect(found == 0, name + " was called rolled back and is there");
        expect(found <= 1, name + " is there " + std::to_string(found) + " times");
    }
    expect(counts[2] == 0, std::to_string(counts[2]) + " outcomes stayed unknown");
    expect(counts[0] > 0, "nothing was committed");
    expect(number("select sum(units) from account") == accounts * units_each, "the sum of all units has changed");
    expect(
        number("select count(*) from account a where units <> " + std::to_string(units_each) +
               " + coalesce((select sum(units) from ledger where target = a.id), 0) - coalesce((select sum(units) from "
               "ledger where source = a.id), 0)") == 0,
        "an account does not agree with the ledger");
    expect(soak.server.await_sessions("soak", 0), "sessions are left in the server");
    std::cout << counts[0] << " committed, " << counts[1] << " without effect, " << counts[3] << " cancelled, "
              << counts[2] << " unknown; " << number("select count(*) from coaio_commit where at = 'infinity'")
              << " fenced off\n";
    for (const auto& [name, count] : soak.faults) std::cout << "  " << name << ": " << count << '\n';
    return wrong;
}

}  // namespace

int main(int argc, char** argv) {
    const std::chrono::seconds length(argc > 1 ? std::atoi(argv[1]) : 60);
    const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : std::random_device()();
    std::cout << "coaio-soak " << length.count() << " " << seed << std::endl;
    try {
        Soak soak(length, seed);
        soak.server.sql("postgres", "create database soak template template0");
        soak.server.sql(
            "soak", "create table account (id int primary key, units int not null); insert into account select i, " +
                        std::to_string(units_each) + " from generate_series(0, " + std::to_string(accounts - 1) +
                        ") i; create table ledger (id bigint, source int, target int, units int); create table "
                        "coaio_commit (token uuid primary key, at timestamptz not null default now()); checkpoint");
        coaio::run(run(soak));
        const int wrong = check(soak);
        std::cout << (wrong == 0 ? "all is well\n" : "FAILED\n");
        return wrong == 0 ? 0 : 1;
    } catch (const std::exception& error) {
        std::cout << "FAILED: " << error.what() << '\n';
        return 1;
    }
}
