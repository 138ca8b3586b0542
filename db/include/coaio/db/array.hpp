// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/codec.hpp>

#include <deque>
#include <optional>
#include <vector>

/// Arrays: `std::vector<T>`, with `std::optional<T>` where elements may be NULL, nested for more dimensions.
/// A nested vector whose rows differ in length is refused. Lower bounds other than 1 are accepted and forgotten.
/// Strings are sent as text[]; for an array of a json, an inet, … write `$1::json[]`. The type of an array of an enum or
/// a composite is left to the server.
namespace coaio::db {

namespace detail {

template <class T>
struct Nullable {
    using Value = T;
    static constexpr bool value = false;
};
template <class T>
struct Nullable<std::optional<T>> {
    using Value = T;
    static constexpr bool value = true;
};

/// What lies inside of a nest of vectors, and how deep.
template <class T>
struct Nest {
    using Leaf = T;
    static constexpr std::size_t depth = 0;
};
template <class T>
struct Nest<std::vector<T>> {
    using Leaf = typename Nest<T>::Leaf;
    static constexpr std::size_t depth = Nest<T>::depth + 1;
};
template <>
struct Nest<std::vector<std::byte>> {
    using Leaf = std::vector<std::byte>;
    static constexpr std::size_t depth = 0;
};

template <class T>
using LeafCodec = Codec<typename Nullable<typename Nest<std::vector<T>>::Leaf>::Value>;

/// An array in parts: the lengths of its dimensions and all elements in order.
class ArrayParts {
public:
    ArrayParts() = default;
    Oid element = Oid::unspecified;
    Format format = Format::binary;
    std::vector<std::size_t> lengths;
    const UserTypes* types = nullptr;
    std::vector<std::optional<std::string_view>> items;
    std::deque<std::string> unescaped;  ///< what some of the items point to
};

/// Throws ValueError where it is not a well-formed array.
[[nodiscard]] ArrayParts parse_array(const Encoded& value);
[[nodiscard]] bool accepts_array(Oid type, Format format, const UserTypes* types,
                                 bool (*accepts_element)(Oid, Format, const UserTypes*));

/// What an array of C's values is declared to be.
template <class C>
consteval Oid array_oid() {
    if constexpr (requires { C::array_oid; }) {
        return C::array_oid;
    } else if constexpr (requires { typename C::Through; }) {
        return array_oid<typename C::Through>();
    } else if constexpr (C::oid == Oid::unspecified) {
        return Oid::text_array;
    } else {
        return array_type(C::oid);
    }
}

/// Writes an array front to back, in binary or as a literal, whichever the element's codec does.
class ArrayWriter {
public:
    ArrayWriter(Encoder& out, Oid element, Format format, const std::vector<std::size_t>& lengths, bool nulls);

    void open();   ///< a row of a dimension begins
    void close();  ///< and ends
    void put_null();
    template <class C, class V>
    void put(const V& value) {
        if (format_ == Format::binary) {
            std::size_t at = begin_binary();
            C::encode(value, *out_);
            end_binary(at);
        } else {
            scratch_.clear();
            Encoder scratch(scratch_);
            C::encode(value, scratch);
            put_literal();
        }
    }

private:
    std::size_t begin_binary();
    void end_binary(std::size_t at);
    void put_literal();
    void separate();

    Encoder* out_;
    Format format_;
    bool empty_;
    bool first_ = true;
    std::string scratch_;
};

template <class T>
void array_lengths(const T&, std::vector<std::size_t>&) {}
template <class T>
    requires(Nest<std::vector<T>>::depth > 0)
void array_lengths(const std::vector<T>& values, std::vector<std::size_t>& lengths) {
    lengths.push_back(values.size());
    if constexpr (Nest<T>::depth > 0) {
        if (!values.empty()) array_lengths(values.front(), lengths);
    }
}

template <class T>
bool check_array(const std::vector<T>& values, const std::vector<std::size_t>& lengths, std::size_t level) {
    if (values.size() != (level < lengths.size() ? lengths[level] : 0)) {
        throw ValueError("the rows of a nested array differ in length");
    }
    bool nulls = false;
    if constexpr (Nest<T>::depth > 0) {
        for (const auto& each : values) nulls = check_array(each, lengths, level + 1) || nulls;
    } else if constexpr (Nullable<T>::value) {
        for (const auto& each : values) nulls = nulls || !each.has_value();
    }
    return nulls;
}

template <class T>
void write_array(const std::vector<T>& values, ArrayWriter& out) {
    out.open();
    for (const auto& each : values) {
        if constexpr (Nest<T>::depth > 0) {
            write_array(each, out);
        } else if constexpr (Nullable<T>::value) {
            if (each) {
                out.template put<LeafCodec<T>>(*each);
            } else {
                out.put_null();
            }
        } else {
            out.template put<LeafCodec<T>>(each);
        }
    }
    out.close();
}

template <class T>
T read_item(const ArrayParts& parts, std::size_t at) {
    const auto& item = parts.items[at];
    if constexpr (Nullable<T>::value) {
        if (!item) return std::nullopt;
    } else if (!item) {
        throw ValueError("element " + std::to_string(at + 1) + " is NULL; read the array with std::optional elements");
    }
    return decode<LeafCodec<T>>(Encoded{parts.element, parts.format, *item, parts.types});
}

template <class T>
std::vector<T> read_array(const ArrayParts& parts, std::size_t level, std::size_t& at) {
    std::vector<T> values;
    values.reserve(parts.lengths[level]);
    for (std::size_t i = 0; i < parts.lengths[level]; ++i) {
        if constexpr (Nest<T>::depth > 0) {
            values.push_back(read_array<typename T::value_type>(parts, level + 1, at));
        } else {
            values.push_back(read_item<T>(parts, at++));
        }
    }
    return values;
}

}  // namespace detail

template <class T>
    requires(!std::same_as<T, std::byte>)
struct Codec<std::vector<T>> {
    using Leaf = detail::LeafCodec<T>;
    static constexpr std::size_t depth = detail::Nest<std::vector<T>>::depth;
    static_assert(depth <= 6, "Postgres arrays have at most 6 dimensions");

    static constexpr std::string_view name = "std::vector";
    static constexpr Oid oid = detail::array_oid<Leaf>();
    static constexpr Format format = Leaf::format;

    static void encode(const std::vector<T>& values, Encoder& out) {
        std::vector<std::size_t> lengths;
        detail::array_lengths(values, lengths);
        bool nulls = detail::check_array(values, lengths, 0);
        detail::ArrayWriter writer(out, Leaf::oid, format, lengths, nulls);
        detail::write_array(values, writer);
    }

    static bool accepts(Oid type, Format column, const detail::UserTypes* types = nullptr) {
        return detail::accepts_array(type, column, types, &detail::accepts<Leaf>);
    }

    static std::vector<T> decode(const Encoded& value) {
        static_assert(!detail::borrows<typename detail::Nest<std::vector<T>>::Leaf>,
                      "read arrays of text as std::vector<std::string>");
        detail::ArrayParts parts = detail::parse_array(value);
        if (parts.lengths.empty()) return {};
        if (parts.lengths.size() != depth) {
            throw ValueError("an array of " + std::to_string(parts.lengths.size()) + " dimensions, not " +
                             std::to_string(depth));
        }
        std::size_t at = 0;
        return detail::read_array<T>(parts, 0, at);
    }
};

}  // namespace coaio::db
