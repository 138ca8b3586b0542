// SPDX-License-Identifier: MIT
#include <coaio/core/detail/timer_heap.hpp>

#include <algorithm>

namespace coaio::detail {

namespace {
constexpr std::uint32_t order_mask = (1U << 30) - 1;
}

// Equal deadlines compare by arming order modulo 2^30, which holds as long as fewer than 2^29 timers lie between them.
bool TimerHeap::before(const Node& a, const Node& b) noexcept {
    if (a.when != b.when) return a.when < b.when;
    const std::uint32_t distance = (b.timer->order_ - a.timer->order_) & order_mask;
    return distance != 0 && distance < (1U << 29);
}

void TimerHeap::place(std::size_t index, Node node) noexcept {
    heap_[index] = node;
    node.timer->index_ = static_cast<std::uint32_t>(index);
}

void TimerHeap::sift_up(std::size_t index, Node node) noexcept {
    while (index > 0) {
        const std::size_t parent = (index - 1) / 4;
        if (!before(node, heap_[parent])) break;
        place(index, heap_[parent]);
        index = parent;
    }
    place(index, node);
}

void TimerHeap::sift_down(std::size_t index, Node node) noexcept {
    const std::size_t size = heap_.size();
    for (;;) {
        const std::size_t first = index * 4 + 1;
        if (first >= size) break;
        std::size_t least = first;
        for (std::size_t child = first + 1; child < std::min(first + 4, size); ++child) {
            if (before(heap_[child], heap_[least])) least = child;
        }
        if (!before(heap_[least], node)) break;
        place(index, heap_[least]);
        index = least;
    }
    place(index, node);
}

void TimerHeap::insert(std::int64_t when, Timer& timer) {
    heap_.push_back({when, &timer});
    timer.order_ = next_order_++ & order_mask;
    timer.place_ = Timer::Place::heap;
    sift_up(heap_.size() - 1, heap_.back());
}

void TimerHeap::remove(Timer& timer) noexcept {
    const std::size_t index = timer.index_;
    timer.place_ = Timer::Place::nowhere;
    const Node last = heap_.back();
    heap_.pop_back();
    if (index == heap_.size()) return;
    if (index > 0 && before(last, heap_[(index - 1) / 4])) {
        sift_up(index, last);
    } else {
        sift_down(index, last);
    }
}

Timer& TimerHeap::pop() noexcept {
    Timer& timer = *heap_.front().timer;
    remove(timer);
    return timer;
}

}  // namespace coaio::detail
