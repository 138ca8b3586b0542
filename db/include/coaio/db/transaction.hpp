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
};

namespace detail {
class Use;
}

/// An open transaction, or a savepoint in one: the scope that a transaction's body gets.
class Transaction : public Queries<Transaction> {
public:
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction();

    /// Runs `body(inner)` within a savepoint: if it throws, only what it did is undone, and this transaction can go on
    /// once the exception is caught. While it runs, using this handle is a UsageError.
    template <class F>
    [[nodiscard]] auto transaction(F&& body) const;

    /// For the library.
    Transaction(std::shared_ptr<detail::Use> use, std::uint64_t outer, TransactionOptions options);
    [[nodiscard]] Coro<> begin();
    [[nodiscard]] Coro<> commit();
    [[nodiscard]] Coro<> roll_back();

private:
    friend Queries<Transaction>;
    [[nodiscard]] Coro<Rows> run_statement(std::string sql, Params params) const;
    [[nodiscard]] Coro<> commit_outermost();
    [[nodiscard]] Coro<> release_savepoint();
    [[nodiscard]] std::string savepoint() const;

    std::shared_ptr<detail::Use> use_;
    std::uint64_t outer_;
    std::uint64_t id_ = 0;
    bool nested_ = false;
    TransactionOptions options_;
};

}  // namespace coaio::db

template <>
inline constexpr bool coaio::enable_scope<coaio::db::Transaction> = true;

namespace coaio::db {
namespace detail {

template <class F>
using TransactionResult = coaio::detail::BodyResult<F, Transaction&>;

/// Begins, runs the body, commits or rolls back.
template <class F>
Coro<TransactionResult<F>> run_transaction(std::shared_ptr<Use> use, std::uint64_t outer, F body,
                                           TransactionOptions options) {
    using Result = TransactionResult<F>;
    Transaction transaction(std::move(use), outer, options);
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
        co_await transaction.roll_back();
        std::rethrow_exception(failure);
    }
    co_await transaction.commit();
    if constexpr (!std::is_void_v<Result>) co_return std::move(*result);
}

}  // namespace detail

template <class F>
auto Transaction::transaction(F&& body) const {
    COAIO_CHECK_BODY(F);
    return detail::run_transaction<std::decay_t<F>>(use_, id_, std::forward<F>(body), TransactionOptions());
}

}  // namespace coaio::db
