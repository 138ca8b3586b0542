// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/error.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Every error of the db module, on one page. All derive from `db::Error`; catch a narrower one where the program acts
/// on it, and use `is()` with a name of `db::sqlstate` for the rest.
///
///     Error                  whatever went wrong; what Postgres said, in fields
///     ├─ IntegrityError      a constraint said no (class 23)
///     │  ├─ UniqueViolation, ForeignKeyViolation, NotNullViolation, CheckViolation
///     ├─ SerializationError  lost against another transaction: run the whole transaction again (40001, 40P01)
///     ├─ QueryCanceledError  cancelled in the server, or by one of its time limits (57014)
///     ├─ ConnectionError     never reached the server, or lost it
///     │  └─ CommitUnknownError  lost it when COMMIT had been sent and not answered
///     ├─ PoolTimeout, PoolFull, PoolClosed
///     ├─ ParameterError      a value cannot be sent: nothing was
///     ├─ ConversionError     a column does not fit the C++ type asked for
///     └─ UsageError          the program used a handle in a way that cannot work
namespace coaio::db {

/// What became of the statement's effects.
enum class Outcome : unsigned char {
    not_sent,     ///< the server has not seen it
    rolled_back,  ///< it has no effect
    committed,    ///< its effects stand
    unknown,      ///< it could be either: the connection broke, or what commits in steps has failed in one of them
};

[[nodiscard]] std::string_view to_string(Outcome outcome) noexcept;

/// The states that programs branch on, for `Error::is`. A name of two characters is a whole class.
namespace sqlstate {
inline constexpr std::string_view integrity_constraint = "23";
inline constexpr std::string_view restrict_violation = "23001";
inline constexpr std::string_view not_null_violation = "23502";
inline constexpr std::string_view foreign_key_violation = "23503";
inline constexpr std::string_view unique_violation = "23505";
inline constexpr std::string_view check_violation = "23514";
inline constexpr std::string_view exclusion_violation = "23P01";
inline constexpr std::string_view numeric_value_out_of_range = "22003";
inline constexpr std::string_view character_not_in_repertoire = "22021";
inline constexpr std::string_view invalid_text_representation = "22P02";
inline constexpr std::string_view read_only_transaction = "25006";
inline constexpr std::string_view in_failed_transaction = "25P02";
inline constexpr std::string_view idle_in_transaction_timeout = "25P03";
inline constexpr std::string_view invalid_statement_name = "26000";
inline constexpr std::string_view invalid_authorization = "28000";
inline constexpr std::string_view invalid_password = "28P01";
inline constexpr std::string_view undefined_database = "3D000";
inline constexpr std::string_view serialization_failure = "40001";
inline constexpr std::string_view completion_unknown = "40003";
inline constexpr std::string_view deadlock_detected = "40P01";
inline constexpr std::string_view syntax_error = "42601";
inline constexpr std::string_view undefined_column = "42703";
inline constexpr std::string_view undefined_function = "42883";
inline constexpr std::string_view undefined_table = "42P01";
inline constexpr std::string_view duplicate_table = "42P07";
inline constexpr std::string_view too_many_connections = "53300";
inline constexpr std::string_view lock_not_available = "55P03";
inline constexpr std::string_view query_canceled = "57014";
inline constexpr std::string_view admin_shutdown = "57P01";
inline constexpr std::string_view crash_shutdown = "57P02";
inline constexpr std::string_view cannot_connect_now = "57P03";
inline constexpr std::string_view idle_session_timeout = "57P05";
}  // namespace sqlstate

/// What an error carries: the server's own fields, each empty where it sent none, and what the client knows.
class ErrorFields {
public:
    ErrorFields() = default;

    std::string severity;  ///< ERROR, FATAL or PANIC, never translated
    std::string sqlstate;  ///< five characters, empty where the server said nothing
    std::string message;
    std::string detail;  ///< may quote values of the row concerned, so it is not part of `what()`
    std::string hint;
    int position = 0;   ///< 1-based character of the statement, 0 for none
    std::string where;  ///< call stack of the server; not part of `what()` either
    std::string schema;
    std::string table;
    std::string column;
    std::string datatype;
    std::string constraint;

