// SPDX-License-Identifier: MIT
#include <coaio/db/job_queue.hpp>

#include "job_queue_state.hpp"
#include "job_sql.hpp"
#include "link.hpp"

#include <coaio/db/listener.hpp>

#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>

#include <algorithm>
#include <utility>

namespace coaio::db {

namespace job_sql = detail::job_sql;
using State = std::shared_ptr<detail::JobQueueState>;

namespace {

ErrorFields lost(std::int64_t id) {
    ErrorFields fields;
    fields.message = "job " + std::to_string(id) +
                     " is not this worker's any more: its lease ran out and others may run it, or it was removed";
    fields.outcome = Outcome::rolled_back;
    return fields;
}

Coro<> apply(Migrations migrations, Pool pool) {
    const auto steps = co_await migrations.run(std::move(pool));
    static_cast<void>(steps);
}

Coro<std::vector<std::int64_t>> ids_of(Coro<Rows> answer) {
    const Rows rows = co_await std::move(answer);
    co_return rows.as<std::int64_t>().to_vector();
}

Coro<std::vector<std::int64_t>> put_and_wake(JobQueue queue, Coro<Rows> answer) {
    auto ids = co_await ids_of(std::move(answer));
    if (!ids.empty()) queue.wake();
    co_return ids;
}

Coro<std::optional<std::int64_t>> only(Coro<std::vector<std::int64_t>> ids) {
    const auto found = co_await std::move(ids);
    if (found.empty()) co_return std::nullopt;
    co_return found.front();
}

// A NOTIFY that is lost costs a little time: workers look by themselves too.
Coro<> notify(State state, detail::JobWakeup wakeup) {
    const Duration left = wakeup.left(state->options.wake_interval);
    if (left > Duration::zero()) co_await sleep(left);
    wakeup.tell(state->options.wake_interval);
    try {
        co_await db::notify(state->pool, detail::job_channel, state->name);
    } catch (const std::exception&) {
        co_return;
    }
}

JobCounts counts_of(const Row& row) {
    JobCounts counts;
    counts.ready = row[0].as<std::uint64_t>();
    counts.delayed = row[1].as<std::uint64_t>();
    counts.running = row[2].as<std::uint64_t>();
    counts.dead = row[3].as<std::uint64_t>();
    counts.oldest = std::chrono::milliseconds(row[4].as<std::int64_t>());
    return counts;
}

Coro<JobCounts> read_counts(Coro<Rows> answer) {
    const Rows rows = co_await std::move(answer);
    co_return counts_of(rows.front());
}

Coro<std::map<std::string, JobCounts>> read_all_counts(Pool pool) {
    std::map<std::string, JobCounts> all;
    const bool there = co_await pool.query_value<bool>("select to_regclass('coaio_job') is not null");
    if (!there) co_return all;
    const Rows rows = co_await pool.query(job_sql::counts_by_queue);
    for (const Row row : rows) all.emplace(row[5].as<std::string>(), counts_of(row));
    co_return all;
}

Coro<JobHealth> read_health(Coro<Rows> answer) {
    const Rows rows = co_await std::move(answer);
    JobHealth health;
    health.dead_rows = rows.front()[0].as<std::uint64_t>();
    health.oldest_snapshot = std::chrono::milliseconds(rows.front()[1].as<std::int64_t>());
    health.held_by = rows.front()[2].as<std::string>();
    co_return health;
}

Coro<std::vector<DeadJob>> read_dead(Coro<Rows> answer) {
    const Rows rows = co_await std::move(answer);
    std::vector<DeadJob> dead;
    for (const Row row : rows) {
        DeadJob& job = dead.emplace_back();
        job.id = row[0].as<std::int64_t>();
        job.payload = row[1].as<Json>();
        job.failures = row[2].as<int>();
        job.errors = row[3].as<std::vector<std::string>>();
    }
    co_return dead;
}

Coro<bool> any(Coro<std::uint64_t> affected) {
    const auto count = co_await std::move(affected);
    co_return count > 0;
}

Coro<bool> any_and_wake(JobQueue queue, Coro<std::uint64_t> affected) {
    const bool found = co_await any(std::move(affected));
    if (found) queue.wake();
    co_return found;
}

}  // namespace

NewJob& NewJob::priority(int value) {
    priority_ = value;
    return *this;
}

NewJob& NewJob::delay(Duration value) {
    delay_ms_ = detail::milliseconds_of(value);
    at_.reset();
    return *this;
}

NewJob& NewJob::at(std::chrono::sys_time<std::chrono::microseconds> value) {
    at_ = value;
    delay_ms_.reset();
    return *this;
}

NewJob& NewJob::max_attempts(int value) {
    if (value < 1) throw UsageError("a job needs at least one attempt");
    max_attempts_ = value;
    return *this;
}

NewJob& NewJob::key(std::string value, KeyHeld held) {
    key_ = std::move(value);
    held_ = held;
    return *this;
}

JobLost::JobLost(std::int64_t id) : Error(lost(id)) {}
JobLost::~JobLost() = default;

Coro<> Job::complete(const Transaction& transaction) {
    return complete_by(*this, transaction.execute(job_sql::complete_one, id_, attempt_));
}

Coro<> Job::complete_by(Job& job, Coro<std::uint64_t> removal) {
    job.completed_ = false;  // by another transaction, which was rolled back
    const auto removed = co_await std::move(removal);
    if (removed == 0) throw JobLost(job.id());
    job.completed_ = true;
}

JobQueue::JobQueue(Pool pool, std::string name, JobQueueOptions options)
    : state_(std::make_shared<detail::JobQueueState>(std::move(pool), std::move(name), options)) {
    if (state_->name.empty()) throw UsageError("a job queue needs a name");
    if (state_->name.size() > 200) throw UsageError("the name of a job queue has at most 200 bytes");
}

Migrations JobQueue::migrations() {
    Migrations migrations("coaio_job");
    migrations.add(1, "jobs", job_sql::tables);
    return migrations;
}

Coro<> JobQueue::prepare() const { return apply(migrations(), state_->pool); }

const std::string& JobQueue::name() const noexcept { return state_->name; }

Params JobQueue::encode(const NewJob* jobs, std::size_t count) const {
    std::vector<std::string> payloads;
    std::vector<std::int32_t> priorities;
    std::vector<std::optional<std::chrono::sys_time<std::chrono::microseconds>>> times;
    std::vector<std::optional<std::int64_t>> delays;
    std::vector<std::int32_t> attempts;
    std::vector<std::optional<std::string>> keys;
    std::vector<std::int16_t> held;
    payloads.reserve(count);
    for (const NewJob* job = jobs; job != jobs + count; ++job) {
        payloads.push_back(job->payload_.text());
        priorities.push_back(job->priority_);
        times.push_back(job->at_);
        delays.push_back(job->delay_ms_);
        attempts.push_back(job->max_attempts_);
        keys.push_back(job->key_);
        held.push_back(static_cast<std::int16_t>(job->held_));
    }
    return Params::of(state_->name, payloads, priorities, times, delays, attempts, keys, held);
}

Coro<std::optional<std::int64_t>> JobQueue::put(const NewJob& job) const {
    return only(put_and_wake(*this, state_->pool.query(job_sql::put, encode(&job, 1))));
}

Coro<std::optional<std::int64_t>> JobQueue::put(const Transaction& transaction, const NewJob& job) const {
    return only(ids_of(transaction.query(job_sql::put, encode(&job, 1))));
}

Coro<std::vector<std::int64_t>> JobQueue::put_all(const std::vector<NewJob>& jobs) const {
    return put_and_wake(*this, state_->pool.query(job_sql::put, encode(jobs.data(), jobs.size())));
}

Coro<std::vector<std::int64_t>> JobQueue::put_all(const Transaction& transaction,
                                                  const std::vector<NewJob>& jobs) const {
    return ids_of(transaction.query(job_sql::put, encode(jobs.data(), jobs.size())));
}

void JobQueue::wake() const {
    for (Event* nudge : state_->nudges) nudge->set();
    if (!state_->wakeups) {
        state_->wakeups = detail::JobWakeups::of(state_->pool.connector()->target(), state_->name);
    }
    if (!state_->wakeups->begin()) return;
    detail::JobWakeup wakeup(state_->wakeups);
    static_cast<void>(create_task(notify(state_, std::move(wakeup)), {.name = "wake-job-workers"}));
}

Coro<bool> JobQueue::has_ready() const { return state_->pool.query_value<bool>(job_sql::has_ready, state_->name); }

Coro<JobCounts> JobQueue::counts() const { return read_counts(state_->pool.query(job_sql::counts, state_->name)); }

Coro<std::map<std::string, JobCounts>> JobQueue::counts_by_queue(const Pool& pool) { return read_all_counts(pool); }

Coro<JobHealth> JobQueue::health() const { return read_health(state_->pool.query(job_sql::health)); }

Coro<std::vector<DeadJob>> JobQueue::dead(std::size_t most) const {
    return read_dead(state_->pool.query(job_sql::dead, state_->name, most));
}

Coro<bool> JobQueue::revive(std::int64_t id) const {
    return any_and_wake(*this, state_->pool.execute(job_sql::revive, id, state_->name));
}

Coro<bool> JobQueue::remove(std::int64_t id) const {
    return any(state_->pool.execute(job_sql::remove, id, state_->name));
}

namespace detail {

bool passes_by_itself(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const TimeoutError&) {
        return true;
    } catch (const PoolTimeout&) {
        return true;
    } catch (const PoolFull&) {
        return true;
    } catch (const PoolClosed&) {
        return false;
    } catch (const ConnectionError& error) {
        return !error.is("28") && !error.is(sqlstate::undefined_database);
    } catch (const Error& error) {
        // Resources, what an operator does, and a server that is no primary at the moment.
        constexpr std::string_view passing[] = {"53", "57", sqlstate::lock_not_available,
                                                sqlstate::read_only_transaction};
        return error.retryable() || std::any_of(std::begin(passing), std::end(passing),
                                                [&error](std::string_view state) { return error.is(state); });
    } catch (...) {
        return false;
    }
}

std::string words_of(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception& error) {
        return error.what();
    } catch (...) {
        return "an unknown error";
    }
}

