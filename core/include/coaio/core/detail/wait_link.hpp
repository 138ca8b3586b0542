// SPDX-License-Identifier: MIT
#pragma once

namespace coaio::detail {

/// A place in a circular list of those who wait.
struct WaitLink {
    WaitLink* next = nullptr;
    WaitLink* prev = nullptr;

    [[nodiscard]] bool linked() const noexcept { return next != nullptr; }
    void insert_after(WaitLink& other) noexcept {
        prev = &other;
        next = other.next;
        other.next->prev = this;
        other.next = this;
    }
    void unlink() noexcept {
        prev->next = next;
        next->prev = prev;
        next = prev = nullptr;
    }
};

}  // namespace coaio::detail
