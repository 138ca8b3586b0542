// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/params.hpp>
#include <coaio/db/row.hpp>

#include <coaio/core/coro.hpp>
#include <coaio/core/detail/closure.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

/// COPY, the fast way of many rows into a table and out of it.
namespace coaio::db {

namespace detail {

class Path;
class CopySource;

/// A COPY … FROM STDIN under way: what is written is gathered, and sent in large pieces.
class CopySink {
public:
    CopySink(std::shared_ptr<Path> path, std::string sql);
    CopySink(const CopySink&) = delete;
    CopySink& operator=(const CopySink&) = delete;
    ~CopySink();

    /// `target` is a table and its columns; finds their types and opens it in binary.
    [[nodiscard]] Coro<> begin_rows(std::string target);
    [[nodiscard]] Coro<> begin();
    /// Sends what was gathered.
    [[nodiscard]] Coro<> send();
    [[nodiscard]] bool full() const noexcept { return buffer_.size() >= piece; }
    void put(std::string_view bytes) { buffer_.append(bytes); }
    /// Fails as the first write did that failed, also if the body took no notice.
    [[nodiscard]] Coro<std::uint64_t> finish();
    /// Tells the server that nothing of it is to be stored; while something is sent, by the connection's end. Fails for
    /// nothing.
    [[nodiscard]] Coro<> abort();

    // One row, cell by cell.
    void begin_row(std::size_t cells);
    void put_null() { Encoder(buffer_).put_int32(-1); }
    template <class C, class V>
    void put_cell(std::size_t column, const V& value) {
        const std::size_t at = buffer_.size();
        Encoder out(buffer_);
        out.put_int32(0);
        try {
            C::encode(value, out);
        } catch (const ValueError& error) {
            refuse(column, error.what());
        }
        end_cell(column, at, C::oid, C::format);
    }
    void undo_row() { buffer_.resize(row_at_); }

    /// Throws a ConversionError unless a value sent as `type` can go into the column.
    void check(std::size_t column, Oid type, Format format, const std::string& name) const;
    [[nodiscard]] std::size_t column_count() const noexcept { return columns_.size(); }
    void expect_columns(std::size_t count) const;

private:
    static constexpr std::size_t piece = 64 * 1024;
    struct ToColumn {
        std::string name;
        Oid type;
        std::string type_name;
        bool takes_text;  ///< its binary form is its text
    };
    [[nodiscard]] Coro<> learn_columns(Rows like);
    [[noreturn]] void refuse(std::size_t column, const std::string& problem) const;
    void end_cell(std::size_t column, std::size_t at, Oid type, Format format);

    std::shared_ptr<Path> path_;
    std::string sql_;
    std::string buffer_;
    std::vector<ToColumn> columns_;
    std::size_t row_at_ = 0;
    bool open_ = false;  // begun, and neither ended nor failed
    bool sending_ = false;
    std::exception_ptr failure_;
};

[[nodiscard]] std::shared_ptr<CopySink> open_copy(std::shared_ptr<Path> path, std::string sql);
[[nodiscard]] std::shared_ptr<CopySource> open_copy_out(std::shared_ptr<Path> path, std::string sql);
[[nodiscard]] Coro<std::optional<std::string>> next_copy(std::shared_ptr<CopySource> source);
[[nodiscard]] Coro<> close_copy(std::shared_ptr<CopySource> source);
[[nodiscard]] Coro<> send_if_full(std::shared_ptr<CopySink> sink);

}  // namespace detail

/// Where the body of `copy_in` writes: bytes in the format that the COPY statement names, cut anywhere.
class CopyIn {
public:
    CopyIn(const CopyIn&) = delete;
    CopyIn& operator=(const CopyIn&) = delete;
    ~CopyIn() = default;

    /// Takes the bytes at once; await it, so that a slow server slows the writer.
    [[nodiscard]] Coro<> write(std::string_view bytes) {
        sink_->put(bytes);
        return detail::send_if_full(sink_);
    }

