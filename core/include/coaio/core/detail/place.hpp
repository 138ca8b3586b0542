// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <source_location>

namespace coaio::detail {

/// The line of a `co_await`, as a default argument of `await_suspend` finds it: known where that is called, so that no
/// location has to be looked into. Lines beyond the last that fits count as that one.
class Here {
public:
    constexpr Here(std::source_location location) noexcept  // NOLINT: a default argument is current()
        : line_(static_cast<std::uint16_t>(std::min<std::uint_least32_t>(location.line(), last))) {}
    [[nodiscard]] constexpr std::uint16_t line() const noexcept { return line_; }

    static constexpr std::uint16_t last = 0xFFFE;

private:
    std::uint16_t line_;
};

/// Where a coroutine is, in one word: its own name and definition, and the line of the `co_await` at which it hangs.
/// Both are stored by one instruction or two, which is what seeing inside costs; see docs/performance.md.
class Place {
public:
    /// Nowhere: there is no coroutine.
    Place() noexcept = default;
    explicit Place(std::source_location definition) noexcept : word_(std::bit_cast<std::uint64_t>(definition)) {}

    [[nodiscard]] bool nowhere() const noexcept { return word_ == 0; }
    [[nodiscard]] std::source_location definition() const noexcept {
        return std::bit_cast<std::source_location>(word_ & address_bits);
    }
    /// Of the `co_await`; of the definition before the first one.
    [[nodiscard]] std::uint64_t line() const noexcept {
        const std::uint64_t line = word_ >> line_shift;
        return line != 0 && line != at_end ? line : definition().line();
    }

    void hang_at(Here here) noexcept { set_line(here.line()); }
    /// It has returned a value and hangs nowhere any more.
    void reach_end() noexcept { set_line(at_end); }
    [[nodiscard]] bool has_ended() const noexcept { return word_ >> line_shift == at_end; }

private:
    // Of an address of user space the upper 16 bits are zero, and a source_location is one address.
    static_assert(sizeof(std::source_location) == sizeof(std::uint64_t));
    static constexpr unsigned line_shift = 48;
    static constexpr std::uint64_t address_bits = (std::uint64_t{1} << line_shift) - 1;
    static constexpr std::uint64_t at_end = Here::last + 1;

    void set_line(std::uint64_t line) noexcept { word_ = (word_ & address_bits) | line << line_shift; }

    std::uint64_t word_ = 0;
};

}  // namespace coaio::detail
