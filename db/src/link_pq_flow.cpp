// SPDX-License-Identifier: MIT
#include "link_pq.hpp"

#include "cancel.hpp"

#include <utility>

namespace coaio::db::detail {

void refuse_surplus(std::string_view sql, const Params& params) {
    if (params.empty()) return;
    const std::string last = "$" + std::to_string(params.size());
    if (sql.find(last) != std::string_view::npos) return;
    throw ParameterError(params.size(), "there is no " + last + " in the statement");
}

void throw_out_of_step() {
    ErrorFields fields;
    fields.message = "the server's answers do not match what was asked";
    fields.outcome = Outcome::unknown;
    throw ConnectionError(std::move(fields));
}

namespace {

std::exception_ptr not_quiet() {
    ErrorFields fields;
    fields.message = "the statement did not end in time after it was cancelled, so its session was closed";
    return std::make_exception_ptr(ConnectionError(std::move(fields)));
}

}  // namespace

Coro<> PqLink::prepare(const std::string& key, const std::string& name, const std::string& sql, const Params& params) {
    if (!observer_) return prepare_now(key, name, sql, params);
    return watched(observer_.get(), Operation::prepare, sql, pid_, prepare_now(key, name, sql, params));
}

Coro<> PqLink::prepare_now(const std::string& key, const std::string& name, const std::string& sql,
                           const Params& params) {
    refuse_surplus(sql, params);
    const std::vector<std::string> dropped = statements_.take_dropped(in_transaction_);
    NamesInDoubt doubtful(statements_, dropped);
    begin_pipeline();
    sent_ = false;  // of the statement itself nothing yet
    for (const std::string& each : dropped) {
        session_->send_query("deallocate " + each, {}, Format::text);
        session_->send_sync();
        ++syncs_;
    }
    session_->send_prepare(name, sql, params.types());
    session_->send_describe(name);
    session_->send_sync();
    ++syncs_;
    if (!session_->flush()) co_await flush();

    std::optional<ErrorFields> failure;
    std::vector<Oid> columns;
    std::size_t parameters = 0;
    while (syncs_ > 0) {
        const pq::Result result = co_await own_result();
        const pq::Kind kind = result.kind();
        if (kind == pq::Kind::sync) {
            if (syncs_ == 1) doubtful.clear();
        } else if (kind == pq::Kind::error) {
            ErrorFields fields = result.error(session_->raw());
            fields.sql = cut_sql(sql);
            if (!fields.connection_good) {
                told_to_go_ = true;
                throw_error(std::move(fields));
            }
            if (syncs_ == 1) failure = std::move(fields);
        } else if (kind == pq::Kind::command && syncs_ == 1) {
            columns = result.column_types();  // of the second of two: what was described
            parameters = result.parameter_types().size();
        }
    }
    session_->exit_pipeline();
    in_flight_ = false;
    doubtful.clear();
    if (failure) throw_error(std::move(*failure));

    NamesInDoubt unused(statements_, std::vector<std::string>(1, name));
    if (parameters != params.size()) {
        throw ParameterError(0, "the statement has " + std::to_string(parameters) + " parameters, and " +
                                    std::to_string(params.size()) + " were given");
    }
    co_await learn_types(columns);
    Prepared prepared;
    prepared.key = key;
    prepared.name = name;
    set_format(prepared, columns);
    unused.clear();
    statements_.keep(std::move(prepared));
}

Coro<> PqLink::recover(OnCancel on_cancel) {
    if (!in_flight_) {
        if (session_ && (session_->in_pipeline() || !session_->good())) end();
        co_return;
    }
    const bool hopeless = !session_ || !session_->good() || told_to_go_;
    const bool close_it = on_cancel == OnCancel::close || (on_cancel == OnCancel::stop && cancel_by_closing_);
    if (hopeless || close_it) {
        end();
        co_return;
    }
    Watch watch(on_cancel == OnCancel::stop ? observer_.get() : nullptr, Operation::cancel, {}, pid_);
    const bool quiet = co_await masked_attempt(quieten(on_cancel), cancel_timeout_);
    if (quiet && !in_flight_) {
        watch.end();
        co_return;
    }
    watch.fail(not_quiet());
    end();
}

Coro<> PqLink::quieten(OnCancel on_cancel) {
    if (on_cancel == OnCancel::wait) {
        co_await drain();
        co_return;
    }
    if (pq::features().async_cancel) {
        // One after the other: it ends whether or not the answer is read meanwhile.
        co_await send_cancel_on_loop(session_->cancel_request(), *cancels_);
        co_await drain();
        co_return;
    }
    auto cancelled = send_cancel(session_->canceller());
    std::exception_ptr failure;
    try {
        co_await drain();
        // A request that is still on its way could hit the next statement (CAN-03).
        co_await cancelled;
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        cancelled.cancel();
        std::rethrow_exception(failure);
    }
}

Coro<> PqLink::drain() {
    held_.reset();
    if (!session_->flush()) co_await flush();
    if (std::exchange(copying_in_, false)) co_await give_up_copy();
    if (std::exchange(copying_out_, false)) co_await skip_copy();
    const bool pipeline = session_->in_pipeline();
    if (pipeline && syncs_ == 0) throw_out_of_step();
    int ends = 0;
    while (!pipeline || syncs_ > 0) {
        if (session_->busy()) co_await await_result();
        auto result = session_->next_result();
        if (!result) {
            if (!pipeline) break;
            if (++ends > 2) throw_out_of_step();
            continue;
        }
        ends = 0;
        const pq::Kind kind = result->kind();
        if (kind == pq::Kind::sync) --syncs_;
        if (kind == pq::Kind::command) note_command(result->command());  // it was done all the same
        if (kind == pq::Kind::other) throw_out_of_step();
        if (kind == pq::Kind::copy_in) co_await give_up_copy();
        if (kind == pq::Kind::copy_out) co_await skip_copy();
    }
    if (pipeline) session_->exit_pipeline();
    in_flight_ = false;
}

}  // namespace coaio::db::detail
