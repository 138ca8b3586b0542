// SPDX-License-Identifier: MIT
#include <coaio/db/error.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace coaio::db {

Error::~Error() = default;
IntegrityError::~IntegrityError() = default;
UniqueViolation::~UniqueViolation() = default;
ForeignKeyViolation::~ForeignKeyViolation() = default;
NotNullViolation::~NotNullViolation() = default;
CheckViolation::~CheckViolation() = default;
SerializationError::~SerializationError() = default;
QueryCanceledError::~QueryCanceledError() = default;
ConnectionError::~ConnectionError() = default;
CommitUnknownError::~CommitUnknownError() = default;
PoolTimeout::~PoolTimeout() = default;
PoolFull::~PoolFull() = default;
PoolClosed::~PoolClosed() = default;
ParameterError::~ParameterError() = default;
ConversionError::~ConversionError() = default;
UsageError::~UsageError() = default;

std::string_view to_string(Outcome outcome) noexcept {
    switch (outcome) {
    case Outcome::not_sent: return "not sent";
    case Outcome::rolled_back: return "rolled back";
    case Outcome::committed: return "committed";
    case Outcome::unknown: return "unknown";
    }
    return "unknown";
}

std::string cut_sql(std::string_view sql, std::size_t limit) {
    if (sql.size() <= limit) return std::string(sql);
    std::size_t end = limit;
    while (end > 0 && (static_cast<unsigned char>(sql[end]) & 0xC0U) == 0x80U) --end;
    return std::string(sql.substr(0, end)) + "…";
}

namespace {

constexpr std::size_t shown_sql = 160;

std::string text_of(const ErrorFields& fields) {
    std::string text = fields.message;
    if (!fields.sqlstate.empty()) text.append(" [").append(fields.sqlstate).append("]");
    if (!fields.last_notice.empty()) text.append("; the server's last words: ").append(fields.last_notice);
    if (fields.outcome == Outcome::unknown && !fields.connection_good) text.append("; the outcome is unknown");
    if (!fields.sql.empty()) text.append("; in: ").append(cut_sql(fields.sql, shown_sql));
    return text;
}

ErrorFields client_side(const std::string& message) {
    ErrorFields fields;
    fields.message = message;
    return fields;
}

ErrorFields after_success(const std::string& message, Outcome outcome) {
    ErrorFields fields = client_side(message);
    fields.outcome = outcome;
    return fields;
}

}  // namespace

Error::Error(ErrorFields fields)
    : coaio::Error(text_of(fields)), fields_(std::make_shared<const ErrorFields>(std::move(fields))) {}

bool Error::is(std::string_view state_or_class) const noexcept {
    const std::string& state = fields_->sqlstate;
    if (state.empty() || state_or_class.empty()) return false;
    if (state_or_class.size() == 2) return state.compare(0, 2, state_or_class) == 0;
    return state == state_or_class;
}

bool Error::retryable() const noexcept {
    if (fields_->outcome == Outcome::unknown || fields_->outcome == Outcome::committed) return false;
    static constexpr std::array<std::string_view, 14> again = {
        sqlstate::serialization_failure,
        sqlstate::deadlock_detected,
        sqlstate::lock_not_available,
        sqlstate::cannot_connect_now,
        sqlstate::admin_shutdown,
        sqlstate::crash_shutdown,
        sqlstate::idle_session_timeout,
        sqlstate::idle_in_transaction_timeout,
        sqlstate::too_many_connections,
        "53200",
        "53100",
        sqlstate::read_only_transaction,
        sqlstate::invalid_statement_name,
        "08",  // class: the connection was lost before anything could be applied
    };
    return std::any_of(again.begin(), again.end(), [this](std::string_view state) { return is(state); });
}

ConnectionError::ConnectionError(ErrorFields fields, std::vector<ConnectAttempt> attempts)
    : Error([&] {
          fields.connection_good = false;
          return std::move(fields);
      }()),
      attempts_(std::make_shared<const std::vector<ConnectAttempt>>(std::move(attempts))) {}

bool ConnectionError::safe_to_retry() const noexcept {
    return outcome() == Outcome::not_sent || outcome() == Outcome::rolled_back;
}

bool ConnectionError::retryable() const noexcept {
    return safe_to_retry() && !is("28") && !is(sqlstate::undefined_database) && !is("57P04");
}

CommitUnknownError::CommitUnknownError(ErrorFields fields)
    : ConnectionError([&] {
          fields.outcome = Outcome::unknown;
          return std::move(fields);
      }()) {}

PoolTimeout::PoolTimeout(const std::string& message, std::chrono::nanoseconds waited)
    : Error(client_side(message)), waited_(waited) {}

PoolFull::PoolFull(const std::string& message) : Error(client_side(message)) {}

PoolClosed::PoolClosed() : Error(client_side("the pool is closed")) {}

ParameterError::ParameterError(std::size_t index, const std::string& problem)
    : Error(client_side(index == 0 ? problem : "parameter $" + std::to_string(index) + ": " + problem)),
      index_(index) {}

ConversionError::ConversionError(const std::string& message, std::string column, std::size_t row, Outcome outcome)
    : Error(after_success(message, outcome)),
      column_(std::make_shared<const std::string>(std::move(column))),
      row_(row) {}

UsageError::UsageError(const std::string& message) : Error(client_side(message)) {}

std::exception_ptr make_error(ErrorFields fields) {
    const std::string state = fields.sqlstate;
    auto is = [&state](std::string_view other) { return state == other; };
    if (is(sqlstate::unique_violation)) return std::make_exception_ptr(UniqueViolation(std::move(fields)));
    if (is(sqlstate::foreign_key_violation)) return std::make_exception_ptr(ForeignKeyViolation(std::move(fields)));
    if (is(sqlstate::not_null_violation)) return std::make_exception_ptr(NotNullViolation(std::move(fields)));
    if (is(sqlstate::check_violation)) return std::make_exception_ptr(CheckViolation(std::move(fields)));
    if (state.compare(0, 2, sqlstate::integrity_constraint) == 0) {
        return std::make_exception_ptr(IntegrityError(std::move(fields)));
    }
    if (is(sqlstate::serialization_failure) || is(sqlstate::deadlock_detected)) {
        return std::make_exception_ptr(SerializationError(std::move(fields)));
    }
    if (is(sqlstate::query_canceled)) return std::make_exception_ptr(QueryCanceledError(std::move(fields)));
    if (!fields.connection_good) return std::make_exception_ptr(ConnectionError(std::move(fields)));
    return std::make_exception_ptr(Error(std::move(fields)));
}

void throw_error(ErrorFields fields) { std::rethrow_exception(make_error(std::move(fields))); }

}  // namespace coaio::db
