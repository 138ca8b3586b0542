// SPDX-License-Identifier: MIT
// coaio-bench-queue URL JOBS BATCH [HANDLERS]: works off jobs that do nothing, and prints the rate.
#include <coaio/core.hpp>
#include <coaio/db.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <string>

namespace db = coaio::db;
using coaio::Coro;

namespace {

struct Wanted {
    std::string url;
    long jobs = 0;
    std::size_t batch = 0;
    std::size_t handlers = 0;
};

Coro<> put_jobs(db::Pool pool, long jobs) {
    co_await db::JobQueue(pool, "bench").prepare();
    co_await pool.execute("truncate coaio_job");
    // What a program puts, in fewer statements than it would.
    co_await pool.execute("insert into coaio_job (queue, payload, priority, run_at, max_attempts, key_held) "
                          "select 'bench', to_jsonb(n), 0, now(), 20, 1 from generate_series(1, $1) as n",
                          jobs);
    co_await pool.execute("vacuum analyze coaio_job");
    co_await pool.execute("checkpoint");
}

Coro<> work(Wanted wanted) {
    const db::Pool pool(wanted.url, db::PoolOptions().max_size(4));
    co_await put_jobs(pool, wanted.jobs);
    const auto goal = static_cast<std::uint64_t>(wanted.jobs);
    std::uint64_t done = 0;
    coaio::Event all;
    const db::JobHandler handler = [&done, &all, goal](db::Job&) -> Coro<> {
        if (++done == goal) all.set();
        co_return;
    };
    const auto options =
        db::JobWorkerOptions().concurrency(wanted.handlers).prefetch(2 * wanted.batch).batch(wanted.batch);
    const db::JobWorker worker(db::JobQueue(pool, "bench"), handler, options);
    const auto begin = coaio::Clock::now();
    const std::clock_t cpu = std::clock();
    auto running = coaio::create_task(worker.run());
    co_await all.wait();
    worker.stop();
    co_await running;
    const std::chrono::duration<double> took = coaio::Clock::now() - begin;
    const double used = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC;
    const auto left = co_await pool.query_value<std::int64_t>("select count(*) from coaio_job");
    const auto stats = worker.statistics();
    std::printf("{\"rate\": %.0f, \"cpu_us\": %.2f, \"claims\": %lu, \"left\": %ld}\n",
                static_cast<double>(wanted.jobs) / took.count(), used / static_cast<double>(wanted.jobs) * 1e6,
                static_cast<unsigned long>(stats.claims), static_cast<long>(left));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) {
        std::fprintf(stderr, "usage: coaio-bench-queue URL JOBS BATCH [HANDLERS]\n");
        return 2;
    }
    Wanted wanted;
    wanted.url = argv[1];
    wanted.jobs = std::atol(argv[2]);
    wanted.batch = static_cast<std::size_t>(std::atol(argv[3]));
    wanted.handlers = argc > 4 ? static_cast<std::size_t>(std::atol(argv[4])) : wanted.batch;
    try {
        coaio::run(work(wanted));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "coaio-bench-queue: %s\n", error.what());
        return 1;
    }
    return 0;
}
