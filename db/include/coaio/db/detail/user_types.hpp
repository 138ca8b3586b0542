// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/codec.hpp>

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace coaio::db::detail {

enum class UserKind : unsigned char { unknown, base, enumeration, composite, domain, range, multirange, array };

/// A type that is not built in, as the catalog of the server has it.
class UserType {
public:
    struct Field {
        std::string name;
        Oid type = Oid::unspecified;
    };

    UserType() = default;
    UserType(std::string named, UserKind is, Oid over = Oid::unspecified, std::vector<Field> made_of = {},
             char splits = ',')
        : name(std::move(named)), kind(is), of(over), fields(std::move(made_of)), delimiter(splits) {}

    std::string name;
    UserKind kind = UserKind::unknown;
    Oid of = Oid::unspecified;  ///< a domain's base, an array's element, what a range or multirange is over
    std::vector<Field> fields;  ///< of a composite
    char delimiter = ',';       ///< between an array's elements in its text form
};

/// What a session knows of such types. It is the server's word, so nothing in it is taken to be sound: no walk through it
/// is longer than `most_steps`.
class UserTypes {
public:
    static constexpr int most_steps = 4096;

    void add(Oid type, UserType known) { types_.insert_or_assign(type, std::move(known)); }
    [[nodiscard]] const UserType* find(Oid type) const noexcept;
    /// Whether its binary form is read, and that of all it is made of.
    [[nodiscard]] bool in_binary(Oid type) const noexcept {
        int steps = most_steps;
        return in_binary(type, steps);
    }

private:
    [[nodiscard]] bool in_binary(Oid type, int& steps) const noexcept;

    std::unordered_map<Oid, UserType> types_;
};

[[nodiscard]] constexpr bool is_user_made(Oid type) noexcept { return static_cast<std::uint32_t>(type) >= 16384; }
/// `unknown` for what is built in, too.
[[nodiscard]] UserKind kind_of(Oid type, const UserTypes* types) noexcept;
/// What an array holds; `unspecified` where it is no array, or nobody knows.
[[nodiscard]] Oid element_of(Oid array, const UserTypes* types) noexcept;
/// What stands between an array's elements in its text form; NUL where nobody knows.
[[nodiscard]] char delimiter_of(Oid array, const UserTypes* types) noexcept;
[[nodiscard]] Oid subtype_of_range(Oid range, const UserTypes* types) noexcept;
[[nodiscard]] Oid subtype_of_multirange(Oid multirange, const UserTypes* types) noexcept;
/// As SQL calls it.
[[nodiscard]] std::string type_name(Oid type, const UserTypes* types);
/// The same with the fields of a composite.
[[nodiscard]] std::string type_description(Oid type, const UserTypes* types);

}  // namespace coaio::db::detail