    std::string sql;          ///< the statement, cut; never its parameters
    std::string last_notice;  ///< the warning before a lost connection, such as "57P01: terminating connection …"
    Outcome outcome = Outcome::not_sent;
    bool connection_good = true;
};

/// Something went wrong with the database, or on the way to it.
/// Copies are cheap and do not throw. `what()` holds the message, the state and the beginning of the statement; it holds
/// no parameter values, no `detail()` and no secret.
class Error : public coaio::Error {
public:
    explicit Error(ErrorFields fields);
    ~Error() override;

    [[nodiscard]] const std::string& sqlstate() const noexcept { return fields_->sqlstate; }
    /// Whether the SQLSTATE is this one, or of this class where two characters are given. False without a SQLSTATE.
    [[nodiscard]] bool is(std::string_view state_or_class) const noexcept;

    [[nodiscard]] const std::string& severity() const noexcept { return fields_->severity; }
    /// The message alone, as the server or the client worded it.
    [[nodiscard]] const std::string& message() const noexcept { return fields_->message; }
    [[nodiscard]] const std::string& detail() const noexcept { return fields_->detail; }
    [[nodiscard]] const std::string& hint() const noexcept { return fields_->hint; }
    [[nodiscard]] int position() const noexcept { return fields_->position; }
    [[nodiscard]] const std::string& where() const noexcept { return fields_->where; }
    [[nodiscard]] const std::string& schema() const noexcept { return fields_->schema; }
    [[nodiscard]] const std::string& table() const noexcept { return fields_->table; }
    [[nodiscard]] const std::string& column() const noexcept { return fields_->column; }
    [[nodiscard]] const std::string& datatype() const noexcept { return fields_->datatype; }
    [[nodiscard]] const std::string& constraint() const noexcept { return fields_->constraint; }
    /// The statement, cut after about 1 KiB.
    [[nodiscard]] const std::string& sql() const noexcept { return fields_->sql; }
    /// The server's last warning, where a lost connection announced itself that way.
    [[nodiscard]] const std::string& last_notice() const noexcept { return fields_->last_notice; }

    /// What became of the statement, or of the transaction where this error ended it.
    [[nodiscard]] Outcome outcome() const noexcept { return fields_->outcome; }
    /// Whether the connection can be used further.
    [[nodiscard]] bool connection_good() const noexcept { return fields_->connection_good; }
    /// Whether running the same again, the whole transaction and on another connection if need be, may succeed and
    /// cannot apply anything twice.
    [[nodiscard]] virtual bool retryable() const noexcept;

    [[nodiscard]] const ErrorFields& fields() const noexcept { return *fields_; }

private:
    std::shared_ptr<const ErrorFields> fields_;
};

/// A constraint said no; `constraint()`, `table()` and `column()` say which.
class IntegrityError : public Error {
public:
    using Error::Error;
    ~IntegrityError() override;
};

class UniqueViolation : public IntegrityError {
public:
    using IntegrityError::IntegrityError;
    ~UniqueViolation() override;
};

class ForeignKeyViolation : public IntegrityError {
public:
    using IntegrityError::IntegrityError;
    ~ForeignKeyViolation() override;
};

class NotNullViolation : public IntegrityError {
public:
    using IntegrityError::IntegrityError;
    ~NotNullViolation() override;
};

class CheckViolation : public IntegrityError {
public:
    using IntegrityError::IntegrityError;
    ~CheckViolation() override;
};

/// A serialization failure or a deadlock: the transaction is rolled back; run the whole of it again.
class SerializationError : public Error {
public:
    using Error::Error;
    ~SerializationError() override;
};

/// The server cancelled the statement: somebody asked it to, or `statement_timeout` passed.
class QueryCanceledError : public Error {
public:
    using Error::Error;
    ~QueryCanceledError() override;
};

/// One address that was tried, and why it failed.
class ConnectAttempt {
public:
    ConnectAttempt(std::string where, std::string why) : address(std::move(where)), reason(std::move(why)) {}

