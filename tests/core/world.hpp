// SPDX-License-Identifier: MIT
#pragma once

// Small worlds of tasks that share something, disturbed by cancellation: what is shared must come out whole.

#include <coaio/core/coro.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>

#include "core/reports.hpp"
#include "support/catch.hpp"
#include "support/seeds.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace tests {

using coaio::Coro;
using coaio::Task;

inline void expect(bool holds, const char* otherwise) {
    if (!holds) throw std::logic_error(otherwise);
}

/// A number below `n`, as the seed has it.
inline std::size_t draw(std::size_t n) { return coaio::get_running_loop().random() % n; }

/// Lets the others go on: for some turns, for some time, or not at all.
inline Coro<> linger() {
    const std::size_t turns = draw(4);
    const std::size_t milliseconds = draw(2) == 0 ? draw(4) : 0;
    if (milliseconds != 0) co_await coaio::sleep(std::chrono::milliseconds(milliseconds));
    for (std::size_t i = 0; i < turns; ++i) co_await coaio::sleep(coaio::Duration::zero());
}

/// One more inside for as long as it lives.
class Inside {
public:
    explicit Inside(int& count) noexcept : count_(count) { ++count_; }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    ~Inside() { --count_; }

private:
    int& count_;
};

/// Those who are at something. The last one to leave wakes whoever waits for that.
class Crowd {
public:
    class Member {
    public:
        explicit Member(Crowd& crowd) noexcept : crowd_(&crowd) { ++crowd_->count_; }
        Member(Member&& other) noexcept : crowd_(std::exchange(other.crowd_, nullptr)) {}
        Member& operator=(Member&&) = delete;
        ~Member() {
            if (crowd_ != nullptr) crowd_->leave();
        }

    private:
        Crowd* crowd_;
    };

    Coro<> gone() {
        while (count_ > 0) {
            last_.emplace();
            co_await *last_;
        }
    }

private:
    void leave() {
        if (--count_ == 0 && last_ && !last_->done()) last_->set_result();
    }

    std::size_t count_ = 0;
    std::optional<coaio::Future<>> last_;
};

class World {
public:
    World() = default;
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    virtual ~World() = default;

    /// Starts the others, and does as they do. It may be cancelled at any moment, and unstarted.
    virtual Coro<> victim() = 0;
    /// When the victim has ended: waits for the others, and throws if anything was lost.
    virtual Coro<> settle() = 0;

    /// Between two cancellations.
    virtual Coro<> pause() { return linger(); }

    /// A task that is left alone.
    Task<> beside(Coro<> coro) {
        tasks_.push_back(coaio::create_task(std::move(coro)));
        return tasks_.back();
    }
    /// A task that may be cancelled.
    Task<> fragile(Coro<> coro) {
        fragile_.push_back(beside(std::move(coro)));
        return fragile_.back();
    }
    void strike() const { fragile_[draw(fragile_.size())].cancel(); }

    /// Waits for all tasks; an error of one of them is thrown.
    Coro<> all_over() {
        for (std::size_t i = 0; i < tasks_.size(); ++i) {
            const Task<> task = tasks_[i];
            co_await over(task);
        }
    }
    static Coro<> over(Task<> task) {
        try {
            co_await task;
        } catch (const coaio::CancelledError&) {  // as it may be
        }
    }

private:
    std::vector<Task<>> tasks_;
    std::vector<Task<>> fragile_;
};

/// A world whose victims are cancelled now and then, at the wrong moment with luck.
inline Coro<> disturbed(std::shared_ptr<World> world) {
    const Reports reports;
    world->fragile(world->victim());
    // Two turns, as the order in one is anybody's: then the victim has begun, and whoever it starts is there.
    for (int i = 0; i < 2; ++i) co_await coaio::sleep(coaio::Duration::zero());
    const std::size_t strikes = draw(6);
    for (std::size_t i = 0; i < strikes; ++i) {
        co_await world->pause();
        world->strike();
    }
    co_await world->settle();
    reports.expect_none();
}

inline Coro<> settled(std::shared_ptr<World> world, std::shared_ptr<Reports> reports) {
    co_await world->settle();
    reports->expect_none();
}

template <class W>
void explore(coaio::testing::ExploreOptions options = {}) {
    std::shared_ptr<World> world;  // outlives what a run that fails leaves behind
    const auto begin = [&world] { return disturbed(world = std::make_shared<W>()); };
    coaio::testing::explore(begin, options);
}

/// Cancels the victim before each of its turns.
template <class W>
void cut(std::optional<std::uint64_t> seed = std::nullopt) {
    std::shared_ptr<World> world;
    std::shared_ptr<Reports> reports;
    const auto begin = [&] {
        world = std::make_shared<W>();
        reports = std::make_shared<Reports>();
        return world->victim();
    };
    coaio::testing::cut(begin, [&](std::size_t) { return settled(world, reports); }, {.seed = seed});
}

/// 50 seeds unless told, and every cut in the plain order and under 5 seeds; 20 times as many cuts, and 1000 seeds,
/// where COAIO_EXPLORE_SEEDS is 1000.
template <class W>
void prove(coaio::testing::ExploreOptions options = {}) {
    explore<W>(options);
    cut<W>();
    const std::uint64_t seeds = dear_seeds(5);
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        CAPTURE(seed);
        cut<W>(seed);
    }
}

}  // namespace tests
