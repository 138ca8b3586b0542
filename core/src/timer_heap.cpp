// SPDX-License-Identifier: MIT
#include <coaio/core/detail/timer_heap.hpp>

#include <vector>

namespace coaio::detail {

namespace {
constexpr std::uint32_t order_mask = (1U << 30) - 1;

// So many are not worth a round over the whole heap.
constexpr std::size_t few_holes = 64;
}  // namespace

bool TimerHeap::before(const Node& a, const Node& b) noexcept {
    if (a.when != b.when) [[likely]]
        return a.when < b.when;
    return armed_before(a, b);
}

// Equal deadlines compare by arming order modulo 2^30, which holds as long as fewer than 2^29 timers lie between them.
// A hole may stand anywhere among them: it comes first, so that no timer has to pass it on its way up.
bool TimerHeap::armed_before(const Node& a, const Node& b) noexcept {
    if (a.timer == nullptr || b.timer == nullptr) return a.timer == nullptr;
    const std::uint32_t distance = (b.timer->order_ - a.timer->order_) & order_mask;
    return distance != 0 && distance < (1U << 29);
}

void TimerHeap::place(std::size_t index, Node node) noexcept {
    heap_[index] = node;
    if (node.timer != nullptr) node.timer->index_ = static_cast<std::uint32_t>(index);
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

std::size_t TimerHeap::least_child(std::size_t first) const noexcept {
    if (heap_.size() - first >= 4) [[likely]] {
        const Node* const four = heap_.data() + first;
        const std::size_t low = before(four[1], four[0]) ? 1 : 0;
        const std::size_t high = before(four[3], four[2]) ? 3 : 2;
        return first + (before(four[high], four[low]) ? high : low);
    }
    std::size_t least = first;
    for (std::size_t child = first + 1; child < heap_.size(); ++child) {
        if (before(heap_[child], heap_[least])) least = child;
    }
    return least;
}

void TimerHeap::sift_down(std::size_t index, Node node) noexcept {
    for (std::size_t first = index * 4 + 1; first < heap_.size(); first = index * 4 + 1) {
        const std::size_t least = least_child(first);
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
    timer.place_ = Timer::Place::nowhere;
    if (timer.index_ == heap_.size() - 1) {
        heap_.pop_back();
        return;
    }
    heap_[timer.index_].timer = nullptr;
    ++holes_;
    if (holes_ > few_holes && holes_ > heap_.size() / 2) drop_holes();
}

Timer& TimerHeap::pop() noexcept {
    drop_front_holes();
    Timer& timer = *heap_.front().timer;
    timer.place_ = Timer::Place::nowhere;
    drop_front();
    return timer;
}

void TimerHeap::drop_front() noexcept {
    const Node last = heap_.back();
    heap_.pop_back();
    if (!heap_.empty()) sift_down(0, last);
}

void TimerHeap::drop_holes() noexcept {
    std::erase_if(heap_, [](const Node& node) { return node.timer == nullptr; });
    holes_ = 0;
    for (std::size_t index = 0; index < heap_.size(); ++index) place(index, heap_[index]);
    for (std::size_t index = heap_.size() / 4 + 1; index-- > 0;) {
        if (index < heap_.size()) sift_down(index, heap_[index]);
    }
}

}  // namespace coaio::detail
