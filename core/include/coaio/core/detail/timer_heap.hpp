// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/ready_queue.hpp>

#include <cstdint>
#include <limits>
#include <vector>

namespace coaio::detail {

/// A deadline, embedded in whatever waits for it. When it is due its target goes to the ready queue.
/// Armed by `LoopCore::arm`; must be disarmed before it dies.
class Timer {
public:
    explicit Timer(Entry target) noexcept : target_(target) {}
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    [[nodiscard]] Entry target() const noexcept { return target_; }
    /// Its target was popped off the ready queue and runs now.
    void fired() noexcept { place_ = Place::nowhere; }
    /// In the heap, or already in the ready queue but not yet run.
    [[nodiscard]] bool armed() const noexcept { return place_ != Place::nowhere; }

private:
    friend class TimerHeap;
    friend struct LoopCore;
    enum class Place : std::uint8_t { nowhere, heap, ready };

    Entry target_;
    std::uint32_t index_ = 0;       // in the heap, or the position in the ready queue
    std::uint32_t order_ : 30 = 0;  // among equal deadlines, the earlier armed is due first
    Place place_ : 2 = Place::nowhere;
};

/// A 4-ary heap of deadlines in nanoseconds; every timer knows its place. Most deadlines are taken back before they are
/// due, so that leaves but a hole, in constant time; holes go when they come to the front, or all together when they
/// are more than the timers.
class TimerHeap {
public:
    void insert(std::int64_t when, Timer& timer);
    void remove(Timer& timer) noexcept;
    /// Takes out the earliest timer; there is one.
    Timer& pop() noexcept;

    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return heap_.size() - holes_; }
    [[nodiscard]] std::int64_t earliest() noexcept {
        drop_front_holes();
        return heap_.empty() ? std::numeric_limits<std::int64_t>::max() : heap_.front().when;
    }
    [[nodiscard]] std::int64_t when(const Timer& timer) const noexcept { return heap_[timer.index_].when; }

private:
    struct Node {
        std::int64_t when;
        Timer* timer;  // null: a hole
    };
    [[nodiscard]] static bool before(const Node& a, const Node& b) noexcept;
    [[nodiscard]] static bool armed_before(const Node& a, const Node& b) noexcept;
    [[nodiscard]] std::size_t least_child(std::size_t first) const noexcept;
    void place(std::size_t index, Node node) noexcept;
    void sift_up(std::size_t index, Node node) noexcept;
    void sift_down(std::size_t index, Node node) noexcept;
    void drop_front() noexcept;
    void drop_front_holes() noexcept {
        for (; !heap_.empty() && heap_.front().timer == nullptr; --holes_) drop_front();
    }
    void drop_holes() noexcept;

    std::vector<Node> heap_;
    std::size_t holes_ = 0;
    std::uint32_t next_order_ = 0;
};

}  // namespace coaio::detail
