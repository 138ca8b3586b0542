// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/codec.hpp>
#include <coaio/db/describe.hpp>
#include <coaio/db/params.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace coaio::db {

/// A column of a result. The name points into the rows.
struct Column {
    std::string_view name;
    Oid type = Oid::unspecified;
    Format format = Format::binary;
};

namespace detail {

/// A column that is read over and over, and how its values come.
struct Place {
    std::size_t column = 0;
    Oid type = Oid::unspecified;  ///< of a domain what it is over
    Format format = Format::binary;
    bool plain = false;  ///< what is to be read is just the bytes, swapped or as they are
};

/// A result, however it is kept. Indexes are valid: whoever calls has checked.
class ResultData {
public:
    ResultData() = default;
    ResultData(const ResultData&) = delete;
    ResultData& operator=(const ResultData&) = delete;
    virtual ~ResultData();

    [[nodiscard]] virtual std::size_t row_count() const noexcept = 0;
    [[nodiscard]] virtual std::size_t column_count() const noexcept = 0;
    [[nodiscard]] virtual Column column(std::size_t index) const noexcept = 0;
    /// The values of a row in these places, one for each; NULL has no data().
    virtual void read(std::size_t row, std::span<const Place> places, std::string_view* values) const noexcept = 0;
    [[nodiscard]] virtual std::string_view command() const noexcept = 0;

    /// nullopt is NULL.
    [[nodiscard]] std::optional<std::string_view> value(std::size_t row, std::size_t column) const noexcept;

    /// What a ConversionError is to say of the statement: committed, unless it stands in a transaction still open.
    [[nodiscard]] Outcome outcome() const noexcept { return outcome_; }
    void set_outcome(Outcome outcome) noexcept { outcome_ = outcome; }

    /// What is known of types in it that users made; nullptr where nothing is.
    [[nodiscard]] const UserTypes* types() const noexcept { return types_.get(); }
    /// Before anybody reads.
    void set_types(std::shared_ptr<const UserTypes> types) const noexcept { types_ = std::move(types); }

private:
    Outcome outcome_ = Outcome::committed;
    mutable std::shared_ptr<const UserTypes> types_;  // may be looked up when the rows have come
};

[[noreturn]] void conversion_failed(const ResultData& data, std::size_t row, std::size_t column,
                                    const std::string& type, const std::string& problem);
[[noreturn]] void null_in(const ResultData& data, std::size_t row, std::size_t column, const std::string& type);
[[noreturn]] void wrong_type(const ResultData& data, std::size_t column, const std::string& type);
void expect_columns(const ResultData& data, std::size_t wanted);
void expect_rows(const ResultData& data, std::size_t at_least, std::size_t at_most);
/// Throws a ConversionError where no column has the name, or more than one.
[[nodiscard]] std::size_t find_column(const ResultData& data, std::string_view name);

template <class T>
std::string cpp_name() {
    if constexpr (Nullable<T>::value) {
        return "std::optional<" + cpp_name<typename Nullable<T>::Value>() + ">";
    } else if constexpr (Nest<T>::depth > 0) {
        return "std::vector<" + cpp_name<typename T::value_type>() + ">";
    } else {
        return std::string(Codec<T>::name);
    }
}

template <class T>
concept Scalar = HasCodec<typename Nullable<T>::Value>;

template <class T>
inline constexpr bool is_swapped = false;
template <Integer T>
inline constexpr bool is_swapped<T> = std::is_signed_v<T> && sizeof(T) == Codec<T>::width;
template <class T>
inline constexpr bool is_string = std::same_as<T, std::string> || std::same_as<T, std::string_view>;

template <class T>
[[nodiscard]] constexpr bool is_plain(Oid type, Format format) noexcept {
    if constexpr (is_swapped<T>) return type == Codec<T>::oid && format == Format::binary;
    return is_string<T> && type != Oid::single_char && (type != Oid::jsonb || format == Format::text);
}

template <class T>
[[nodiscard]] Place check_column(const ResultData& data, std::size_t column) {
    static_assert(Scalar<T>, "a column cannot be read as this type: specialize coaio::db::Codec for it");
    Column c = data.column(column);
    if (!accepts<Codec<typename Nullable<T>::Value>>(c.type, c.format, data.types())) {
        wrong_type(data, column, cpp_name<T>());
    }
    const Oid type = data.types() == nullptr ? c.type : base_type(c.type, data.types());
    return {column, type, c.format, is_plain<T>(type, c.format)};
}

template <class T>
T decode_with_care(const ResultData& data, std::size_t row, const Place& place, std::string_view bytes) {
    if (bytes.data() == nullptr) {
        if constexpr (Nullable<T>::value) {
            return std::nullopt;
        } else {
            null_in(data, row, place.column, cpp_name<T>());
        }
    }
    try {
        return Codec<typename Nullable<T>::Value>::decode(Encoded{place.type, place.format, bytes, data.types()});
    } catch (const ValueError& error) {
        conversion_failed(data, row, place.column, cpp_name<T>(), error.what());
    }
}

/// `bytes` are what was read in that place.
template <class T>
T decode_cell(const ResultData& data, std::size_t row, const Place& place, std::string_view bytes) {
    if constexpr (is_swapped<T>) {
        if (place.plain && bytes.size() == sizeof(T)) {
            return static_cast<T>(read_big_endian<std::make_unsigned_t<T>>(bytes));
        }
    } else if constexpr (is_string<T>) {
        if (place.plain && bytes.data() != nullptr) return T(bytes);
    }
    return decode_with_care<T>(data, row, place, bytes);
}

template <class T>
T read_cell(const ResultData& data, std::size_t row, const Place& place) {
    std::string_view bytes;
    data.read(row, std::span(&place, 1), &bytes);
    return decode_cell<T>(data, row, place, bytes);
}

template <class T>
inline constexpr bool is_tuple = false;
template <class... Ts>
inline constexpr bool is_tuple<std::tuple<Ts...>> = true;

enum class RowKind : unsigned char { scalar, tuple, described, aggregate };

template <class T>
consteval RowKind row_kind() {
    if constexpr (Scalar<T>) return RowKind::scalar;
    if constexpr (is_tuple<T>) return RowKind::tuple;
    if constexpr (Described<T>) return RowKind::described;
    return RowKind::aggregate;
}

/// How a whole row becomes a T.
template <class T, RowKind = row_kind<T>()>
class Mapping;

}  // namespace detail

