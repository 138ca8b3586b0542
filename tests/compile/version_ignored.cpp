// SPDX-License-Identifier: MIT
// expect: ignoring return value.*nodiscard
#include <coaio/core/version.hpp>

void ask() {
#ifdef COAIO_BAD
    coaio::version();
#else
    static_cast<void>(coaio::version());
#endif
}
