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
    /// A group that is over already, by an eager child or by a call, refuses whoever comes late.
    template <class G>
    void join(G& group, Coro<> coro) {
        try {
            group.create_task(std::move(coro));
        } catch (const coaio::RuntimeError&) {
            ++refused_;
            throw;
        }
    }
    void check(const coaio::ExceptionGroup& group) const {
        const int failures = doomed_ + refused_;
        expect(failures > 0 && group.exceptions().size() <= std::size_t(failures), "a group of the wrong failures");
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
    int refused_ = 0;

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
class GatherWorld : public FamilyWorld {
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
class OutcomesWorld : public FamilyWorld {
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

/// A range of any length, none too.
template <class Impl>
class RangeWorld : public FamilyWorld {
public:
    Coro<> victim() override {
        std::vector<Coro<std::size_t>> family = children(draw(5));
        const std::size_t count = family.size();
        bool failed = false;
        try {
            const std::vector<std::size_t> values = co_await Impl::gather(std::move(family));
            expect(values == numbers(count), "the values of a range are not those of its children");
            expect(done_ == made_, "gather ended before its children");
        } catch (const Refused&) {
            failed = true;
        }
        expect(failed == (doomed_ > 0), "gather missed the failure of a child");
        fates_.clear();
        std::vector<Coro<std::size_t>> others = children(draw(5));
        const auto outcomes = co_await Impl::gather(coaio::return_exceptions, std::move(others));
        expect(outcomes.size() == fates_.size(), "a child of a range has no outcome");
        for (std::size_t i = 0; i < outcomes.size(); ++i) {
            expect(outcomes[i].has_value() != fates_[i], "an outcome is not what became of its child");
        }
    }
    Coro<> settle() override {
        co_await all_over();
        co_await children_.gone();
    }

private:
    std::vector<Coro<std::size_t>> children(std::size_t count) {
        std::vector<Coro<std::size_t>> made;
        made.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            fates_.push_back(fate());
            made.push_back(number(i, child(fates_.back())));
        }
        return made;
    }
    static std::vector<std::size_t> numbers(std::size_t count) {
        std::vector<std::size_t> all;
        all.reserve(count);
        for (std::size_t i = 0; i < count; ++i) all.push_back(i);
        return all;
    }
    static Coro<std::size_t> number(std::size_t i, Coro<> first) {
        co_await std::move(first);
        co_return i;
    }

    std::vector<bool> fates_;
};

template <class Impl>
class GroupWorld : public FamilyWorld {
public:
    Coro<> victim() override {
        const bool a = fate();
        const bool b = fate();
        auto body = [this, a, b](typename Impl::TaskGroup& group) -> Coro<> {
            join(group, child(a));
            co_await linger();
            join(group, child(b));
            join(group, child(false));
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
            check(group);
        }
    }
    Coro<> settle() override {
        co_await all_over();
        co_await children_.gone();
    }
};

/// A group that is ended early, by its body, by one of its tasks, by a stranger, or not at all.
template <class Impl>
class EndedGroupWorld : public FamilyWorld {
public:
    Coro<> victim() override {
        const bool a = fate();
        const bool b = fate();
        const std::size_t who = draw(4);
        auto body = [this, a, b, who](typename Impl::TaskGroup& group) -> Coro<> {
            group_ = &group;
            join(group, child(a));
            if (who == 0) join(group, end());
            if (who == 1) beside(end());
            join(group, child(b));
            co_await linger();
            if (who == 2) end_now();
            co_await linger();
            left_ = true;
        };
        std::exception_ptr error;
        try {
            co_await Impl::task_group(body);
        } catch (...) {
            error = std::current_exception();
        }
        group_ = nullptr;
        expect(alive_ == 0, "the group was left, and one of its tasks is alive");
        if (error == nullptr) {
            expect(coaio::current_task()->cancelling() == 0, "a group that was ended swallowed a request to cancel");
            expect(ended_ || (doomed_ == 0 && left_ && done_ == 2), "the group ended well, and a task failed");
            co_return;
        }
        try {
            std::rethrow_exception(error);
        } catch (const coaio::ExceptionGroup& group) {
            check(group);
        }
    }
    Coro<> settle() override {
        co_await all_over();
        co_await children_.gone();
    }

private:
    void end_now() {
        if (group_ == nullptr) return;
        ended_ = true;
        group_->cancel();
    }
    Coro<> end() {
        co_await linger();
        end_now();
    }

    typename Impl::TaskGroup* group_ = nullptr;
    bool ended_ = false;
    bool left_ = false;
};

template <class Impl>
class ShieldWorld : public FamilyWorld {
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
class RaceWorld : public FamilyWorld {
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
class WaitWorld : public FamilyWorld {
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
        tasks.reserve(3);
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

/// The same world in a loop whose tasks begin inside the call that makes them.
template <class W>
class EagerWorld final : public W {
public:
    Coro<> victim() override {
        coaio::get_running_loop().set_eager_tasks(true);
        bool begun = false;
        const auto task = coaio::create_task(begin(begun));
        expect(begun && !task.done(), "an eager task did not begin at once");
        co_await task;
        co_await W::victim();
    }

private:
    static Coro<> begin(bool& begun) {
        begun = true;
        co_await coaio::sleep(coaio::Duration::zero());
    }
};

}  // namespace tests
