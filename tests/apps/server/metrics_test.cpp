// SPDX-License-Identifier: MIT
#include "server/metrics.hpp"

#include "support/catch.hpp"

#include <chrono>
#include <map>
#include <string>

using namespace std::chrono_literals;

TEST_CASE("/metrics has the pool's figures, closed connections by reason") {
    server::Metrics metrics;
    const auto one = metrics.add_worker();
    const auto two = metrics.add_worker();
    coaio::db::PoolStats pool;
    pool.size = 3;
    pool.cleaning = 1;
    pool.closed = 7;
    pool.closed_by.idle = 5;
    pool.closed_by.lost = 2;
    one->note(pool, {});
    two->note(pool, {});
    const std::string text = metrics.text();
    CHECK_THAT(text, tests::contains("coaio_db_pool_sessions 6\n"));
    CHECK_THAT(text, tests::contains("coaio_db_pool_cleaning 2\n"));
    CHECK_THAT(text, tests::contains("# TYPE coaio_db_pool_closed_total counter\n"));
    CHECK_THAT(text, tests::contains("coaio_db_pool_closed_total{reason=\"idle\"} 10\n"));
    CHECK_THAT(text, tests::contains("coaio_db_pool_closed_total{reason=\"lost\"} 4\n"));
    CHECK_THAT(text, tests::contains("coaio_db_pool_closed_total{reason=\"shut\"} 0\n"));
    CHECK(text.find("coaio_jobs") == std::string::npos);
}

TEST_CASE("/metrics has the figures of the job queues, whatever their names") {
    server::Metrics metrics;
    CHECK(metrics.takes_jobs());
    CHECK_FALSE(metrics.takes_jobs());
    std::map<std::string, coaio::db::JobCounts> jobs;
    jobs["mails"].ready = 4;
    jobs["mails"].dead = 1;
    jobs["mails"].oldest = 1500ms;
    jobs["a \"b\" \\\n"].running = 2;
    metrics.note_jobs(jobs);
    const std::string text = metrics.text();
    CHECK_THAT(text, tests::contains("# TYPE coaio_jobs gauge\n"));
    CHECK_THAT(text, tests::contains("coaio_jobs{queue=\"mails\",state=\"ready\"} 4\n"));
    CHECK_THAT(text, tests::contains("coaio_jobs{queue=\"mails\",state=\"dead\"} 1\n"));
    CHECK_THAT(text, tests::contains("coaio_jobs_oldest_seconds{queue=\"mails\"} 1.5\n"));
    CHECK_THAT(text, tests::contains("coaio_jobs{queue=\"a \\\"b\\\" \\\\\\n\",state=\"running\"} 2\n"));
}
