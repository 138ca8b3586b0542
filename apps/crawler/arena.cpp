// SPDX-License-Identifier: MIT
#include "crawler/arena.hpp"

#include <algorithm>
#include <new>

#include <sys/mman.h>

namespace crawl {
namespace {

constexpr std::size_t chunk_size = std::size_t{1} << 20;
constexpr std::size_t alignment = alignof(std::max_align_t);

}  // namespace

Arena::~Arena() {
    for (const auto& chunk : chunks_) munmap(chunk.start, chunk.size);
}

void* Arena::allocate(std::size_t size) noexcept {
    if (size > budget_) return nullptr;
    size = std::max((size + alignment - 1) / alignment * alignment, alignment);
    if (size > left_) {
        std::size_t wanted = std::max(chunk_size, (size + 4095) / 4096 * 4096);
        if (wanted > budget_ - used_) return nullptr;
        try {
            chunks_.push_back({nullptr, 0});
        } catch (const std::bad_alloc&) {
            return nullptr;
        }
        void* start = mmap(nullptr, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (start == MAP_FAILED) {
            chunks_.pop_back();
            return nullptr;
        }
        chunks_.back() = {start, wanted};
        used_ += wanted;
        free_ = static_cast<char*>(start);
        left_ = wanted;
    }
    char* result = free_;
    free_ += size;
    left_ -= size;
    return result;
}

}  // namespace crawl
