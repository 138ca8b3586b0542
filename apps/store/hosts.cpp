// SPDX-License-Identifier: MIT
#include "store/hosts.hpp"

#include <string_view>

#include <coaio/db/array.hpp>

#include <nlohmann/json.hpp>

namespace store {
namespace {

// What is waiting is in the frontier, and stays there: a job that failed must come again.
constexpr int max_attempts = 1'000'000;

// Sorted, so that two transactions wait for each other one way only.
constexpr std::string_view insert_hosts =
    "insert into hosts (host) select host from unnest($1::text[]) t (host) order by host on conflict do nothing";

constexpr std::string_view lock_hosts = "select from hosts where host = any($1) order by host for share";

coaio::db::NewJob job_of(const std::string& host) {
    coaio::db::NewJob job(coaio::db::Json(nlohmann::json(host).dump()));
    job.key(host).max_attempts(max_attempts);
    return job;
}

}  // namespace

std::string host_of(const coaio::http::Url& url) { return url.host(); }

coaio::db::JobQueue host_queue(const coaio::db::Pool& pool) { return coaio::db::JobQueue(pool, "crawl hosts"); }

std::string host_of(const coaio::db::Job& job) {
    return nlohmann::json::parse(job.payload().text()).get<std::string>();
}

coaio::Coro<> take_over(const coaio::db::Pool& pool, const Hold& hold) {
    const auto taken =
        co_await pool.execute("update hosts set job = $2, attempt = $3 where host = $1 and (job, attempt) <= ($2, $3)",
                              hold.host, hold.job, hold.attempt);
    if (taken == 0) throw HoldLost("another worker has " + hold.host);
}

coaio::Coro<> keep(const coaio::db::Transaction& transaction, const Hold& hold) {
    const auto rows = co_await transaction.query(
        "select from hosts where host = $1 and job = $2 and attempt = $3 for share", hold.host, hold.job, hold.attempt);
    if (rows.empty()) throw HoldLost("another worker has " + hold.host);
}

coaio::Coro<> put_jobs(const coaio::db::Transaction& transaction, const coaio::db::JobQueue& queue,
                       const std::vector<std::string>& hosts) {
    std::vector<coaio::db::NewJob> jobs;
    jobs.reserve(hosts.size());
    for (const auto& host : hosts) jobs.push_back(job_of(host));
    static_cast<void>(co_await transaction.execute(insert_hosts, hosts));
    static_cast<void>(co_await transaction.query(lock_hosts, hosts));
    static_cast<void>(co_await queue.put_all(transaction, jobs));
}

coaio::Coro<bool> end_if_idle(const coaio::db::Pool& pool, coaio::db::Job& job, const Hold& hold) {
    bool idle = false;
    const auto body = [&](coaio::db::Transaction& transaction) -> coaio::Coro<> {
        // Whoever is adding addresses of this host is waited for, and seen by the next statement.
        const auto mine =
            co_await transaction.query("select from hosts where host = $1 and job = $2 and attempt = $3 for update",
                                       hold.host, hold.job, hold.attempt);
        if (mine.empty()) throw HoldLost("another worker has " + hold.host);
        const auto waiting = co_await transaction.query_value<bool>(
            "select exists (select from frontier f join crawls c on c.id = f.crawl_id "
            "where f.host = $1 and not f.done and c.state in ('queued', 'running'))",
            hold.host);
        idle = !waiting;
        if (idle) co_await job.complete(transaction);
    };
    co_await pool.transaction(body, {.isolation = coaio::db::Isolation::read_committed});
    co_return idle;
}

}  // namespace store
