// SPDX-License-Identifier: MIT
#include <coaio/db/pool.hpp>

#include <coaio/core/event.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>

#include <cstdlib>
#include <functional>
#include <iomanip>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>

#include "support/postgres.hpp"
#include "support/postgres_proxy.hpp"

namespace db = coaio::db;
using coaio::Coro;
using tests::Fault;
using tests::Spot;
using tests::Way;
using namespace std::chrono_literals;

namespace {

/// What came of the cancels of one step.
struct Tally {
    int cancelled = 0;
    int finished = 0;  ///< it was done, or past the point, when the cancel came
    int strays = 0;    ///< cancelled by the server, and nobody had asked
    int wrong = 0;
    std::uint64_t lost = 0;  ///< connections that were closed
    std::size_t requests = 0;
};

struct World {
    explicit World(std::uint64_t seed) : random(seed), proxy(server, seed) {
        server.sql("postgres", "create database cancels template template0");
        server.sql("cancels", "create table t (n int); create table copied (n int)");
    }
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    [[nodiscard]] std::uint64_t below(std::uint64_t limit) { return random() % limit; }
    [[nodiscard]] int number_below(std::uint64_t limit) { return static_cast<int>(below(limit)); }

    std::mt19937_64 random;
    tests::Postgres server;
    tests::PostgresProxy proxy;
    std::optional<db::Pool> pool;
    int stored = 0;  ///< rows that must be in t
    int round = 0;
};

using Act = Coro<> (*)(World&);

// --- what is cancelled ---------------------------------------------------------

Coro<> ask(World& world) {
    const int round = world.round;
    const int answer = co_await world.pool->query_value<int>("select $1::int", round);
    if (answer != round) throw std::runtime_error("a wrong answer");
}

Coro<> hold(World& world) {
    auto connection = co_await world.pool->acquire();
    co_await coaio::sleep(std::chrono::microseconds(world.below(500)));
}

// The one connection is waited for, and pinged before it is given out.
Coro<> acquire(World& world) {
    if (world.below(2) == 0) {
        auto holder = coaio::create_task(hold(world));
        co_await coaio::sleep(0s);
        co_await hold(world);
        co_await holder;
    } else {
        co_await hold(world);
    }
}

Coro<> transact(World& world) {
    auto body = [](db::Transaction& tx) -> Coro<> { co_await tx.execute("insert into t values (1)"); };
    co_await world.pool->transaction(body);
    ++world.stored;
}

Coro<> prepare(World& world) {
    const std::string sql = "select $1::int + " + std::to_string(world.round);
    const int sum = co_await world.pool->query_value<int>(sql, 1);
    if (sum != world.round + 1) throw std::runtime_error("a wrong sum");
}

Coro<> execute(World& world) {
    const int round = world.round;
    const int answer =
        co_await world.pool->query_value<int>("select $1::int from pg_sleep($2::float8)", round, 0.001 * (round % 3));
    if (answer != round) throw std::runtime_error("a wrong answer");
}

Coro<> read_rows(World& world) {
    auto rows = world.pool->stream<int>("select generate_series(1, 3000)");
    int next = 1;
    while (auto row = co_await rows.next()) {
        if (*row != next++) throw std::runtime_error("a wrong row");
    }
}

Coro<> copy(World& world) {
    auto pool = *world.pool;
    if (world.below(2) == 0) {
        auto body = [](db::CopyRows<int>& rows) -> Coro<> {
            for (int i = 0; i < 20'000; ++i) co_await rows.write(i);
        };
        co_await pool.copy_rows<int>("copied (n)", body);
    } else {
        auto lines = pool.copy_out("copy (select generate_series(1, 3000)) to stdout");
        int next = 1;
        while (auto line = co_await lines.next()) {
            if (std::stoi(*line) != next++) throw std::runtime_error("a wrong line");
        }
    }
}

Coro<> nest(World& world) {
    auto body = [](db::Transaction& tx) -> Coro<> {
        auto inner = [](db::Transaction& sub) -> Coro<> { co_await sub.execute("insert into t values (2)"); };
        co_await tx.transaction(inner);
    };
    co_await world.pool->transaction(body);
    ++world.stored;
}

Coro<> roll_back(World& world) {
    auto body = [](db::Transaction& tx) -> Coro<> {
        co_await tx.execute("insert into t values (3)");
        throw std::out_of_range("undo it");
    };
    try {
        co_await world.pool->transaction(body);
    } catch (const std::out_of_range&) {}
}

// What comes back in a transaction, or with rows unread, is cleaned before the next gets it, who is cancelled.
Coro<> release(World& world) {
    {
        auto connection = co_await world.pool->acquire();
        if (world.below(2) == 0) {
            co_await connection.execute("begin");
            co_await connection.execute("insert into t values (4)");
        } else {
            auto rows = connection.stream<int>("select generate_series(1, 100000)");
            co_await rows.next();
        }
    }
    co_await ask(world);
}

// --- and where -----------------------------------------------------------------

struct Step {
    const char* name;
    Act act;
    Spot (*spot)(World&);
};

Spot one_of(World& world, const Spot& first, const Spot& second) { return world.below(2) == 0 ? first : second; }

const Step steps[] = {
    {"acquire", acquire,
     [](World& world) { return one_of(world, Spot(Way::to_server, 'Q'), Spot(Way::to_client, 'I')); }},
    {"BEGIN", transact,
     [](World& world) {
         return one_of(world, Spot(Way::to_server, 'Q').containing("begin"),
                       Spot(Way::to_client, 'C').containing("BEGIN"));
     }},
    {"prepare", prepare,
     [](World& world) { return one_of(world, Spot(Way::to_server, 'P'), Spot(Way::to_client, '1')); }},
    {"bind", execute, [](World& world) { return one_of(world, Spot(Way::to_server, 'B'), Spot(Way::to_client, '2')); }},
    {"execute", execute,
     [](World& world) { return one_of(world, Spot(Way::to_server, 'E'), Spot(Way::to_client, 'C')); }},
    {"row 1", read_rows, [](World&) { return Spot(Way::to_client, 'D'); }},
    {"row n", read_rows, [](World& world) { return Spot(Way::to_client, 'D').nth(2 + world.number_below(2900)); }},
    {"COPY", copy,
     [](World& world) {
         const Spot begun = one_of(world, Spot(Way::to_server, 'Q').containing("copy "), Spot(Way::to_server, 'c'));
         const Spot data = one_of(world, Spot(Way::to_server, 'd').nth(1 + world.number_below(2)),
                                  Spot(Way::to_client, 'd').nth(1 + world.number_below(2900)));
         return one_of(world, begun, data);
     }},
    {"savepoint", nest,
     [](World& world) { return Spot(Way::to_server, 'Q').containing("savepoint").nth(1 + world.number_below(2)); }},
    {"ROLLBACK", roll_back,
     [](World& world) {
         return one_of(world, Spot(Way::to_server, 'Q').containing("rollback"),
                       Spot(Way::to_client, 'C').containing("ROLLBACK"));
     }},
    {"release", release,
     [](World& world) {
         return one_of(world, Spot(Way::to_server, 'Q').containing("rollback"),
                       Spot(Way::to_server, tests::message::cancel));
     }},
};

// --- a cancel ------------------------------------------------------------------

/// At the step's message, which waits a little in half of the cases; cancel requests are late in some.
void aim(World& world, const Step& step, const std::shared_ptr<coaio::Event>& hit) {
    world.proxy.clear();
    auto& loop = coaio::get_running_loop();
    const auto tell = [&loop, hit] { (void)loop.call_soon_threadsafe([hit] { hit->set(); }); };
    Fault fault = world.below(2) == 0 ? Fault::none() : Fault::delay(std::chrono::milliseconds(world.below(4)));
    world.proxy.on(step.spot(world), fault.telling(tell));
    if (world.below(8) == 0) {
        const auto late = std::chrono::milliseconds(world.below(20));
        world.proxy.on(Spot(Way::to_server, tests::message::cancel), Fault::delay(late));
    }
}

Coro<> pass_a_moment(World& world) {
    switch (world.below(3)) {
    case 0: break;
    case 1:
        for (auto turns = 1 + world.below(4); turns > 0; --turns) co_await coaio::sleep(0s);
        break;
    default: co_await coaio::sleep(std::chrono::microseconds(world.below(1000)));
    }
}

void note(Tally& tally, const std::string& what, const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const db::Error& error) {
        ++(error.sqlstate() == "57014" ? tally.strays : tally.wrong);
        std::cout << "  WRONG: " << what << ": " << error.what() << '\n';
    } catch (const std::exception& error) {
        ++tally.wrong;
        std::cout << "  WRONG: " << what << ": " << error.what() << '\n';
    }
}

Coro<> cancel_once(World& world, const Step& step, Tally& tally) {
    const auto hit = std::make_shared<coaio::Event>();
    aim(world, step, hit);
    auto task = coaio::create_task(step.act(world));
    task.add_done_callback([hit](const auto&) { hit->set(); });
    // One in five at any instant, wherever it is by then.
    if (world.below(5) == 0) {
        co_await coaio::sleep(std::chrono::microseconds(world.below(4000)));
    } else {
        co_await hit->wait();
        co_await pass_a_moment(world);
    }
    task.cancel();
    const std::string name = std::string(step.name) + ", cancel " + std::to_string(world.round);
    try {
        co_await task;
        ++tally.finished;
    } catch (const coaio::CancelledError&) {
        ++tally.cancelled;
    } catch (...) {
        note(tally, name, std::current_exception());
    }
    try {
        co_await ask(world);
    } catch (...) {
        note(tally, name + ", the query after it", std::current_exception());
    }
}

// Wherever it is cancelled, what was not acknowledged is not there; nothing is left open.
Coro<> look_after(World& world, const Step& step, Tally& tally) {
    const auto stats = world.pool->statistics();
    tally.lost = stats.closed;
    tally.requests = world.proxy.seen(Way::to_server, tests::message::cancel);
    const int stored = co_await world.pool->query_value<int>("select count(*)::int from t");
    const bool halves = co_await world.pool->query_value<bool>("select count(*) % 20000 <> 0 from copied");
    const int open = co_await world.pool->query_value<int>(
        "select count(*)::int from pg_stat_activity where datname = current_database() and state like 'idle in%'");
    const auto expect = [&](bool holds, const std::string& what) {
        if (holds) return;
        ++tally.wrong;
        std::cout << "  WRONG: " << step.name << ": " << what << '\n';
    };
    expect(stored == world.stored, std::to_string(stored) + " rows instead of " + std::to_string(world.stored));
    expect(!halves, "a part of a COPY is stored");
    expect(open == 0, "a transaction is open");
    expect(stats.in_use == 0 && stats.size == 1 && stats.idle == 1, "the pool is not whole");
    co_await world.pool->execute("truncate copied");
}

Coro<Tally> cancel_often(World& world, const Step& step, int times) {
    // On one connection, so that each query comes after the cancel on that very one; it has all the time it needs.
    auto options = db::PoolOptions().max_size(1).cancel_timeout(30s).ping_timeout(30s);
    if (step.act == acquire) options.ping_after(0s);
    world.pool.emplace(world.proxy.conninfo("cancels"), options);
    co_await ask(world);
    world.proxy.forget_counts();
    Tally tally;
    for (int i = 0; i < times; ++i) {
        ++world.round;
        co_await cancel_once(world, step, tally);
    }
    world.proxy.clear();
    co_await look_after(world, step, tally);
    co_await world.pool->close();
    world.pool.reset();
    co_return tally;
}

Coro<bool> run(World& world, int times, std::string only) {
    bool fine = true;
    std::cout << "step        cancelled  finished  requests  stray 57014  connections lost  wrong" << std::endl;
    for (const Step& step : steps) {
        if (!only.empty() && only != step.name) continue;
        const Tally tally = co_await cancel_often(world, step, times);
        fine = fine && tally.strays == 0 && tally.wrong == 0 && tally.lost == 0;
        std::cout << std::left << std::setw(10) << step.name << std::right << std::setw(11) << tally.cancelled
                  << std::setw(10) << tally.finished << std::setw(10) << tally.requests << std::setw(13) << tally.strays
                  << std::setw(18) << tally.lost << std::setw(7) << tally.wrong << std::endl;
    }
    co_return fine;
}

}  // namespace

// coaio-cancels [TIMES [SEED [STEP]]]
int main(int argc, char** argv) {
    const int times = argc > 1 ? std::atoi(argv[1]) : 1000;
    const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : std::random_device()();
    std::cout << "coaio-cancels " << times << ' ' << seed << std::endl;
    try {
        World world(seed);
        const bool fine = coaio::run(run(world, times, argc > 3 ? argv[3] : ""));
        std::cout << (fine ? "all is well\n" : "FAILED\n");
        return fine ? 0 : 1;
    } catch (const std::exception& error) {
        std::cout << "FAILED: " << error.what() << '\n';
        return 1;
    }
}