/// One value of a row. Points into the rows.
class Field {
public:
    Field(const detail::ResultData& data, std::size_t row, std::size_t column) noexcept
        : data_(&data), row_(row), column_(column) {}

    [[nodiscard]] bool is_null() const noexcept { return !data_->value(row_, column_).has_value(); }
    [[nodiscard]] Column column() const noexcept { return data_->column(column_); }
    /// The bytes as they came, empty for NULL.
    [[nodiscard]] std::string_view bytes() const noexcept { return data_->value(row_, column_).value_or(""); }
    /// Throws a ConversionError that names column, row and both types.
    template <class T>
    [[nodiscard]] T as() const {
        return detail::read_cell<T>(*data_, row_, detail::check_column<T>(*data_, column_));
    }

private:
    const detail::ResultData* data_;
    std::size_t row_;
    std::size_t column_;
};

/// One row. Points into the rows it is of, and lives as long as they do.
class Row {
public:
    Row(const detail::ResultData& data, std::size_t row) noexcept : data_(&data), row_(row) {}

    [[nodiscard]] std::size_t size() const noexcept { return data_->column_count(); }
    /// By position or by name; throws a ConversionError where there is no such column.
    [[nodiscard]] Field at(std::size_t column) const;
    [[nodiscard]] Field at(std::string_view name) const { return {*data_, row_, detail::find_column(*data_, name)}; }
    [[nodiscard]] Field operator[](std::size_t column) const { return at(column); }
    [[nodiscard]] Field operator[](std::string_view name) const { return at(name); }

    /// The whole row, mapped as in `Rows::as`.
    template <class... Ts>
    [[nodiscard]] auto as() const;

private:
    const detail::ResultData* data_;
    std::size_t row_;
};

template <class M>
class MappedRows;

