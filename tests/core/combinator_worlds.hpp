// SPDX-License-Identifier: MIT
#pragma once

// Worlds around what runs coroutines side by side. `Impl` says whose functions they are.
#include "core/library.hpp"

#include <coaio/core/wait.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

namespace tests {

/// A world with children that may fail, and can be counted.
class FamilyWorld : public World {
protected:
    Coro<> child(bool fails) {
        ++made_;
        return live(fails, Crowd::Member(children_));
    }
    /// One in three.
    [[nodiscard]] bool fate() {
        const bool fails = draw(3) == 0;
        if (fails) ++doomed_;
        return fails;
    }

    Crowd children_;
    int made_ = 0;
    int done_ = 0;
    int alive_ = 0;
    int doomed_ = 0;

private:
    Coro<> live(bool fails, [[maybe_unused]] Crowd::Member member) {
        const Inside inside(alive_);
        co_await linger();
        co_await linger();
        if (fails) throw Refused();
        ++done_;
    }
};

template <class Impl>
class GatherWorld final : public FamilyWorld {
public:
    Coro<> victim() override {
        const bool a = fate();
        const bool b = fate();
        const bool c = fate();
        bool failed = false;
        try {
            co_await Impl::gather(child(a), child(b), child(c));
        } catch (const Refused&) {
            failed = true;
        }
        expect(failed == (doomed_ > 0), "gather missed the failure of a child");
        expect(failed || done_ == 3, "gather ended before its children");
    }
    Coro<> settle() override {
        co_await all_over();
        co_await children_.gone();
    }
};

template <class Impl>
class OutcomesWorld final : public FamilyWorld {
public:
    Coro<> victim() override {
        const bool a = fate();
        const bool b = fate();
        const auto [first, second] = co_await Impl::gather(coaio::return_exceptions, child(a), child(b));
        expect(first.has_value() != a && second.has_value() != b, "an outcome is not what became of its child");
    }
    Coro<> settle() override {
        co_await all_over();
        co_await children_.gone();
    }
};

template <class Impl>
class GroupWorld final : public FamilyWorld {
public:
    Coro<> victim() override {
        const bool a = fate();
        const bool b = fate();
        auto body = [this, a, b](typename Impl::TaskGroup& group) -> Coro<> {
            group.create_task(child(a));
            co_await linger();
            group.create_task(child(b));
            group.create_task(child(false));
            co_await linger();
        };
        std::exception_ptr error;
        try {
            co_await Impl::task_group(body);
        } catch (...) {
            error = std::current_exception();
        }
        expect(alive_ == 0, "the group was left, and one of its tasks is alive");
        if (error == nullptr) {
            expect(doomed_ == 0 && done_ == 3, "the group ended well, and a task failed");
            co_return;
        }
        try {
            std::rethrow_exception(error);
        } catch (const coaio::ExceptionGroup& group) {
            expect(doomed_ > 0 && group.exceptions().size() <= std::size_t(doomed_), "a group of the wrong failures");
        }
    }
    Coro<> settle() override {
        co_await all_over();
        co_await children_.gone();
    }
};

template <class Impl>
class ShieldWorld final : public FamilyWorld {
public:
    Coro<> victim() override {
        inner_.emplace(coaio::create_task(child(false)));
        co_await Impl::shield(*inner_);
        expect(done_ == 1, "the shield ended before what it shields");
    }
    Coro<> settle() override {
        co_await all_over();
        co_await children_.gone();
        expect(!inner_ || (inner_->done() && !inner_->cancelled()), "what was shielded was cancelled");
        expect(done_ == made_, "what was shielded did not end");
    }

private:
    std::optional<Task<>> inner_;
};

template <class Impl>
class RaceWorld final : public FamilyWorld {
public:
    Coro<> victim() override {
        std::vector<std::function<Coro<int>()>> starters;
        for (int i = 0; i < 3; ++i) {
            const bool fails = fate();
            starters.emplace_back([this, i, fails] { return attempt(i, fails, Crowd::Member(children_)); });
        }
        std::optional<coaio::Duration> delay;
        if (draw(2) == 0) delay = moment();
        const auto result = co_await Impl::staggered_race(starters, delay);
        expect(alive_ == 0, "the race is over, and an entrant is alive");
        std::size_t winners = 0;
        for (const auto& each : result.exceptions) winners += each == nullptr ? 1 : 0;
        expect(winners == (result.winner ? 1 : 0), "a race has one winner at most");
        expect(result.winner || doomed_ == 3, "nobody won, and not all failed");
        if (result.winner) expect(*result.value == int(*result.winner), "the winner has the value of another");
    }
    Coro<> settle() override {
        co_await all_over();
        co_await children_.gone();
    }

private:
    Coro<int> attempt(int i, bool fails, [[maybe_unused]] Crowd::Member member) {
        const Inside inside(alive_);
        try {
            co_await linger();
            co_await coaio::sleep(moment());
        } catch (const coaio::CancelledError&) {
            if (i != 1 || coaio::current_task()->cancelling() > 1) throw;  // one is slow to understand
        }
        if (fails) throw Refused();
        co_return i;
    }
};

template <class Impl>
class WaitWorld final : public FamilyWorld {
public:
    Coro<> victim() override {
        const auto all = co_await Impl::wait(family());
        expect(all.done.size() == 3 && all.pending.empty(), "wait did not wait for all");
        const auto mixed = family();
        const auto first = co_await Impl::wait(mixed, coaio::FIRST_COMPLETED);
        expect(!first.done.empty() && first.done.size() + first.pending.size() == 3, "wait lost count");
        const auto rest = co_await Impl::wait(mixed);
        expect(rest.done.size() == 3, "wait did not wait for those that were left");
        const auto failed = co_await Impl::wait(family(), coaio::FIRST_EXCEPTION);
        const std::size_t bad = failures(failed.done);
        expect(failed.pending.empty() || bad > 0, "wait did not wait for a failure or for all");
        const auto timed = co_await Impl::wait(family(), coaio::ALL_COMPLETED, moment());
        expect(timed.done.size() + timed.pending.size() == 3, "wait lost count");
    }
    Coro<> settle() override {
        co_await all_over();
        co_await children_.gone();
        expect(failures(all_) == static_cast<std::size_t>(doomed_), "a failure was lost");
        expect(done_ + doomed_ == made_, "who waits was cancelled, and so was what it waited for");
    }

private:
    std::vector<Task<>> family() {
        std::vector<Task<>> tasks;
        for (int i = 0; i < 3; ++i) tasks.push_back(coaio::create_task(child(fate())));
        all_.insert(all_.end(), tasks.begin(), tasks.end());
        return tasks;
    }
    static std::size_t failures(const std::vector<Task<>>& tasks) {
        return static_cast<std::size_t>(
            std::count_if(tasks.begin(), tasks.end(), [](const Task<>& each) { return each.exception() != nullptr; }));
    }

    std::vector<Task<>> all_;
};

}  // namespace tests
