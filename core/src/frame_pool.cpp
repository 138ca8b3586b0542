// SPDX-License-Identifier: MIT
#include <coaio/core/detail/frame_pool.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <mutex>
#include <utility>

namespace coaio::detail {

constinit thread_local FramePool frame_pool;

namespace {

/// What was given back during a hold, at the front of itself.
struct Held {
    Held* next;
    std::size_t size;
};

/// The outermost hold of a thread: while there is one the thread's lists serve nobody directly.
struct Hold {
    bool active = false;
    std::size_t largest = 0;
    Held* blocks = nullptr;
};

constinit thread_local Hold hold;

/// Lifts the hold for a while.
class Unheld {
public:
    Unheld() noexcept {
        hold.active = false;
        frame_pool.largest = hold.largest;
    }
    Unheld(const Unheld&) = delete;
    Unheld& operator=(const Unheld&) = delete;
    ~Unheld() {
        hold.active = true;
        hold.largest = std::exchange(frame_pool.largest, 0);
    }
};

}  // namespace

FrameHold::FrameHold() noexcept : outermost_(!hold.active) {
    if (!outermost_) return;
    hold.active = true;
    hold.largest = std::exchange(frame_pool.largest, 0);
}

FrameHold::~FrameHold() {
    if (!outermost_) return;
    hold.active = false;
    frame_pool.largest = hold.largest;
    for (Held* each = std::exchange(hold.blocks, nullptr); each != nullptr;) {
        const Held block = *each;
        deallocate_frame(each, block.size);
        each = block.next;
    }
}

#if defined(COAIO_FRAME_POOL) && COAIO_FRAME_POOL

namespace {

using Block = FramePool::Block;

constexpr std::size_t largest = FramePool::granule * FramePool::classes;
// Chunks double from the first to the last size. One of the last is a huge page where the system has them to spare: it
// comes in one fault instead of 512, which were a good part of what a first task costs.
constexpr std::size_t first_chunk = 64 * 1024;
constexpr std::size_t last_chunk = 2 * 1024 * 1024;

/// At the front of each chunk: none is ever freed, and whoever looks for leaks finds them all.
struct alignas(FramePool::granule) Chunk {
    Chunk* next;
};

/// What a thread that ended had not cut up yet, at the front of itself.
struct Rest {
    Rest* next;
    std::byte* end;
};

/// What belongs to no thread.
struct Depot {
    std::mutex mutex;
    std::array<std::atomic<Block*>, FramePool::classes> lists{};  // looked at without the lock, too
    Rest* rests = nullptr;
    Chunk* chunks = nullptr;
};

constinit Depot depot;

/// Where a thread cuts new blocks from.
struct Supply {
    std::byte* at = nullptr;
    std::byte* end = nullptr;
    std::size_t bytes = 0;
    bool ended = false;  // the thread's own destructors run, and this one's has
};

constinit thread_local Supply supply;

std::size_t index_of(std::size_t size) noexcept { return (size - 1) / FramePool::granule; }

void hand_in(std::size_t index, Block* list) noexcept {
    list->next_list = depot.lists[index].load(std::memory_order_relaxed);
    depot.lists[index].store(list, std::memory_order_relaxed);
}

Block* take_list(std::size_t index) noexcept {
    if (depot.lists[index].load(std::memory_order_relaxed) == nullptr) return nullptr;
    const std::lock_guard guard(depot.mutex);
    Block* const list = depot.lists[index].load(std::memory_order_relaxed);
    if (list != nullptr) depot.lists[index].store(list->next_list, std::memory_order_relaxed);
    return list;
}

struct Retirer {
    ~Retirer() {
        hand_in_frames();
        frame_pool.largest = 0;
        supply.ended = true;
        if (static_cast<std::size_t>(supply.end - supply.at) < sizeof(Rest)) return;
        const std::lock_guard guard(depot.mutex);
        depot.rests = ::new (static_cast<void*>(supply.at)) Rest{depot.rests, supply.end};
        supply.at = supply.end = nullptr;
    }
};

void begin_pool() noexcept {
    static thread_local Retirer retirer;
    static_cast<void>(retirer);
    frame_pool.largest = largest;
}

bool take_rest() noexcept {
    const std::lock_guard guard(depot.mutex);
    if (depot.rests == nullptr) return false;
    const Rest rest = *depot.rests;
    supply.at = reinterpret_cast<std::byte*>(depot.rests);
    supply.end = rest.end;
    depot.rests = rest.next;
    return true;
}

void take_chunk() {
    const std::size_t bytes = std::clamp(std::bit_floor(supply.bytes), first_chunk, last_chunk);
    void* const memory = ::operator new(bytes, std::align_val_t(bytes));
    if (bytes == last_chunk) static_cast<void>(::madvise(memory, bytes, MADV_HUGEPAGE));
    supply.at = static_cast<std::byte*>(memory) + sizeof(Chunk);
    supply.end = static_cast<std::byte*>(memory) + bytes;
    supply.bytes += bytes;
    const std::lock_guard guard(depot.mutex);
    depot.chunks = ::new (memory) Chunk{depot.chunks};
}

void* cut(std::size_t size) {
    const auto is_short = [size] { return static_cast<std::size_t>(supply.end - supply.at) < size; };
    if (is_short()) static_cast<void>(take_rest());
    if (is_short()) take_chunk();
    return std::exchange(supply.at, supply.at + size);
}

}  // namespace

void* allocate_frame_afresh(std::size_t size) {
    if (hold.active) [[unlikely]] {
        const Unheld unheld;
        return allocate_frame(size);
    }
    if (size > largest) return ::operator new(size);
    if (frame_pool.largest == 0 && !supply.ended) {
        begin_pool();
        return allocate_frame(size);
    }
    const std::size_t index = index_of(size);
    const std::size_t rounded = (index + 1) * FramePool::granule;
    // A thread that gave out much may yet become one that is given much.
    frame_pool.surplus = std::max(frame_pool.surplus, -FramePool::most_surplus) - static_cast<std::ptrdiff_t>(size);
    if (supply.ended) return ::operator new(rounded);
    if (Block* const list = take_list(index)) {
        frame_pool.free[index] = list->next;
        return list;
    }
    return cut(rounded);
}

void deallocate_frame_elsewhere(void* block, std::size_t size) noexcept {
    if (hold.active) [[unlikely]] {
        hold.blocks = ::new (block) Held{hold.blocks, size};
    } else if (size > largest) {
        ::operator delete(block, size);
    } else if (supply.ended) {
        const std::lock_guard guard(depot.mutex);
        hand_in(index_of(size), ::new (block) Block{nullptr, nullptr});
    } else {
        begin_pool();
        deallocate_frame(block, size);
    }
}

void hand_in_frames() noexcept {
    const std::lock_guard guard(depot.mutex);
    for (std::size_t index = 0; index < FramePool::classes; ++index) {
        if (Block* const list = std::exchange(frame_pool.free[index], nullptr)) hand_in(index, list);
    }
    frame_pool.surplus = 0;
}

std::size_t frame_pool_bytes() noexcept { return supply.bytes; }

#else

void* allocate_frame_afresh(std::size_t size) { return ::operator new(size); }

void deallocate_frame_elsewhere(void* block, std::size_t size) noexcept {
    if (hold.active) {
        hold.blocks = ::new (block) Held{hold.blocks, size};
    } else {
        ::operator delete(block, size);
    }
}

void hand_in_frames() noexcept {}

std::size_t frame_pool_bytes() noexcept { return 0; }

#endif

}  // namespace coaio::detail
