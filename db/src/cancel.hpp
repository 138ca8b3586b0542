// SPDX-License-Identifier: MIT
#pragma once

#include "libpq.hpp"

#include <coaio/core/coro.hpp>
#include <coaio/core/future.hpp>
#include <coaio/core/semaphore.hpp>

#include <string>

namespace coaio::db::detail {

/// Sends a cancel request from a thread of its own, since libpq's call blocks without limit. The future is done when the
/// request's connection has ended; empty, or why it failed. At most two run at a time in a process (CAN-07).
/// Cancelling the future abandons the request: it does not start any more, or its outcome is dropped.
[[nodiscard]] Future<std::string> send_cancel(pq::Canceller canceller);

/// The same on the loop, where libpq can; at most as many at a time as `limit` says. When it ends, so has the request's
/// connection.
[[nodiscard]] Coro<std::string> send_cancel_on_loop(pq::CancelRequest request, Semaphore& limit);

}  // namespace coaio::db::detail
