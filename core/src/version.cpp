// SPDX-License-Identifier: MIT
#include <coaio/core/version.hpp>

namespace coaio {

std::string_view version() noexcept { return COAIO_VERSION; }

}  // namespace coaio