/// What a statement answered: its rows, and how many it affected. A handle, cheap to copy; the values are decoded when
/// they are asked for.
///
///     for (auto [id, name] : rows.as<int, std::string>()) …       // by position, tuples
///     for (const User& user : rows.as<User>()) …                  // aggregates by position, or see `Describe`
///     for (int id : rows.as<int>()) …                             // one column
///     for (auto row : rows) row.at("name").as<std::string>();
///
/// Types are checked when `as` is called, before the first row is handed out, and also where there are no rows.
/// NULL needs `std::optional`. `std::string_view` points into the rows. All errors are ConversionErrors.
class Rows {
public:
    /// No rows, no columns.
    Rows();
    explicit Rows(std::shared_ptr<const detail::ResultData> data) noexcept : data_(std::move(data)) {}

    [[nodiscard]] std::size_t size() const noexcept { return data_->row_count(); }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    [[nodiscard]] std::size_t column_count() const noexcept { return data_->column_count(); }
    [[nodiscard]] Column column(std::size_t index) const;
    /// The server's word for what was done, such as "INSERT 0 5"; empty for an empty statement.
    [[nodiscard]] std::string_view command() const noexcept { return data_->command(); }
    /// Rows inserted, updated, deleted, selected or copied; 0 for other commands.
    [[nodiscard]] std::uint64_t affected() const noexcept;

    /// Throws a ConversionError where there is no such row.
    [[nodiscard]] Row at(std::size_t row) const;
    [[nodiscard]] Row operator[](std::size_t row) const { return at(row); }
    [[nodiscard]] Row front() const { return at(0); }

    template <class... Ts>
    [[nodiscard]] auto as() const;

    /// The only value of the only row. A `std::optional` is empty for NULL and also where there is no row.
    template <class T>
    [[nodiscard]] T value() const;
    /// The only row, mapped as in `as`.
    template <class... Ts>
    [[nodiscard]] auto one() const;
    /// The only row, or an empty optional where there is none.
    template <class... Ts>
    [[nodiscard]] auto optional() const;

    class Iterator;
    [[nodiscard]] Iterator begin() const noexcept;
    [[nodiscard]] Iterator end() const noexcept;

    /// For the library.
    [[nodiscard]] const detail::ResultData& data() const noexcept { return *data_; }

private:
    std::shared_ptr<const detail::ResultData> data_;
};

class Rows::Iterator {
public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Row;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = Row;

    Iterator() = default;
    Iterator(const detail::ResultData& data, std::size_t row) noexcept : data_(&data), row_(row) {}
    [[nodiscard]] Row operator*() const noexcept { return {*data_, row_}; }
    Iterator& operator++() noexcept {
        ++row_;
        return *this;
    }
    Iterator operator++(int) noexcept {
        Iterator before = *this;
        ++row_;
        return before;
    }
    friend bool operator==(const Iterator&, const Iterator&) = default;

private:
    const detail::ResultData* data_ = nullptr;
    std::size_t row_ = 0;
};

/// The rows as `as` maps them: a range that decodes as it goes, and keeps the rows alive.
template <class T>
class MappedRows {
public:
    explicit MappedRows(std::shared_ptr<const detail::ResultData> data) : mapping_(*data), data_(std::move(data)) {}

    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = T;
        using difference_type = std::ptrdiff_t;
        using pointer = void;
        using reference = T;

        Iterator() = default;
        Iterator(const MappedRows& rows, std::size_t row) noexcept : rows_(&rows), row_(row) {}
        [[nodiscard]] T operator*() const { return rows_->mapping_.row(*rows_->data_, row_); }
        Iterator& operator++() noexcept {
            ++row_;
            return *this;
        }
        Iterator operator++(int) noexcept {
            Iterator before = *this;
            ++row_;
            return before;
        }
        friend bool operator==(const Iterator&, const Iterator&) = default;

    private:
        const MappedRows* rows_ = nullptr;
        std::size_t row_ = 0;
    };

    [[nodiscard]] Iterator begin() const noexcept { return {*this, 0}; }
    [[nodiscard]] Iterator end() const noexcept { return {*this, size()}; }
    [[nodiscard]] std::size_t size() const noexcept { return data_->row_count(); }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    [[nodiscard]] std::vector<T> to_vector() const {
        std::vector<T> all;
        all.reserve(size());
        for (std::size_t row = 0; row < size(); ++row) all.push_back(mapping_.row(*data_, row));
        return all;
    }

private:
    detail::Mapping<T> mapping_;
    std::shared_ptr<const detail::ResultData> data_;
};

}  // namespace coaio::db

#include <coaio/db/detail/mapping.hpp>
