// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/batch.hpp>
#include <coaio/db/observer.hpp>
#include <coaio/db/row.hpp>

#include <coaio/core/coro.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace coaio::db::detail {

/// Measures one operation, where somebody wants to know; without an observer it is one branch. Told once, by `end` or
/// `fail`; one that is dropped before is not told of.
class Watch {
public:
    Watch(Observer* observer, Operation operation, std::string_view sql = {}, int session = 0) noexcept
        : observer_(observer) {
        if (observer_ != nullptr) begin(operation, sql, session);
    }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch() = default;

    void end() noexcept {
        if (observer_ != nullptr) tell(nullptr);
    }
    void fail(const std::exception_ptr& failure) noexcept {
        if (observer_ != nullptr) tell(failure);
    }
    template <class T>
    void end(const T& result) noexcept {
        if (observer_ == nullptr) return;
        add(result);
        tell(nullptr);
    }

    void add(const Rows& rows) noexcept;
    void add(const std::optional<Rows>& rows) noexcept {
        if (rows) add(*rows);
    }
    void add(const BatchAnswers& answers) noexcept;
    /// Of a COPY.
    void add(const std::optional<std::string>& piece) noexcept {
        if (!piece) return;
        ++it_.rows;
        it_.bytes += piece->size();
    }
    void add(std::uint64_t rows) noexcept { it_.rows += rows; }
    template <class T>
    void add(const T& /*unused*/) noexcept {}  // nothing to be measured
    void add_bytes(std::size_t bytes) noexcept { it_.bytes += bytes; }
    void attempt(int number) noexcept { it_.attempt = number; }
    /// The same text, in a place where it stays.
    void move_sql(std::string_view sql) noexcept { it_.sql = sql; }

private:
    void begin(Operation operation, std::string_view sql, int session) noexcept;
    void tell(const std::exception_ptr& failure) noexcept;

    Observer* observer_;
    TimePoint began_{};
    Observation it_;
};

/// Runs `work` and tells of it. The arguments outlive it.
template <class T>
Coro<T> watched(Observer* observer, Operation operation, std::string_view sql, int session, Coro<T> work) {
    Watch watch(observer, operation, sql, session);
    std::exception_ptr failure;
    try {
        if constexpr (std::is_void_v<T>) {
            co_await std::move(work);
            watch.end();
            co_return;
        } else {
            T result = co_await std::move(work);
            watch.end(result);
            co_return result;
        }
    } catch (...) {
        failure = std::current_exception();
    }
    watch.fail(failure);
    std::rethrow_exception(failure);
}

/// The statement with the trace's context as a comment at its end, where there is one.
[[nodiscard]] std::string traced(std::string sql, const TraceSource& source);

}  // namespace coaio::db::detail
