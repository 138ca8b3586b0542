// SPDX-License-Identifier: MIT
#pragma once

#include "libpq.hpp"

#include <coaio/core/future.hpp>

namespace coaio::db::detail {

/// Sends a cancel request from a thread of its own, since libpq's call blocks without limit. The future is done when the
/// request's connection has ended; empty, or why it failed. At most two run at a time in a process (CAN-07).
/// Cancelling the future abandons the request: it does not start any more, or its outcome is dropped.
[[nodiscard]] Future<std::string> send_cancel(pq::Canceller canceller);

}  // namespace coaio::db::detail
