// SPDX-License-Identifier: MIT
#include <coaio/core/staggered_race.hpp>

#include <coaio/core/loop.hpp>

#include "task_group_support.hpp"

#include <functional>

using namespace tests;

namespace {

using Starter = std::function<Coro<int>()>;

Coro<int> set_and_hang(coaio::Event& event, Log& log) {
    event.set();
    co_await hang(log, "setter");
    co_return -1;
}

Coro<int> value_on(coaio::Event& event, int value) {
    co_await event.wait();
    co_return value;
}

Coro<int> fails_after(coaio::Duration delay, std::string what) {
    co_await fail_after(delay, std::move(what));
    co_return 0;
}

// "winner 1 = 7 [x, -] at 2 s": who won with what, why each did not, and when that was known.
Coro<std::string> described(std::vector<Starter> starters, std::optional<coaio::Duration> delay) {
    const auto race = co_await coaio::staggered_race(std::move(starters), delay);
    std::string text = "nobody";
    if (race.winner) text = "winner " + std::to_string(*race.winner) + " = " + std::to_string(*race.value);
    text += " [";
    for (const auto& each : race.exceptions) {
        std::string word = "-";
        try {
            if (each) std::rethrow_exception(each);
        } catch (const coaio::CancelledError&) {
            word = "cancelled";
        } catch (const std::exception& error) {
            word = error.what();
        }
        text += (text.back() == '[' ? "" : ", ") + word;
    }
    co_return text + "] at " + std::to_string(coaio::Clock::now().time_since_epoch() / 1s) + " s";
}

// Both ways of starting tasks give the same: STG-06.
std::string race(const std::vector<Starter>& starters, std::optional<coaio::Duration> delay) {
    std::string before;
    for (const bool eager : {false, true}) {
        coaio::testing::TestLoop loop;
        loop.fail_on_reports();
        loop.loop().set_eager_tasks(eager);
        std::string text = loop.run(described(starters, delay));
        if (eager) REQUIRE(text == before);
        before = std::move(text);
    }
    return before;
}

}  // namespace

TEST_CASE("STG-01, STG-06: nothing wins a race of none; the first success wins, and later ones never start") {
    REQUIRE(race({}, 1s) == "nobody [] at 0 s");
    int started = 0;
    const std::vector<Starter> two{[] { return value_after(1s, 7); },
                                   [&started] {
                                       ++started;
                                       return value_after(1s, 8);
                                   }};
    REQUIRE(race(two, 5s) == "winner 0 = 7 [-] at 1 s");
    REQUIRE(race(two, std::nullopt) == "winner 0 = 7 [-] at 1 s");
    REQUIRE(started == 0);
}

TEST_CASE("STG-02, STG-06: a failure starts the next at once; when all fail there is no winner and every reason") {
    REQUIRE(race({[] { return fails_after(1s, "x"); }, [] { return value_after(2s, 8); }}, 1h) ==
            "winner 1 = 8 [x, -] at 3 s");
    REQUIRE(race({[] { return fails_after(0s, "x"); }, [] { return fails_after(0s, "y"); }}, std::nullopt) ==
            "nobody [x, y] at 0 s");
    REQUIRE(race({[]() -> Coro<int> { throw std::runtime_error("unmade"); }, [] { return value_after(0s, 1); }},
                 std::nullopt) == "winner 1 = 1 [unmade, -] at 0 s");
}

TEST_CASE("STG-03, STG-06: when the delay passes the next starts alongside, and the loser is cancelled") {
    REQUIRE(race({[] { return value_after(1h, 1); }, [] { return value_after(1s, 2); }}, 3s) ==
            "winner 1 = 2 [cancelled, -] at 4 s");
    auto at_once = []() -> Coro<int> { co_return 2; };
    REQUIRE(race({[] { return value_after(1h, 1); }, at_once}, 0s) == "winner 1 = 2 [cancelled, -] at 0 s");
    REQUIRE(race({[] { return value_after(5s, 1); }, [] { return value_after(1h, 2); }}, 3s) ==
            "winner 0 = 1 [-, cancelled] at 5 s");
}

TEST_CASE("STG-04, STG-06: of two that succeed in one turn one wins, the other counts as cancelled") {
    coaio::Event event;
    Log log;
    const std::vector<Starter> starters{[&] { return value_on(event, 0); }, [&] { return value_on(event, 1); },
                                        [&] { return set_and_hang(event, log); }};
    coaio::testing::TestLoop loop;
    REQUIRE(loop.run(described(starters, 1s)) == "winner 0 = 0 [-, cancelled, cancelled] at 2 s");
    // One that will not be cancelled comes second all the same.
    auto stubborn = []() -> Coro<int> {
        co_await slow_to_cancel(0s, "no");
        co_return 1;
    };
    auto unmoved = []() -> Coro<int> {
        try {
            co_await coaio::sleep(1h);
        } catch (const coaio::CancelledError&) {}
        co_return 1;
    };
    REQUIRE(race({unmoved, [] { return value_after(1s, 2); }}, 1s) == "winner 1 = 2 [cancelled, -] at 2 s");
    REQUIRE(race({stubborn, [] { return value_after(1s, 2); }}, 1s) == "winner 1 = 2 [no, -] at 2 s");
}

TEST_CASE("STG-05: each cancellation of the caller is passed on to those that clean up, and none is lost") {
    auto entrant = [](Log& log) -> Coro<int> {
        for (const char* const text : {"first", "second"}) {
            try {
                co_await coaio::sleep(1h);
            } catch (const coaio::CancelledError&) {
                log.emplace_back(text);
            }
        }
        co_return 3;
    };
    auto main = [](auto make) -> Coro<> {
        Log log;
        std::vector<Starter> starters{[&] { return make(log); }};
        auto task = create_task(described(std::move(starters), std::nullopt));
        co_await coaio::sleep(1s);
        task.cancel();
        co_await coaio::sleep(1s);
        REQUIRE_FALSE(task.done());
        task.cancel();
        co_await coaio::sleep(1s);
        REQUIRE(task.cancelled());
        REQUIRE(log == Log{"first", "second"});
        REQUIRE(coaio::all_tasks().size() == 1);
    };
    coaio::testing::run(main(entrant));
}

TEST_CASE("cut: a staggered race leaves no task and no timer behind, whatever turn the cancellation comes in") {
    auto factory = []() -> Coro<> {
        std::vector<Starter> starters{[] { return value_after(9s, 1); }, [] { return fails_after(1s, "x"); },
                                      [] { return value_after(2s, 3); }};
        const auto race = co_await coaio::staggered_race(std::move(starters), 2s);
        REQUIRE(race.winner == 2U);
    };
    coaio::testing::cut(factory, [](std::size_t) {
        REQUIRE(coaio::all_tasks().size() == 1);
        REQUIRE(coaio::get_running_loop().stats().timers == 0);
    });
}