    /// For the library.
    explicit CopyIn(std::shared_ptr<detail::CopySink> sink) noexcept : sink_(std::move(sink)) {}

private:
    std::shared_ptr<detail::CopySink> sink_;
};

/// Where the body of `copy_rows` writes: a row is a value for each column, in binary. Integers fit integer columns of
/// any width and `numeric`, in range; strings fit text, json, enums, and types of users that are text, such as citext.
template <class... Ts>
class CopyRows {
public:
    CopyRows(const CopyRows&) = delete;
    CopyRows& operator=(const CopyRows&) = delete;
    ~CopyRows() = default;

    /// Takes the row at once; await it, so that a slow server slows the writer. A value that does not fit throws a
    /// ParameterError, and nothing of its row is sent.
    [[nodiscard]] Coro<> write(const Ts&... values) {
        sink_->begin_row(sizeof...(Ts));
        try {
            std::size_t column = 0;
            (put(column++, values), ...);
        } catch (...) {
            sink_->undo_row();
            throw;
        }
        return detail::send_if_full(sink_);
    }

    /// For the library.
    explicit CopyRows(std::shared_ptr<detail::CopySink> sink) : sink_(std::move(sink)) {
        sink_->expect_columns(sizeof...(Ts));
        std::size_t column = 0;
        (check<Ts>(column++), ...);
    }

private:
    template <class T>
    void check(std::size_t column) const {
        static_assert(detail::Scalar<T>, "this type cannot go into a column: specialize coaio::db::Codec for it");
        using C = Codec<typename detail::Nullable<T>::Value>;
        sink_->check(column, C::oid, C::format, detail::cpp_name<T>());
    }
    template <class T>
    void put(std::size_t column, const T& value) {
        if constexpr (detail::Nullable<T>::value) {
            if (value) {
                put(column, *value);
            } else {
                sink_->put_null();
            }
        } else {
            sink_->template put_cell<Codec<T>>(column, value);
        }
    }

    std::shared_ptr<detail::CopySink> sink_;
};

/// What a COPY … TO STDOUT gives, a line of text or a binary row at a time, with flat memory; made by `copy_out`.
/// Errors, cancellation and lifetime are those of a `RowStream`. In a transaction an end before the last row reads the
/// rest, for `cancel_timeout` at most, since a cancelled statement would fail the transaction.
class [[nodiscard]] CopyOut {
public:
    [[nodiscard]] Coro<std::optional<std::string>> next() { return detail::next_copy(source_); }
    /// Ends it now and waits until the connection is free.
    [[nodiscard]] Coro<> close() { return detail::close_copy(source_); }

    /// For the library.
    explicit CopyOut(std::shared_ptr<detail::CopySource> source) noexcept : source_(std::move(source)) {}

private:
    std::shared_ptr<detail::CopySource> source_;
};

namespace detail {

template <class Scope, class F>
Coro<std::uint64_t> copy_body(std::shared_ptr<CopySink> sink, F body) {
    std::exception_ptr failure;
    try {
        Scope scope(sink);
        co_await body(scope);
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        co_await sink->abort();
        std::rethrow_exception(failure);
    }
    co_return co_await sink->finish();
}

template <class F>
Coro<std::uint64_t> copy_bytes(std::shared_ptr<CopySink> sink, F body) {
    co_await sink->begin();
    co_return co_await copy_body<CopyIn, F>(std::move(sink), std::move(body));
}

template <class Scope, class F>
Coro<std::uint64_t> copy_typed(std::shared_ptr<CopySink> sink, std::string target, F body) {
    co_await sink->begin_rows(std::move(target));
    co_return co_await copy_body<Scope, F>(std::move(sink), std::move(body));
}

}  // namespace detail
}  // namespace coaio::db

template <>
inline constexpr bool coaio::enable_scope<coaio::db::CopyIn> = true;
template <class... Ts>
inline constexpr bool coaio::enable_scope<coaio::db::CopyRows<Ts...>> = true;
