// SPDX-License-Identifier: MIT
#include <coaio/core/detail/frame_pool.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace coaio::detail {

constinit thread_local FramePool frame_pool;

#if defined(COAIO_FRAME_POOL) && COAIO_FRAME_POOL

namespace {

constexpr std::size_t largest = FramePool::granule * FramePool::classes;
// Chunks double from the first to the last size. One of the last is a huge page where the system has them to spare: it
// comes in one fault instead of 512, which were a good part of what a first task costs.
constexpr std::size_t first_chunk = 64 * 1024;
constexpr std::size_t last_chunk = 2 * 1024 * 1024;

/// Where new blocks are cut from.
struct Supply {
    std::byte* at = nullptr;
    std::byte* end = nullptr;
    std::size_t bytes = 0;
};

constinit thread_local Supply supply;

struct RetiredPool {
    FramePool pool;
    Supply supply;
};

// Blocks travel between threads with the coroutines that live in them, so a chunk outlives the thread that made it:
// a thread that ends leaves its whole pool here, and the next new thread takes it up.
struct Retired {
    std::mutex mutex;
    std::vector<std::unique_ptr<RetiredPool>> pools;
    std::vector<void*> chunks;  // none is ever freed: so that whoever looks for leaks finds them
};

Retired& retired() {
    static auto* const instance = new Retired;  // never destroyed: threads may end after main has
    return *instance;
}

struct Retirer {
    ~Retirer() {
        if (frame_pool.largest == 0) return;
        Retired& shelf = retired();
        const std::lock_guard guard(shelf.mutex);
        shelf.pools.push_back(std::make_unique<RetiredPool>(
            RetiredPool{std::exchange(frame_pool, FramePool()), std::exchange(supply, Supply())}));
    }
};

void adopt_pool() {
    static thread_local Retirer retirer;
    static_cast<void>(retirer);
    Retired& shelf = retired();
    const std::lock_guard guard(shelf.mutex);
    if (!shelf.pools.empty()) {
        frame_pool = shelf.pools.back()->pool;
        supply = shelf.pools.back()->supply;
        shelf.pools.pop_back();
    }
    frame_pool.largest = largest;
}

void* cut(std::size_t size) {
    if (static_cast<std::size_t>(supply.end - supply.at) < size) {
        const std::size_t bytes = std::clamp(supply.bytes, first_chunk, last_chunk);
        supply.at = static_cast<std::byte*>(::operator new(bytes, std::align_val_t(bytes)));
        Retired& shelf = retired();
        const std::lock_guard guard(shelf.mutex);
        shelf.chunks.push_back(supply.at);
        if (bytes == last_chunk) static_cast<void>(::madvise(supply.at, bytes, MADV_HUGEPAGE));
        supply.end = supply.at + bytes;
        supply.bytes += bytes;
    }
    return std::exchange(supply.at, supply.at + size);
}

}  // namespace

void* allocate_frame_afresh(std::size_t size) {
    if (size > largest) return ::operator new(size);
    if (frame_pool.largest == 0) {
        adopt_pool();
        return allocate_frame(size);
    }
    return cut((size + FramePool::granule - 1) / FramePool::granule * FramePool::granule);
}

void deallocate_foreign_frame(void* block, std::size_t size) noexcept {
    if (size > largest) {
        ::operator delete(block, size);
        return;
    }
    adopt_pool();
    deallocate_frame(block, size);
}

std::size_t frame_pool_bytes() noexcept { return supply.bytes; }

#else

void* allocate_frame_afresh(std::size_t size) { return ::operator new(size); }

void deallocate_foreign_frame(void* block, std::size_t size) noexcept { ::operator delete(block, size); }

std::size_t frame_pool_bytes() noexcept { return 0; }

#endif

}  // namespace coaio::detail
