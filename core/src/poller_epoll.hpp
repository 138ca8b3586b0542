// SPDX-License-Identifier: MIT
#pragma once

#include "poller.hpp"

#include <memory>

namespace coaio::detail {

struct LoopCore;

/// The Linux back end. Throws `IoError` when the process has no descriptors left.
[[nodiscard]] std::unique_ptr<Poller> make_epoll_poller(LoopCore& core);

}  // namespace coaio::detail
