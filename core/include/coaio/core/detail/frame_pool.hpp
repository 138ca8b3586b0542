// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

namespace coaio::detail {

/// Memory for coroutine frames and task states: per-thread free lists by size class. Whether a build pools at all is
/// decided where these are defined, never in a header. A block may be given back on another thread than it came from.
[[nodiscard]] void* allocate_frame(std::size_t size);
void deallocate_frame(void* block, std::size_t size) noexcept;

/// Bytes that this thread's pool holds, free or in use.
[[nodiscard]] std::size_t frame_pool_bytes() noexcept;

}  // namespace coaio::detail
