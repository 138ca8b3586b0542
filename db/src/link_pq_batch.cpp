// SPDX-License-Identifier: MIT
#include "link_pq.hpp"

#include "commit.hpp"

#include <algorithm>
#include <utility>

namespace coaio::db::detail {
namespace {

enum class Asked : unsigned char { prepare, describe, execute };

/// One message of a batch that has an answer of its own.
struct Ask {
    std::size_t statement;
    Asked what;
};

/// A statement that is being prepared on the way.
struct Fresh {
    std::size_t statement;
    bool made = false;
    Prepared prepared;
};

std::exception_ptr without_effect(const std::string& how, std::size_t failed, const ErrorFields& cause,
                                  const std::string& sql, bool perhaps = false) {
    ErrorFields fields;
    fields.message = how + ": statement " + std::to_string(failed + 1) + " of the batch failed" +
                     (perhaps ? ", and a procedure may have committed before: " : ": ") + cause.message;
    fields.sql = cut_sql(sql);
    fields.outcome = perhaps ? Outcome::unknown : Outcome::rolled_back;
    return std::make_exception_ptr(BatchError(std::move(fields)));
}

}  // namespace

void PqLink::begin_pipeline() {
    session_->enter_pipeline();
    syncs_ = 0;
    start();
    if (!std::exchange(single_rows_, false)) return;
    // libpq leaves the mode of rows on for a pipeline's first message, so let that be one without rows.
    session_->send_sync();
    ++syncs_;
}

std::optional<pq::Result> PqLink::arrived() {
    for (int ends = 0; !session_->busy();) {
        if (auto result = session_->next_result()) return result;
        if (++ends > 2) throw_out_of_step();
    }
    return std::nullopt;
}

Coro<std::optional<pq::Result>> PqLink::pipeline_result() {
    auto result = arrived();
    while (!result) {
        co_await await_result();
        result = arrived();
    }
    if (result->kind() == pq::Kind::sync) --syncs_;
    co_return result;
}

Coro<pq::Result> PqLink::own_result() {
    auto result = co_await pipeline_result();
    if (pq::begins_copy(result->kind())) {
        end();
        throw_out_of_step();
    }
    co_return std::move(*result);
}

Coro<BatchAnswers> PqLink::run_batch(const std::vector<Batch::Statement>& statements) {
    if (!observer_) return run_batch_now(statements);
    return watched(observer_.get(), Operation::batch, statements.front().sql, pid_, run_batch_now(statements));
}

Coro<BatchAnswers> PqLink::run_batch_now(const std::vector<Batch::Statement>& statements) {
    if (cancellation_due()) co_await throw_if_cancelled();
    const Use use(*this);
    const Running running(pid_, statements.front().sql, statements.size());
    if (unread_) co_await end_unread();
    for (bool again = false;; again = true) {
        std::exception_ptr failure;
        BatchAnswers answers;
        try {
            answers = co_await execute_batch(statements);
        } catch (...) {
            failure = std::current_exception();
        }
        if (failure) {
            co_await recover(OnCancel::stop);
            partly_ = sent_ && std::any_of(statements.begin(), statements.end(),
                                           [](const Batch::Statement& each) { return may_commit(each.sql); });
            std::rethrow_exception(judge(std::move(failure), statements.front().sql));
        }
        bool stale = false;
        bool committed = false;  // perhaps, by those before it
        for (std::size_t i = 0; i < answers.size() && !stale; ++i) {
            const auto& [sql, params] = statements[i];
            if (!answers[i]) stale = forget_stale(sql, params, answers[i].error());
            committed = committed || (!stale && may_commit(sql));
        }
        if (!stale || committed || in_transaction_ || again) co_return answers;
        // Where one is gone, others may be, and each would fail the batch once.
        for (const auto& each : statements) statements_.forget(Statements::key(each.sql, each.params));
    }
}

Coro<BatchAnswers> PqLink::execute_batch(const std::vector<Batch::Statement>& statements) {
    std::vector<Ask> asked;
    std::vector<Fresh> fresh;
    const bool usable = session_->transaction() != pq::TxStatus::failed;
    std::vector<std::string> dropped;
    if (usable) dropped = statements_.take_dropped(in_transaction_);
    NamesInDoubt undropped(statements_, dropped);
    NamesInDoubt doubtful(statements_, {});

    begin_pipeline();
    for (const std::string& each : dropped) {
        session_->send_query("deallocate " + each, {}, Format::text);
        session_->send_sync();
        ++syncs_;
    }
    for (std::size_t i = 0; i < statements.size(); ++i) {
        const auto& [sql, params] = statements[i];
        if (!usable || !statements_.wants(sql)) {
            session_->send_query(sql, params, Format::text);
            asked.push_back({i, Asked::execute});
            continue;
        }
        const std::string key = Statements::key(sql, params);
        if (const Prepared* const known = statements_.find(key)) {
            session_->send_prepared(known->name, params, known->results);
            asked.push_back({i, Asked::execute});
            continue;
        }
        auto at = std::find_if(fresh.begin(), fresh.end(), [&](const Fresh& each) { return each.prepared.key == key; });
        if (at == fresh.end()) {
            Fresh made;
            made.statement = i;
            made.prepared.key = key;
            made.prepared.name = statements_.next_name();
            fresh.push_back(std::move(made));
            at = std::prev(fresh.end());
            doubtful.add(at->prepared.name);
            session_->send_prepare(at->prepared.name, sql, params.types());
            session_->send_describe(at->prepared.name);
            asked.push_back({i, Asked::prepare});
            asked.push_back({i, Asked::describe});
        }
        // Its columns are not known yet, and text is read as well.
        session_->send_prepared(at->prepared.name, params, Format::text);
        asked.push_back({i, Asked::execute});
    }
    session_->send_sync();
    ++syncs_;
    if (!session_->flush()) co_await flush();

    std::vector<std::optional<Rows>> rows(statements.size());
    std::optional<std::size_t> failed;
    bool gone = false;
    ErrorFields cause;
    std::size_t at = 0;
    while (syncs_ > 0) {
        const int before = syncs_;
        auto result = co_await pipeline_result();
        const pq::Kind kind = result->kind();
        if (syncs_ == 1) undropped.clear();
        if (before > 1 && pq::begins_copy(kind)) {
            end();
            throw_out_of_step();
        }
        if (kind == pq::Kind::sync || before > 1) continue;
        if (kind == pq::Kind::error) {
            const std::size_t statement = at < asked.size() ? asked[at].statement : statements.size() - 1;
            ErrorFields fields = failure_of(*result, statements[statement].sql);
            if (!failed) {
                failed = statement;
                cause = std::move(fields);
            }
        } else if (pq::begins_copy(kind)) {
            end();
            throw UsageError("COPY cannot stand in a batch; the connection was closed");
        } else if (kind != pq::Kind::aborted) {
            if (at >= asked.size()) throw_out_of_step();
            const Ask& ask = asked[at];
            if (ask.what == Asked::execute) {
                rows[ask.statement] =
                    std::move(*result).take_rows(in_transaction_ ? Outcome::unknown : Outcome::committed, types_);
                gone = gone || drops_statements(rows[ask.statement]->command());
                note_listen(rows[ask.statement]->command());
            } else {
                auto made = std::find_if(fresh.begin(), fresh.end(),
                                         [&](const Fresh& each) { return each.statement == ask.statement; });
                made->made = true;
                made->prepared.results = Format::text;
                if (ask.what == Asked::describe) set_format(made->prepared, result->column_types());
            }
        }
        ++at;
    }
    session_->exit_pipeline();
    in_flight_ = false;
    collect_notifications();
    undropped.clear();

    if (gone) {
        statements_.all_gone();
    } else {
        doubtful.clear();
        for (Fresh& each : fresh) {
            if (each.made) statements_.keep(std::move(each.prepared));
        }
    }
    std::vector<Rows> unlearned;
    for (const auto& each : rows) {
        if (each && unmet(*each)) unlearned.push_back(*each);
    }
    if (!unlearned.empty()) co_await learn_types_of(std::move(unlearned));

    // What stands before this may have been committed by it.
    std::size_t last_commit = 0;
    for (std::size_t i = 0; failed && !in_transaction_ && i <= *failed; ++i) {
        if (i == *failed ? cause.outcome == Outcome::unknown : may_commit(statements[i].sql)) last_commit = i + 1;
    }
    BatchAnswers answers;
    answers.reserve(statements.size());
    for (std::size_t i = 0; i < statements.size(); ++i) {
        const std::string& sql = statements[i].sql;
        if (!failed || (i < *failed && in_transaction_)) {
            answers.emplace_back(std::move(*rows[i]));
        } else if (i == *failed) {
            answers.emplace_back(make_error(cause));
        } else if (i < *failed && i < last_commit) {
            answers.emplace_back(without_effect("perhaps rolled back", *failed, cause, sql, true));
        } else if (i < *failed) {
            answers.emplace_back(without_effect("rolled back", *failed, cause, sql));
        } else {
            answers.emplace_back(without_effect("not executed", *failed, cause, sql));
        }
    }
    co_return answers;
}

Coro<Format> PqLink::declare(const std::string& name, bool scroll, const std::string& sql, const Params& params) {
    pq::refuse_nul(sql);
    const std::string command = "declare " + name + (scroll ? " scroll" : " no scroll") + " cursor for " + sql;
    co_return co_await turn<Format>([this, &command, &name, &params] { return open_cursor(command, name, params); },
                                    sql);
}

Coro<Format> PqLink::open_cursor(const std::string& command, const std::string& name, const Params& params) {
    begin_pipeline();
    session_->send_query(command, params, Format::text);
    session_->send_describe_portal(name);
    const std::vector<Oid> columns = co_await end_described(command);
    co_return format_for(columns);
}

}  // namespace coaio::db::detail
