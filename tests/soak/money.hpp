// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/pool.hpp>

#include <coaio/core/executor.hpp>

#include "support/postgres.hpp"
#include "support/postgres_proxy.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>

namespace soak {

constexpr std::size_t pool_size = 8;

/// What the program was told of a transfer.
enum class Told : unsigned char { committed, without_effect, unknown, cancelled };

/// Accounts in a database behind a proxy, and what became of each transfer between them.
struct World {
    World(std::chrono::seconds time, std::uint64_t seed, std::string only);
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    [[nodiscard]] std::uint64_t below(std::uint64_t limit) { return random() % limit; }

    std::chrono::seconds length;
    std::mt19937_64 random;
    std::string only_fault;  // empty: all kinds of them
    // A server goes with the thread that started it.
    coaio::ThreadPoolExecutor keeper{1, "keeper"};
    tests::Postgres server;
    tests::PostgresProxy proxy;
    std::map<std::int64_t, Told> told;
    std::map<std::string, int> faults;
    std::int64_t last_id = 0;
    std::uint64_t sums_read = 0;
    std::uint64_t sums_wrong = 0;
    bool over = false;
};

/// Moves units between accounts until it is over, one transfer after the other; some are given up at any instant, some
/// go wrong by themselves.
[[nodiscard]] coaio::Coro<> move_units(World& world, coaio::db::Pool pool);
/// Reads the sum of all accounts again and again, which no transfer changes.
[[nodiscard]] coaio::Coro<> add_up(World& world, coaio::db::Pool pool);
/// Compares what the program was told with what the server has; says what is wrong and gives how much.
[[nodiscard]] int check(const World& world);

}  // namespace soak
