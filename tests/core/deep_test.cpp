// SPDX-License-Identifier: MIT
// Stacks of coroutines and chains of tasks that are longer than the native stack could be deep.
#include <coaio/core/future.hpp>
#include <coaio/core/gather.hpp>
#include <coaio/core/generator.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/shield.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/wait.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

using namespace std::chrono_literals;

namespace {

constexpr int very_many = 200'000;
constexpr int many = 50'000;

// Counts how many have gone, and how many of them out of their turn.
struct Exits {
    int seen = 0;
    int out_of_turn = 0;
};
struct Exit {
    Exits& exits;
    int turn;
    ~Exit() { exits.out_of_turn += turn == exits.seen++ ? 0 : 1; }
};

coaio::Coro<> nested(Exits& exits, int levels_below) {
    const Exit exit{exits, levels_below};
    if (levels_below == 0) {
        const coaio::Future<> never;
        co_await never;
    } else {
        co_await nested(exits, levels_below - 1);
    }
}

coaio::AsyncGenerator<int> generator_over(Exits& exits, int levels_below) {
    const Exit exit{exits, levels_below};
    co_await nested(exits, levels_below - 1);
    co_yield 1;
}

coaio::Coro<> over_a_generator(Exits& exits, int levels_below) {
    const Exit exit{exits, levels_below};
    auto numbers = generator_over(exits, levels_below - 1);
    static_cast<void>(co_await numbers.next());
}

coaio::Coro<> above(Exits& exits, int levels_below) {
    const Exit exit{exits, levels_below};
    co_await over_a_generator(exits, levels_below - 1);
}

// Runs the coroutine until it hangs, then closes the loop.
void run_and_close(coaio::Coro<> coro) {
    coaio::Loop loop;
    loop.set_exception_handler([](coaio::Loop&, const coaio::ExceptionContext&) {});
    const auto task = loop.create_task(std::move(coro));
    loop.call_soon([&loop] { loop.stop(); });
    loop.run_forever();
    CHECK_FALSE(task.done());
    loop.close();
    CHECK(task.cancelled());
}

coaio::Coro<> await_task(coaio::Task<> task) { co_await task; }

coaio::Coro<> await_later(const std::optional<coaio::Task<>>& task) { co_await *task; }

coaio::Coro<> await_gather(const std::optional<coaio::Task<>>& task) { co_await coaio::gather(*task); }

coaio::Coro<> await_gather_of(coaio::Task<> task) { co_await coaio::gather(task); }

coaio::Coro<> sleep_long() { co_await coaio::sleep(1h); }

// Each task awaits a gather of the one before; the first sleeps.
std::vector<coaio::Task<>> tower_of_gathers() {
    std::vector<coaio::Task<>> tower;
    tower.push_back(coaio::create_task(sleep_long()));
    for (int i = 1; i < many; ++i) tower.push_back(coaio::create_task(await_gather_of(tower.back())));
    return tower;
}

// Three that await each other in a ring.
struct Ring {
    std::optional<coaio::Task<>> first;
    std::optional<coaio::Task<>> second;
    std::optional<coaio::Task<>> third;

    coaio::Task<>& at(int i) { return i == 0 ? *first : i == 1 ? *second : *third; }
    coaio::Coro<> ended() {
        const std::vector all{*first, *second, *third};
        co_await coaio::wait(all);
        for (const auto& each : all) CHECK(each.cancelled());
    }
};

coaio::Coro<> await_all_outcomes(const std::optional<coaio::Task<>>& one, coaio::Task<> other) {
    co_await coaio::gather(coaio::return_exceptions, *one, other);
}

coaio::Coro<> await_both(coaio::Task<> one, coaio::Task<> other) { co_await coaio::gather(one, other); }

coaio::Coro<> await_future(coaio::Future<std::tuple<std::monostate>> future) { co_await future; }

}  // namespace

TEST_CASE("a loop that closes destroys a stack of very many coroutines from the innermost on") {
    Exits exits;
    run_and_close(nested(exits, very_many - 1));
    CHECK(exits.seen == very_many);
    CHECK(exits.out_of_turn == 0);
}

TEST_CASE("a loop that closes destroys a generator in the midst of a stack, and what it awaits, once") {
    Exits exits;
    run_and_close(above(exits, 10));
    CHECK(exits.seen == 11);
    CHECK(exits.out_of_turn == 0);
}

TEST_CASE("what a coroutine makes and drops while its loop closes is made and dropped whole") {
    struct Maker {
        Exits& exits;
        ~Maker() {
            static_cast<void>(nested(exits, 5));  // never awaited
            const auto kept = nested(exits, 5);
        }
    };
    Exits exits;
    const auto making = [](Exits& seen) -> coaio::Coro<> {
        const Maker outer{seen};
        const auto inner = [](Exits& seen_inside) -> coaio::Coro<> {
            const Maker maker{seen_inside};
            co_await nested(seen_inside, 0);
        };
        co_await inner(seen);
    };
    run_and_close(making(exits));
    CHECK(exits.seen == 1);
}

