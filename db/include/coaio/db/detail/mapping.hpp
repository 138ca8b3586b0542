// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/row.hpp>

#include <array>

namespace coaio::db {
namespace detail {

/// Columns by position into a tuple of Ts.
template <class... Ts>
class Positional {
public:
    explicit Positional(const ResultData& data) {
        expect_columns(data, sizeof...(Ts));
        locate(data, std::index_sequence_for<Ts...>());
    }
    template <class To>
    [[nodiscard]] To make(const ResultData& data, std::size_t row) const {
        return make<To>(data, row, std::index_sequence_for<Ts...>());
    }

private:
    template <std::size_t... I>
    void locate(const ResultData& data, std::index_sequence<I...>) {
        ((places_[I] = check_column<Ts>(data, I)), ...);
    }
    template <class To, std::size_t... I>
    To make(const ResultData& data, std::size_t row, std::index_sequence<I...>) const {
        std::array<std::string_view, sizeof...(Ts)> values;
        data.read(row, places_, values.data());
        return To{decode_cell<Ts>(data, row, places_[I], values[I])...};
    }

    std::array<Place, sizeof...(Ts)> places_;
};

template <class Tuple>
struct PositionalOf;
template <class... Ts>
struct PositionalOf<std::tuple<Ts...>> {
    using Type = Positional<Ts...>;
};

template <class T>
class Mapping<T, RowKind::scalar> {
public:
    explicit Mapping(const ResultData& data) {
        expect_columns(data, 1);
        place_ = check_column<T>(data, 0);
    }
    [[nodiscard]] T row(const ResultData& data, std::size_t row) const { return read_cell<T>(data, row, place_); }

private:
    Place place_{};
};

template <class... Ts>
class Mapping<std::tuple<Ts...>, RowKind::tuple> {
public:
    explicit Mapping(const ResultData& data) : columns_(data) {}
    [[nodiscard]] std::tuple<Ts...> row(const ResultData& data, std::size_t row) const {
        return columns_.template make<std::tuple<Ts...>>(data, row);
    }

private:
    Positional<Ts...> columns_;
};

template <class T>
class Mapping<T, RowKind::described> {
public:
    explicit Mapping(const ResultData& data) { locate(data, indexes()); }
    [[nodiscard]] T row(const ResultData& data, std::size_t row) const {
        T made{};
        fill(made, data, row, indexes());
        return made;
    }

private:
    static constexpr std::size_t count = std::tuple_size_v<std::remove_cvref_t<decltype(Describe<T>::fields)>>;
    static constexpr auto indexes() { return std::make_index_sequence<count>(); }

    template <class Each, class M>
    static M member_type(const DescribedField<Each, M>&);
    template <std::size_t I>
    using Member = decltype(member_type(std::get<I>(Describe<T>::fields)));

    template <std::size_t... I>
    void locate(const ResultData& data, std::index_sequence<I...>) {
        ((places_[I] = check_column<Member<I>>(data, find_column(data, std::get<I>(Describe<T>::fields).name))), ...);
    }
    template <std::size_t... I>
    void fill(T& made, const ResultData& data, std::size_t row, std::index_sequence<I...>) const {
        std::array<std::string_view, count> values;
        data.read(row, places_, values.data());
        ((made.*(std::get<I>(Describe<T>::fields).member) = decode_cell<Member<I>>(data, row, places_[I], values[I])),
         ...);
    }

    std::array<Place, count> places_;
};

template <class T>
class Mapping<T, RowKind::aggregate> {
    static_assert(std::is_aggregate_v<T>,
                  "a row cannot be read as this type: it has no coaio::db::Codec, is no aggregate, and is not "
                  "described by coaio::db::Describe");

public:
    explicit Mapping(const ResultData& data) : columns_(data) {}
    [[nodiscard]] T row(const ResultData& data, std::size_t row) const { return columns_.template make<T>(data, row); }

private:
    typename PositionalOf<Members<T>>::Type columns_;
};

template <class... Ts>
struct RowAs {
    using Type = std::tuple<Ts...>;
};
template <class T>
struct RowAs<T> {
    using Type = T;
};

/// What `as<Ts...>` makes of a row: Ts itself where it is one, else a tuple.
template <class... Ts>
using RowType = typename RowAs<Ts...>::Type;

}  // namespace detail

template <class... Ts>
auto Row::as() const {
    using T = detail::RowType<Ts...>;
    return detail::Mapping<T>(*data_).row(*data_, row_);
}

template <class... Ts>
auto Rows::as() const {
    return MappedRows<detail::RowType<Ts...>>(data_);
}

template <class T>
T Rows::value() const {
    detail::Mapping<T> mapping(*data_);
    detail::expect_rows(*data_, detail::Nullable<T>::value ? 0 : 1, 1);
    if constexpr (detail::Nullable<T>::value) {
        if (empty()) return std::nullopt;
    }
    return mapping.row(*data_, 0);
}

template <class... Ts>
auto Rows::one() const {
    using T = detail::RowType<Ts...>;
    detail::Mapping<T> mapping(*data_);
    detail::expect_rows(*data_, 1, 1);
    return mapping.row(*data_, 0);
}

template <class... Ts>
auto Rows::optional() const {
    using T = detail::RowType<Ts...>;
    detail::Mapping<T> mapping(*data_);
    detail::expect_rows(*data_, 0, 1);
    std::optional<T> found;
    if (!empty()) found.emplace(mapping.row(*data_, 0));
    return found;
}

inline Rows::Iterator Rows::begin() const noexcept { return {*data_, 0}; }
inline Rows::Iterator Rows::end() const noexcept { return {*data_, size()}; }

}  // namespace coaio::db
