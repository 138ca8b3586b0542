// SPDX-License-Identifier: MIT
#include <coaio/db/pool.hpp>

#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <vector>

#include "money.hpp"
#include "trouble.hpp"

namespace db = coaio::db;
using coaio::Coro;
using namespace std::chrono_literals;

namespace {

constexpr int workers = 16;

db::PoolOptions options() {
    return db::PoolOptions()
        .max_size(soak::pool_size)
        .acquire_timeout(5s)
        .connect_timeout(2s)
        .cancel_timeout(500ms)
        .commit_timeout(1s)
        .resolve_timeout(60s);
}

std::string shown(const db::PoolStats& stats) {
    return std::to_string(stats.size) + " connections, " + std::to_string(stats.idle) + " idle, " +
           std::to_string(stats.in_use) + " in use, " + std::to_string(stats.opening) + " being opened, " +
           std::to_string(stats.cleaning) + " cleaned, " + std::to_string(stats.waiting) + " tasks wait";
}

// What is being opened or cleaned up ends by itself.
Coro<> require_whole_and_idle(const soak::World& world, const db::Pool& pool) {
    while (pool.statistics().opening + pool.statistics().cleaning > 0) co_await coaio::sleep(1ms);
    const int one = co_await pool.query_value<int>("select 1");
    const auto stats = pool.statistics();
    if (one != 1 || stats.idle == 0 || stats.idle != stats.size || stats.size > soak::pool_size || stats.waiting != 0) {
        throw std::runtime_error("the pool is not whole and idle: " + shown(stats));
    }
    const auto open = world.server.value(
        "soak", "select count(*) from pg_stat_activity where datname = 'soak' and state like 'idle in transaction%'");
    if (open != "0") throw std::runtime_error(open + " sessions are idle in a transaction");
}

Coro<> run(soak::World& world) {
    db::Pool pool(world.proxy.conninfo("soak"), options());
    std::vector<coaio::Task<>> tasks;
    tasks.reserve(workers + 1);
    for (int i = 0; i < workers; ++i) tasks.push_back(coaio::create_task(soak::move_units(world, pool)));
    tasks.push_back(coaio::create_task(soak::add_up(world, pool)));
    co_await soak::make_trouble(world);
    world.over = true;
    for (auto& task : tasks) co_await task;
    co_await require_whole_and_idle(world, pool);
    const auto stats = pool.statistics();
    std::cout << stats.opened << " sessions opened, " << stats.connect_errors << " attempts failed\n";
    co_await pool.close();
}

bool soak_once(std::chrono::seconds length, std::uint64_t seed, const std::string& only_fault) {
    std::string folder;
    int wrong = 0;
    {
        soak::World world(length, seed, only_fault);
        folder = world.server.socket_folder();
        coaio::run(run(world));
        wrong = soak::check(world);
    }
    if (tests::Postgres::await_removal(folder)) return wrong == 0;
    std::cout << "WRONG: the server left its folder " << folder << '\n';
    return false;
}

}  // namespace

// coaio-soak [SECONDS [SEED [FAULT]]]
int main(int argc, char** argv) {
    const std::chrono::seconds length(argc > 1 ? std::atoi(argv[1]) : 60);
    const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : std::random_device()();
    const std::string only_fault = argc > 3 ? argv[3] : "";
    std::cout << "coaio-soak " << length.count() << ' ' << seed << ' ' << only_fault << std::endl;
    try {
        const bool fine = soak_once(length, seed, only_fault);
        std::cout << (fine ? "all is well\n" : "FAILED\n");
        return fine ? 0 : 1;
    } catch (const std::exception& error) {
        std::cout << "FAILED: " << error.what() << '\n';
        return 1;
    }
}