TEST_CASE("a cancellation goes through a chain of very many tasks that await each other") {
    coaio::run([]() -> coaio::Coro<> {
        std::vector<coaio::Task<>> chain;
        chain.push_back(coaio::create_task(sleep_long()));
        for (int i = 1; i < very_many; ++i) chain.push_back(coaio::create_task(await_task(chain.back())));
        co_await coaio::sleep(0s);
        CHECK(chain.back().cancel("enough"));
        for (std::size_t i = 0; i < chain.size(); i += chain.size() / 8) CHECK(chain[i].cancelling() == 1);
        std::string said;
        try {
            co_await chain.back();
        } catch (const coaio::CancelledError& cancelled) {
            said = cancelled.what();
        }
        CHECK(said.find("enough") != std::string::npos);
        std::size_t ended = 0;
        for (const auto& each : chain) ended += each.cancelled() ? 1 : 0;
        CHECK(ended == chain.size());
    }());
}

TEST_CASE("a cancellation goes through a tower of many gathers") {
    coaio::run([]() -> coaio::Coro<> {
        auto tower = tower_of_gathers();
        co_await coaio::sleep(0s);
        CHECK(tower.back().cancel("enough"));
        for (std::size_t i = 0; i < tower.size(); i += tower.size() / 8) CHECK(tower[i].cancelling() == 1);
        std::string said;
        try {
            co_await tower.back();
        } catch (const coaio::CancelledError& cancelled) {
            said = cancelled.what();
        }
        CHECK(said.find("enough") != std::string::npos);
        CHECK(tower.front().cancelled());
    }());
}

TEST_CASE("a cancellation goes once through each gather of a lattice, in which very many ways lead down") {
    coaio::run([]() -> coaio::Coro<> {
        auto one = coaio::create_task(sleep_long());
        auto other = coaio::create_task(sleep_long());
        const std::vector bottom{one, other};
        for (int i = 0; i < 64; ++i) {
            auto above_one = coaio::create_task(await_both(one, other));
            other = coaio::create_task(await_both(one, other));
            one = std::move(above_one);
        }
        co_await coaio::sleep(0s);
        CHECK(one.cancel());
        co_await coaio::wait(bottom);
        const std::vector top{one, other};
        co_await coaio::wait(top);
        CHECK(one.cancelled());
        for (const auto& each : bottom) CHECK(each.cancelled());
    }());
}

TEST_CASE("a loop that closes destroys a tower of many gathers") {
    run_and_close([]() -> coaio::Coro<> {
        const auto tower = tower_of_gathers();
        const coaio::Future<> never;
        co_await never;
    }());
}

TEST_CASE("a tower of very many shields is destroyed") {
    coaio::run([]() -> coaio::Coro<> {
        const coaio::Future<> future;
        coaio::Future<> tower = future;
        for (int i = 0; i < very_many; ++i) tower = coaio::shield(std::move(tower));
        CHECK_FALSE(tower.done());
        CHECK(tower.cancel());
        co_return;
    }());
}

TEST_CASE("tasks that await each other in a ring end when one of them is cancelled") {
    coaio::run([]() -> coaio::Coro<> {
        for (const bool through_gather : {false, true}) {
            for (int cancelled = 0; cancelled < 3; ++cancelled) {
                Ring ring;
                ring.first = coaio::create_task(await_later(ring.second));
                ring.second = coaio::create_task(through_gather ? await_gather(ring.third) : await_later(ring.third));
                ring.third = coaio::create_task(await_later(ring.first));
                co_await coaio::sleep(0s);
                CHECK(ring.at(cancelled).cancel());
                co_await ring.ended();
            }
        }
    }());
}

TEST_CASE("a ring of gathers that wait for others too ends, and the others with it") {
    coaio::run([]() -> coaio::Coro<> {
        for (int cancelled = 0; cancelled < 3; ++cancelled) {
            Ring ring;
            const std::vector others{coaio::create_task(sleep_long()), coaio::create_task(sleep_long())};
            ring.first = coaio::create_task(await_all_outcomes(ring.second, others[0]));
            ring.second = coaio::create_task(await_gather(ring.third));
            ring.third = coaio::create_task(await_all_outcomes(ring.first, others[1]));
            co_await coaio::sleep(0s);
            CHECK(ring.at(cancelled).cancel());
            co_await ring.ended();
            co_await coaio::wait(others);
            CHECK(others[0].cancelled());
            CHECK(others[1].cancelled());
        }
    }());
}

TEST_CASE("a ring ends when the gather in it is cancelled, and a task that gathers itself when it is") {
    coaio::run([]() -> coaio::Coro<> {
        std::optional<coaio::Task<>> outer;
        const auto inner = coaio::create_task(await_later(outer));
        const auto both = coaio::gather(inner);
        outer = coaio::create_task(await_future(both));
        std::optional<coaio::Task<>> alone;
        alone = coaio::create_task(await_gather(alone));
        co_await coaio::sleep(0s);
        CHECK(both.cancel());
        CHECK(alone->cancel());
        const std::vector all{inner, *outer, *alone};
        co_await coaio::wait(all);
        for (const auto& each : all) CHECK(each.cancelled());
    }());
}
