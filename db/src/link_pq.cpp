// SPDX-License-Identifier: MIT
#include "link_pq.hpp"

#include "cancel.hpp"
#include "commit.hpp"

#include <coaio/core/io.hpp>

#include <utility>

namespace coaio::db::detail {
namespace {

[[noreturn]] void throw_closed() {
    ErrorFields fields;
    fields.message = "the connection is closed";
    throw ConnectionError(std::move(fields));
}

bool is_fatal(const std::string& severity) { return severity == "FATAL" || severity == "PANIC"; }

TimePoint last_look_outside() { return TimePoint(Duration(coaio::detail::require_core().now)); }

}  // namespace

PqLink::Use::Use(PqLink& link) : link_(&link) {
    link.binding_.require("connection");
    if (link.flowing_) {
        throw UsageError(
            "rows are streamed, or copied, over this connection: read them to the end or close that first, or take "
            "another connection");
    }
    if (link.in_use_) {
        throw UsageError("two tasks use one connection at the same time: await one statement before the next, or take "
                         "another connection");
    }
    const LinkState state = link.state();
    if (state == LinkState::broken) throw_closed();
    if (!link.session_->is_utf8()) link.refuse_encoding();
    link.in_transaction_ = state != LinkState::idle;
    if (link.told_to_go_) {  // nothing is sent to a session that has said farewell
        try {
            link.look();
        } catch (...) {
            link.end();
            throw;
        }
    }
    link.in_use_ = true;
    link.sent_ = link.partly_ = link.decisive_ = false;
}

PqLink::PqLink(std::unique_ptr<pq::Session> session, const ConnectValues& options, std::shared_ptr<Semaphore> cancels)
    : session_(std::move(session)),
      registration_(std::in_place, session_->socket()),
      cancels_(std::move(cancels)),
      statements_(options.statement_cache),
      cancel_timeout_(options.cancel_timeout),
      cancel_by_closing_(options.cancel_by_closing.value_or(session_->encrypted() && !pq::features().async_cancel)),
      observer_(options.observer),
      pid_(session_->backend_pid()),
      version_(session_->server_version()) {
    binding_.require("connection");
    session_->on_notice([this, handler = options.on_notice](const pq::Notice& notice) {
        if (is_fatal(notice.fields.severity)) {
            told_to_go_ = true;
            farewell_ = notice.fields;
        }
        if (handler) handler(notice.fields);
    });
}

PqLink::~PqLink() {
    if (turn_end_) turn_end_->cancel();
}

bool drops_statements(std::string_view tag) noexcept { return tag == "DEALLOCATE ALL" || tag == "DISCARD ALL"; }

void PqLink::note_command(std::string_view tag) {
    note_listen(tag);
    if (drops_statements(tag)) statements_.all_gone();
}

void PqLink::note_listen(std::string_view tag) noexcept {
    if (tag == "LISTEN") listens_ = true;
}

Coro<Rows> PqLink::run(const std::string& sql, const Params& params) {
    if (!observer_) return run_now(sql, params);
    return watched(observer_.get(), Operation::query, sql, pid_, run_now(sql, params));
}

Coro<Rows> PqLink::run_now(const std::string& sql, const Params& params) {
    pq::refuse_nul(sql);
    if (cancellation_due()) co_await throw_if_cancelled();
    const Use use(*this);
    const Running running(pid_, sql);
    if (unread_) co_await end_unread();
    decisive_ = in_transaction_ && ends_transaction(sql);
    for (bool again = false;;) {
        std::exception_ptr failure;
        try {
            if (!send_at_once(sql, params)) co_await prepare_and_send(sql, params);
            Reply reply;
            bool ended = false;
            if (!session_->flush()) {
                co_await flush();
                ended = read_on(reply, sql);  // it may have come with the last of what was sent
            }
            while (!ended) {
                co_await io::wait_readable(session_->socket());
                consume();
                ended = read_on(reply, sql);
            }
            if (unmet(reply.rows)) {
                co_await learn_types_of(std::vector<Rows>(1, reply.rows));
            }
            co_return std::move(reply.rows);
        } catch (...) {
            failure = std::current_exception();
        }
        co_await recover(OnCancel::stop);
        const bool stale = forget_stale(sql, params, failure);
        if (!stale || in_transaction_ || again) std::rethrow_exception(judge(std::move(failure), sql));
        again = true;
    }
}

Coro<Rows> PqLink::command(std::string sql, OnCancel on_cancel) {
    if (cancellation_due()) co_await throw_if_cancelled();
    const Use use(*this);
    const Running running(pid_, sql);
    if (unread_) co_await end_unread();
    decisive_ = on_cancel == OnCancel::close;
    std::exception_ptr failure;
    try {
        look();  // nothing is written to a connection that is gone, so that the outcome is certain
        session_->send_script(sql);
        start();
        co_return co_await answer(sql);
    } catch (...) {
        failure = std::current_exception();
    }
    co_await recover(on_cancel);
    std::rethrow_exception(judge(std::move(failure), sql));
}

bool PqLink::send_at_once(const std::string& sql, const Params& params) {
    const bool failed = in_transaction_ && session_->transaction() == pq::TxStatus::failed;
    if (failed || !statements_.wants(sql)) {
        refuse_surplus(sql, params);
        session_->send_query(sql, params, Format::text);
    } else {
        const Prepared* const known = statements_.find(sql, params);
        if (known == nullptr) return false;
        session_->send_prepared(known->name, params, known->results);
    }
    start();
    return true;
}

Coro<> PqLink::prepare_and_send(const std::string& sql, const Params& params) {
    const Prepared* const known = co_await prepared(sql, params);
    session_->send_prepared(known->name, params, known->results);
    start();
}

Coro<const Prepared*> PqLink::prepared(const std::string& sql, const Params& params) {
    if (const Prepared* const known = statements_.find(sql, params)) co_return known;
    const std::string key = Statements::key(sql, params);
    const std::string name = statements_.next_name();
    std::exception_ptr failure;
    try {
        co_await prepare(key, name, sql, params);
    } catch (const Error&) {
        throw;  // the server has no such statement
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        statements_.drop_later(std::vector<std::string>(1, name));
        std::rethrow_exception(failure);
    }
    co_return statements_.find(key);
}

Coro<> PqLink::flush() {
    while (!session_->flush()) {
        const auto ready = co_await io::wait_ready(session_->socket(), {.readable = true, .writable = true});
        if (ready.readable) consume();
    }
}

Coro<> PqLink::await_result() {
    while (session_->busy()) {
        co_await io::wait_readable(session_->socket());
        consume();
    }
}

void PqLink::consume() {
    try {
        session_->consume_input();
    } catch (const ConnectionError&) {
        // The server's last words may have been read already, and say more than that the connection is lost.
        for (int i = 0; in_flight_ && i < 4; ++i) {
            auto result = session_->next_result();
            if (!result || result->kind() != pq::Kind::error) continue;
            ErrorFields fields = result->error(session_->raw());
            // In a pipeline it may be the error of one of several.
            const bool last = is_fatal(fields.severity) || !session_->in_pipeline();
            if (last && !fields.sqlstate.empty()) throw_error(std::move(fields));
        }
        throw;
    }
}

void PqLink::collect_notifications() {
    while (auto heard = session_->next_notification()) {
        listens_ = true;  // were it by a function that the statement's own word does not tell of
        if (!keeps_notifications_) continue;
        Notification made;
        made.channel = std::move(heard->channel);
        made.payload = std::move(heard->payload);
        made.pid = heard->pid;
        heard_.push_back(std::move(made));
    }
}

Coro<> PqLink::hear() {
    if (cancellation_due()) co_await throw_if_cancelled();
    const Use use(*this);
    while (heard_.empty()) {
        co_await io::wait_readable(session_->socket());
        look();
    }
}

void PqLink::look() {
    // The first time may read the server's farewell and only the second one the end.
    std::exception_ptr lost;
    for (int i = 0; i < 2 && !lost; ++i) {
        try {
            session_->consume_input();
        } catch (const ConnectionError&) {
            lost = std::current_exception();
        }
        (void)session_->busy();  // reads what came before the end
    }
    collect_notifications();
    if (lost && !told_to_go_) std::rethrow_exception(lost);
    if (!told_to_go_) return;
    ErrorFields fields = farewell_;
    if (fields.message.empty()) fields.message = "the server has ended the session";
    fields.outcome = in_transaction_ ? Outcome::rolled_back : Outcome::not_sent;
    throw ConnectionError(std::move(fields));
}

Coro<Rows> PqLink::answer(const std::string& sql) {
    if (!session_->flush()) co_await flush();
    Reply reply;
    while (!read_on(reply, sql)) {
        co_await io::wait_readable(session_->socket());
        consume();
    }
    co_return std::move(reply.rows);
}

bool PqLink::read_on(Reply& reply, const std::string& sql) {
    while (!session_->busy()) {
        auto result = session_->next_result();
        if (!result) {
            in_flight_ = false;
            if (reply.failure) std::rethrow_exception(reply.failure);
            collect_notifications();
            read_ = last_look_outside();
            return true;
        }
        const pq::Kind kind = result->kind();
        if (kind == pq::Kind::error) {
            reply.failure = make_error(failure_of(*result, sql));
        } else if (pq::begins_copy(kind)) {
            end();
            throw UsageError(
                "COPY is not a statement for query or execute but for copy_in, copy_rows and copy_out; the connection "
                "was closed");
        } else {
            reply.rows = std::move(*result).take_rows(in_transaction_ ? Outcome::unknown : Outcome::committed, types_);
            if (kind == pq::Kind::command) note_command(reply.rows.command());
        }
    }
    return false;
}

LinkState PqLink::state() const noexcept {
    if (in_use_) return LinkState::busy;  // also when it is broken: somebody still works with it
    if (!session_) return LinkState::broken;
    const pq::TxStatus transaction = session_->transaction();
    if (transaction == pq::TxStatus::unknown) return LinkState::broken;
    if (unread_) return LinkState::unread;
    if (in_flight_) return LinkState::busy;
    switch (transaction) {
    case pq::TxStatus::idle: return LinkState::idle;
    case pq::TxStatus::in_transaction: return LinkState::in_transaction;
    case pq::TxStatus::failed: return LinkState::failed;
    default: return LinkState::busy;
    }
}

bool PqLink::just_read(TimePoint now) const noexcept {
    // A virtual clock does not move between looks.
    return read_ == last_look_outside() && read_ < now && now - read_ < std::chrono::microseconds(100);
}

bool PqLink::alive(TimePoint now) noexcept {
    if (!session_ || !session_->good()) return false;
    try {
        const bool fresh = just_read(now);
        if (!fresh) collect_notifications();  // reads what came with the last answer
        if (told_to_go_ || (!fresh && !session_->silent())) look();
        if (!session_->is_utf8()) close();
    } catch (...) {
        close();
    }
    return session_ != nullptr;
}

void PqLink::close() noexcept {
    if (in_use_) {
        if (!session_) return;
        session_->hang_up();
        if (session_->socket() < 0) leave_loop();  // libpq has closed it: who waits for it is told by this
    } else {
        end();
    }
}

void PqLink::refuse_encoding() {
    ErrorFields fields;
    fields.message = "client_encoding was changed to " + session_->parameter("client_encoding") +
                     "; all text is UTF8, so the connection was closed";
    end();
    throw ConnectionError(std::move(fields));
}

bool PqLink::only_reads() const {
    return session_->reports("default_transaction_read_only", "on") || session_->reports("in_hot_standby", "on");
}

bool PqLink::misplaced() const noexcept {
    if (!session_) return false;
    switch (target_) {
    case Target::any: return refused_to_write_;
    case Target::read_write:
    case Target::primary: return refused_to_write_ || session_->reports("in_hot_standby", "on");
    case Target::read_only:
        return session_->reports("in_hot_standby", "off") && session_->reports("default_transaction_read_only", "off");
    case Target::standby:
    case Target::prefer_standby: return session_->reports("in_hot_standby", "off");
    }
    return false;
}

// Whoever declared a transaction of a primary's to be read-only has asked for it.
void PqLink::note_refusal(const ErrorFields& failure) noexcept {
    if (failure.sqlstate != sqlstate::read_only_transaction) return;
    const bool by_setting = target_ != Target::any && session_->reports("default_transaction_read_only", "on");
    refused_to_write_ = by_setting || session_->reports("in_hot_standby", "on");
}

void PqLink::leave_loop() noexcept {
    if (registration_ && session_ && session_->socket() < 0) registration_->forget();
    registration_.reset();
}

void PqLink::end() noexcept {
    if (session_) only_reads_ = only_reads();
    if (turn_end_) turn_end_->cancel();
    turn_end_.reset();
    held_.reset();
    leave_loop();
    session_.reset();
    in_flight_ = unread_ = copying_in_ = copying_out_ = false;
}

std::string PqLink::parameter(const std::string& name) const {
    return session_ ? session_->parameter(name) : std::string();
}

std::exception_ptr PqLink::judge(std::exception_ptr failure, const std::string& sql) const {
    try {
        std::rethrow_exception(failure);
    } catch (const ConnectionError& error) {
        ErrorFields fields = error.fields();
        fields.sql = cut_sql(sql);
        const bool server_said_so = !fields.sqlstate.empty() && fields.outcome == Outcome::rolled_back;
        const bool partly = partly_ || (sent_ && may_commit(sql));
        if (decisive_ && sent_) {
            fields.outcome = Outcome::unknown;
        } else if (in_transaction_) {
            fields.outcome = Outcome::rolled_back;
        } else if (!sent_ && !partly) {
            fields.outcome = Outcome::not_sent;
        } else if (session_ ? only_reads() : only_reads_) {
            fields.outcome = Outcome::rolled_back;
        } else if (!server_said_so || partly) {
            fields.outcome = Outcome::unknown;
        }
        return std::make_exception_ptr(ConnectionError(std::move(fields)));
    } catch (...) {
        return std::current_exception();
    }
}

bool is_stale(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const Error& error) {
        const auto says = [&error](const char* words) { return error.message().find(words) != std::string::npos; };
        const bool changed = (error.is("0A000") && says("cached plan")) ||
                             (error.is("XX000") && says("cache lookup failed for type"));  // it was dropped
        return error.connection_good() && (changed || error.is(sqlstate::invalid_statement_name));
    } catch (...) {
        return false;
    }
}

bool may_repeat(const std::string& sql, const std::exception_ptr& failure) {
    if (!may_commit(sql)) return true;
    try {
        std::rethrow_exception(failure);
    } catch (const Error& error) {
        return !may_have_begun(error.fields());
    }
}

bool PqLink::forget_stale(const std::string& sql, const Params& params, const std::exception_ptr& failure) {
    if (!is_stale(failure)) return false;
    statements_.doubt_all();
    const std::string key = Statements::key(sql, params);
    const bool known = statements_.find(key) != nullptr;
    statements_.forget(key);
    statements_.forget_user_types();
    types_.reset();
    return known && may_repeat(sql, failure);
}

}  // namespace coaio::db::detail
