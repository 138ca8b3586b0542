// SPDX-License-Identifier: MIT
#include "loop_registry.hpp"

#include <coaio/core/detail/thread_state.hpp>
#include <coaio/core/dump.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace coaio::detail {

namespace {

struct Registry {
    std::mutex mutex;
    std::vector<Loop*> loops;
};

Registry& registry() {
    static auto* const instance = new Registry;  // never destroyed: threads may end after main has
    return *instance;
}

}  // namespace

void register_loop(Loop& loop) {
    const std::lock_guard lock(registry().mutex);
    registry().loops.push_back(&loop);
}

void unregister_loop(Loop& loop) noexcept {
    const std::lock_guard lock(registry().mutex);
    std::erase(registry().loops, &loop);
}

std::string dump_every_loop() {
    struct Answer {
        std::string text;
        std::future<std::string> pending;
    };
    std::vector<Answer> answers;
    {
        // Held while asking: a loop cannot go away meanwhile.
        const std::lock_guard lock(registry().mutex);
        for (Loop* const loop : registry().loops) {
            Answer& answer = answers.emplace_back();
            if (thread_state.core == &loop->core()) {
                answer.text = dump_tasks();
                continue;
            }
            const auto promise = std::make_shared<std::promise<std::string>>();
            answer.pending = promise->get_future();
            try {
                loop->call_soon_threadsafe([promise] { promise->set_value(dump_tasks()); });
            } catch (const RuntimeError&) {
                promise->set_value("(closed)\n");
            }
        }
    }
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);  // lint-ok: clock threads
    std::string text;
    std::size_t number = 0;
    for (Answer& answer : answers) {
        text += "loop " + std::to_string(++number) + "\n";
        if (!answer.pending.valid()) {
            text += answer.text;
        } else if (answer.pending.wait_until(deadline) == std::future_status::ready) {
            text += answer.pending.get();
        } else {
            text += "(busy: it did not answer within a second)\n";
        }
    }
    return text;
}

}  // namespace coaio::detail
