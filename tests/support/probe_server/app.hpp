// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/http.hpp>

namespace probe {

/// The routes that outside tests know by heart.
[[nodiscard]] coaio::Coro<coaio::http::Router> build_app();

}  // namespace probe
