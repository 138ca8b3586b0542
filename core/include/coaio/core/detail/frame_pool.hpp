// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <new>

namespace coaio::detail {

/// One thread's memory for coroutine frames and task states: free lists by size class. A block may be given back on
/// another thread than it came from; a thread that is given more than it gives out hands its lists in, for all threads.
struct FramePool {
    static constexpr std::size_t granule = 16;
    static constexpr std::size_t classes = 128;
    static constexpr std::ptrdiff_t most_surplus = 256 * 1024;

    struct Block {
        Block* next;
        Block* next_list;  // of a first one, among lists that were handed in
    };
    static_assert(sizeof(Block) <= granule);

    /// The largest block that the lists serve: 0 before the thread's first one, after its end, and for ever in a build
    /// that does not pool. Whether a build pools is decided in the library, never in a header.
    std::size_t largest = 0;
    /// How many bytes more were given back here than came from here.
    std::ptrdiff_t surplus = 0;
    std::array<Block*, classes> free{};
};

extern constinit thread_local FramePool frame_pool;

[[nodiscard]] void* allocate_frame_afresh(std::size_t size);
void deallocate_frame_elsewhere(void* block, std::size_t size) noexcept;
void hand_in_frames() noexcept;

[[nodiscard]] inline void* allocate_frame(std::size_t size) {
    FramePool& pool = frame_pool;
    if (size <= pool.largest) [[likely]] {
        FramePool::Block*& head = pool.free[(size - 1) / FramePool::granule];
        if (FramePool::Block* const block = head) [[likely]] {
            head = block->next;
            pool.surplus -= static_cast<std::ptrdiff_t>(size);
            return block;
        }
    }
    return allocate_frame_afresh(size);
}

inline void deallocate_frame(void* block, std::size_t size) noexcept {
    FramePool& pool = frame_pool;
    if (size > pool.largest) [[unlikely]]
        return deallocate_frame_elsewhere(block, size);
    FramePool::Block*& head = pool.free[(size - 1) / FramePool::granule];
    head = ::new (block) FramePool::Block{head, nullptr};
    pool.surplus += static_cast<std::ptrdiff_t>(size);
    if (pool.surplus > FramePool::most_surplus) [[unlikely]]
        hand_in_frames();
}

/// While it lives, what this thread gives back keeps its memory, past the first 16 bytes as it is.
class FrameHold {
public:
    FrameHold() noexcept;
    FrameHold(const FrameHold&) = delete;
    FrameHold& operator=(const FrameHold&) = delete;
    ~FrameHold();

private:
    bool outermost_;
};

/// Bytes that this thread took from the system for its pool.
[[nodiscard]] std::size_t frame_pool_bytes() noexcept;

/// Base of what lives in the pool. What needs a stricter alignment than a pool's block has comes from the system.
struct Pooled {
    static void* operator new(std::size_t size) { return allocate_frame(size); }
    static void operator delete(void* block, std::size_t size) noexcept { deallocate_frame(block, size); }
    static void* operator new(std::size_t size, std::align_val_t alignment) { return ::operator new(size, alignment); }
    static void operator delete(void* block, std::size_t size, std::align_val_t alignment) noexcept {
        ::operator delete(block, size, alignment);
    }
};

}  // namespace coaio::detail
