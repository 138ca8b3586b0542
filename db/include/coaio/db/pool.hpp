// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/connection.hpp>
#include <coaio/db/options.hpp>
#include <coaio/db/queries.hpp>
#include <coaio/db/transaction.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

namespace coaio::db {

/// Why a pool has closed connections, in figures.
struct PoolClosures {
    std::uint64_t lost = 0;       ///< the server or the network had ended it, or it did not answer
    std::uint64_t unclean = 0;    ///< came back in use, or could not be made clean in time
    std::uint64_t idle = 0;       ///< `max_idle`
    std::uint64_t lifetime = 0;   ///< `max_lifetime`
    std::uint64_t expired = 0;    ///< `expire`, or migrations
    std::uint64_t misplaced = 0;  ///< its server is not of the kind that was asked for any more
    std::uint64_t shut = 0;       ///< the pool was closed
};

/// A pool in figures.
struct PoolStats {
    std::size_t size = 0;      ///< sessions, those being opened or cleaned up included
    std::size_t idle = 0;      ///< free to be taken
    std::size_t in_use = 0;    ///< held by a task
    std::size_t opening = 0;   ///< being opened
    std::size_t cleaning = 0;  ///< came back in a transaction, which is being rolled back
    std::size_t waiting = 0;   ///< tasks that wait for one
    std::uint64_t acquires = 0;
    std::uint64_t waits = 0;  ///< acquires that had to wait
    std::uint64_t timeouts = 0;
    std::uint64_t opened = 0;
    std::uint64_t closed = 0;
    PoolClosures closed_by;
    std::uint64_t connect_errors = 0;
    Duration waited{};
};

namespace detail {
class PoolState;
class PoolHandle;
class Connector;
}  // namespace detail

/// Connections to one database, shared by the tasks of one loop. A handle: copies mean the same pool.
///
/// A statement takes a connection for itself and gives it back; who waits is served in the order of arrival. Nothing is
/// connected before it is needed, and never more than `max_size` sessions.
///
/// Errors: PoolTimeout, PoolFull, PoolClosed, and those of the statements. A refused password, or a database that does
/// not exist, fails those who wait at once; a server that is down is tried again until they time out.
/// Cancellation: of a task that waits: it leaves the queue. For statements see `Queries`.
/// Lifetime: when the last copy goes, idle connections are closed, and those in use when they come back.
/// Threads: a pool and its connections belong to the loop that used them first; on another one each use throws
/// RuntimeError before anything is touched. Give every loop a pool of its own, or hand the work over:
/// `wrap_future(run_coroutine_threadsafe(pool.query(…), loop_of_the_pool))`. A copy may be made and kept anywhere, as long
/// as the last one goes on the pool's loop; `statistics` and `expire` are for that loop too.
///
///     auto pool = co_await coaio::db::Pool::connect(url, coaio::db::PoolOptions().max_size(10));
///     for (auto [id, name] : (co_await pool.query("select id, name from users")).as<int, std::string>()) …
class Pool : public Queries<Pool> {
public:
    /// Connects when it is first used. Throws UsageError for a connection string that cannot be understood.
    explicit Pool(std::string_view url, PoolOptions options = PoolOptions());
    /// The same with one connection open, or a ConnectionError.
    [[nodiscard]] static Coro<Pool> connect(std::string_view url, PoolOptions options = PoolOptions());

    /// A connection of one's own until it is destroyed.
    /// `where` is what a PoolTimeout says of who holds it, and a warning of one that came back in a transaction.
    [[nodiscard]] Coro<Connection> acquire(std::source_location where = std::source_location::current()) const;

