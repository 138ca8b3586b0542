// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <new>

namespace coaio::detail {

/// One thread's memory for coroutine frames and task states: free lists by size class. A block may be given back on
/// another thread than it came from.
struct FramePool {
    static constexpr std::size_t granule = 16;
    static constexpr std::size_t classes = 128;

    struct Block {
        Block* next;
    };

    /// The largest block that the lists serve: 0 before the thread's first one, after its end, and for ever in a build
    /// that does not pool. Whether a build pools is decided in the library, never in a header.
    std::size_t largest = 0;
    std::array<Block*, classes> free{};
};

extern constinit thread_local FramePool frame_pool;

[[nodiscard]] void* allocate_frame_afresh(std::size_t size);
void deallocate_foreign_frame(void* block, std::size_t size) noexcept;

[[nodiscard]] inline void* allocate_frame(std::size_t size) {
    FramePool& pool = frame_pool;
    if (size <= pool.largest) [[likely]] {
        FramePool::Block*& head = pool.free[(size - 1) / FramePool::granule];
        if (FramePool::Block* const block = head) [[likely]] {
            head = block->next;
            return block;
        }
    }
    return allocate_frame_afresh(size);
}

inline void deallocate_frame(void* block, std::size_t size) noexcept {
    FramePool& pool = frame_pool;
    if (size <= pool.largest) [[likely]] {
        FramePool::Block*& head = pool.free[(size - 1) / FramePool::granule];
        head = ::new (block) FramePool::Block{head};
        return;
    }
    deallocate_foreign_frame(block, size);
}

/// Bytes that this thread's pool holds, free or in use.
[[nodiscard]] std::size_t frame_pool_bytes() noexcept;

}  // namespace coaio::detail
