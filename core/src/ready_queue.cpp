// SPDX-License-Identifier: MIT
#include <coaio/core/detail/ready_queue.hpp>

#include <utility>

namespace coaio::detail {

void ReadyQueue::grow() {
    const Position capacity = capacity_ == 0 ? 256 : capacity_ * 2;
    auto slots = std::make_unique<Entry[]>(capacity);
    for (Position at = head_; at != tail_; ++at) slots[at & (capacity - 1)] = slots_[at & mask_];
    slots_ = std::move(slots);
    capacity_ = capacity;
    mask_ = capacity - 1;
}

}  // namespace coaio::detail
