// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <coaio/core/coro.hpp>
#include <coaio/core/error.hpp>
#include <coaio/db/job_queue.hpp>
#include <coaio/db/pool.hpp>
#include <coaio/db/transaction.hpp>
#include <coaio/http/url.hpp>

// Which worker has which host. See docs/crawl-workers.md.
namespace store {

/// A host in a worker's hands, by the job that gave it.
struct Hold {
    std::string host;
    std::int64_t job = 0;
    std::int32_t attempt = 0;
};

/// Another worker has the host.
class HoldLost final : public coaio::Error {
public:
    using Error::Error;
};

/// What workers take for one host: its name, whatever the port.
[[nodiscard]] std::string host_of(const coaio::http::Url& url);

/// The queue of hosts that have addresses waiting.
[[nodiscard]] coaio::db::JobQueue host_queue(const coaio::db::Pool& pool);
/// Which host a job is about.
[[nodiscard]] std::string host_of(const coaio::db::Job& job);

/// From now on nobody who had the host before can commit anything about it; what they are committing is waited for.
/// Errors: `HoldLost` where a later taker of the host was faster.
[[nodiscard]] coaio::Coro<> take_over(const coaio::db::Pool& pool, const Hold& hold);

/// The host stays the holder's until the transaction ends. Errors: `HoldLost`.
[[nodiscard]] coaio::Coro<> keep(const coaio::db::Transaction& transaction, const Hold& hold);

/// Puts a job for each of the hosts that has none, and lets none of their jobs end until the transaction does: what it
/// adds for them is not overlooked. `wake` the queue afterwards.
[[nodiscard]] coaio::Coro<> put_jobs(const coaio::db::Transaction& transaction, const coaio::db::JobQueue& queue,
                                     const std::vector<std::string>& hosts);

/// Ends the job where no crawl has addresses of its host waiting; false where one has.
/// Errors: `HoldLost`, `coaio::db::JobLost`.
[[nodiscard]] coaio::Coro<bool> end_if_idle(const coaio::db::Pool& pool, coaio::db::Job& job, const Hold& hold);

}  // namespace store