    std::string address;
    std::string reason;
};

/// The server was never reached, refused the session, or was lost.
class ConnectionError : public Error {
public:
    explicit ConnectionError(ErrorFields fields, std::vector<ConnectAttempt> attempts = {});
    ~ConnectionError() override;

    /// What was tried, in order; empty where an open connection was lost.
    [[nodiscard]] const std::vector<ConnectAttempt>& attempts() const noexcept { return *attempts_; }
    /// Whether nothing was applied, so that trying again cannot apply it twice.
    [[nodiscard]] bool safe_to_retry() const noexcept;
    /// A refused password, user or database is not retryable, an unreachable server is.
    [[nodiscard]] bool retryable() const noexcept override;

private:
    std::shared_ptr<const std::vector<ConnectAttempt>> attempts_;
};

/// The connection broke after COMMIT was sent and before it was answered: the transaction is either wholly in the
/// database or not at all, and nobody here knows which. Never run it again without looking.
class CommitUnknownError : public ConnectionError {
public:
    explicit CommitUnknownError(ErrorFields fields);
    ~CommitUnknownError() override;
};

/// No connection of the pool came free in time. Nothing was sent. `what()` says who holds them.
class PoolTimeout : public Error {
public:
    PoolTimeout(const std::string& message, std::chrono::nanoseconds waited);
    ~PoolTimeout() override;

    [[nodiscard]] std::chrono::nanoseconds waited() const noexcept { return waited_; }

private:
    std::chrono::nanoseconds waited_;
};

/// Too many tasks wait for a connection of the pool already. Nothing was sent.
class PoolFull : public Error {
public:
    explicit PoolFull(const std::string& message);
    ~PoolFull() override;
};

/// The pool was closed before or while the task waited for a connection. Nothing was sent.
class PoolClosed : public Error {
public:
    PoolClosed();
    ~PoolClosed() override;
};

/// A parameter cannot be sent: text with a NUL byte, a number outside the type's range, too many of them, …
/// Nothing was sent and the connection is as before.
class ParameterError : public Error {
public:
    /// `index` counts from 1, as `$1` does; 0 is the statement as a whole.
    ParameterError(std::size_t index, const std::string& problem);
    ~ParameterError() override;

    [[nodiscard]] std::size_t index() const noexcept { return index_; }

private:
    std::size_t index_;
};

/// A column does not fit the C++ type that it was asked as: another type, NULL without a `std::optional`, a value out
/// of range, a missing or surplus column, a wrong number of rows. The statement itself has succeeded: its outcome is
/// committed, or unknown as yet where it stands in a transaction.
class ConversionError : public Error {
public:
    static constexpr std::size_t no_row = static_cast<std::size_t>(-1);

    ConversionError(const std::string& message, std::string column, std::size_t row,
                    Outcome outcome = Outcome::committed);
    ~ConversionError() override;

    /// The column concerned, empty where it is the rows as a whole.
    [[nodiscard]] const std::string& at_column() const noexcept { return *column_; }
    /// Counted from 0; `no_row` where the columns as such do not fit.
    [[nodiscard]] std::size_t at_row() const noexcept { return row_; }

private:
    std::shared_ptr<const std::string> column_;
    std::size_t row_;
};

/// A handle was used in a way that cannot work: after its release, while an inner scope is open, by two tasks at once.
class UsageError : public Error {
public:
    explicit UsageError(const std::string& message);
    ~UsageError() override;
};

/// The error of the type that belongs to `fields.sqlstate`.
[[nodiscard]] std::exception_ptr make_error(ErrorFields fields);
/// Throws it.
[[noreturn]] void throw_error(ErrorFields fields);

/// The beginning of a statement, as errors and dumps show it: at most `limit` bytes, cut between characters.
[[nodiscard]] std::string cut_sql(std::string_view sql, std::size_t limit = 1024);

}  // namespace coaio::db
