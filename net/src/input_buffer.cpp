// SPDX-License-Identifier: MIT
#include "input_buffer.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace coaio::net {

void InputBuffer::drop(std::size_t count) noexcept {
    head_ += count;
    if (head_ == tail_) head_ = tail_ = 0;
}

std::size_t InputBuffer::take(std::span<std::byte> into) noexcept {
    const std::size_t count = std::min(into.size(), size());
    if (count != 0) std::memcpy(into.data(), bytes_.get() + head_, count);
    drop(count);
    return count;
}

std::string InputBuffer::take(std::size_t count) {
    std::string text(view().substr(0, count));
    drop(text.size());
    return text;
}

std::span<std::byte> InputBuffer::prepare(std::size_t count) {
    if (capacity_ - tail_ < count) {
        const std::size_t used = size();
        if (capacity_ - used >= count) {
            std::memmove(bytes_.get(), bytes_.get() + head_, used);
        } else {
            const std::size_t larger = std::max(capacity_ * 2, used + count);
            auto bytes = std::make_unique_for_overwrite<std::byte[]>(larger);
            if (used != 0) std::memcpy(bytes.get(), bytes_.get() + head_, used);
            bytes_ = std::move(bytes);
            capacity_ = larger;
        }
        head_ = 0;
        tail_ = used;
    }
    return {bytes_.get() + tail_, capacity_ - tail_};
}

void InputBuffer::put_back(std::span<const std::byte> bytes) {
    if (bytes.empty()) return;
    if (head_ < bytes.size()) {
        const std::size_t used = size();
        static_cast<void>(prepare(bytes.size()));
        std::memmove(bytes_.get() + head_ + bytes.size(), bytes_.get() + head_, used);
        tail_ += bytes.size();
    } else {
        head_ -= bytes.size();
    }
    std::memcpy(bytes_.get() + head_, bytes.data(), bytes.size());
}

}  // namespace coaio::net
