// SPDX-License-Identifier: MIT
#include <coaio/db/job_worker.hpp>

#include <coaio/core/loop.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

#include "db/hidden_test.hpp"
#include "db/jobs.hpp"
#include "support/catch.hpp"
#include "support/postgres.hpp"

namespace db = coaio::db;
using namespace std::chrono_literals;
using coaio::Coro;

namespace {

const std::string none_left = "not exists (select from coaio_job)";

std::uint64_t below(std::uint64_t limit) { return coaio::get_running_loop().random() % limit; }

Coro<> put_jobs(db::Pool pool, int count, const tests::Database& database) {
    const db::JobQueue queue(pool, "q");
    co_await queue.prepare();
    database.sql(tests::log_completions + "; create table effects (n int)");
    for (int first = 0; first < count; first += 10000) {
        std::vector<db::NewJob> jobs;
        for (int i = first; i < std::min(count, first + 10000); ++i)
            jobs.push_back(tests::numbered(i).max_attempts(100));
        co_await queue.put_all(jobs);
    }
}

// Half of the jobs end in a transaction of their own, with what they have done.
Coro<> work_a_little(db::Pool pool, db::Job& job) {
    co_await coaio::sleep(std::chrono::microseconds(below(1000)));
    const int n = tests::number_of(job);
    if (n % 2 == 0) co_return;
    auto body = [&job, n](db::Transaction& tx) -> Coro<> {
        co_await tx.execute("insert into effects values ($1)", n);
        co_await job.complete(tx);
    };
    co_await pool.transaction(body);
}

void check_each_done_once(const tests::Database& database, int count) {
    const std::string wanted = std::to_string(count);
    CHECK(database.value("select count(*) from coaio_job") == "0");
    CHECK(database.value("select count(*) from done") == wanted);
    CHECK(database.value("select count(distinct n) from done") == wanted);
    CHECK(database.value("select count(*) from effects") == std::to_string(count / 2));
    CHECK(database.value("select count(distinct n) from effects") == std::to_string(count / 2));
}

Coro<> end_at_any_instant(std::string url, const tests::Database& database) {
    const db::Pool pool(url, db::PoolOptions().max_size(8));
    constexpr int count = 300;
    co_await put_jobs(pool, count, database);
    const db::JobQueue queue(pool, "q");
    const db::JobHandler handler = [&pool](db::Job& job) { return work_a_little(pool, job); };
    int cancels = 0;
    for (; database.value("select " + none_left) != "t"; ++cancels) {
        REQUIRE(cancels < 5000);
        const db::JobWorker worker(queue, handler,
                                   tests::quick_worker().concurrency(4).batch(3).lease(60s).grace(
                                       coaio::Duration(static_cast<std::int64_t>(below(3) * 1000000))));
        auto running = coaio::create_task(worker.run());
        // On a machine on which nothing is done in that time it lives longer.
        co_await coaio::sleep(std::chrono::microseconds(below(12000) + 20 * static_cast<unsigned>(cancels)));
        running.cancel();
        try {
            co_await running;
        } catch (const coaio::CancelledError&) {
            REQUIRE(running.cancelled());
        }
        REQUIRE(worker.statistics().running + worker.statistics().waiting + worker.statistics().ending == 0);
        REQUIRE(database.value("select count(*) from coaio_job where state <> 'ready'") == "0");
    }
    CHECK(cancels > 10);
    check_each_done_once(database, count);
    // Being stopped is no failure.
    CHECK(database.value("select max(failures) from done") == "0");
}

Coro<> lose_every_session(std::string url, const tests::Database& database) {
    const db::Pool pool(url, db::PoolOptions().max_size(8));
    constexpr int count = 600;
    co_await put_jobs(pool, count, database);
    const db::JobHandler handler = [&pool](db::Job& job) { return work_a_little(pool, job); };
    const db::JobWorker worker(db::JobQueue(pool, "q"), handler,
                               tests::quick_worker().lease(500ms).batch(20).listen(url));
    auto running = coaio::create_task(worker.run());
    int rounds = 0;
    while (database.value("select " + none_left) != "t" && ++rounds < 2000) {
        co_await coaio::sleep(std::chrono::microseconds(below(60000)));
        if (running.done()) break;
        database.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() "
                     "and pid <> pg_backend_pid() and random() < 0.5");
    }
    worker.stop();
    co_await running;
    CHECK(worker.statistics().trouble > 0);
    check_each_done_once(database, count);
}

constexpr auto where_to_work = "COAIO_TEST_WORK";

Coro<> work(std::string url) {
    const db::Pool pool(url, db::PoolOptions().max_size(6));
    const db::JobHandler handler = [&pool](db::Job& job) { return work_a_little(pool, job); };
    const db::JobWorker worker(db::JobQueue(pool, "q"), handler,
                               tests::quick_worker().lease(1s).concurrency(50).batch(50));
    co_await worker.run();
}

/// A worker in a process of its own, by the hidden test below. Where to work stands in the environment.
class Process {
public:
    Process() : pid_(tests::start_hidden_test("[works]")) {}
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process() { kill(); }

    void kill() noexcept {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }

private:
    pid_t pid_;
};

}  // namespace

TEST_CASE("a worker that is cancelled at any instant loses nothing and does nothing twice", "[pgtest]") {
    tests::Database database;
    coaio::run(end_at_any_instant(database.conninfo(), database));
}

TEST_CASE("JOB-14: workers whose sessions are terminated all the time complete each job once", "[pgtest]") {
    tests::Database database;
    coaio::run(lose_every_session(database.conninfo(), database));
}

// COAIO_JOBS=100000 is the long form, by hand: a worker is killed each second then.
TEST_CASE("JOB-03, JOB-14: four worker processes, of which one after the other is killed, complete each job once",
          "[pgtest]") {
    const char* wanted = std::getenv("COAIO_JOBS");
    const int count = wanted == nullptr ? 3000 : std::atoi(wanted);
    const auto interval = wanted == nullptr ? 150ms : 1000ms;
    const auto limit = wanted == nullptr ? 200s : 3600s;
    tests::Database database;
    auto putting = [](std::string url, int jobs, const tests::Database& where) -> Coro<> {
        const db::Pool pool(url);
        co_await put_jobs(pool, jobs, where);
        co_await pool.close();
    };
    coaio::run(putting(database.conninfo(), count, database));
    ::setenv(where_to_work, database.conninfo().c_str(), 1);
    std::vector<std::unique_ptr<Process>> workers;
    for (int i = 0; i < 4; ++i) workers.push_back(std::make_unique<Process>());
    std::size_t kills = 0;
    int left = count;
    const auto begin = std::chrono::steady_clock::now();
    // The server waits a little, so that asking does not keep it busy.
    while (database.value("select " + none_left + " from pg_sleep(0.02)") != "t") {
        const auto now = std::chrono::steady_clock::now();
        REQUIRE(now - begin < limit);
        if (now - begin < interval * (kills + 1)) continue;
        // On a machine so busy that nobody gets anything done in that time, they live longer.
        const int now_left = std::stoi(database.value("select count(*) from coaio_job"));
        if (left - now_left < count / 50) continue;
        left = now_left;
        auto& victim = workers[kills++ % workers.size()];
        victim = nullptr;
        victim = std::make_unique<Process>();
        database.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() "
                     "and pid <> pg_backend_pid() and random() < 0.2");
    }
    workers.clear();
    CHECK(kills > 2);
    check_each_done_once(database, count);
}

TEST_CASE("one of four processes, for the test before", "[.][works]") {
    const char* const url = std::getenv(where_to_work);
    REQUIRE(url != nullptr);
    coaio::run(work(url));
}
