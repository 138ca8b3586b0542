// SPDX-License-Identifier: MIT
#include <coaio/db/batch.hpp>

#include "commit.hpp"
#include "libpq.hpp"
#include "path.hpp"
#include "watch.hpp"

#include <utility>

namespace coaio::db {

BatchError::BatchError(ErrorFields fields) : Error(std::move(fields)) {}
BatchError::~BatchError() = default;

namespace detail {
namespace {

void check(const Batch& batch) {
    for (const Batch::Statement& each : batch.statements()) {
        pq::refuse_nul(each.sql);
        refuse_surplus(each.sql, each.params);
        if (!begins_or_ends_transaction(each.sql)) continue;
        throw UsageError("\"" + cut_sql(each.sql) +
                         "\" cannot stand in a batch, which is a transaction of its own or part of one");
    }
}

}  // namespace

Coro<BatchAnswers> run_batch(std::shared_ptr<Path> path, Batch batch) {
    if (batch.empty()) co_return BatchAnswers();
    check(batch);
    co_await Path::open(path);
    co_return co_await path->link().run_batch(batch.statements());
}

Coro<BatchAnswers> run_each(std::shared_ptr<Path> path, std::string sql, std::vector<Params> all) {
    pq::refuse_nul(sql);
    if (begins_or_ends_transaction(sql)) {
        throw UsageError("\"" + cut_sql(sql) + "\" is not a statement for query_each: transactions are scopes");
    }
    if (all.empty()) co_return BatchAnswers();
    refuse_surplus(sql, all.front());
    for (const Params& each : all) {
        if (each.size() == all.front().size()) continue;
        throw ParameterError(0, "the runs of one statement were given different numbers of parameters");
    }
    co_await Path::open(path);
    const TraceSource& trace = path->connector().trace();
    if (trace) sql = traced(std::move(sql), trace);
    co_return co_await path->link().run_each(sql, all);
}

Coro<std::vector<Rows>> all_rows(Coro<BatchAnswers> answers) {
    BatchAnswers each = co_await std::move(answers);
    // Those before the one that failed say only that they were rolled back with it.
    std::exception_ptr failure;
    for (const auto& answer : each) {
        if (answer) continue;
        if (!failure) failure = answer.error();
        try {
            std::rethrow_exception(answer.error());
        } catch (const BatchError&) {
        } catch (...) {
            std::rethrow_exception(answer.error());
        }
    }
    if (failure) std::rethrow_exception(failure);
    std::vector<Rows> rows;
    rows.reserve(each.size());
    for (auto& answer : each) rows.push_back(std::move(answer).value());
    co_return rows;
}

}  // namespace detail
}  // namespace coaio::db
