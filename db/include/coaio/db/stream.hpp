// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/row.hpp>

#include <coaio/core/coro.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace coaio::db {

namespace detail {

class Path;
class RowSource;
class CursorState;

/// Nothing is sent before the first step.
[[nodiscard]] std::shared_ptr<RowSource> open_rows(std::shared_ptr<Path> path, std::string sql, Params params);
[[nodiscard]] std::shared_ptr<CursorState> open_cursor(std::shared_ptr<Path> path, std::string sql, Params params,
                                                       bool scroll);
/// The rows that have come, some at a time; nullopt at the end.
[[nodiscard]] Coro<std::optional<Rows>> next_rows(std::shared_ptr<RowSource> source);
[[nodiscard]] Coro<> close_rows(std::shared_ptr<RowSource> source);
/// Leaves it, without waiting.
void drop_rows(RowSource& source) noexcept;

/// Rows one at a time, out of those that came together.
template <class... Ts>
class RowSteps {
public:
    using Value = RowType<Ts...>;
    explicit RowSteps(const Rows& rows) : rows_(rows.as<Ts...>()), at_(rows_.begin()) {}
    [[nodiscard]] bool done() const noexcept { return at_ == rows_.end(); }
    [[nodiscard]] Value take() {
        Value value = *at_;
        ++at_;
        return value;
    }

private:
    MappedRows<Value> rows_;
    typename MappedRows<Value>::Iterator at_;
};
template <>
class RowSteps<> {
public:
    using Value = Row;
    explicit RowSteps(Rows rows) : rows_(std::move(rows)) {}
    [[nodiscard]] bool done() const noexcept { return at_ == rows_.size(); }
    [[nodiscard]] Row take() { return rows_.at(at_++); }

private:
    Rows rows_;
    std::size_t at_ = 0;
};

}  // namespace detail

/// The rows of one statement while they come, in the memory of some hundreds of them however many there are: made by
/// `stream` of a pool, a connection or a transaction. A reader that is slow makes the server wait.
///
/// Nothing happens before the first `next()`. On a pool the stream has a connection of its own, from then until its end.
/// In a transaction it reads through a cursor of the server, so other statements can run between two steps; the
/// statement then has to be a SELECT or VALUES. Left before its end and not closed, its cursor lives on until the
/// transaction is over, and its tables cannot be altered in there. On a connection that is in no transaction, any other use of it before
/// the end is a UsageError.
///
/// Errors: those of the statement, after the rows before it; a ConversionError, at the first step, where the columns do
/// not fit. A stream that failed or was cancelled gives a UsageError for each further step, never a false end.
/// Cancellation: of a step: the statement is cancelled in the server and the connection clean when it ends.
/// Lifetime: may go at any time: outside of a transaction what is left unread is cancelled in the server before the
/// connection is used again.
/// What points into a row (`std::string_view`, `Row`) lives until the next step.
///
///     auto users = pool.stream<int, std::string>("select id, name from users where age > $1", 18);
///     while (auto user = co_await users.next()) {
///         auto& [id, name] = *user;
///     }
template <class... Ts>
class [[nodiscard]] RowStream {
public:
    /// As in `Rows::as<Ts...>`; a `Row` where no types are given.
    using value_type = typename detail::RowSteps<Ts...>::Value;

    /// The next row, or nothing at the end.
    [[nodiscard]] Coro<std::optional<value_type>> next() { return step(state_); }
    /// Ends it now and waits until the connection is free: for what `Lifetime` does when nobody waits.
    [[nodiscard]] Coro<> close() {
        state_->steps.reset();
        return detail::close_rows(state_->source);
    }

    /// For the library.
    explicit RowStream(std::shared_ptr<detail::RowSource> source)
        : state_(std::make_shared<State>(std::move(source))) {}

private:
    struct State {
        explicit State(std::shared_ptr<detail::RowSource> of) : source(std::move(of)) {}
        std::shared_ptr<detail::RowSource> source;
        std::optional<detail::RowSteps<Ts...>> steps;
    };
    template <class F>
    static void guarded(State& state, F decode) {
        try {
            decode();
        } catch (...) {
            state.steps.reset();
            detail::drop_rows(*state.source);
            throw;
        }
    }
    static Coro<std::optional<value_type>> step(std::shared_ptr<State> state) {
        while (!state->steps || state->steps->done()) {
            std::optional<Rows> rows = co_await detail::next_rows(state->source);
            if (!rows) co_return std::nullopt;
            guarded(*state, [&] { state->steps.emplace(*rows); });
        }
        std::optional<value_type> row;
        guarded(*state, [&] { row.emplace(state->steps->take()); });
        co_return row;
    }

    std::shared_ptr<State> state_;
};

/// A cursor of the server: rows on request, forth and, if it was made to scroll, back. It lives in one transaction and
/// dies with it. Declared when it is first used; the statement has to be a SELECT or VALUES.
///
/// Errors: those of the statement; UsageError once the transaction is over.
///
///     auto cursor = tx.cursor("select id from users order by id");
///     co_await cursor.move(100);
///     for (int id : (co_await cursor.fetch(10)).as<int>()) …
class Cursor {
public:
    /// The next `count` rows, fewer at the end; with a negative number the rows before.
    [[nodiscard]] Coro<Rows> fetch(std::int64_t count) const;
    /// Goes over rows without reading them; gives how many.
    [[nodiscard]] Coro<std::uint64_t> move(std::int64_t count) const;
    /// Frees it before the transaction's end. Again: no effect. Using it then is a UsageError.
    [[nodiscard]] Coro<> close() const;

    /// For the library.
    explicit Cursor(std::shared_ptr<detail::CursorState> state) noexcept : state_(std::move(state)) {}

private:
    std::shared_ptr<detail::CursorState> state_;
};

}  // namespace coaio::db
