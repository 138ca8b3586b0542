// SPDX-License-Identifier: MIT
#include "link_pq.hpp"

#include "chunk.hpp"
#include "commit.hpp"

#include <coaio/core/io.hpp>

#include <new>
#include <utility>

namespace coaio::db::detail {

// What is left in the middle, and how it is ended.

void PqLink::leave() noexcept {
    if (!flowing_) return;
    end_watch();
    flowing_ = in_use_ = false;
    held_.reset();
    unread_ = session_ && in_flight_;
    unread_inside_ = in_transaction_;
}

Coro<> PqLink::settle() {
    if (!unread_) co_return;
    const Use use(*this);
    co_await end_unread();
}

Coro<> PqLink::end_unread() {
    unread_ = false;
    // A statement that is cancelled would fail its transaction, and a COPY to the server ends at a word.
    OnCancel how = OnCancel::stop;
    if (unread_inside_ || copying_in_) how = OnCancel::wait;
    co_await recover(how);
    if (!session_) {
        ErrorFields fields;
        fields.message = "the connection was closed: what had been left unread on it did not end in time";
        if (unread_inside_) fields.outcome = Outcome::rolled_back;
        throw ConnectionError(std::move(fields));
    }
    in_transaction_ = session_->transaction() != pq::TxStatus::idle;
}

Coro<> PqLink::reset() {
    co_await settle();
    if (in_transaction()) co_await command("rollback", OnCancel::close);
    if (!listens_) co_return;
    co_await command("unlisten *", OnCancel::close);
    listens_ = false;
}

bool PqLink::in_transaction() const noexcept {
    const LinkState now = state();
    return now == LinkState::in_transaction || now == LinkState::failed;
}

template <class T>
Coro<T> PqLink::flow_step(Coro<T> work) {
    if (!flowing_) throw UsageError("the stream or COPY on this connection is over");
    const Running running(pid_, flow_sql_);
    std::exception_ptr failure;
    try {
        T result = co_await std::move(work);
        if (watch_) watch_->add(result);
        if (!in_flight_ && !held_) {
            flowing_ = in_use_ = false;
            end_watch();
        }
        co_return result;
    } catch (...) {
        failure = std::current_exception();
    }
    held_.reset();
    OnCancel how = OnCancel::stop;
    if (copying_in_) how = OnCancel::wait;
    co_await recover(how);
    flowing_ = in_use_ = false;
    failure = judge(std::move(failure), flow_sql_);
    end_watch(failure);
    std::rethrow_exception(failure);
}

void PqLink::end_watch(const std::exception_ptr& failure) noexcept {
    if (!watch_) return;
    const auto watch = std::move(watch_);
    if (failure) {
        watch->fail(failure);
    } else {
        watch->end();
    }
}

template <class T>
Coro<T> PqLink::watched_flow(Operation operation, const std::string& sql, Coro<T> begin) {
    auto watch = std::make_unique<Watch>(observer_.get(), operation, sql, pid_);
    std::exception_ptr failure;
    try {
        if constexpr (std::is_void_v<T>) {
            co_await std::move(begin);
            watch->move_sql(flow_sql_);
            watch_ = std::move(watch);
            co_return;
        } else {
            const T begun = co_await std::move(begin);
            watch->move_sql(flow_sql_);
            watch_ = std::move(watch);
            co_return begun;
        }
    } catch (...) {
        failure = std::current_exception();
    }
    watch->fail(failure);
    std::rethrow_exception(failure);
}

ErrorFields PqLink::failure_of(const pq::Result& result, const std::string& sql) {
    ErrorFields fields = result.error(session_->raw());
    fields.sql = cut_sql(sql);
    note_refusal(fields);
    if (!in_transaction_ && may_commit(sql) && may_have_begun(fields)) {
        fields.outcome = Outcome::unknown;  // it may have committed before it failed
        partly_ = true;
    }
    if (fields.connection_good) return fields;
    told_to_go_ = true;
    throw_error(std::move(fields));
}

// Rows.

Coro<> PqLink::begin_rows(const std::string& sql, const Params& params) {
    if (!observer_) return begin_rows_now(sql, params);
    return watched_flow(Operation::query, sql, begin_rows_now(sql, params));
}

Coro<> PqLink::begin_rows_now(const std::string& sql, const Params& params) {
    pq::refuse_nul(sql);
    if (cancellation_due()) co_await throw_if_cancelled();
    Use use(*this);
    const Running running(pid_, sql);
    if (unread_) co_await end_unread();
    flow_sql_ = sql;
    for (bool again = false;;) {
        std::exception_ptr failure;
        try {
            co_await first_row(sql, params);
            flowing_ = true;
            use.keep();
            co_return;
        } catch (...) {
            failure = std::current_exception();
        }
        held_.reset();
        co_await recover(OnCancel::stop);
        const bool stale = forget_stale(sql, params, failure);
        if (!stale || in_transaction_ || again) std::rethrow_exception(judge(std::move(failure), sql));
        again = true;
    }
}

Coro<> PqLink::first_row(const std::string& sql, const Params& params) {
    if (statements_.wants(sql)) {
        const Prepared* const known = co_await prepared(sql, params);
        session_->send_prepared(known->name, params, known->results);
    } else {
        co_await describe_once(sql, params);
        session_->send_query(sql, params, Format::text);
    }
    start();
    session_->single_row_mode();
    single_rows_ = true;
    if (!session_->flush()) co_await flush();
    if (session_->busy()) co_await await_result();
    auto result = session_->next_result();
    if (!result) throw_out_of_step();
    if (result->kind() == pq::Kind::error) {
        ErrorFields fields = failure_of(*result, sql);
        co_await drain();
        throw_error(std::move(fields));
    }
    held_ = std::move(result);
}

// Between its rows nothing can be asked.
Coro<> PqLink::describe_once(const std::string& sql, const Params& params) {
    refuse_surplus(sql, params);
    begin_pipeline();
    sent_ = false;  // of the statement itself nothing yet
    session_->send_prepare("", sql, params.types());
    session_->send_describe("");
    static_cast<void>(co_await end_described(sql));
}

Coro<std::optional<Rows>> PqLink::next_rows() { return flow_step(collect_rows()); }

Coro<std::optional<Rows>> PqLink::collect_rows() {
    std::unique_ptr<Chunk> chunk;
    while (in_flight_ || held_) {
        if (!held_) {
            if (session_->busy()) {
                if (chunk) break;
                co_await await_result();
            }
            auto result = session_->next_result();
            if (!result) {
                in_flight_ = false;
                break;
            }
            held_ = std::move(result);
        }
        const pq::Kind kind = held_->kind();
        if (kind == pq::Kind::single_row) {
            if (!chunk) chunk = held_->make_chunk();
            held_->copy_rows(*chunk);
            held_.reset();
            if (chunk->full()) break;
        } else if (kind == pq::Kind::error) {
            if (chunk) break;  // the rows before it come first
            ErrorFields fields = failure_of(*held_, flow_sql_);
            co_await drain();
            throw_error(std::move(fields));
        } else if (pq::begins_copy(kind)) {
            end();
            throw UsageError("COPY is not a statement for stream but for copy_out; the connection was closed");
        } else {
            Rows none = std::move(*held_).take_rows(Outcome::committed, types_);
            held_.reset();
            // Without rows their columns are looked at all the same.
            if (!chunk && none.column_count() > 0) co_return std::optional<Rows>(std::move(none));
        }
    }
    collect_notifications();
    if (!chunk) co_return std::nullopt;
    chunk->set_types(types_);
    co_return std::optional<Rows>(std::in_place, std::move(chunk));
}

// COPY.

Coro<PqLink::CopyShape> PqLink::begin_copy(const std::string& sql, CopyWay way) {
    if (!observer_) return begin_copy_now(sql, way);
    return watched_flow(Operation::copy, sql, begin_copy_now(sql, way));
}

Coro<PqLink::CopyShape> PqLink::begin_copy_now(const std::string& sql, CopyWay way) {
    if (cancellation_due()) co_await throw_if_cancelled();
    Use use(*this);
    const Running running(pid_, sql);
    if (unread_) co_await end_unread();
    flow_sql_ = sql;
    std::exception_ptr failure;
    try {
        const CopyShape shape = co_await enter_copy(sql, way);
        flowing_ = true;
        use.keep();
        co_return shape;
    } catch (...) {
        failure = std::current_exception();
    }
    OnCancel how = OnCancel::stop;
    if (copying_in_) how = OnCancel::wait;
    co_await recover(how);
    std::rethrow_exception(judge(std::move(failure), sql));
}

Coro<PqLink::CopyShape> PqLink::enter_copy(const std::string& sql, CopyWay way) {
    session_->send_query(sql, {}, Format::text);
    start();
    if (!session_->flush()) co_await flush();
    if (session_->busy()) co_await await_result();
    auto result = session_->next_result();
    if (!result) throw_out_of_step();
    const pq::Kind kind = result->kind();
    copying_in_ = kind == pq::Kind::copy_in;
    copying_out_ = kind == pq::Kind::copy_out;
    if (copying_in_ && way == CopyWay::to_server) co_return CopyShape{result->column_count(), result->copy_binary()};
    if (copying_out_ && way == CopyWay::from_server) co_return CopyShape{result->column_count(), result->copy_binary()};
    if (kind == pq::Kind::error) {
        ErrorFields fields = failure_of(*result, sql);
        co_await drain();
        throw_error(std::move(fields));
    }
    if (!copying_in_ && !copying_out_) co_await drain();
    throw UsageError(way == CopyWay::to_server ? "copy_in runs a COPY … FROM STDIN, and nothing else"
                                               : "copy_out runs a COPY … TO STDOUT, and nothing else");
}

Coro<> PqLink::put_copy(std::string_view bytes) {
    if (watch_) watch_->add_bytes(bytes.size());
    const bool sent = co_await flow_step(push_copy(bytes));
    static_cast<void>(sent);
}

Coro<bool> PqLink::push_copy(std::string_view bytes) {
    while (!bytes.empty()) {
        const std::string_view slice = bytes.substr(0, pq::Session::most_copied);
        bool room = session_->put_copy(slice);
        if (!room) {
            co_await flush();
            room = session_->put_copy(slice);
        }
        if (!room) throw std::bad_alloc();  // all is sent, and there is none
        bytes.remove_prefix(slice.size());
        if (!session_->flush()) co_await flush();
    }
    co_return true;
}

Coro<std::uint64_t> PqLink::end_copy() { return flow_step(close_copy()); }

Coro<std::uint64_t> PqLink::close_copy() {
    while (!session_->end_copy(nullptr)) co_await flush();
    copying_in_ = false;
    const Rows answered = co_await answer(flow_sql_);
    co_return answered.affected();
}

Coro<> PqLink::give_up_copy() {
    while (!session_->end_copy("the client gave it up")) co_await flush();
    if (!session_->flush()) co_await flush();
}

Coro<std::optional<std::string>> PqLink::next_copy() { return flow_step(pull_copy()); }

Coro<std::optional<std::string>> PqLink::pull_copy() {
    std::optional<std::string> piece(std::in_place);
    for (;;) {
        const auto got = session_->get_copy(*piece);
        if (got == pq::Session::CopyData::row) co_return piece;
        if (got == pq::Session::CopyData::end) break;
        co_await io::wait_readable(session_->socket());
        consume();
    }
    copying_out_ = false;
    co_await ignore(answer(flow_sql_));
    co_return std::nullopt;
}

Coro<> PqLink::skip_copy() {
    std::string piece;
    for (;;) {
        const auto got = session_->get_copy(piece);
        if (got == pq::Session::CopyData::end) co_return;
        if (got == pq::Session::CopyData::row) continue;
        co_await io::wait_readable(session_->socket());
        consume();
    }
}

// One turn.

Coro<Rows> PqLink::run_once(const std::string& sql, const Params& params, Format results) {
    auto running = turn<Rows>([this, &sql, &params, results] { return execute_once(sql, params, results); }, sql);
    if (!observer_) return running;
    return watched(observer_.get(), Operation::query, sql, pid_, std::move(running));
}

Coro<Rows> PqLink::execute_once(const std::string& sql, const Params& params, Format results) {
    session_->send_query(sql, params, results);
    start();
    Rows rows = co_await answer(sql);
    if (unmet(rows)) {
        co_await learn_types_of(std::vector<Rows>(1, rows));
    }
    co_return rows;
}

}  // namespace coaio::db::detail
