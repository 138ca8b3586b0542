// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/frame_pool.hpp>

#include <cstddef>

namespace coaio::db::detail {

/// Memory of the pool of coroutine frames, for `std::allocate_shared` of what each statement makes one of.
template <class T>
struct FrameAllocator {
    using value_type = T;
    FrameAllocator() noexcept = default;
    template <class U>
    FrameAllocator(const FrameAllocator<U>&) noexcept {}  // NOLINT(google-explicit-constructor)

    [[nodiscard]] T* allocate(std::size_t count) {
        static_assert(alignof(T) <= coaio::detail::FramePool::granule);
        return static_cast<T*>(coaio::detail::allocate_frame(count * sizeof(T)));
    }
    void deallocate(T* block, std::size_t count) noexcept { coaio::detail::deallocate_frame(block, count * sizeof(T)); }

    friend bool operator==(const FrameAllocator&, const FrameAllocator&) noexcept { return true; }
};

}  // namespace coaio::db::detail
