// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/options.hpp>
#include <coaio/db/queries.hpp>
#include <coaio/db/transaction.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace coaio::db {

/// One session with the server, used by one task at a time: for what belongs to a session, such as temporary tables.
/// Its destructor gives it back to the pool that it is of, which rolls back what was left open; what else was set in the
/// session stays set. One of its own is closed.
///
///     auto connection = co_await pool.acquire();
///     co_await connection.execute("create temporary table t (a int)");
class Connection : public Queries<Connection> {
public:
    /// Connects, without a pool. Errors: UsageError for the string, ConnectionError with all that was tried.
    [[nodiscard]] static Coro<Connection> connect(std::string_view url, ConnectOptions options = ConnectOptions());

    Connection(Connection&& other) noexcept = default;
    Connection& operator=(Connection&& other) noexcept;
    ~Connection();

    /// Runs `body(transaction)` between BEGIN and COMMIT; see `Pool::transaction`.
    template <class F>
    [[nodiscard]] auto transaction(F&& body, TransactionOptions options = {}) const {
        COAIO_CHECK_BODY(F);
        return detail::run_transaction<std::decay_t<F>>(use(), 0, std::forward<F>(body), options);
    }

    /// The same as often as it takes; see `Pool::retry_transaction`. On this connection only: when it is lost, that is it.
    template <class F>
    [[nodiscard]] auto retry_transaction(F&& body, RetryOptions options = {}) const {
        COAIO_CHECK_BODY(F);
        return detail::run_again<std::decay_t<F>>(use(), std::forward<F>(body), options);
    }

    /// The server's process for this session.
    [[nodiscard]] int pid() const;
    /// As in 150020 for 15.20.
    [[nodiscard]] int server_version() const;
    /// A parameter that the server reports, such as "TimeZone"; empty where it does not.
    [[nodiscard]] std::string parameter(const std::string& name) const;

    /// Gives it back now, or as soon as what runs on it has ended: a statement, or a COMMIT and what is found out about it.
    /// A transaction that is open is rolled back. Using it afterwards is a UsageError; again: no effect.
    void release() noexcept;

    /// For the library.
    explicit Connection(std::shared_ptr<detail::Use> use) noexcept : use_(std::move(use)) {}
    [[nodiscard]] const std::shared_ptr<detail::Use>& use() const;

private:
    friend Queries<Connection>;
    [[nodiscard]] Coro<Rows> run_statement(std::string sql, Params params) const;
    [[nodiscard]] std::shared_ptr<detail::Path> path() const;

    std::shared_ptr<detail::Use> use_;
};

}  // namespace coaio::db
