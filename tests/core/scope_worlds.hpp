// SPDX-License-Identifier: MIT
#pragma once

// Worlds around limits of time, clean-up and streams. `Impl` says whose functions they are.
#include "core/library.hpp"

#include <coaio/core/generator.hpp>
#include <coaio/core/mask.hpp>

#include <cstddef>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace tests {

/// Deadlines and requests from outside at the same moments: every request has to come out as a CancelledError.
template <class Impl>
class TimeoutWorld final : public World {
public:
    Coro<> victim() override {
        for (int round = 0; round < 3; ++round) {
            auto body = [](typename Impl::Timeout&) -> Coro<> {
                co_await linger();
                co_await coaio::sleep(moment());
            };
            auto outer = [this, &body](typename Impl::Timeout&) -> Coro<> {
                try {
                    co_await Impl::timeout(moment(), body);
                } catch (const coaio::TimeoutError&) {
                    ++expired_;
                }
            };
            try {
                co_await Impl::timeout(moment(), outer);
            } catch (const coaio::TimeoutError&) {
                ++expired_;
            }
            expect(coaio::current_task()->cancelling() == 0, "a deadline swallowed a request to cancel");
        }
    }
    Coro<> settle() override { co_await all_over(); }

private:
    int expired_ = 0;
};

/// A deadline that is a moment, and is moved from inside and by another task, later, earlier, or away: it strikes when it
/// has passed, and not before.
template <class Impl>
class DeadlineWorld final : public World {
public:
    Coro<> victim() override {
        beside(move_now_and_then());
        for (int round = 0; round < 3; ++round) {
            auto body = [this](typename Impl::Timeout& scope) -> Coro<> {
                scope_ = &scope;
                co_await linger();
                move();
                co_await coaio::sleep(moment());
            };
            when_ = from_now();
            bool late = false;
            try {
                co_await Impl::timeout_at(when_, body);
            } catch (const coaio::TimeoutError&) {
                late = true;
            } catch (...) {
                scope_ = nullptr;
                throw;
            }
            scope_ = nullptr;
            expect(!late || (when_ && *when_ <= now()), "a deadline struck before it had passed");
            // Moved into the past in the turn in which the body's end was at hand, it comes after that.
            expect(late || !when_ || now() <= *when_ || now() == moved_at_, "a deadline passed and did not strike");
            expect(coaio::current_task()->cancelling() == 0, "a deadline swallowed a request to cancel");
        }
    }
    Coro<> settle() override { co_await all_over(); }

private:
    static coaio::TimePoint now() { return coaio::get_running_loop().time(); }
    /// One in eight has passed before it begins, one in eight is none.
    static std::optional<coaio::TimePoint> from_now() {
        const std::size_t kind = draw(8);
        if (kind == 0) return std::nullopt;
        if (kind == 1) return now() - moment();
        return now() + moment() + moment();
    }
    void move() {
        if (scope_ == nullptr || scope_->state() != Impl::Timeout::State::active) return;
        const auto when = from_now();
        scope_->reschedule(when);
        when_ = when;
        moved_at_ = now();
        expect(scope_->when() == when, "a deadline is not where it was moved to");
    }
    Coro<> move_now_and_then() {
        for (int i = 0; i < 4; ++i) {
            co_await linger();
            move();
        }
    }

    typename Impl::Timeout* scope_ = nullptr;
    std::optional<coaio::TimePoint> when_;
    std::optional<coaio::TimePoint> moved_at_;
};

/// What answers its cancellation with a value: the value counts, whatever the clock says.
template <class Impl>
class WaitForWorld final : public World {
public:
    Coro<> victim() override {
        for (int round = 0; round < 3; ++round) {
            int value = 0;
            try {
                value = co_await Impl::wait_for(insists(), moment());
            } catch (const coaio::TimeoutError&) {
                expect(false, "wait_for lost a result");
            }
            expect(value == 7, "wait_for gave something else");
            if (coaio::current_task()->cancelling() != 0) break;
        }
    }
    Coro<> settle() override { co_await all_over(); }

private:
    static Coro<int> insists() {
        try {
            co_await coaio::sleep(moment());
        } catch (const coaio::CancelledError&) {  // it has what it was asked for
        }
        co_return 7;
    }
};

inline Coro<int> number(int i) {
    co_await linger();
    co_await linger();
    co_return i;
}

inline std::vector<Task<int>> five_numbers() {
    std::vector<Task<int>> tasks;
    tasks.reserve(5);
    for (int i = 0; i < 5; ++i) tasks.push_back(coaio::create_task(number(i)));
    return tasks;
}

