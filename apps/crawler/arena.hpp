// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <vector>

namespace crawl {

/// Memory that is given back all at once, to the system and not to the heap, and of which there is only so much.
class Arena {
public:
    explicit Arena(std::size_t budget) noexcept : budget_(budget) {}
    ~Arena();
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    /// Aligned for any type. Null when the budget is spent, or the system has no more.
    [[nodiscard]] void* allocate(std::size_t size) noexcept;

    [[nodiscard]] std::size_t used() const noexcept { return used_; }

private:
    struct Chunk {
        void* start;
        std::size_t size;
    };

    std::vector<Chunk> chunks_;
    std::size_t budget_;
    std::size_t used_ = 0;
    char* free_ = nullptr;
    std::size_t left_ = 0;
};

}  // namespace crawl
