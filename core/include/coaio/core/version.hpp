// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace coaio {

/// The version of the library that is linked, such as "0.1.0". The text lives for ever.
[[nodiscard]] std::string_view version() noexcept;

}  // namespace coaio
