// SPDX-License-Identifier: MIT
#include <coaio/core/barrier.hpp>

#include <coaio/core/error.hpp>

#include <limits>
#include <string>

namespace coaio {

namespace {
constexpr std::size_t everyone = std::numeric_limits<std::size_t>::max();
}

/// One task's stay inside. The last one to leave opens the barrier for the next round.
class Barrier::Place {
public:
    explicit Place(Barrier& barrier) noexcept : barrier_(barrier), index_(barrier.inside_++) {}
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() {
        if (--barrier_.inside_ != 0) return;
        if (barrier_.state_ == State::resetting || barrier_.state_ == State::draining) {
            barrier_.state_ = State::filling;
        }
        barrier_.changed_.wake(everyone);
    }

    [[nodiscard]] std::size_t index() const noexcept { return index_; }

private:
    Barrier& barrier_;
    std::size_t index_;
};

Barrier::Barrier(std::ptrdiff_t parties) : parties_(static_cast<std::size_t>(parties)) {
    if (parties < 1) throw ValueError("a barrier needs at least 1 party, not " + std::to_string(parties));
    changed_.barrier_ = this;
}

Coro<std::size_t> Barrier::wait() {
    const LockGuard guard = co_await changed_.scoped();
    co_await changed_.wait_for([this] { return state_ != State::draining && state_ != State::resetting; });
    if (state_ == State::broken) throw BrokenBarrierError("the barrier was aborted");
    const Place place(*this);
    if (place.index() + 1 == parties_) {
        state_ = State::draining;
        changed_.notify_all();
    } else {
        co_await changed_.wait_for([this] { return state_ != State::filling; });
        if (state_ == State::broken) throw BrokenBarrierError("the barrier was aborted while this task waited in it");
        if (state_ == State::resetting) throw BrokenBarrierError("the barrier was reset while this task waited in it");
    }
    co_return place.index();
}

Coro<> Barrier::reset() {
    const LockGuard guard = co_await changed_.scoped();
    state_ = inside_ > 0 ? State::resetting : State::filling;
    changed_.notify_all();
}

Coro<> Barrier::abort() {
    const LockGuard guard = co_await changed_.scoped();
    state_ = State::broken;
    changed_.notify_all();
}

}  // namespace coaio
