// SPDX-License-Identifier: MIT
#include <coaio/db/transaction.hpp>

#include "commit.hpp"
#include "path.hpp"
#include "use.hpp"
#include "watch.hpp"

#include <coaio/core/mask.hpp>

#include <utility>

namespace coaio::db {
namespace {

std::string begin_command(const TransactionOptions& options) {
    std::string sql = "begin";
    switch (options.isolation) {
    case Isolation::server_default: break;
    case Isolation::read_committed: sql += " isolation level read committed"; break;
    case Isolation::repeatable_read: sql += " isolation level repeatable read"; break;
    case Isolation::serializable: sql += " isolation level serializable"; break;
    }
    if (options.read_only) sql += " read only";
    if (options.deferrable) sql += " deferrable";
    return sql;
}

ErrorFields rolled_back(const std::string& message) {
    ErrorFields fields;
    fields.message = message;
    fields.outcome = Outcome::rolled_back;
    return fields;
}

}  // namespace

namespace detail {

/// A transaction that somebody wants to know of, and who.
struct TransactionWatch {
    std::shared_ptr<Observer> observer;
    Watch watch;

    TransactionWatch(std::shared_ptr<Observer> who, int session, int attempt) noexcept
        : observer(std::move(who)), watch(observer.get(), Operation::transaction, {}, session) {
        watch.attempt(attempt);
    }
};

}  // namespace detail

Transaction::Transaction(std::shared_ptr<detail::Use> use, std::uint64_t outer, TransactionOptions options, int attempt)
    : use_(std::move(use)), outer_(outer), nested_(outer != 0), options_(options), attempt_(attempt) {}

Transaction::~Transaction() {
    if (id_ != 0) use_->close_scope(id_);
}

std::string Transaction::savepoint() const { return "coaio_" + std::to_string(id_); }

Coro<Rows> Transaction::run_statement(std::string sql, Params params) const {
    return detail::Use::run(use_, id_, std::move(sql), std::move(params));
}

std::shared_ptr<detail::Path> Transaction::path() const { return std::make_shared<detail::Path>(use_, id_); }

Coro<> Transaction::begin() {
    detail::Link& link = use_->link(outer_);
    const detail::Use::Work work(*use_);
    if (link.state() == detail::LinkState::unread) co_await link.settle();
    // Before anything is sent, so that there is nothing to roll back to.
    if (detail::cancellation_due()) co_await detail::throw_if_cancelled();
    if (!nested_ && link.state() != detail::LinkState::idle && link.state() != detail::LinkState::broken &&
        link.state() != detail::LinkState::busy) {
        throw UsageError("a transaction that was begun by a statement is open: end it before another is begun");
    }
    id_ = use_->open_scope(outer_);
    const std::shared_ptr<Observer>& observer = use_->connector()->observer();
    if (observer && !nested_) {
        watch_ = std::make_shared<detail::TransactionWatch>(observer, link.pid(), attempt_);
    }
    std::string sql;
    if (nested_) {
        sql = "savepoint " + savepoint();
    } else {
        sql = begin_command(options_);
    }
    std::exception_ptr failure;
    bool begun = true;
    try {
        if (!nested_ && wants_token(link)) co_await detail::find_commit_table(link);
        co_await link.command(std::move(sql), detail::OnCancel::wait);
    } catch (const ConnectionError& error) {
        // Whether the server saw BEGIN is no matter.
        ErrorFields fields = error.fields();
        if (fields.outcome == Outcome::unknown) fields.outcome = Outcome::rolled_back;
        failure = std::make_exception_ptr(ConnectionError(std::move(fields)));
        begun = false;
    } catch (const Error&) {
        failure = std::current_exception();
        begun = false;
    } catch (...) {
        failure = std::current_exception();  // it has begun all the same, if the cancellation met the answer
    }
    if (!failure) co_return;
    if (begun) co_await roll_back(failure);
    if (watch_) watch_->watch.fail(failure);
    use_->close_scope(id_);
    std::rethrow_exception(failure);
}

Coro<> Transaction::roll_back(std::exception_ptr cause) {
    const detail::Use::Work work(*use_);
    std::string sql;
    if (nested_) {
        sql = "rollback to savepoint " + savepoint() + "; release savepoint " + savepoint();
    } else {
        sql = "rollback";
    }
    co_await use_->undo(id_, std::move(sql));
    if (watch_) watch_->watch.fail(cause);
    use_->close_scope(id_);
}

Coro<> Transaction::commit() {
    const detail::Use::Work work(*use_);
    std::exception_ptr failure;
    try {
        detail::Link& link = use_->link(id_);
        if (link.state() == detail::LinkState::unread) co_await link.settle();
        if (detail::cancellation_due()) co_await detail::throw_if_cancelled();
        if (link.state() == detail::LinkState::broken) {
            ErrorFields fields = rolled_back("the connection was lost in the transaction, which is rolled back");
            throw ConnectionError(std::move(fields));
        }
        if (link.state() == detail::LinkState::busy) {
            throw UsageError("a statement still runs in the transaction at the end of its body: await it");
        }
        if (!nested_) {
            co_await commit_outermost();
        } else {
            co_await release_savepoint();
        }
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        co_await roll_back(failure);
        std::rethrow_exception(failure);
    }
    if (watch_) watch_->watch.end();
    use_->close_scope(id_);
}

Coro<> Transaction::release_savepoint() {
    MaskOptions mask;
    mask.deadline = use_->commit().timeout;
    ErrorFields fields;
    bool lost = false;
    try {
        co_await masked(
            detail::ignore(use_->link(id_).command("release savepoint " + savepoint(), detail::OnCancel::close)), mask);
    } catch (const TimeoutError&) {
        lost = true;
        fields.message = "the server was silent; the connection was closed in the transaction";
    } catch (const ConnectionError& error) {
        lost = true;
        fields = error.fields();
    }
    if (!lost) co_return;
    fields.outcome = Outcome::rolled_back;  // the transaction around it cannot be committed any more
    throw ConnectionError(std::move(fields));
}

bool Transaction::wants_token(const detail::Link& link) const {
    return options_.resolve && !options_.read_only && use_->commit().tokens && link.parameter("in_hot_standby") != "on";
}

Coro<Outcome> Transaction::look_up(std::optional<detail::CommitToken> token) {
    if (options_.read_only) co_return Outcome::rolled_back;
    if (!token) co_return Outcome::unknown;
    MaskOptions mask;
    mask.deadline = use_->commit().resolve_timeout;
    try {
        co_return co_await masked(detail::resolve_commit(use_->connector(), std::move(*token), mask.deadline), mask);
    } catch (const std::exception&) {
        co_return Outcome::unknown;
    }
}

Coro<> Transaction::commit_outermost() {
    detail::Link& link = use_->link(id_);
    std::string sql = "commit";
    std::optional<detail::CommitToken> token;
    if (wants_token(link) && link.commit_table().usable() && link.state() == detail::LinkState::in_transaction) {
        token = detail::make_commit_token(link);
        sql = detail::commit_script(*token);
    }
    const bool failed = link.state() == detail::LinkState::failed;  // the server can only roll it back
    MaskOptions mask;
    mask.deadline = use_->commit().timeout;
    Rows answer;
    ErrorFields unknown;
    bool lost = false;
    try {
        answer = co_await masked(link.command(std::move(sql), detail::OnCancel::close), mask);
    } catch (const ConnectionError& error) {
        if (error.outcome() != Outcome::unknown) throw;
        lost = true;
        unknown = error.fields();
    } catch (const TimeoutError&) {
        lost = true;
        unknown.message = "COMMIT was not answered in time; the connection was closed";
    } catch (const Error& error) {
        if (token) detail::doubt_commit_table(link, error);
        throw;
    }
    if (lost) {
        unknown.connection_good = false;
        Outcome outcome = Outcome::rolled_back;
        if (!failed) outcome = co_await look_up(std::move(token));
        if (outcome == Outcome::committed) co_return;
        if (outcome != Outcome::rolled_back) throw CommitUnknownError(std::move(unknown));
        unknown.outcome = outcome;
        throw ConnectionError(std::move(unknown));
    }
    if (answer.command() != "COMMIT") {
        throw Error(rolled_back("the transaction was rolled back: a statement in it had failed"));
    }
}

}  // namespace coaio::db
