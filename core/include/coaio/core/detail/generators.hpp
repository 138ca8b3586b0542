// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>

namespace coaio::detail {

/// Closes every half-run generator of the running loop, all at the same time, each in a task of its own, and waits for
/// them. What fails goes to the exception handler. Part of the end of a run; generators that are started later are
/// reported, and nobody closes them.
[[nodiscard]] Coro<> shutdown_generators();

}  // namespace coaio::detail
