// SPDX-License-Identifier: MIT
#include "trouble.hpp"

#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>

#include <functional>
#include <iterator>
#include <stdexcept>
#include <vector>

namespace soak {

using coaio::Clock;
using coaio::Coro;
using tests::Fault;
using tests::Spot;
using tests::Way;
using namespace std::chrono_literals;

namespace {

Spot commit_sent() { return Spot(Way::to_server, 'Q').containing("; commit").nth(0); }
Spot commit_answered() { return Spot(Way::to_client, 'C').containing("COMMIT").nth(0); }

Coro<> on_keeper(World& world, std::function<void()> step) {
    co_await coaio::get_running_loop().run_in_executor(world.keeper, std::move(step));
}

Coro<> terminate(World& world) {
    const std::string some = std::to_string(world.below(3));
    std::function<void()> step = [&server = world.server, some] {
        try {
            server.sql("postgres",
                       "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'soak' and pid % 3 = " +
                           some);
        } catch (const std::runtime_error&) {  // it ended us as well
        }
    };
    co_await on_keeper(world, std::move(step));
}

Coro<> restart(World& world) {
    std::function<void()> step = [&server = world.server] { server.restart(tests::Stop::immediate); };
    co_await on_keeper(world, std::move(step));
}

Coro<> cut_all(World& world) {
    world.proxy.cut_all();
    co_return;
}

Coro<> cut_before_commit(World& world) {
    world.proxy.on(commit_sent().times(3), Fault::cut_before());
    co_return;
}

Coro<> cut_after_commit(World& world) {
    world.proxy.on(commit_answered().times(3), Fault::cut_before());
    co_return;
}

Coro<> freeze(World& world) {
    world.proxy.freeze_all();
    co_await coaio::sleep(std::chrono::milliseconds(world.below(1500)));
    world.proxy.thaw_all();
}

Coro<> freeze_commit(World& world) {
    world.proxy.on(commit_answered().times(2), Fault::freeze());
    co_return;
}

// What is open is silent for good, and for a while so is what is opened.
Coro<> black_hole(World& world) {
    world.proxy.freeze_all();
    world.proxy.listen(tests::Listen::hang);
    co_await coaio::sleep(std::chrono::milliseconds(world.below(1500)));
    world.proxy.listen(tests::Listen::normal);
}

Coro<> reset_anywhere(World& world) {
    world.proxy.on(Spot(Way::to_client, tests::message::any).nth(0).chance(0.01).times(3), Fault::reset_after());
    co_return;
}

Coro<> late_cancels(World& world) {
    world.proxy.on(Spot(Way::to_server, tests::message::cancel).times(5), Fault::delay(300ms));
    co_return;
}

struct Kind {
    const char* name;
    Coro<> (*happen)(World&);
};
constexpr Kind kinds[] = {{"terminate", terminate},
                          {"restart", restart},
                          {"cut-all", cut_all},
                          {"cut-before-commit", cut_before_commit},
                          {"cut-after-commit", cut_after_commit},
                          {"freeze", freeze},
                          {"freeze-commit", freeze_commit},
                          {"black-hole", black_hole},
                          {"reset", reset_anywhere},
                          {"late-cancels", late_cancels}};

}  // namespace

Coro<> make_trouble(World& world) {
    std::vector<Kind> some;
    for (const Kind& each : kinds) {
        if (world.only_fault.empty() || world.only_fault == each.name) some.push_back(each);
    }
    if (some.empty()) throw std::runtime_error("there is no fault called " + world.only_fault);
    const auto end = Clock::now() + world.length;
    while (Clock::now() < end) {
        co_await coaio::sleep(std::chrono::milliseconds(50 + world.below(400)));
        const Kind& kind = some[world.below(some.size())];
        ++world.faults[kind.name];
        co_await kind.happen(world);
        if (world.below(3) == 0) world.proxy.clear();
    }
    world.proxy.clear();
    world.proxy.thaw_all();
}

}  // namespace soak
