// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <source_location>

namespace coaio::detail {

class TaskBase;
class Observer;

/// Something that the loop can run once: the callback behind a handle, a time-out, a done callback.
class Runnable {
public:
    virtual void run() noexcept = 0;
    /// The loop closes and will never run it: let go of what it holds.
    virtual void discard() noexcept {}
    /// Where in the program it was scheduled; null where that is no news.
    [[nodiscard]] virtual const std::source_location* site() const noexcept { return nullptr; }
    /// The task that a run of it steps; null where it steps none.
    [[nodiscard]] virtual TaskBase* stepped() const noexcept { return nullptr; }

protected:
    Runnable() = default;
    Runnable(const Runnable&) = default;
    Runnable& operator=(const Runnable&) = default;
    ~Runnable() = default;
};

/// A task to step or a runnable to run, in one word. In a future's list of those who wait also an observer, which is told
/// at once and never ready.
class Entry {
public:
    constexpr Entry() noexcept = default;
    explicit Entry(TaskBase* task) noexcept : bits_(reinterpret_cast<std::uintptr_t>(task)) {}
    explicit Entry(Runnable* runnable) noexcept : bits_(reinterpret_cast<std::uintptr_t>(runnable) | 1) {}
    explicit Entry(Observer* observer) noexcept : bits_(reinterpret_cast<std::uintptr_t>(observer) | 2) {}

    [[nodiscard]] explicit operator bool() const noexcept { return bits_ != 0; }
    [[nodiscard]] bool is_task() const noexcept { return (bits_ & 3) == 0; }
    [[nodiscard]] bool is_observer() const noexcept { return (bits_ & 2) != 0; }
    [[nodiscard]] TaskBase* task() const noexcept { return reinterpret_cast<TaskBase*>(bits_); }
    [[nodiscard]] Runnable* runnable() const noexcept {
        return reinterpret_cast<Runnable*>(bits_ & ~std::uintptr_t{1});
    }
    [[nodiscard]] Observer* observer() const noexcept {
        return reinterpret_cast<Observer*>(bits_ & ~std::uintptr_t{2});
    }

private:
    std::uintptr_t bits_ = 0;
};

/// What runs next, first in first out. A ring that grows by doubling and never shrinks, so a warm loop allocates nothing.
/// Positions rise for ever; one stays valid until its entry is popped, so that an entry can be taken out in place.
class ReadyQueue {
public:
    using Position = std::uint32_t;

    Position push(Entry entry) {
        if (tail_ - head_ == capacity_) [[unlikely]]
            grow();
        slots_[tail_ & mask_] = entry;
        return tail_++;
    }
    [[nodiscard]] Entry pop() noexcept { return slots_[head_++ & mask_]; }
    /// Empties the slot; popping it gives an empty entry.
    void erase(Position position) noexcept { slots_[position & mask_] = Entry(); }

    [[nodiscard]] Position size() const noexcept { return tail_ - head_; }
    [[nodiscard]] bool empty() const noexcept { return tail_ == head_; }
    /// The i-th entry from the front.
    [[nodiscard]] Entry& at(Position i) noexcept { return slots_[(head_ + i) & mask_]; }

private:
    void grow();

    std::unique_ptr<Entry[]> slots_;
    Position capacity_ = 0;
    Position mask_ = 0;  // capacity_ - 1, a power of two less one
    Position head_ = 0;
    Position tail_ = 0;
};

}  // namespace coaio::detail
