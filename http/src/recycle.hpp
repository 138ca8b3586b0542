// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <utility>

namespace coaio::http::detail {

/// Things of one kind that a thread has used and may use again, at most `most` of them. Good until the thread ends,
/// also from the destructors of its other thread-local objects: from then on nothing is kept.
template <class T, std::size_t most>
class Recycler {
public:
    /// A used one, or `T{}`.
    [[nodiscard]] static T take() noexcept {
        if (gone) return T{};
        auto& shelf = shelf_of_thread();
        return shelf.count > 0 ? std::move(shelf.things[--shelf.count]) : T{};
    }
    /// False if it was not kept, and is still the caller's.
    [[nodiscard]] static bool give(T&& thing) noexcept {
        if (gone) return false;
        auto& shelf = shelf_of_thread();
        if (shelf.count == most) return false;
        shelf.things[shelf.count++] = std::move(thing);
        return true;
    }

private:
    struct Shelf {
        std::array<T, most> things{};
        std::size_t count = 0;
        Shelf() = default;
        Shelf(const Shelf&) = delete;
        Shelf& operator=(const Shelf&) = delete;
        ~Shelf() { gone = true; }
    };

    static Shelf& shelf_of_thread() {
        thread_local Shelf shelf;
        return shelf;
    }

    // Has no destructor of its own, so it can be asked to the very end of the thread.
    static inline thread_local bool gone = false;
};

}  // namespace coaio::http::detail
