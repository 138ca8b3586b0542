// SPDX-License-Identifier: MIT
#pragma once

#include "money.hpp"

namespace soak {

/// Does harm of some kind to the server or to connections, now and then, until the time is over.
[[nodiscard]] coaio::Coro<> make_trouble(World& world);

}  // namespace soak
