// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/array.hpp>
#include <coaio/db/codec.hpp>
#include <coaio/db/describe.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

namespace coaio::db {

namespace detail {

/// What a member of the struct asks of the field in its place.
struct FieldWanted {
    std::string_view name;  ///< any, where it is empty
    bool (*accepts)(Oid, Format, const UserTypes*);
};

[[nodiscard]] bool accepts_composite(Oid type, Format format, const UserTypes* types, const FieldWanted* wanted,
                                     std::size_t count);

/// Takes a composite value apart, field by field. Whatever is not well-formed, is a ValueError.
class CompositeReader {
public:
    CompositeReader(const Encoded& value, std::size_t fields);

    /// The next field, nullopt for NULL; points into the reader until the one after it. Its type is `unspecified` where
    /// nobody says what it is.
    [[nodiscard]] std::optional<Encoded> next();
    void expect_end() const;
    /// In words, of the field read last; `name` may be empty.
    [[nodiscard]] std::string field(std::string_view name) const;
    [[noreturn]] void wrong_type(const Encoded& sent, std::string_view name, std::string_view cpp_type) const;

private:
    [[nodiscard]] std::optional<Encoded> next_binary();
    [[nodiscard]] std::optional<Encoded> next_text();

    Encoded whole_;
    std::string_view rest_;
    std::string plain_;
    std::size_t read_ = 0;
};

/// Writes one as its literal.
class CompositeWriter {
public:
    explicit CompositeWriter(Encoder& out) noexcept : out_(&out) {}

    void put_null() { separate(); }
    template <class C, class V>
    void put(const V& value) {
        encoded_.clear();
        Encoder field(encoded_);
        C::encode(value, field);
        put_encoded(C::oid, C::format);
    }
    void end();

private:
    void put_encoded(Oid type, Format format);
    void separate();

    Encoder* out_;
    std::string encoded_;
    bool first_ = true;
};

/// Calls f(name, member) for each member, in order; without a description the names are empty.
template <class T, class F>
void for_each_member(T& whole, F f) {
    using Plain = std::remove_const_t<T>;
    if constexpr (Described<Plain>) {
        std::apply([&](const auto&... each) { (f(each.name, whole.*(each.member)), ...); }, Describe<Plain>::fields);
    } else {
        std::apply([&](auto&... each) { (f(std::string_view(), each), ...); }, tie_members(whole));
    }
}

template <class M>
[[nodiscard]] FieldWanted field_wanted(std::string_view name) {
    return {name, &accepts<Codec<typename Nullable<M>::Value>>};
}
template <class T, class... Ms>
[[nodiscard]] auto fields_wanted(const std::tuple<DescribedField<T, Ms>...>& fields) {
    return std::apply([](const auto&... each) { return std::array{field_wanted<Ms>(each.name)...}; }, fields);
}
template <class... Ms>
[[nodiscard]] auto fields_wanted(const std::tuple<Ms...>*) {
    return std::array{field_wanted<Ms>(std::string_view())...};
}
template <class T>
[[nodiscard]] auto fields_wanted() {
    if constexpr (Described<T>) {
        return fields_wanted(Describe<T>::fields);
    } else {
        return fields_wanted(static_cast<const Members<T>*>(nullptr));
    }
}

template <class M>
M read_field(CompositeReader& in, std::string_view name) {
    using Value = typename Nullable<M>::Value;
    using C = Codec<Value>;
    static_assert(HasCodec<Value>, "a member of a composite has no coaio::db::Codec");
    static_assert(!borrows<Value>, "text in a composite is read as std::string");
    std::optional<Encoded> sent = in.next();
    if (!sent) {
        if constexpr (Nullable<M>::value) {
            return std::nullopt;
        } else {
            throw ValueError(in.field(name) + " is NULL; make the member a std::optional");
        }
    }
    if (sent->type == Oid::unspecified) {
        sent->type = C::oid;
    } else if (!accepts<C>(sent->type, sent->format, sent->types)) {
        in.wrong_type(*sent, name, C::name);
    }
    try {
        return decode<C>(*sent);
    } catch (const ValueError& error) {
        throw ValueError(in.field(name) + ": " + error.what());
    }
}

}  // namespace detail

/// A struct of C++ for a composite type, or for the row type of a table:
///
///     struct Point { double x; double y; };
///     template <> struct coaio::db::Codec<Point> : coaio::db::CompositeCodec<Point> {
///         static constexpr std::string_view name = "Point";
///     };
///
/// The members are the fields, in their order; `std::optional` where a field may be NULL. Where the struct has a
/// `Describe` too, that says which members, and the names of the fields must be the same. Any schema will do, and arrays
/// and composites of composites. The struct must be default constructible.
///
/// Read in binary once the session knows the type, which it asks of the server when it prepares a statement; types of
/// fields that do not match are refused before the first row. After an ALTER TYPE call `Pool::expire`. Sent as a
/// literal, so that a member serves for a field of any type that reads its text; its own type is left to the server.
template <class T>
struct CompositeCodec {
    static constexpr Oid oid = Oid::unspecified;
    static constexpr Oid array_oid = Oid::unspecified;
    static constexpr Format format = Format::text;

    static void encode(const T& value, Encoder& out) {
        detail::CompositeWriter writer(out);
        detail::for_each_member(value, [&writer]<class M>(std::string_view, const M& member) {
            if constexpr (detail::Nullable<M>::value) {
                if (!member) return writer.put_null();
                writer.template put<Codec<typename M::value_type>>(*member);
            } else {
                writer.template put<Codec<M>>(member);
            }
        });
        writer.end();
    }

    static bool accepts(Oid type, Format sent, const detail::UserTypes* types = nullptr) {
        const auto wanted = detail::fields_wanted<T>();
        return detail::accepts_composite(type, sent, types, wanted.data(), wanted.size());
    }

    static T decode(const Encoded& value) {
        T made{};
        std::size_t count = 0;
        detail::for_each_member(made, [&count](std::string_view, const auto&) { ++count; });
        detail::CompositeReader in(value, count);
        detail::for_each_member(
            made, [&in]<class M>(std::string_view name, M& member) { member = detail::read_field<M>(in, name); });
        in.expect_end();
        return made;
    }
};

}  // namespace coaio::db
