// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/loop.hpp>

namespace coaio::detail {

/// What the end of a run owes: left-over tasks cancelled and awaited, async generators closed, the default executor
/// joined. The loop stays open.
void clean_up_after_run(Loop& loop, Duration executor_timeout);

}  // namespace coaio::detail
