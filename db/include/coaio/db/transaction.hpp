// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/queries.hpp>

#include <coaio/core/detail/closure.hpp>
#include <coaio/core/timeout.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace coaio::db {

enum class Isolation : unsigned char { server_default, read_committed, repeatable_read, serializable };

/// How a transaction is begun.
struct TransactionOptions {
    Isolation isolation = Isolation::server_default;
    bool read_only = false;
    /// Only of use with `serializable` and `read_only`: waits for a snapshot that cannot fail.
    bool deferrable = false;
    /// Whether its commit token is written, and looked up should the answer to COMMIT be lost. Off for work that can be
    /// run twice without harm.
    bool resolve = true;
};

/// How often, and for how long, `retry_transaction` tries.
struct RetryOptions {
    int attempts = 10;
    /// No further attempt begins after this.
    Duration deadline = std::chrono::seconds(30);
    /// Before the second attempt, give or take a half; doubled from there on, up to a second.
    Duration pause = std::chrono::milliseconds(10);
    TransactionOptions transaction = {};
};

namespace detail {
class Use;
class Link;
struct CommitToken;
struct TransactionWatch;
}  // namespace detail

/// An open transaction, or a savepoint in one: the scope that a transaction's body gets.
///
/// The answer to COMMIT can be lost. In a database that has the table
///
///     create table coaio_commit (token uuid primary key, at timestamptz not null default now())
///
/// a transaction that has written anything leaves a token there, in the same message as COMMIT. When the answer is
/// lost, a session of its own finds out, within `resolve_timeout`, whether the token is there: then the transaction is
/// committed and all is well; or takes it, so that it can never be committed any more: ConnectionError, rolled back.
/// Where neither can be had, or without the table: CommitUnknownError. One that has written nothing leaves no token and
/// counts as rolled back, although a NOTIFY of it may have been heard. It holds through a crash of the server and its
/// recovery, as the server's transaction ids do not. The role needs INSERT and SELECT on the table, also where a body
/// changes it by SET ROLE. Tokens older than any `resolve_timeout` may be deleted; they are UUIDs of version 7.
class Transaction : public Queries<Transaction> {
public:
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction();

    /// Runs `body(inner)` within a savepoint: if it throws, only what it did is undone, and this transaction can go on
    /// once the exception is caught. While it runs, using this handle is a UsageError.
    template <class F>
    [[nodiscard]] auto transaction(F&& body) const;

    /// A cursor over what a SELECT gives; see Cursor. `scroll_cursor` makes one that can go back.
    template <class... Ps>
    [[nodiscard]] Cursor cursor(std::string_view sql, const Ps&... params) const {
        return Cursor(detail::open_cursor(path(), std::string(sql), detail::encode(params...), false));
    }
    template <class... Ps>
    [[nodiscard]] Cursor scroll_cursor(std::string_view sql, const Ps&... params) const {
        return Cursor(detail::open_cursor(path(), std::string(sql), detail::encode(params...), true));
    }

    /// For the library.
    Transaction(std::shared_ptr<detail::Use> use, std::uint64_t outer, TransactionOptions options, int attempt = 1);
    [[nodiscard]] Coro<> begin();
    [[nodiscard]] Coro<> commit();
    /// For this reason.
    [[nodiscard]] Coro<> roll_back(std::exception_ptr cause);

private:
    friend Queries<Transaction>;
    [[nodiscard]] Coro<Rows> run_statement(std::string sql, Params params) const;
    [[nodiscard]] std::shared_ptr<detail::Path> path() const;
    [[nodiscard]] Coro<> commit_outermost();
    [[nodiscard]] bool wants_token(const detail::Link& link) const;
    [[nodiscard]] Coro<Outcome> look_up(std::optional<detail::CommitToken> token);
    [[nodiscard]] Coro<> release_savepoint();
    [[nodiscard]] std::string savepoint() const;

    std::shared_ptr<detail::Use> use_;
    std::uint64_t outer_;
    std::uint64_t id_ = 0;
    bool nested_ = false;
    TransactionOptions options_;
    int attempt_;
    std::shared_ptr<detail::TransactionWatch> watch_;  // where somebody wants to know
};

}  // namespace coaio::db

template <>
inline constexpr bool coaio::enable_scope<coaio::db::Transaction> = true;

namespace coaio::db {
namespace detail {

template <class F>
using TransactionResult = coaio::detail::BodyResult<F, Transaction&>;

/// When a transaction is run again, and how often it was.
class Retries {
public:
    Retries(const RetryOptions& options, bool with_other_connections);
    /// Whether it is to be run again after this failure; waits until it may.
    [[nodiscard]] Coro<bool> again(std::exception_ptr failure);
    /// The number of the one that is next, or under way.
    [[nodiscard]] int attempt() const noexcept { return made_ + 1; }

private:
    RetryOptions options_;
    bool with_other_connections_;
    int made_ = 0;
    Duration pause_;
    TimePoint deadline_;
};

/// Begins, runs the body, commits or rolls back.
template <class F>
Coro<TransactionResult<F>> run_transaction(std::shared_ptr<Use> use, std::uint64_t outer, F body,
                                           TransactionOptions options, int attempt = 1) {
    using Result = TransactionResult<F>;
    Transaction transaction(std::move(use), outer, options, attempt);
    co_await transaction.begin();
    std::exception_ptr failure;
    std::optional<coaio::detail::Regular<Result>> result;
    try {
        if constexpr (std::is_void_v<Result>) {
            co_await body(transaction);
            result.emplace();
        } else {
            result.emplace(co_await body(transaction));
        }
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        co_await transaction.roll_back(failure);
        std::rethrow_exception(failure);
    }
    co_await transaction.commit();
    if constexpr (!std::is_void_v<Result>) co_return std::move(*result);
}

template <class F>
Coro<TransactionResult<F>> run_again(std::shared_ptr<Use> use, F body, RetryOptions options) {
    Retries retries(options, false);
    for (;;) {
        std::exception_ptr failure;
        try {
            co_return co_await run_transaction<F&>(use, 0, body, options.transaction, retries.attempt());
        } catch (...) {
            failure = std::current_exception();
        }
        const bool again = co_await retries.again(failure);
        if (!again) std::rethrow_exception(failure);
    }
}

}  // namespace detail

template <class F>
auto Transaction::transaction(F&& body) const {
    COAIO_CHECK_BODY(F);
    return detail::run_transaction<std::decay_t<F>>(use_, id_, std::forward<F>(body), TransactionOptions());
}

}  // namespace coaio::db
