// SPDX-License-Identifier: MIT
#pragma once

// Worlds around what another thread hands over. `Impl` says whose functions they are.
#include "core/library.hpp"

#include <cstddef>
#include <optional>
#include <thread>
#include <utility>

namespace tests {

/// A coroutine comes from another thread, and may be wanted no more at any moment. The thread has ended before anything
/// comes of it, so that the order is the seed's.
template <class Impl>
class HandOverWorld final : public World {
public:
    Coro<> victim() override {
        for (int i = 0; i < 2; ++i) fragile(ask(i));
        co_await ask(2);
    }
    Coro<> pause() override { return turns(draw(5)); }
    Coro<> settle() override {
        co_await all_over();
        co_await turns(most_turns / 2);  // by now each has been told, and an answer takes longer
        expect(alive_ == 0, "nobody wants the answer, and it is worked on");
    }

private:
    static constexpr std::size_t most_turns = 20;

    // The clock stands still while another thread is waited for.
    static Coro<> turns(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) co_await coaio::sleep(coaio::Duration::zero());
    }
    static Coro<int> answer(HandOverWorld& world, int question) {
        const Inside inside(world.alive_);
        co_await turns(most_turns);
        co_return question + 1;
    }
    Coro<> ask(int question) {
        co_await turns(draw(4));
        auto future = hand_over(question);
        const int got = co_await Impl::wrap_future(future);
        expect(got == question + 1, "the answer to another question");
    }
    auto hand_over(int question) {
        auto& loop = coaio::get_running_loop();
        using Answer = decltype(Impl::run_coroutine_threadsafe(answer(*this, 0), loop));
        std::optional<Answer> future;
        std::thread([&] { future.emplace(Impl::run_coroutine_threadsafe(answer(*this, question), loop)); }).join();
        return *std::move(future);
    }

    int alive_ = 0;
};

}  // namespace tests
