// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace coaio::net {

/// Bytes that have come and were not asked for yet. Keeps its room, so that a warm stream allocates nothing.
class InputBuffer {
public:
    [[nodiscard]] std::size_t size() const noexcept { return tail_ - head_; }
    [[nodiscard]] std::string_view view() const noexcept {
        return {reinterpret_cast<const char*>(bytes_.get()) + head_, size()};
    }
    /// Moves out as much as fits.
    std::size_t take(std::span<std::byte> into) noexcept;
    [[nodiscard]] std::string take(std::size_t count);
    /// Room for `count` bytes at least behind what is there; `commit` says how many were filled in.
    [[nodiscard]] std::span<std::byte> prepare(std::size_t count);
    void commit(std::size_t count) noexcept { tail_ += count; }
    /// In front of what is there.
    void put_back(std::span<const std::byte> bytes);

private:
    void drop(std::size_t count) noexcept;

    std::unique_ptr<std::byte[]> bytes_;
    std::size_t capacity_ = 0;
    std::size_t head_ = 0;
    std::size_t tail_ = 0;
};

}  // namespace coaio::net
