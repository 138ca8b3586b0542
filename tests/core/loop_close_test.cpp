// SPDX-License-Identifier: MIT
// What a loop lets go of when it closes, although nothing would ever have ended it.
#include <coaio/core/executor.hpp>
#include <coaio/core/future.hpp>
#include <coaio/core/gather.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/shield.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <future>
#include <memory>
#include <optional>

namespace {

using Held = std::shared_ptr<int>;

// Runs `begin(held)` on a loop, closes the loop, and says how many still hold on to the value.
template <class F>
long holders_after_close(F begin) {
    const auto held = std::make_shared<int>(1);
    {
        coaio::Loop loop;
        loop.call_soon([&] {
            begin(held);
            loop.stop();
        });
        loop.run_forever();
        CHECK(held.use_count() > 1);
    }
    return held.use_count();
}

auto keeping(const Held& held) {
    return [held](const auto&) {};
}

}  // namespace

TEST_CASE("a loop that closes lets go of what hangs on a future that nobody will ever settle") {
    CHECK(holders_after_close([](const Held& held) {
              const coaio::Future<> never;
              never.add_done_callback(keeping(held));
          }) == 1);
    CHECK(holders_after_close([](const Held& held) {
              const coaio::Future<int> never;
              const auto both = coaio::gather(never, coaio::shield(never));
              coaio::gather(both, coaio::Future<int>()).add_done_callback(keeping(held));
          }) == 1);
}

TEST_CASE("a future that is waited for when its loop closes is cancelled, another one stays pending") {
    std::optional<coaio::Future<>> awaited;
    std::optional<coaio::Future<>> alone;
    {
        coaio::Loop loop;
        loop.call_soon([&] {
            awaited.emplace();
            alone.emplace();
            awaited->add_done_callback([](const auto&) {});
            loop.stop();
        });
        loop.run_forever();
    }
    CHECK(awaited->cancelled());
    CHECK_FALSE(alone->done());
}

TEST_CASE("a loop that closes withdraws every job that has not begun, and lets go of what waits for jobs",
          "[threads]") {
    std::promise<void> gate;
    const auto begun = std::make_shared<std::promise<void>>();
    const auto pool = std::make_shared<coaio::ThreadPoolExecutor>(1);
    const auto ran = std::make_shared<std::atomic<int>>(0);
    CHECK(holders_after_close([&](const Held& held) {
              auto& loop = coaio::get_running_loop();
              loop.set_default_executor(pool);
              loop.run_in_executor([begun, open = gate.get_future().share()] {
                      begun->set_value();
                      open.wait();
                  })
                  .add_done_callback(keeping(held));
              begun->get_future().wait();
              for (int i = 0; i < 3; ++i) loop.run_in_executor([ran] { ++*ran; }).add_done_callback(keeping(held));
          }) == 1);
    std::promise<void> ended;
    pool->shutdown([&] { ended.set_value(); });
    gate.set_value();
    ended.get_future().wait();
    CHECK(*ran == 0);
}