std::string storable(std::string_view text, std::size_t limit) {
    std::string kept;
    for (std::size_t i = 0; i < text.size() && kept.size() < limit;) {
        const auto byte = [&text](std::size_t at) {
            return at < text.size() ? static_cast<unsigned char>(text[at]) : static_cast<unsigned char>(0);
        };
        const unsigned char first = byte(i);
        std::size_t length = 0;
        if (first < 0x80) length = first == 0 ? 0 : 1;
        if (first >= 0xC2 && first <= 0xDF) length = 2;
        if (first >= 0xE0 && first <= 0xEF) length = 3;
        if (first >= 0xF0 && first <= 0xF4) length = 4;
        const unsigned char second = byte(i + 1);
        for (std::size_t k = 1; k < length; ++k) {
            if ((byte(i + k) & 0xC0) != 0x80) length = 0;
        }
        // Overlong forms, surrogates, beyond the last character.
        if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second >= 0xA0) || (first == 0xF0 && second < 0x90) ||
            (first == 0xF4 && second >= 0x90)) {
            length = 0;
        }
        if (length == 0) {
            kept.push_back('?');
            ++i;
        } else {
            kept.append(text.substr(i, length));
            i += length;
        }
    }
    return kept;
}

std::int64_t milliseconds_of(Duration value) noexcept {
    // A part of a millisecond counts as a whole one: never too early.
    return std::chrono::ceil<std::chrono::milliseconds>(std::max(value, Duration::zero())).count();
}

}  // namespace detail
}  // namespace coaio::db
