// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/batch.hpp>
#include <coaio/db/copy.hpp>
#include <coaio/db/params.hpp>
#include <coaio/db/row.hpp>
#include <coaio/db/stream.hpp>

#include <coaio/core/coro.hpp>
#include <coaio/core/gather.hpp>
#include <coaio/core/time.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace coaio::db {

namespace detail {

template <class... Ts>
consteval bool any_borrows(const std::tuple<Ts...>*) {
    return (borrows<Ts> || ...);
}
template <class... Of, class... Ms>
consteval bool any_borrows(const std::tuple<DescribedField<Of, Ms>...>*) {
    return (borrows<Ms> || ...);
}

/// Whether what a row is read as points into the rows.
template <class T>
consteval bool row_borrows() {
    constexpr RowKind kind = row_kind<T>();
    if constexpr (kind == RowKind::tuple) {
        return any_borrows(static_cast<const T*>(nullptr));
    } else if constexpr (kind == RowKind::described) {
        return any_borrows(static_cast<decltype(&Describe<T>::fields)>(nullptr));
    } else if constexpr (kind == RowKind::aggregate && std::is_aggregate_v<T>) {
        return any_borrows(static_cast<const Members<T>*>(nullptr));
    } else {
        return borrows<T>;
    }
}

template <class... Ps>
[[nodiscard]] Params encode(const Ps&... params) {
    return Params::of(params...);
}
[[nodiscard]] inline Params encode(const Params& params) { return params; }

template <class T>
[[nodiscard]] Params encode_run(const T& value) {
    return Params::of(value);
}
template <class... Ts>
[[nodiscard]] Params encode_run(const std::tuple<Ts...>& values) {
    return std::apply([](const Ts&... each) { return Params::of(each...); }, values);
}
template <std::ranges::input_range R>
[[nodiscard]] std::vector<Params> encode_each(const R& values) {
    std::vector<Params> runs;
    if constexpr (std::ranges::sized_range<const R>) runs.reserve(std::ranges::size(values));
    for (const auto& each : values) runs.push_back(encode_run(each));
    return runs;
}

template <class... Ts>
Coro<std::optional<RowType<Ts...>>> read_optional(Coro<Rows> answer) {
    const Rows rows = co_await std::move(answer);
    co_return rows.optional<Ts...>();
}

template <class T>
Coro<T> read_value(Coro<Rows> answer) {
    const Rows rows = co_await std::move(answer);
    co_return rows.value<T>();
}

[[nodiscard]] Coro<std::uint64_t> read_affected(Coro<Rows> answer);

}  // namespace detail

class Within;

/// The verbs of whatever can run a statement: `Pool`, `Connection`, `Transaction`.
///
/// Values travel as parameters, `$1`, `$2`, …, in binary, never in the text. They are encoded and the statement is copied
/// before the call returns, so nothing given has to outlive it; a value that cannot be sent throws ParameterError there.
/// Each verb also takes one `Params` in place of the list.
///
/// Errors: see error.hpp. Cancellation: the statement is cancelled in the server; the connection comes back clean, or is
/// closed; that takes `cancel_timeout` at most.
template <class Self>
class Queries {
public:
    /// Gives all rows.
    template <class... Ps>
    [[nodiscard]] Coro<Rows> query(std::string_view sql, const Ps&... params) const {
        return self().run_statement(std::string(sql), detail::encode(params...));
    }
    [[nodiscard]] Coro<Rows> query(std::string_view sql, Params params) const {
        return self().run_statement(std::string(sql), std::move(params));
    }

    /// The only row, mapped as by `Rows::as<Ts...>`; empty where there is none. More than one is a ConversionError.
    template <class... Ts, class... Ps>
    [[nodiscard]] auto query_one(std::string_view sql, const Ps&... params) const {
        static_assert(sizeof...(Ts) > 0, "say what the row is to be read as: query_one<User>(…)");
        static_assert(!(detail::row_borrows<Ts>() || ...),
                      "a std::string_view would outlive the rows: use std::string");
        return detail::read_optional<Ts...>(query(sql, params...));
    }

    /// The only value of the only row. `std::optional<T>` is empty for NULL and where there is no row.
    template <class T, class... Ps>
    [[nodiscard]] Coro<T> query_value(std::string_view sql, const Ps&... params) const {
        static_assert(!detail::row_borrows<T>(), "a std::string_view would outlive the rows: use std::string");
        return detail::read_value<T>(query(sql, params...));
    }

    /// How many rows the statement inserted, updated, deleted or selected; 0 for other commands.
    template <class... Ps>
    [[nodiscard]] Coro<std::uint64_t> execute(std::string_view sql, const Ps&... params) const {
        return detail::read_affected(query(sql, params...));
    }

    /// The rows while they come, with flat memory; see RowStream.
    template <class... Ts, class... Ps>
    [[nodiscard]] RowStream<Ts...> stream(std::string_view sql, const Ps&... params) const {
        return RowStream<Ts...>(detail::open_rows(self().path(), std::string(sql), detail::encode(params...)));
    }

    /// Sends all statements at once and gives the rows of each; see Batch. In a transaction they belong to it.
    ///
    /// Errors: that of the first statement that fails. Nothing has taken effect then, unless a procedure in the batch
    /// ended a transaction of its own. A statement that begins or ends one is a UsageError, and nothing is sent.
    [[nodiscard]] Coro<std::vector<Rows>> batch(Batch statements) const {
        return detail::all_rows(detail::run_batch(self().path(), std::move(statements)));
    }
    /// The same with an error of its own for each statement: that of the one that failed, "not executed" for those
    /// after it, and "rolled back" for those before it, unless they stand in a transaction that is still open.
    [[nodiscard]] Coro<std::vector<coaio::Outcome<Rows>>> batch(ReturnExceptions, Batch statements) const {
        return detail::run_batch(self().path(), std::move(statements));
    }