    /// Runs `body(transaction)` in the current task, between BEGIN and COMMIT, on one connection, and gives what it gives.
    ///
    /// An exception out of the body, or a cancellation, rolls back and goes on. COMMIT is masked: once it was sent it is
    /// answered, within `commit_timeout`, and a cancellation comes after it.
    /// Errors: what the body throws; what COMMIT fails with, which then had no effect; CommitUnknownError when the
    /// connection broke, or stayed silent, after COMMIT was sent and its outcome could not be found out; see `Transaction`.
    template <class F>
    [[nodiscard]] auto transaction(F&& body, TransactionOptions options = {},
                                   std::source_location where = std::source_location::current()) const {
        COAIO_CHECK_BODY(F);
        return run_transaction<std::decay_t<F>>(*this, std::forward<F>(body), options, where);
    }

    /// Runs `body(transaction)` as `transaction` does, and again from BEGIN on when it lost against another one (40001,
    /// 40P01, also at COMMIT) or its connection was lost and nothing of it has an effect. Each attempt may take another
    /// connection. What the body did outside the database is done again.
    /// Errors: the last attempt's. An outcome that is unknown is never tried again, nor is any other error.
    ///
    ///     co_await pool.retry_transaction(transfer, {.transaction = {.isolation = Isolation::serializable}});
    template <class F>
    [[nodiscard]] auto retry_transaction(F&& body, RetryOptions options = {},
                                         std::source_location where = std::source_location::current()) const {
        COAIO_CHECK_BODY(F);
        return run_again<std::decay_t<F>>(*this, std::forward<F>(body), options, where);
    }

    /// Takes no more requests, gives those that wait PoolClosed, and waits until those in use have come back.
    [[nodiscard]] Coro<> close() const;
    /// Connections opened before now are replaced as they come back: after migrations, or new credentials.
    void expire() const;
    [[nodiscard]] PoolStats statistics() const;
    /// Who holds its connections, for people: session, since when and from which line, the statement that runs, and the
    /// coroutines on the holder's stack; and how many wait. In debug mode it stands in the text of a PoolTimeout.
    ///
    ///     pool app@db:5432/shop: 1 of 1 connections in use, 0 being opened, 3 tasks wait
    ///     session 4711, held for 12034 ms by <Task pending name='import' …>, taken at import.cpp:40
    ///         import_all at import.cpp:52
    ///         load at import.cpp:31
    ///         in the midst of query "select …" (session 4711)
    ///         waits for socket 7 to be readable
    [[nodiscard]] std::string dump() const;

    /// For the library.
    explicit Pool(std::shared_ptr<detail::PoolHandle> handle) noexcept : handle_(std::move(handle)) {}
    [[nodiscard]] std::shared_ptr<detail::Connector> connector() const;

private:
    friend Queries<Pool>;
    [[nodiscard]] Coro<Rows> run_statement(std::string sql, Params params) const;
    [[nodiscard]] std::shared_ptr<detail::Path> path() const;
    [[nodiscard]] static Coro<Connection> acquire_from(Pool pool, std::source_location where);
    [[nodiscard]] static Coro<> close_down(Pool pool);
    template <class F>
    [[nodiscard]] static Coro<detail::TransactionResult<F>>
    run_transaction(Pool pool, F body, TransactionOptions options, std::source_location where) {
        const Connection connection = co_await pool.acquire(where);
        co_return co_await detail::run_transaction<F>(connection.use(), 0, std::move(body), options);
    }

    template <class F>
    [[nodiscard]] static Coro<detail::TransactionResult<F>> run_again(Pool pool, F body, RetryOptions options,
                                                                      std::source_location where) {
        detail::Retries retries(options, true);
        for (;;) {
            std::exception_ptr failure;
            try {
                const Connection connection = co_await pool.acquire(where);
                co_return co_await detail::run_transaction<F&>(connection.use(), 0, body, options.transaction,
                                                               retries.attempt());
            } catch (...) {
                failure = std::current_exception();
            }
            const bool again = co_await retries.again(failure);
            if (!again) std::rethrow_exception(failure);
        }
    }

    std::shared_ptr<detail::PoolHandle> handle_;
};

}  // namespace coaio::db