/// A stream of what is done, read by four: everything is given to one of them.
template <class Impl>
class CompletedWorld final : public World {
public:
    Coro<> victim() override {
        stream_.emplace(Impl::as_completed(five_numbers()));
        beside(take());
        fragile(take());
        fragile(take());
        co_await take();
    }
    Coro<> settle() override {
        co_await all_over();
        expect(!stream_ || given_ == std::set<int>{0, 1, 2, 3, 4}, "something that was done was not given");
    }

private:
    Coro<> take() {
        while (true) {
            const auto task = co_await stream_->next();
            if (!task) break;
            expect(given_.insert(task->result()).second, "something was given twice");
        }
    }

    std::optional<typename Impl::template AsCompleted<Task<int>>> stream_;
    std::set<int> given_;
};

/// Coroutines of the values of what is done, awaited by four, beside one who takes the handles, perhaps: what nobody got is
/// still there to be taken.
template <class Impl>
class ValuesWorld final : public World {
public:
    Coro<> victim() override {
        stream_.emplace(Impl::as_completed(five_numbers()));
        std::vector<Coro<int>> values;
        for (auto value : *stream_) values.push_back(std::move(value));
        expect(values.size() == 5, "there are not as many coroutines as awaitables");
        if (draw(2) == 0) {
            shared_ = true;
            beside(take_handles());
        }
        beside(take(std::move(values[0])));
        fragile(take(std::move(values[1])));
        fragile(take(std::move(values[2])));
        for (std::size_t i = 3; i < values.size(); ++i) co_await take(std::move(values[i]));
    }
    Coro<> settle() override {
        co_await all_over();
        if (!stream_) co_return;
        co_await take_handles();
        expect(given_ == std::set<int>{0, 1, 2, 3, 4}, "a value is lost");
    }

private:
    Coro<> take(Coro<int> value) {
        co_await linger();
        try {
            const int given = co_await std::move(value);
            give(given);
        } catch (const coaio::RuntimeError&) {
            expect(shared_, "a coroutine of a value got none");
        }
    }
    Coro<> take_handles() {
        while (true) {
            const auto task = co_await stream_->next();
            if (!task) break;
            give(task->result());
        }
    }
    void give(int value) { expect(given_.insert(value).second, "a value was given twice"); }

    std::optional<typename Impl::template AsCompleted<Task<int>>> stream_;
    std::set<int> given_;
    bool shared_ = false;
};

template <class Impl>
class FinallyWorld final : public World {
public:
    Coro<> victim() override {
        auto body = [this](coaio::Scope&) -> Coro<> {
            ++begun_;
            co_await linger();
            if (draw(2) == 0) throw Refused();
        };
        auto cleanup = [this](coaio::Scope&) -> Coro<> {
            co_await linger();
            co_await coaio::sleep(moment());
            ++cleaned_;
        };
        try {
            co_await Impl::finally(body, cleanup);
        } catch (const Refused&) {}
        co_await linger();
    }
    Coro<> settle() override {
        co_await all_over();
        expect(begun_ == cleaned_, "a clean-up was cut off");
    }

private:
    int begun_ = 0;
    int cleaned_ = 0;
};

/// Readers that stop in the midst of a stream, and drop it: each stream gets to clean up.
template <class Impl>
class GeneratorWorld final : public World {
public:
    Coro<> victim() override {
        fragile(read(true));
        fragile(read(false));
        co_await read(false);
    }
    Coro<> settle() override {
        co_await all_over();
        co_await open_.gone();
        expect(begun_ == ended_, "a stream did not get to clean up");
    }

private:
    typename Impl::template AsyncGenerator<int> numbers([[maybe_unused]] Crowd::Member member,
                                                        std::shared_ptr<bool> under_way) {
        ++begun_;
        *under_way = true;
        bool closing = false;
        try {
            for (int i = 0; i < 4; ++i) {
                co_await linger();
                co_yield i;
            }
        } catch (const coaio::GeneratorExit&) {
            closing = true;
        } catch (const coaio::CancelledError&) {
            ++ended_;
            *under_way = false;
            throw;
        }
        if (closing) co_await linger();
        ++ended_;
        *under_way = false;
    }
    Coro<> read(bool close) {
        const auto under_way = std::make_shared<bool>(false);
        auto stream = numbers(Crowd::Member(open_), under_way);
        const std::size_t most = draw(6);
        int expected = 0;
        for (std::size_t i = 0; i < most; ++i) {
            const auto number = co_await stream.next();
            if (!number) break;
            expect(*number == expected++, "a stream lost a number");
            co_await linger();
        }
        if (!close) co_return;
        auto hold = [&stream](coaio::Scope&) -> Coro<> { co_await stream.aclose(); };
        co_await coaio::masked(hold);
        expect(!*under_way, "a stream was closed and had not cleaned up");
    }

    Crowd open_;
    int begun_ = 0;
    int ended_ = 0;
};

}  // namespace tests
