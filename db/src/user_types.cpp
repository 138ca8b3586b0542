// SPDX-License-Identifier: MIT
#include <coaio/db/detail/user_types.hpp>

#include <algorithm>

namespace coaio::db::detail {

const UserType* UserTypes::find(Oid type) const noexcept {
    const auto at = types_.find(type);
    return at == types_.end() ? nullptr : &at->second;
}

bool UserTypes::in_binary(Oid type, int& steps) const noexcept {
    if (--steps < 0) return false;
    const UserType* const known = find(type);
    if (known == nullptr) return known_in_binary(type);
    switch (known->kind) {
    case UserKind::enumeration: return true;
    case UserKind::domain:
    case UserKind::range:
    case UserKind::multirange:
    case UserKind::array: return in_binary(known->of, steps);
    case UserKind::composite:
        return std::all_of(known->fields.begin(), known->fields.end(),
                           [&](const UserType::Field& each) { return in_binary(each.type, steps); });
    default: return false;
    }
}

UserKind kind_of(Oid type, const UserTypes* types) noexcept {
    const UserType* const known = types != nullptr ? types->find(type) : nullptr;
    return known != nullptr ? known->kind : UserKind::unknown;
}

Oid base_type(Oid type, const UserTypes* types) noexcept {
    for (int steps = 0; kind_of(type, types) == UserKind::domain && steps < UserTypes::most_steps; ++steps) {
        type = types->find(type)->of;
    }
    return type;
}

Oid element_of(Oid array, const UserTypes* types) noexcept {
    return kind_of(array, types) == UserKind::array ? types->find(array)->of : element_type(array);
}

char delimiter_of(Oid array, const UserTypes* types) noexcept {
    constexpr auto box_array = static_cast<Oid>(1020);
    if (kind_of(array, types) == UserKind::array) return types->find(array)->delimiter;
    if (is_user_made(array)) return '\0';
    return array == box_array ? ';' : ',';
}

Oid subtype_of_range(Oid range, const UserTypes* types) noexcept {
    return kind_of(range, types) == UserKind::range ? types->find(range)->of : range_subtype(range);
}

Oid subtype_of_multirange(Oid multirange, const UserTypes* types) noexcept {
    return kind_of(multirange, types) == UserKind::multirange ? types->find(multirange)->of
                                                              : multirange_subtype(multirange);
}

std::string type_name(Oid type, const UserTypes* types) {
    const UserType* const known = types != nullptr ? types->find(type) : nullptr;
    return known != nullptr ? known->name : db::type_name(type);
}

std::string type_description(Oid type, const UserTypes* types) {
    std::string text = type_name(type, types);
    if (kind_of(type, types) != UserKind::composite) return text;
    text += " (";
    for (const UserType::Field& each : types->find(type)->fields) {
        if (text.back() != '(') text += ", ";
        text += each.name + " " + type_name(each.type, types);
    }
    return text + ")";
}

}  // namespace coaio::db::detail
