// SPDX-License-Identifier: MIT
// What crosses threads, under seeds and cuts. The threads keep their own order, so a seed replays the tasks' only.
#include "core/thread_worlds.hpp"
#include "core/world.hpp"

#include <coaio/core/executor.hpp>
#include <coaio/core/shield.hpp>
#include <coaio/core/threadsafe.hpp>
#include <coaio/core/to_thread.hpp>

#include "support/catch.hpp"

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

using coaio::Coro;
using tests::draw;
using tests::expect;
using tests::linger;
using tests::prove;

namespace {

/// Jobs of which some are not wanted any more: each runs once, or not at all.
class JobsWorld final : public tests::World {
public:
    ~JobsWorld() override {
        pool_->shutdown([] {});
    }

    Coro<> victim() override {
        coaio::get_running_loop().set_default_executor(pool_);
        for (int i = 0; i < 3; ++i) fragile(work(i));
        co_await work(3);
    }
    Coro<> settle() override {
        co_await all_over();
        for (const auto& each : counts_->runs) expect(each <= 1, "a job ran twice");
        // The pool still works, whatever was withdrawn from it.
        const int answer = co_await coaio::to_thread([] { return 42; });
        expect(answer == 42, "a job gave the result of another");
    }

private:
    struct Counts {
        std::array<std::atomic<int>, 4> runs{};
    };
    Coro<> work(int i) {
        co_await linger();
        // Named, for g++ 12.
        auto job = [i, counts = counts_] {
            ++counts->runs.at(static_cast<std::size_t>(i));
            return i * 2;
        };
        const int result = co_await coaio::to_thread(std::move(job));
        expect(result == i * 2, "a job gave the result of another");
        expect(counts_->runs.at(static_cast<std::size_t>(i)) == 1, "a result of a job that did not run once");
    }

    std::shared_ptr<Counts> counts_ = std::make_shared<Counts>();
    std::shared_ptr<coaio::ThreadPoolExecutor> pool_ = std::make_shared<coaio::ThreadPoolExecutor>(2);
};

/// A thread that has the loop run coroutines, and wants some of them no more.
class CallsWorld final : public tests::World {
public:
    ~CallsWorld() override {
        if (thread_.joinable()) thread_.join();
    }

    Coro<> victim() override {
        outside_.emplace();
        over_.emplace();
        thread_ = std::thread([this, &loop = coaio::get_running_loop(), choice = draw(4)] {
            call(loop, choice);
            loop.call_soon_threadsafe([this] { over_->set_result(); });
        });
        for (int i = 0; i < 2; ++i) fragile(some_turns());
        co_await coaio::shield(*over_);
    }
    Coro<> pause() override { return some_turns(); }
    Coro<> settle() override {
        co_await all_over();
        if (over_) co_await *over_;
        outside_.reset();
        if (thread_.joinable()) thread_.join();
        expect(wrong_ == 0, "a thread got the wrong answer");
        expect(alive_ == 0, "a coroutine runs on, and its thread has its answer");
    }

private:
    // The clock stands still while the thread is at it.
    static Coro<> some_turns() {
        const std::size_t turns = draw(5);
        for (std::size_t i = 0; i < turns; ++i) co_await coaio::sleep(coaio::Duration::zero());
    }
    static Coro<int> answer(CallsWorld& world, int question) {
        const tests::Inside inside(world.alive_);
        co_await some_turns();
        co_return question + 1;
    }
    // On the thread.
    void call(coaio::Loop& loop, std::size_t choice) {
        for (std::size_t i = 0; i < 4; ++i) {
            const auto future = coaio::run_coroutine_threadsafe(answer(*this, static_cast<int>(i)), loop);
            const bool unwanted = i == choice && future.cancel();
            try {
                if (future.result() != static_cast<int>(i) + 1) ++wrong_;
            } catch (const coaio::CancelledError&) {
                if (!unwanted) ++wrong_;
            }
        }
    }

    std::optional<coaio::testing::OutsideWork> outside_;
    std::thread thread_;
    std::optional<coaio::Future<>> over_;
    int alive_ = 0;
    std::atomic<int> wrong_ = 0;
};

}  // namespace

TEST_CASE("jobs on threads under seeds and every cut: each runs once or not at all, and none is lost", "[threads]") {
    prove<JobsWorld>();
}

TEST_CASE("calls from a thread under seeds and every cut: each gets its answer", "[threads]") { prove<CallsWorld>(); }

TEST_CASE("coroutines from a thread under seeds and every cut: what nobody wants is cancelled", "[threads]") {
    prove<tests::HandOverWorld<tests::Library>>();
}
