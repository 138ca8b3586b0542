// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/time.hpp>

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace coaio::db {

/// What an `Observer` is told of.
enum class Operation : unsigned char {
    connect,      ///< a session was opened, or could not be
    acquire,      ///< a connection of a pool was asked for
    query,        ///< a statement, or a stream of its rows up to its end
    batch,        ///< all its statements together
    copy,         ///< a COPY, either way
    prepare,      ///< of a statement by itself; most travel with their first use, and are part of that
    transaction,  ///< from before BEGIN until after COMMIT or ROLLBACK; savepoints are not told of
    cancel,       ///< of a statement in the server, until its session was quiet again, or closed for want of that
};

/// "query", …
[[nodiscard]] std::string_view name_of(Operation operation) noexcept;

/// Something that was done, or failed. What it points to lives as long as the call to the observer.
class Observation {
public:
    Operation operation = Operation::query;
    Duration took{};
    /// As the program wrote it, of a batch the first one. Empty where there is none. Never values of parameters.
    std::string_view sql;
    int session = 0;           ///< the server's process; 0: none, or the one of several that was free
    std::uint64_t rows = 0;    ///< that came, or were copied; where none could come, those that were affected
    std::uint64_t bytes = 0;   ///< of the values in these rows; of a COPY: of its data
    int attempt = 1;           ///< of a connect: addresses; of a transaction: by `retry_transaction`
    std::exception_ptr error;  ///< a cancellation too; null: none
};

/// Is told what a pool, or a connection, does; see `PoolOptions::observer`. For metrics, traces and logs.
///
/// Called on the loop's thread and in the task concerned, when the operation is over: the time it began is
/// `took` ago. So keep it short, and do not use the pool in it. It may be shared by pools of several loops, and then has
/// to be safe for several threads. Where none is set nothing is measured.
///
///     class Count final : public coaio::db::Observer {
///     public:
///         void observe(const coaio::db::Observation& it) noexcept override { ++counts[it.operation]; }
///     };
///     auto options = coaio::db::PoolOptions().observer(std::make_shared<Count>());
class Observer {
public:
    Observer() = default;
    Observer(const Observer&) = delete;
    Observer& operator=(const Observer&) = delete;
    virtual ~Observer();

    virtual void observe(const Observation& it) noexcept = 0;
};

/// The statement with `?` for each literal, without comments and with white space folded, cut after about 2 KiB: fit for
/// a log or the label of a metric, since what it was asked for cannot be read from it.
///
///     select * from users where name = ? and age > ?
[[nodiscard]] std::string normalized_sql(std::string_view sql);

/// Reports what took long, in one line each:
///
///     412.3 ms, 15 rows, session 4711: select * from users where name = ? and age > ?
///
/// Statements, batches and COPYs; of a failed one the SQLSTATE too.
class SlowQueryLog final : public Observer {
public:
    using Sink = std::function<void(std::string_view line)>;

    /// `sink` must not throw.
    SlowQueryLog(Duration threshold, Sink sink) : threshold_(threshold), sink_(std::move(sink)) {}
    void observe(const Observation& it) noexcept override;

private:
    Duration threshold_;
    Sink sink_;
};

/// Gives the context of the trace that the running task belongs to, as W3C's `traceparent`
/// ("00-<32 hex digits>-<16>-01"); empty: this statement is not traced.
using TraceSource = std::function<std::string()>;

namespace detail {

/// Tells both.
[[nodiscard]] std::shared_ptr<Observer> both(std::shared_ptr<Observer> first, std::shared_ptr<Observer> second);

}  // namespace detail
}  // namespace coaio::db
