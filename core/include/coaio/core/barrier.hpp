// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/condition.hpp>
#include <coaio/core/coro.hpp>

#include <cstddef>
#include <cstdint>

namespace coaio {

/// A meeting point for a fixed number of tasks: each waits until all of them have come, then all go on. It can be used
/// again at once; who comes back while the others are still leaving waits for the next round.
///
/// Errors: `ValueError` for less than one party; `BrokenBarrierError` from `wait` after `abort()`, and for those inside
/// when it is reset.
/// Cancellation: a cancelled waiter leaves the barrier, which then waits for another in its place.
/// Lifetime: outlives its waiters.
///
///     coaio::Barrier everyone(3);
///     auto index = co_await everyone.wait();
///     if (index == 0) std::cout << "all there\n";
class Barrier {
public:
    explicit Barrier(std::ptrdiff_t parties);
    Barrier(const Barrier&) = delete;
    Barrier& operator=(const Barrier&) = delete;
    ~Barrier() = default;

    /// Waits for the others and gives the place in which this task came, from 0. The last one does not suspend.
    Coro<std::size_t> wait();
    /// Empties it: those who wait inside get `BrokenBarrierError`, and it works again, also after an `abort`.
    Coro<> reset();
    /// Breaks it: everyone who waits, now or later, gets `BrokenBarrierError` until it is reset.
    Coro<> abort();

    [[nodiscard]] std::size_t parties() const noexcept { return parties_; }
    /// How many have come and wait for the rest; 0 while they leave.
    [[nodiscard]] std::size_t n_waiting() const noexcept { return state_ == State::filling ? inside_ : 0; }
    [[nodiscard]] bool broken() const noexcept { return state_ == State::broken; }

private:
    enum class State : std::uint8_t { filling, draining, resetting, broken };
    class Place;

    Condition changed_;
    std::size_t parties_;
    std::size_t inside_ = 0;
    State state_ = State::filling;
};

}  // namespace coaio
