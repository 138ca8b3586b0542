// SPDX-License-Identifier: MIT
#include "loop_registry.hpp"

#include "dump_walk.hpp"
#include "loop_impl.hpp"

#include <coaio/core/detail/thread_state.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <string>
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

// By its address: a future may outlive its loop.
void refuse_other_thread(const LoopCore* core) {
    const std::lock_guard lock(registry().mutex);
    const auto& loops = registry().loops;
    const auto found = std::ranges::find(loops, core, [](const Loop* loop) { return &loop->core(); });
    if (found != loops.end()) (*found)->impl().refuse_other_thread();
}

namespace {

// What one loop answers, and what stands in its place if it does not.
struct Answer {
    std::string text;
    std::future<std::string> pending;
};

std::string instead(DumpFormat format, const char* member, const char* line) {
    return format == DumpFormat::json ? "\"" + std::string(member) + "\":true" : "(" + std::string(line) + ")\n";
}

Answer ask(Loop& loop, DumpOptions options) {
    Answer answer;
    const auto promise = std::make_shared<std::promise<std::string>>();
    answer.pending = promise->get_future();
    try {
        loop.call_soon_threadsafe([promise, options] {
            try {
                promise->set_value(dump_loop(*thread_state.core, options));
            } catch (...) {
                promise->set_exception(std::current_exception());
            }
        });
    } catch (const RuntimeError&) {
        promise->set_value(instead(options.format, "closed", "closed"));
    }
    return answer;
}

using Deadline = std::chrono::steady_clock::time_point;  // lint-ok: clock threads

std::string take(Answer& answer, Deadline deadline, DumpFormat format) {
    if (!answer.pending.valid()) return std::move(answer.text);
    if (answer.pending.wait_until(deadline) != std::future_status::ready) {
        return instead(format, "busy", "busy: it did not answer within a second");
    }
    try {
        return answer.pending.get();
    } catch (const std::future_error&) {  // it closed, and dropped the question
        return instead(format, "closed", "closed");
    }
}

}  // namespace

std::string dump_every_loop(DumpOptions options) {
    std::vector<Answer> answers;
    Answer* own = nullptr;
    {
        // Held while asking: a loop cannot go away meanwhile.
        const std::lock_guard lock(registry().mutex);
        answers.reserve(registry().loops.size());
        for (Loop* const loop : registry().loops) {
            if (thread_state.core == &loop->core()) {
                own = &answers.emplace_back();
            } else if (loop->is_running()) {
                answers.push_back(ask(*loop, options));
            }
        }
    }
    if (own != nullptr) own->text = dump_loop(*thread_state.core, options);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);  // lint-ok: clock threads
    const bool json = options.format == DumpFormat::json;
    std::string text = json ? "{\"loops\":[" : "";
    std::size_t number = 0;
    for (Answer& answer : answers) {
        const std::string dump = take(answer, deadline, options.format);
        ++number;
        if (json) {
            text += (number == 1 ? "{\"number\":" : ",{\"number\":") + std::to_string(number) + "," + dump + "}";
        } else {
            text += "loop " + std::to_string(number) + "\n" + dump;
        }
    }
    return json ? text + "]}" : text;
}

}  // namespace coaio::detail
