// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace coaio::detail {

/// First in, first out: a ring that grows by doubling and never shrinks.
template <class T>
class FifoStore {
public:
    FifoStore() noexcept = default;
    FifoStore(FifoStore&& other) noexcept
        : slots_(std::exchange(other.slots_, nullptr)),
          capacity_(std::exchange(other.capacity_, 0)),
          head_(std::exchange(other.head_, 0)),
          tail_(std::exchange(other.tail_, 0)) {}
    FifoStore& operator=(FifoStore&&) = delete;
    ~FifoStore() {
        for (; head_ != tail_; ++head_) std::destroy_at(slot(head_));
        if (slots_ != nullptr) std::allocator<T>().deallocate(slots_, capacity_);
    }

    void push(T&& value) {
        if (tail_ - head_ == capacity_) [[unlikely]]
            grow();
        std::construct_at(slot(tail_), std::move(value));
        ++tail_;
    }
    [[nodiscard]] T pop() {
        T value = std::move(*slot(head_));
        std::destroy_at(slot(head_));
        ++head_;
        return value;
    }

private:
    // Positions rise for ever; the capacity is a power of two.
    [[nodiscard]] T* slot(std::size_t position) const noexcept { return slots_ + (position & (capacity_ - 1)); }

    void grow() {
        FifoStore larger;
        larger.capacity_ = capacity_ == 0 ? 16 : capacity_ * 2;
        larger.slots_ = std::allocator<T>().allocate(larger.capacity_);
        for (std::size_t at = head_; at != tail_; ++at) {
            std::construct_at(larger.slots_ + larger.tail_, std::move_if_noexcept(*slot(at)));
            ++larger.tail_;
        }
        std::swap(slots_, larger.slots_);
        std::swap(capacity_, larger.capacity_);
        std::swap(head_, larger.head_);
        std::swap(tail_, larger.tail_);
    }

    T* slots_ = nullptr;
    std::size_t capacity_ = 0;
    std::size_t head_ = 0;
    std::size_t tail_ = 0;
};

/// Last in, first out.
template <class T>
class LifoStore {
public:
    void push(T&& value) { values_.push_back(std::move(value)); }
    [[nodiscard]] T pop() {
        T value = std::move(values_.back());
        values_.pop_back();
        return value;
    }

private:
    std::vector<T> values_;
};

/// The smallest first, by `Compare`.
template <class T, class Compare>
class PriorityStore {
public:
    void push(T&& value) {
        values_.push_back(std::move(value));
        std::push_heap(values_.begin(), values_.end(), later);
    }
    [[nodiscard]] T pop() {
        std::pop_heap(values_.begin(), values_.end(), later);
        T value = std::move(values_.back());
        values_.pop_back();
        return value;
    }

private:
    [[nodiscard]] static bool later(const T& a, const T& b) { return Compare()(b, a); }

    std::vector<T> values_;
};

}  // namespace coaio::detail