    /// Runs one statement many times on one connection, each time with other parameters, in about one round trip, and
    /// gives the rows of each run. A run is a statement of its own, unlike one of a batch: outside a transaction each
    /// takes effect or fails by itself, and those after one that failed run all the same. The form with values runs it
    /// for each, as `$1`, and for a tuple as `$1`, `$2`, ….
    ///
    /// Errors: that of the first run that failed, once all have ended; none runs if it cannot be prepared. A statement
    /// that begins or ends a transaction is a UsageError. Cancellation: as of a query; of the runs some may have taken
    /// effect, also some whose turn was yet to come.
    ///
    ///     const std::vector<coaio::db::Rows> found = co_await pool.query_each("select … where id = $1", ids);
    [[nodiscard]] Coro<std::vector<Rows>> query_each(std::string_view sql, std::vector<Params> runs) const {
        return detail::all_rows(detail::run_each(self().path(), std::string(sql), std::move(runs)));
    }
    template <std::ranges::input_range R>
    [[nodiscard]] Coro<std::vector<Rows>> query_each(std::string_view sql, const R& values) const {
        return query_each(sql, detail::encode_each(values));
    }
    /// The same with an outcome for each run, where the session lives to give one: a lost connection is still an error of
    /// the whole, of which some runs may have taken effect.
    [[nodiscard]] Coro<std::vector<coaio::Outcome<Rows>>> query_each(ReturnExceptions, std::string_view sql,
                                                                     std::vector<Params> runs) const {
        return detail::run_each(self().path(), std::string(sql), std::move(runs));
    }
    template <std::ranges::input_range R>
    [[nodiscard]] Coro<std::vector<coaio::Outcome<Rows>>> query_each(ReturnExceptions, std::string_view sql,
                                                                     const R& values) const {
        return query_each(return_exceptions, sql, detail::encode_each(values));
    }

    /// Runs a `COPY … FROM STDIN` and in it `body(copy)`, which writes; gives the number of rows.
    ///
    /// Errors: of the body, or its cancellation: nothing is stored, and it goes on; of the statement.
    ///
    ///     auto body = [&](coaio::db::CopyIn& copy) -> coaio::Coro<> { co_await copy.write("1\tone\n"); };
    ///     auto rows = co_await pool.copy_in("copy numbers from stdin", body);
    template <class F>
    [[nodiscard]] Coro<std::uint64_t> copy_in(std::string_view sql, F&& body) const {
        COAIO_CHECK_BODY(F);
        return detail::copy_bytes<std::decay_t<F>>(detail::open_copy(self().path(), std::string(sql)),
                                                   std::forward<F>(body));
    }
    /// The same with typed rows: `target` is a table and its columns, as in "users (id, name)". Types that do not fit
    /// are a ConversionError before the body begins.
    ///
    ///     auto body = [&](coaio::db::CopyRows<int, std::string>& copy) -> coaio::Coro<> {
    ///         for (const auto& user : users) co_await copy.write(user.id, user.name);
    ///     };
    ///     co_await pool.copy_rows<int, std::string>("users (id, name)", body);
    template <class... Ts, class F>
    [[nodiscard]] Coro<std::uint64_t> copy_rows(std::string_view target, F&& body) const {
        COAIO_CHECK_BODY(F);
        return detail::copy_typed<CopyRows<Ts...>, std::decay_t<F>>(detail::open_copy(self().path(), std::string()),
                                                                    std::string(target), std::forward<F>(body));
    }
    /// Runs a `COPY … TO STDOUT`; see CopyOut.
    [[nodiscard]] CopyOut copy_out(std::string_view sql) const {
        return CopyOut(detail::open_copy_out(self().path(), std::string(sql)));
    }

    /// The same for single statements that must be over within `limit`, waiting for a connection included, and whose
    /// deadline the server knows as well; see Within.
    [[nodiscard]] Within within(Duration limit) const;

protected:
    Queries() = default;

private:
    [[nodiscard]] const Self& self() const noexcept { return static_cast<const Self&>(*this); }
};

/// Statements with a deadline: what `within` gives. A client's time-out alone ends a statement by a cancel request, which
/// may not arrive. Here the server is told, in the same message as the statement, how much time is left, as its
/// `statement_timeout`, which is afterwards as it was; so the statement ends there too if the client is gone by then.
///
/// What is sent together is a transaction, so statements that cannot stand in one, such as VACUUM, are refused, and so are
/// those that begin, end or mark one, by a UsageError.
/// Errors: TimeoutError when the time is over, whoever noticed first.
///
///     auto rows = co_await pool.within(2s).query("select …");
class Within : public Queries<Within> {
public:
    /// For the library.
    Within(std::shared_ptr<detail::Path> path, Duration limit) noexcept : path_(std::move(path)), limit_(limit) {}

private:
    friend Queries<Within>;
    [[nodiscard]] Coro<Rows> run_statement(std::string sql, Params params) const;
    std::shared_ptr<detail::Path> path() const = delete;  // streams, batches and copies take `coaio::timeout`

    std::shared_ptr<detail::Path> path_;
    Duration limit_;
};

template <class Self>
Within Queries<Self>::within(Duration limit) const {
    return Within(self().path(), limit);
}

}  // namespace coaio::db
