// SPDX-License-Identifier: MIT
// What gather, wait, as_completed and queues take, and what they refuse.
#include <coaio/core/as_completed.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/gather.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/queue.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/wait.hpp>

#include "core/delayed.hpp"
#include "support/catch.hpp"

#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;
using coaio::Future;
using coaio::Task;
using tests::value_after;

namespace {

// A range that can be gone through once: makes a task each time it moves on.
class TasksOnce {
public:
    explicit TasksOnce(int count, int& made) : left_(count), made_(&made) {}

    class Iterator {
    public:
        using value_type = Task<int>;
        using difference_type = std::ptrdiff_t;
        Iterator() = default;
        explicit Iterator(TasksOnce* owner) : owner_(owner) {}
        Task<int> operator*() const {
            ++*owner_->made_;
            return create_task(value_after(1s, owner_->left_));
        }
        Iterator& operator++() {
            --owner_->left_;
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(std::default_sentinel_t) const { return owner_->left_ == 0; }

    private:
        TasksOnce* owner_ = nullptr;
    };
    Iterator begin() { return Iterator(this); }
    [[nodiscard]] std::default_sentinel_t end() const { return {}; }

private:
    int left_;
    int* made_;
};
static_assert(std::ranges::input_range<TasksOnce> && !std::ranges::forward_range<TasksOnce>);

// An awaitable whose copy fails, as the conversion of an argument may.
struct Unlucky {
    Unlucky() = default;
    Unlucky(const Unlucky&) { throw std::length_error("cannot be copied"); }
    Unlucky& operator=(const Unlucky&) = delete;
    ~Unlucky() = default;
    [[nodiscard]] bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    void await_resume() const noexcept {}
};

template <class A>
concept Waited = coaio::detail::RangeOfHandles<A>;  // others are refused in words, by tests/compile
template <class A>
concept Completed = requires(A a) { coaio::as_completed(a); };
template <class N>
concept QueueSize = requires(N n) { coaio::Queue<int>(n); };

}  // namespace

TEST_CASE("GAT-21: children of another loop are refused, and the good ones go on") {
    coaio::testing::TestLoop other;
    auto make = []() -> Coro<Future<int>> { co_return Future<int>(); };
    const Future<int> foreign = other.run(make());
    auto main = [](Future<int> theirs) -> Coro<> {
        auto mine = create_task(value_after(1s, 1));
        REQUIRE_THROWS_AS(coaio::gather(mine, theirs), coaio::ValueError);
        const std::vector<Future<int>> all{theirs};
        REQUIRE_THROWS_AS(coaio::gather(all), coaio::ValueError);
        const int value = co_await mine;
        REQUIRE(value == 1);
    };
    coaio::testing::run(main(foreign));
}

TEST_CASE("GAT-22: an argument that fails to convert midway leaves the tasks made before it running") {
    coaio::testing::TestLoop loop;
    loop.fail_on_reports();
    auto child = [](int& done) -> Coro<> {
        co_await coaio::sleep(1s);
        ++done;
    };
    auto main = [](auto make) -> Coro<> {
        int done = 0;
        auto named = create_task(make(done));
        const Unlucky unlucky;
        REQUIRE_THROWS_AS(coaio::gather(make(done), named, unlucky), std::length_error);
        co_await coaio::sleep(2s);
        REQUIRE(done == 2);
    };
    loop.run(main(child));
}

TEST_CASE("WAI-15: wait takes any range of handles and goes through it once") {
    auto main = []() -> Coro<> {
        int made = 0;
        auto lazily = co_await coaio::wait(TasksOnce(3, made));
        REQUIRE(made == 3);
        REQUIRE(lazily.done.size() == 3);
        REQUIRE(lazily.done[0].result() == 3);
        made = 0;
        std::vector<int> values;
        auto finished = coaio::as_completed(TasksOnce(2, made));
        while (auto task = co_await finished.next()) values.push_back(task->result());
        REQUIRE(made == 2);
        REQUIRE(values == std::vector<int>{2, 1});
    };
    coaio::testing::run(main());
}

TEST_CASE("WAI-04, ASC-10: wait and as_completed take no single future, and wait no coroutines") {
    STATIC_REQUIRE(Waited<std::vector<Task<int>>>);
    STATIC_REQUIRE_FALSE(Waited<Task<int>>);
    STATIC_REQUIRE_FALSE(Waited<std::vector<Coro<int>>>);
    STATIC_REQUIRE_FALSE(Waited<std::vector<int>>);
    STATIC_REQUIRE(Completed<std::vector<Task<int>>>);
    STATIC_REQUIRE_FALSE(Completed<Future<int>>);
    STATIC_REQUIRE_FALSE(Completed<std::vector<int>>);
}

TEST_CASE("ASC-10: as_completed of coroutines needs a running loop") {
    std::vector<Coro<int>> coros;
    coros.push_back(value_after(1s, 1));
    REQUIRE_THROWS_AS(coaio::as_completed(std::move(coros)), coaio::RuntimeError);
}

TEST_CASE("QUE-04: the size of a queue is a whole number") {
    STATIC_REQUIRE(QueueSize<int>);
    STATIC_REQUIRE(QueueSize<std::size_t>);
    STATIC_REQUIRE_FALSE(QueueSize<double>);
}
