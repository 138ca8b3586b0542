// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace coaio::db {

/// Maps a struct by the names of columns instead of by position. Specialize it:
///
///     template <> struct coaio::db::Describe<User> {
///         static constexpr auto fields =
///             std::make_tuple(coaio::db::field("id", &User::id), coaio::db::field("name", &User::name));
///     };
///
/// Each named column must be there; others are passed over. The struct must be default constructible.
template <class T>
struct Describe;

template <class T, class M>
struct DescribedField {
    std::string_view name;
    M T::* member;
};

template <class T, class M>
[[nodiscard]] constexpr DescribedField<T, M> field(std::string_view name, M T::* member) {
    return {name, member};
}

template <class T>
concept Described = requires { Describe<T>::fields; };

namespace detail {

/// Stands for a member of any type when members are counted.
struct AnyMember {
    template <class M>
    operator M() const noexcept;
};

template <std::size_t>
using AnyMemberAt = AnyMember;

template <class T, std::size_t... I>
consteval bool has_members(std::index_sequence<I...>) {
    return requires { T{AnyMemberAt<I>{}...}; };
}

template <class T, std::size_t N = 24>
consteval std::size_t member_count() {
    if constexpr (N == 0) {
        return 0;
    } else if constexpr (has_members<T>(std::make_index_sequence<N>())) {
        return N;
    } else {
        return member_count<T, N - 1>();
    }
}

/// The members of an aggregate as a tuple of references.
template <class T>
constexpr auto tie_members(T& whole) {
    constexpr std::size_t count = member_count<std::remove_const_t<T>>();
    static_assert(count >= 1 && count <= 24, "an aggregate of 1 to 24 members, or describe it: coaio::db::Describe");
    if constexpr (count == 1) {
        auto& [a] = whole;
        return std::tie(a);
    } else if constexpr (count == 2) {
        auto& [a, b] = whole;
        return std::tie(a, b);
    } else if constexpr (count == 3) {
        auto& [a, b, c] = whole;
        return std::tie(a, b, c);
    } else if constexpr (count == 4) {
        auto& [a, b, c, d] = whole;
        return std::tie(a, b, c, d);
    } else if constexpr (count == 5) {
        auto& [a, b, c, d, e] = whole;
        return std::tie(a, b, c, d, e);
    } else if constexpr (count == 6) {
        auto& [a, b, c, d, e, f] = whole;
        return std::tie(a, b, c, d, e, f);
    } else if constexpr (count == 7) {
        auto& [a, b, c, d, e, f, g] = whole;
        return std::tie(a, b, c, d, e, f, g);
    } else if constexpr (count == 8) {
        auto& [a, b, c, d, e, f, g, h] = whole;
        return std::tie(a, b, c, d, e, f, g, h);
    } else if constexpr (count == 9) {
        auto& [a, b, c, d, e, f, g, h, i] = whole;
        return std::tie(a, b, c, d, e, f, g, h, i);
    } else if constexpr (count == 10) {
        auto& [a, b, c, d, e, f, g, h, i, j] = whole;
        return std::tie(a, b, c, d, e, f, g, h, i, j);
    } else if constexpr (count == 11) {
        auto& [a, b, c, d, e, f, g, h, i, j, k] = whole;
        return std::tie(a, b, c, d, e, f, g, h, i, j, k);
    } else if constexpr (count == 12) {
        auto& [a, b, c, d, e, f, g, h, i, j, k, l] = whole;
        return std::tie(a, b, c, d, e, f, g, h, i, j, k, l);
    } else if constexpr (count == 13) {
        auto& [a, b, c, d, e, f, g, h, i, j, k, l, m] = whole;
        return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m);
    } else if constexpr (count == 14) {
        auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = whole;
        return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n);
    } else if constexpr (count == 15) {
        auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o] = whole;
        return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o);
    } else if constexpr (count == 16) {
        auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = whole;
        return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p);
    } else if constexpr (count == 17) {
        auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q] = whole;
        return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q);
    } else if constexpr (count == 18) {
        auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r] = whole;
        return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r);
    } else if constexpr (count == 19) {
        auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s] = whole;
        return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s);
    } else if constexpr (count == 20) {
        auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t] = whole;
        return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t);
    } else if constexpr (count == 21) {
        auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u] = whole;
        return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u);
    } else if constexpr (count == 22) {
        auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v] = whole;
        return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v);
    } else if constexpr (count == 23) {
        auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w] = whole;
        return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w);
    } else if constexpr (count == 24) {
        auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x] = whole;
        return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x);
    }
}

template <class Tie>
struct MemberTypes;
template <class... Ms>
struct MemberTypes<std::tuple<Ms&...>> {
    using Tuple = std::tuple<Ms...>;
};

/// The types of an aggregate's members, as a tuple.
template <class T>
using Members = typename MemberTypes<decltype(tie_members(std::declval<T&>()))>::Tuple;

}  // namespace detail
}  // namespace coaio::db
