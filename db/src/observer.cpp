// SPDX-License-Identifier: MIT
#include <coaio/db/observer.hpp>

#include "watch.hpp"

#include <coaio/db/error.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace coaio::db {
namespace {

/// In milliseconds, with one decimal.
std::string milliseconds(Duration took) {
    const double ms = std::chrono::duration<double, std::milli>(took).count();
    std::array<char, 40> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), ms, std::chars_format::fixed, 1);
    return std::string(text.data(), end.ptr) + " ms";
}

/// Of what failed; nothing of the message, which may quote values.
std::string failure_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const Error& failure) {
        return failure.sqlstate().empty() ? std::string("failed") : "failed with " + failure.sqlstate();
    } catch (const std::exception&) {
        return "failed";
    } catch (...) {
        return "cancelled";
    }
}

/// Of a batch's failure, and not only hit by it.
bool is_cause(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const BatchError&) {
        return false;
    } catch (...) {
        return true;
    }
}

class Both final : public Observer {
public:
    Both(std::shared_ptr<Observer> first, std::shared_ptr<Observer> second) noexcept
        : first_(std::move(first)), second_(std::move(second)) {}
    void observe(const Observation& it) noexcept override {
        first_->observe(it);
        second_->observe(it);
    }

private:
    std::shared_ptr<Observer> first_;
    std::shared_ptr<Observer> second_;
};

}  // namespace

Observer::~Observer() = default;

std::string_view name_of(Operation operation) noexcept {
    switch (operation) {
    case Operation::connect: return "connect";
    case Operation::acquire: return "acquire";
    case Operation::query: return "query";
    case Operation::batch: return "batch";
    case Operation::copy: return "copy";
    case Operation::prepare: return "prepare";
    case Operation::transaction: return "transaction";
    case Operation::cancel: return "cancel";
    }
    return {};
}

void SlowQueryLog::observe(const Observation& it) noexcept {
    const bool statement =
        it.operation == Operation::query || it.operation == Operation::batch || it.operation == Operation::copy;
    if (!statement || it.took < threshold_ || !sink_) return;
    try {
        std::string line = milliseconds(it.took) + ", " + std::to_string(it.rows) + (it.rows == 1 ? " row" : " rows");
        if (it.session != 0) line += ", session " + std::to_string(it.session);
        if (it.operation == Operation::batch) line += ", batch";
        if (it.error) line += ", " + failure_of(it.error);
        sink_(line + ": " + normalized_sql(it.sql));
    } catch (...) {  // no memory for a line is no reason to fail a statement
    }
}

namespace detail {

std::shared_ptr<Observer> both(std::shared_ptr<Observer> first, std::shared_ptr<Observer> second) {
    if (!first) return second;
    if (!second) return first;
    return std::make_shared<Both>(std::move(first), std::move(second));
}

void Watch::begin(Operation operation, std::string_view sql, int session) noexcept {
    it_.operation = operation;
    it_.sql = sql;
    it_.session = session;
    began_ = Clock::now();
}

void Watch::tell(const std::exception_ptr& failure) noexcept {
    it_.took = Clock::now() - began_;
    if (failure) it_.error = failure;
    std::exchange(observer_, nullptr)->observe(it_);
    it_.error = nullptr;
}

void Watch::add(const Rows& rows) noexcept {
    it_.rows += rows.column_count() > 0 ? rows.size() : rows.affected();
    for (const Row row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) it_.bytes += row[i].bytes().size();
    }
}

void Watch::add(const BatchAnswers& answers) noexcept {
    for (const auto& each : answers) {
        if (each) {
            add(each.value());
        } else if (!it_.error && is_cause(each.error())) {
            it_.error = each.error();
        }
    }
}

std::string traced(std::string sql, const TraceSource& source) {
    constexpr std::size_t longest = 128;
    if (!source) return sql;
    const std::string context = source();
    // Nothing that could end the comment.
    const bool fit = !context.empty() && context.size() <= longest &&
                     context.find_first_not_of("0123456789abcdefABCDEF-") == std::string::npos;
    if (fit) sql += "\n/*traceparent='" + context + "'*/";
    return sql;
}

}  // namespace detail
}  // namespace coaio::db
