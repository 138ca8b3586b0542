// SPDX-License-Identifier: MIT
#include <coaio/db/queries.hpp>

#include "commit.hpp"
#include "path.hpp"

#include <coaio/core/error.hpp>
#include <coaio/core/timeout.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace coaio::db {
namespace {

// Both are local to the transaction, which is that of the message or the user's own; there the old one is needed again.
constexpr const char* set_timeout =
    "select set_config('coaio.statement_timeout', current_setting('statement_timeout'), true), "
    "set_config('statement_timeout', $1, true)";
constexpr const char* restore_timeout =
    "select set_config('statement_timeout', current_setting('coaio.statement_timeout'), true)";

// "0" would be no limit at all.
std::string in_ms(Duration left) {
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    return std::to_string(std::clamp<std::int64_t>(ms, 1, 2'147'483'647));
}

ErrorFields said_of(const std::string& sql, ErrorFields fields) {
    fields.sql = cut_sql(sql);
    return fields;
}

Rows rows_of(const std::string& sql, detail::BatchAnswers answers) {
    if (answers[1]) return std::move(answers[1]).value();
    try {
        std::rethrow_exception(answers[1].error());
    } catch (const BatchError&) {  // for want of what stands before it
    }
    try {
        std::rethrow_exception(answers[0].error());
    } catch (const Error& error) {
        throw_error(said_of(sql, error.fields()));
    }
}

// They would take the limit with them, or leave it behind.
void refuse_control(std::string_view sql) {
    std::string_view rest = sql;
    const std::string first = detail::take_word(rest);
    const bool marks = first == "savepoint" || first == "release" || first == "rollback";
    if (!marks && !detail::begins_or_ends_transaction(sql)) return;
    throw UsageError("\"" + cut_sql(sql) +
                     "\" cannot be sent with a deadline of its own: leave transactions to their scopes");
}

Coro<Rows> run_now(std::shared_ptr<detail::Path> path, TimePoint deadline, std::string sql, Params params) {
    refuse_control(sql);
    co_await detail::Path::open(path);
    detail::PqLink& link = path->link();
    co_await link.settle();  // before it is asked whether it is in a transaction
    const Duration left = deadline - Clock::now();
    if (left <= Duration::zero()) throw TimeoutError();
    std::vector<Batch::Statement> sent;
    sent.emplace_back(set_timeout, Params::of(in_ms(left)));
    sent.emplace_back(sql, std::move(params));
    if (link.in_transaction()) sent.emplace_back(restore_timeout, Params());
    try {
        co_return rows_of(sql, co_await link.run_batch(sent));
    } catch (const ConnectionError& error) {
        throw ConnectionError(said_of(sql, error.fields()));
    }
}

Coro<Rows> run_within(std::shared_ptr<detail::Path> path, Duration limit, std::string sql, Params params) {
    const TimePoint deadline = detail::deadline_in(limit);
    Timeout scope(deadline);
    try {
        Rows rows = co_await run_now(std::move(path), deadline, std::move(sql), std::move(params));
        scope.leave();
        co_return rows;
    } catch (const QueryCanceledError&) {
        scope.leave_by_exception();
        if (Clock::now() >= deadline) throw TimeoutError();  // both kept the time, and the server was first
        throw;
    } catch (...) {
        scope.leave_by_exception();
        throw;
    }
}

}  // namespace

Coro<Rows> Within::run_statement(std::string sql, Params params) const {
    return run_within(path_->again(), limit_, std::move(sql), std::move(params));
}

}  // namespace coaio::db
