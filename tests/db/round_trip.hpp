// SPDX-License-Identifier: MIT
#pragma once

#include "db/wire.hpp"
#include "support/catch.hpp"

#include <string>

namespace tests {

/// Read in both formats, and sent as a parameter that the server finds equal to the literal.
template <class T>
void round_trip(Wire& wire, const T& value, const std::string& literal, const std::string& type) {
    INFO(literal.substr(0, 60) << "::" << type);
    std::string wanted = literal + "::" + type;
    CHECK((wire.value<T>("select " + wanted) == value));
    CHECK((wire.value<T>("select " + wanted, {}, coaio::db::Format::text) == value));
    CHECK(wire.value<bool>("select $1::" + type + "::text is not distinct from (" + wanted + ")::text",
                           coaio::db::Params::of(value)));
    CHECK((wire.value<T>("select $1::" + type, coaio::db::Params::of(value)) == value));
}

}  // namespace tests
