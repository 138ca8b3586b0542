// SPDX-License-Identifier: MIT
#include <coaio/core/detail/frame_pool.hpp>

#include <array>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace coaio::detail {

#if defined(COAIO_FRAME_POOL) && COAIO_FRAME_POOL

namespace {

constexpr std::size_t granule = 16;
constexpr std::size_t largest = 2048;
constexpr std::size_t classes = largest / granule;
constexpr std::size_t chunk_size = 256 * 1024;

struct Block {
    Block* next;
};

struct Pool {
    std::array<Block*, classes> free{};
    std::byte* at = nullptr;
    std::byte* end = nullptr;
    std::size_t bytes = 0;
};

// Blocks travel between threads with the coroutines that live in them, so a chunk outlives the thread that made it:
// a thread that ends leaves its whole pool here, and the next new thread takes it up.
struct Retired {
    std::mutex mutex;
    std::vector<std::unique_ptr<Pool>> pools;
    std::vector<std::unique_ptr<std::byte[]>> chunks;
};

Retired& retired() {
    static auto* const instance = new Retired;  // never destroyed: threads may end after main has
    return *instance;
}

constinit thread_local Pool* pool = nullptr;

struct Retirer {
    ~Retirer() {
        if (pool == nullptr) return;
        Retired& shelf = retired();
        const std::lock_guard guard(shelf.mutex);
        shelf.pools.emplace_back(std::exchange(pool, nullptr));
    }
};

[[gnu::noinline]] Pool& adopt_pool() {
    static thread_local Retirer retirer;
    static_cast<void>(retirer);
    Retired& shelf = retired();
    const std::lock_guard guard(shelf.mutex);
    if (shelf.pools.empty()) {
        pool = new Pool;
    } else {
        pool = shelf.pools.back().release();
        shelf.pools.pop_back();
    }
    return *pool;
}

[[gnu::noinline]] void* from_chunk(Pool& mine, std::size_t size) {
    if (static_cast<std::size_t>(mine.end - mine.at) < size) {
        auto chunk = std::make_unique_for_overwrite<std::byte[]>(chunk_size);
        mine.at = chunk.get();
        mine.end = mine.at + chunk_size;
        mine.bytes += chunk_size;
        Retired& shelf = retired();
        const std::lock_guard guard(shelf.mutex);
        shelf.chunks.push_back(std::move(chunk));
    }
    return std::exchange(mine.at, mine.at + size);
}

}  // namespace

void* allocate_frame(std::size_t size) {
    const std::size_t index = (size - 1) / granule;
    if (index >= classes) [[unlikely]]
        return ::operator new(size);
    Pool& mine = pool != nullptr ? *pool : adopt_pool();
    if (Block* block = mine.free[index]) [[likely]] {
        mine.free[index] = block->next;
        return block;
    }
    return from_chunk(mine, (index + 1) * granule);
}

void deallocate_frame(void* block, std::size_t size) noexcept {
    const std::size_t index = (size - 1) / granule;
    if (index >= classes) [[unlikely]] {
        ::operator delete(block, size);
        return;
    }
    Pool& mine = pool != nullptr ? *pool : adopt_pool();
    mine.free[index] = new (block) Block{mine.free[index]};
}

std::size_t frame_pool_bytes() noexcept { return pool != nullptr ? pool->bytes : 0; }

#else

void* allocate_frame(std::size_t size) { return ::operator new(size); }

void deallocate_frame(void* block, std::size_t size) noexcept { ::operator delete(block, size); }

std::size_t frame_pool_bytes() noexcept { return 0; }

#endif

}  // namespace coaio::detail
