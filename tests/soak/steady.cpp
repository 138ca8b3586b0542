// SPDX-License-Identifier: MIT
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/wait.hpp>
#include <coaio/db/job_queue.hpp>
#include <coaio/db/job_worker.hpp>
#include <coaio/db/pool.hpp>
#include <coaio/db/values.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "support/postgres.hpp"

namespace db = coaio::db;
using coaio::Coro;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t windows = 10;
constexpr std::size_t in_front = 2000;  // jobs that wait
constexpr std::size_t at_once = 500;

/// How a stretch of time went.
struct Window {
    double rate = 0;
    std::uint64_t dead_rows = 0;
    std::int64_t bytes = 0;  // of the table and its indexes
};

/// Keeps some jobs in front of the worker, until it is cancelled.
Coro<> put_on_and_on(db::JobQueue queue, db::JobWorker worker) {
    std::uint64_t put = 0;
    for (;;) {
        while (put < worker.statistics().completed + in_front) {
            const std::vector<db::NewJob> jobs(at_once, db::NewJob(db::Json(std::to_string(put))));
            co_await queue.put_all(jobs);
            put += jobs.size();
        }
        queue.wake();
        co_await coaio::sleep(10ms);
    }
}

Coro<Window> look(db::Pool pool, db::JobQueue queue, db::JobWorker worker, coaio::Duration time) {
    const auto began = coaio::Clock::now();
    const std::uint64_t before = worker.statistics().completed;
    co_await coaio::sleep(time);
    const std::uint64_t done = worker.statistics().completed - before;
    const std::chrono::duration<double> took = coaio::Clock::now() - began;
    Window window;
    window.rate = static_cast<double>(done) / took.count();
    const db::JobHealth health = co_await queue.health();
    window.dead_rows = health.dead_rows;
    window.bytes = co_await pool.query_value<std::int64_t>("select pg_total_relation_size('coaio_job')");
    co_return window;
}

/// The slowest of the last third is nearly as fast as the fastest of the first, and the table has stopped growing.
bool is_flat(const std::vector<Window>& all) {
    const auto third = static_cast<std::ptrdiff_t>(all.size() / 3);
    const auto by_rate = [](const Window& a, const Window& b) { return a.rate < b.rate; };
    const auto by_size = [](const Window& a, const Window& b) { return a.bytes < b.bytes; };
    const Window fastest = *std::max_element(all.begin(), all.begin() + third, by_rate);
    const Window slowest = *std::min_element(all.end() - third, all.end(), by_rate);
    const Window largest = *std::max_element(all.begin(), all.end() - third, by_size);
    std::cout << "the slowest of the end: " << static_cast<int>(100 * slowest.rate / fastest.rate)
              << " % of the fastest of the beginning\n";
    return slowest.rate > fastest.rate / 2 && all.back().bytes <= largest.bytes * 2;
}

Coro<bool> run(std::string url, coaio::Duration time) {
    const db::Pool pool(url, db::PoolOptions().max_size(6));
    const db::JobQueue queue(pool, "steady");
    co_await queue.prepare();
    const db::JobHandler nothing = [](db::Job&) -> Coro<> { co_return; };
    const db::JobWorker worker(queue, nothing, db::JobWorkerOptions().concurrency(100).prefetch(200));
    std::vector<coaio::Task<>> tasks;
    tasks.push_back(coaio::create_task(worker.run()));
    tasks.push_back(coaio::create_task(put_on_and_on(queue, worker)));
    std::vector<Window> all;
    for (std::size_t i = 0; i < windows; ++i) {
        all.push_back(co_await look(pool, queue, worker, time / windows));
        const Window& window = all.back();
        std::cout << i + 1 << ": " << static_cast<int>(window.rate) << " jobs/s, " << window.dead_rows << " dead rows, "
                  << window.bytes / 1'000'000 << " MB" << std::endl;
    }
    tasks.back().cancel();
    worker.stop();
    co_await coaio::wait(tasks);
    co_await tasks.front();
    co_await pool.close();
    co_return is_flat(all);
}

}  // namespace

// coaio-steady [SECONDS]
int main(int argc, char** argv) {
    const auto time = std::chrono::seconds(argc > 1 ? std::max(10, std::atoi(argv[1])) : 600);
    std::cout << "coaio-steady " << time.count() << std::endl;
    try {
        tests::Postgres server;
        const bool fine = coaio::run(run(server.conninfo(), time));
        std::cout << (fine ? "all is well\n" : "FAILED: the queue gets slower, or its table larger and larger\n");
        return fine ? 0 : 1;
    } catch (const std::exception& error) {
        std::cout << "FAILED: " << error.what() << '\n';
        return 1;
    }
}
