// SPDX-License-Identifier: MIT
#include "link_pq.hpp"

#include "run_rows.hpp"

#include <coaio/core/io.hpp>

#include <algorithm>
#include <numeric>
#include <utility>

namespace coaio::db::detail {
namespace {

constexpr std::size_t most_at_once = 64;  // sent and not answered

/// What is sent while it lives goes in one piece.
class OnePiece {
public:
    explicit OnePiece(pq::Session& session) noexcept : session_(&session) { session.hold_back(); }
    OnePiece(const OnePiece&) = delete;
    OnePiece& operator=(const OnePiece&) = delete;
    ~OnePiece() { session_->let_go(); }

private:
    pq::Session* session_;
};

/// They belong to one prepared statement.
bool same_types(const Params& a, const Params& b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (a.slot(i).type != b.slot(i).type) return false;
    }
    return true;
}

/// The statement did, and the session goes on.
bool failed_alone(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const Error& error) {
        return error.connection_good();
    } catch (...) {
        return false;
    }
}

}  // namespace

Coro<BatchAnswers> PqLink::run_each(const std::string& sql, const std::vector<Params>& all) {
    if (!observer_) return run_each_now(sql, all);
    return watched(observer_.get(), Operation::batch, sql, pid_, run_each_now(sql, all));
}

Coro<BatchAnswers> PqLink::run_each_now(const std::string& sql, const std::vector<Params>& all) {
    if (cancellation_due()) co_await throw_if_cancelled();
    const Use use(*this);
    const Running running(pid_, sql, all.size());
    if (unread_) co_await end_unread();
    BatchAnswers answers(all.size(), coaio::Outcome<Rows>(nullptr));
    const auto rows = std::make_shared<RunRows>(all.size());
    std::vector<std::size_t> due(all.size());
    std::iota(due.begin(), due.end(), std::size_t{0});
    for (bool again = false;; again = true) {
        std::exception_ptr failure;
        try {
            co_await execute_each(sql, all, due, rows, answers);
        } catch (...) {
            failure = std::current_exception();
        }
        if (failure) {
            co_await recover(OnCancel::stop);
            if (!again || !failed_alone(failure)) std::rethrow_exception(judge(std::move(failure), sql));
            for (const std::size_t i : due) answers[i] = failure;
            co_return answers;
        }
        std::vector<std::size_t> stale;
        for (const std::size_t i : due) {
            if (answers[i] || !is_stale(answers[i].error())) continue;
            static_cast<void>(forget_stale(sql, all[i], answers[i].error()));
            if (may_repeat(sql, answers[i].error())) stale.push_back(i);
        }
        if (stale.empty() || in_transaction_ || again) co_return answers;
        due = std::move(stale);
    }
}

Coro<> PqLink::execute_each(const std::string& sql, const std::vector<Params>& all, const std::vector<std::size_t>& due,
                            const std::shared_ptr<RunRows>& rows, BatchAnswers& answers) {
    const bool keeps = statements_.wants(sql) && session_->transaction() != pq::TxStatus::failed;
    if (keeps) static_cast<void>(co_await prepared(sql, all[due.front()]));
    const bool alike = keeps && std::all_of(due.begin(), due.end(), [&all, &due](std::size_t i) {
                           return same_types(all[i], all[due.front()]);
                       });
    rows->begin(alike);
    begin_pipeline();
    if (!session_->flush()) co_await flush();
    while (syncs_ > 0) static_cast<void>(co_await own_result());
    std::size_t sent = 0;
    for (std::size_t i = 0; i < due.size(); ++i) {
        if (i == sent) {
            send_some(sql, all, std::span(due).subspan(i, std::min(most_at_once, due.size() - i)), keeps, alike);
            sent += static_cast<std::size_t>(syncs_);
            if (!session_->flush()) co_await flush();
        }
        while (!take_answer(sql, due[i], rows, answers)) {
            co_await io::wait_readable(session_->socket());
            consume();
        }
    }
    session_->exit_pipeline();
    in_flight_ = false;
    collect_notifications();
    std::vector<Rows> unlearned;
    for (const std::size_t i : due) {
        if (answers[i] && unmet(answers[i].value())) unlearned.push_back(answers[i].value());
    }
    if (!unlearned.empty()) co_await learn_types_of(std::move(unlearned));
}

void PqLink::send_some(const std::string& sql, const std::vector<Params>& all, std::span<const std::size_t> which,
                       bool keeps, bool alike) {
    const OnePiece together(*session_);
    const Prepared* known = nullptr;
    for (const std::size_t i : which) {
        const Params& params = all[i];
        if (keeps && (known == nullptr || !alike)) known = statements_.find(sql, params);
        if (known != nullptr) {
            session_->send_prepared(known->name, params, known->results);
        } else {
            session_->send_query(sql, params, Format::text);
        }
        session_->send_sync();
        ++syncs_;
    }
}

// False where more has to come first.
bool PqLink::take_answer(const std::string& sql, std::size_t run, const std::shared_ptr<RunRows>& rows,
                         BatchAnswers& answers) {
    while (auto result = arrived()) {
        const pq::Kind kind = result->kind();
        if (kind == pq::Kind::sync) {
            if (!answers[run] && !answers[run].error()) throw_out_of_step();
            --syncs_;
            return true;
        }
        if (kind == pq::Kind::error) {
            answers[run] = make_error(failure_of(*result, sql));
        } else if (pq::begins_copy(kind)) {
            end();
            throw UsageError("COPY is not a statement for query_each; the connection was closed");
        } else if (kind != pq::Kind::aborted) {
            const Outcome outcome = in_transaction_ ? Outcome::unknown : Outcome::committed;
            Rows answered = RunRows::take(rows, run, std::move(*result), outcome, types_);
            if (kind == pq::Kind::command) note_command(answered.command());
            partly_ = !in_transaction_;
            answers[run] = std::move(answered);
        }
    }
    return false;
}

}  // namespace coaio::db::detail
